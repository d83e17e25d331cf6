//! The command line against a cloud that others wrote: moto's S3 and Batch, where a moto server is installed.
//!
//! In its simple mode every job has succeeded, or failed, as soon as it is submitted, and none is run. What else is
//! different from AWS stands in `docs/moto.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use dayfill_tests::processes::until;
use dayfill_tests::{Sandbox, sandbox, skip};
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/moto.py");
const DAYS: usize = 3;

/// moto's server, until it is dropped.
struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    /// Starts it with these variables, where it is installed, and makes buckets, objects, hosts and a queue in it.
    fn start(sandbox: &mut Sandbox, variables: &[(&str, &str)]) -> Option<Self> {
        for (program, args) in [("moto_server", &["-h"][..]), ("python3", &["-c", "import boto3"])] {
            if !Command::new(program).args(args).output().is_ok_and(|ran| ran.status.success()) {
                skip(&format!("nothing is tried against moto: `{program} {}` does not run", args.join(" ")));
                return None;
            }
        }
        let log = sandbox.root().join("moto.log");
        let printed = File::create(&log).unwrap();
        // The system chooses the port, and moto tells it.
        let child = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", "0"])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(printed.try_clone().unwrap())
            .stderr(printed)
            .spawn()
            .unwrap();
        let mut moto = Self { child, url: String::new() };
        until("moto says where it listens", || {
            let text = fs::read_to_string(&log).unwrap();
            assert!(moto.child.try_wait().unwrap().is_none(), "moto ended: {text}");
            let url = text.split_whitespace().skip_while(|w| *w != "Running").nth(2);
            url.unwrap_or_default().clone_into(&mut moto.url);
            !moto.url.is_empty()
        });
        moto.set_simple();
        moto.script(&["make", &moto.url, &DAYS.to_string()]);
        sandbox.spec["engine"] = json!("aws");
        sandbox.spec.as_object_mut().unwrap().remove("local");
        sandbox.spec["aws"] = json!({ "region": "us-east-1", "endpoint_url": moto.url });
        sandbox.spec["state"] = json!("s3://state/dayfill");
        sandbox.spec["retry"] = json!({ "app": 1 });
        sandbox.save();
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            sandbox.set(name, "none");
        }
        Some(moto)
    }

    /// Jobs without Docker.
    fn set_simple(&self) {
        let config = json!({ "batch": { "use_docker": false } }).to_string();
        let ran = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--data", &config])
            .arg(format!("{}/moto-api/config", self.url))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    #[track_caller]
    fn script(&self, args: &[&str]) -> String {
        let ran = Command::new("python3").arg(SCRIPT).args(args).output().unwrap();
        assert!(ran.status.success(), "{}: {}", self.url, String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// What moto has: its jobs and job definitions.
    fn tell(&self) -> Value {
        serde_json::from_str(&self.script(&["tell", &self.url])).unwrap()
    }

    /// How many jobs moto has of each name.
    fn jobs_by_name(&self) -> BTreeMap<String, usize> {
        let mut names = BTreeMap::new();
        for job in self.tell()["jobs"].as_array().unwrap() {
            *names.entry(job["jobName"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        names
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_day_is_submitted_to_moto_once() {
    let mut sandbox = sandbox!();
    let Some(moto) = Moto::start(&mut sandbox, &[]) else { return };
    // moto does not tell what its hosts are, and holds to conditional puts, or the state would be no ✓.
    let doctor = sandbox.run(&["doctor", "backfill.yaml"]).ended(0);
    doctor.prints(&["✓ queue ", "✓ state ", "each number once", "small: 15 ok, 1 warning."]);
    let plan = sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    plan.prints(&["Plan: 3 jobs for 3 days."]);
    assert_eq!(moto.tell(), json!({ "jobs": [], "definitions": [] }), "a plan changes nothing");

    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0).prints(&["0 of 3 days done, 3 waiting"]);
    let submitted = moto.jobs_by_name();
    assert_eq!(submitted.values().collect::<Vec<_>>(), [&1; DAYS], "{submitted:?}");
    sandbox.run(&["watch", "backfill.yaml"]).ended(0).prints(&["3 of 3 days done"]);
    for again in [&["submit", "plan.json", "--yes"][..], &["run", "backfill.yaml", "--yes"]] {
        sandbox.run(again).ended(0);
    }
    sandbox
        .run(&["plan", "backfill.yaml"])
        .ended(0)
        .prints(&["Plan: 0 jobs for 0 days. Not in plan: 3 done."]);
    assert_eq!(moto.jobs_by_name(), submitted, "nothing twice");

    let status = sandbox.status();
    assert_eq!((&status["total"]["done"], &status["total"]["jobs"]), (&json!(DAYS), &json!(DAYS)));
    let explained = sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-02"]).ended(0);
    explained.prints(&["try 1 with 64 MiB: succeeded", "next: nothing: it is loaded"]);

    // What moto was told is what the YAML says.
    let told = moto.tell();
    assert_eq!(told["definitions"].as_array().unwrap().len(), 1);
    for job in told["jobs"].as_array().unwrap() {
        assert_eq!(job["timeout"], json!({ "attemptDurationSeconds": 600 }), "{job}");
        let mut environment = job["container"]["environment"].as_array().unwrap().iter();
        let date = environment.find(|e| e["name"] == "DATE").unwrap()["value"].as_str().unwrap();
        assert!(job["jobName"].as_str().unwrap().contains(date), "{job}");
    }
}

#[test]
fn days_that_fail_on_moto_are_tried_again_and_given_up() {
    let mut sandbox = sandbox!();
    let Some(moto) = Moto::start(&mut sandbox, &[("MOTO_SIMPLE_BATCH_FAIL_AFTER", "0")]) else { return };
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0);
    until("no day is left", || {
        let code = sandbox.run(&["advance", "backfill.yaml"]).code;
        assert!(matches!(code, Some(0 | 3)), "{code:?}");
        code == Some(3)
    });
    let names = moto.jobs_by_name();
    assert_eq!(
        names.values().collect::<Vec<_>>(),
        [&1; 2 * DAYS],
        "each try has a name of its own: {names:?}"
    );
    let status = sandbox.status();
    assert_eq!((&status["total"]["failed"], &status["total"]["done"]), (&json!(DAYS), &json!(0)));
    let explained = sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-02"]).ended(0);
    explained.prints(&[
        "try 1 with 64 MiB: job failed",
        "try 2 with 64 MiB: job failed",
        "it was given up: the job failed 2 times",
    ]);
}
