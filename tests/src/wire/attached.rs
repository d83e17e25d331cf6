//! A local engine that commands find by themselves, behind a proxy.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::proxy::Proxy;
use crate::sandbox::Sandbox;
use crate::server::Server;

/// A `dayfill local` that a backfill with `engine: local` finds in its folder, through a proxy.
pub struct Attached {
    /// The days that the lake has.
    pub partitions: Vec<String>,
    /// What every command reaches in place of the engine.
    pub proxy: Proxy,
    /// The engine itself.
    pub server: Server,
}

impl Attached {
    /// Starts it for this sandbox, which has so many days.
    pub fn start(sandbox: &mut Sandbox, days: u32) -> Self {
        let partitions = sandbox.fill(&["condor"], days);
        fs::create_dir_all(sandbox.lake().join("state")).unwrap();
        sandbox.spec["window"]["to"] = json!(format!("2018-10-{days:02}"));
        sandbox.save();
        let server = Server::start(sandbox, &["--signature-age", "5s", "--vcpus", "4"]);
        let proxy = Proxy::start(server.url());
        // Commands find the engine by the file in its folder; theirs names the proxy.
        let folder = sandbox.root().join("server");
        redirect(&folder.join("endpoint.json"), &proxy.url());
        fs::create_dir_all(sandbox.root().join(".dayfill")).unwrap();
        symlink(folder, sandbox.root().join(".dayfill/engine")).unwrap();
        Self { partitions, proxy, server }
    }
}

fn redirect(file: &Path, url: &str) {
    let mut endpoint: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    endpoint["url"] = json!(url);
    fs::write(file, endpoint.to_string()).unwrap();
}
