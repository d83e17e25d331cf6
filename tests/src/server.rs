//! `dayfill local`, running beside a test.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::processes::until;
use crate::sandbox::Sandbox;

/// A local engine that stays until it is dropped.
pub struct Server {
    child: Child,
    /// The variables that it told its clients to set.
    pub exports: BTreeMap<String, String>,
}

impl Server {
    /// Starts `dayfill local` over the sandbox's lake, with these further arguments, and waits until it answers.
    pub fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let lake = sandbox.lake();
        let mut all = vec!["local", "--lake", lake.to_str().unwrap(), "--dir", "server"];
        all.extend(args);
        let (mut child, out, err) = sandbox.spawn(&all);
        let mut exports = BTreeMap::new();
        until("dayfill local prints its export lines", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "dayfill local ended: {}", fs::read_to_string(&err).unwrap());
            let text = fs::read_to_string(&out).unwrap();
            let lines = text.lines().filter_map(|l| l.strip_prefix("export ")?.split_once('='));
            exports = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            exports.contains_key("AWS_DEFAULT_REGION")
        });
        Self { child, exports }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.exports["AWS_ENDPOINT_URL"]
    }

    /// One call of Batch with `curl`, in the words of its API: `submitjob`. Panics unless it is answered with 200.
    #[track_caller]
    pub fn batch(&self, operation: &str, request: &Value) {
        let user = format!("{}:{}", self.exports["AWS_ACCESS_KEY_ID"], self.exports["AWS_SECRET_ACCESS_KEY"]);
        let ran = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:batch"])
            .args(["--user", &user, "--header", "content-type: application/json"])
            .args(["--data", &request.to_string(), &format!("{}/v1/{operation}", self.url())])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{operation}: {}", String::from_utf8_lossy(&ran.stdout));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // It ends its jobs when it is asked to end.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
