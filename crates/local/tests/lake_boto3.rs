//! The same script against this S3 and against moto's must print the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod lake_support;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lake_support::{Engine, has, output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lake_boto3.py");

/// Another implementation of S3, ended when dropped.
struct Moto {
    process: Child,
    url: String,
}

impl Moto {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &free.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut moto = Self { process, url: format!("http://127.0.0.1:{free}") };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", free)).is_err() {
            if begin.elapsed() > Duration::from_mins(1) || moto.process.try_wait().unwrap().is_some() {
                let mut said = String::new();
                let _ = moto.process.kill();
                moto.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("moto does not serve: {said}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn boto3_sees_no_difference_to_moto() {
    if !has("python3", &["-c", "import boto3"]) {
        return;
    }
    let engine = Engine::start();
    let ours = output(engine.command("python3").arg(SCRIPT));
    assert!(ours.lines().count() > 35 && ours.ends_with("no bucket [\"NoSuchBucket\", 404]\n"), "{ours}");
    if !has("python3", &["-c", "import moto.server"]) {
        return;
    }
    let moto = Moto::start();
    let theirs = output(engine.command("python3").arg(SCRIPT).env("AWS_ENDPOINT_URL_S3", &moto.url));
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
}
