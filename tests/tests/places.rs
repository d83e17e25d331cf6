//! Places that are not there, not allowed, full, or of another kind: one clear error each, with what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::process::Command;

use dayfill_tests::{Ran, Sandbox, Server, sandbox, skip};
use serde_json::json;

/// The commands that reach S3 and the queue.
const REACHING: [&[&str]; 2] = [&["plan", "backfill.yaml"], &["run", "backfill.yaml", "--yes"]];

/// A sandbox whose backfill goes to AWS at this endpoint, with these keys.
fn on_aws(endpoint: &str, keys: (&str, &str)) -> Sandbox {
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor"], 3);
    sandbox.spec["engine"] = json!("aws");
    sandbox.spec.as_object_mut().unwrap().remove("local");
    sandbox.spec["aws"] = json!({ "region": "us-east-1", "endpoint_url": endpoint });
    sandbox.save();
    sandbox.set("AWS_ACCESS_KEY_ID", keys.0);
    sandbox.set("AWS_SECRET_ACCESS_KEY", keys.1);
    sandbox
}

#[track_caller]
fn fails(sandbox: &Sandbox, args: &[&str], code: i32, texts: &[&str]) {
    sandbox.run(args).ended(code).says(texts).is_one_clear_error();
}

#[test]
fn an_endpoint_where_nobody_answers() {
    // Port 1 is reserved, and nobody listens there.
    let sandbox = on_aws("http://127.0.0.1:1", ("AKIAIOSFODNN7EXAMPLE", "secret"));
    for args in REACHING {
        fails(&sandbox, args, 1, &["nobody answers at http://127.0.0.1:1", "check the network"]);
    }
    assert!(!sandbox.state().exists());
}

#[test]
fn no_credentials_at_all() {
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor"], 1);
    sandbox.spec["engine"] = json!("aws");
    sandbox.spec["aws"] = json!({ "region": "us-east-1", "endpoint_url": "http://127.0.0.1:1" });
    sandbox.save();
    fails(&sandbox, REACHING[0], 1, &["no credentials", "AWS_ACCESS_KEY_ID"]);
    sandbox.spec["aws"] = json!({ "endpoint_url": "http://127.0.0.1:1" });
    sandbox.save();
    fails(&sandbox, REACHING[0], 1, &["Region"]);
}

#[test]
fn what_is_not_there_or_not_allowed_at_an_endpoint_that_answers() {
    let home = sandbox!();
    home.fill(&["condor"], 1);
    let server = Server::start(&home, &["--queue", "loads"]);
    let (id, secret) = (&server.exports["AWS_ACCESS_KEY_ID"], &server.exports["AWS_SECRET_ACCESS_KEY"]);

    for keys in [(id.as_str(), "wrong"), ("AKIAIOSFODNN7EXAMPLE", secret.as_str())] {
        let sandbox = on_aws(server.url(), keys);
        for args in REACHING {
            fails(&sandbox, args, 1, &["HTTP 403", "key"]);
        }
    }

    let mut sandbox = on_aws(server.url(), (id, secret));
    for args in REACHING {
        fails(&sandbox, args, 1, &["the job queue small does not exist", "there are: default, loads"]);
    }

    sandbox.spec["job"]["queue"] = json!("loads");
    sandbox.spec["source"]["uri"] = json!("s3://no-such-bucket");
    sandbox.save();
    for args in REACHING {
        fails(&sandbox, args, 1, &["s3://no-such-bucket", "the bucket does not exist", "create the bucket"]);
    }

    sandbox.spec["source"]["uri"] = json!("s3://logs");
    sandbox.spec["state"] = json!("s3://no-such-state/dayfill");
    sandbox.save();
    for args in REACHING {
        fails(&sandbox, args, 1, &["s3://no-such-state", "the bucket does not exist"]);
    }

    sandbox.spec["state"] = json!("state");
    sandbox.spec["job"]["definition"] = json!("nobody-registered-this:3");
    sandbox.save();
    for args in REACHING {
        fails(&sandbox, args, 1, &["nobody-registered-this"]);
    }
    assert!(!sandbox.state().exists());
}

#[test]
fn folders_that_are_missing_or_files() {
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor"], 3);
    let good = sandbox.spec.clone();

    sandbox.write("a-file", "");
    let file = sandbox.root().join("a-file").to_str().unwrap().to_owned();
    for state in ["a-file", "a-file/below"] {
        sandbox.spec["state"] = json!(state);
        sandbox.save();
        for args in REACHING {
            fails(&sandbox, args, 1, &["state: ", &file, "is a file", "name another folder as `state`"]);
        }
    }

    sandbox.spec = good.clone();
    sandbox.spec["source"]["uri"] = json!("no-such-folder");
    sandbox.save();
    for args in REACHING {
        fails(
            &sandbox,
            args,
            1,
            &["source.uri: there is no folder", "no-such-folder", "relative to the YAML"],
        );
    }

    sandbox.spec = good.clone();
    sandbox.spec["source"]["uri"] = json!("s3://no-such-bucket");
    sandbox.save();
    for args in REACHING {
        fails(&sandbox, args, 1, &["s3://no-such-bucket", "the bucket does not exist"]);
    }

    sandbox.spec = good.clone();
    sandbox.spec["local"]["lake"] = json!("a-file");
    sandbox.save();
    for args in REACHING {
        fails(&sandbox, args, 1, &["local.lake: ", &file, "is a file"]);
    }

    sandbox.spec = good.clone();
    sandbox.spec["job"]["definition"] = json!("no-such-job.yaml");
    sandbox.save();
    for args in REACHING {
        let ran: Ran = sandbox.run(args).ended(2);
        ran.says(&["no-such-job.yaml"]);
    }

    sandbox.spec = good;
    sandbox.spec["source"]["uri"] = json!(sandbox.lake().join("logs"));
    sandbox.save();
    let ran = sandbox.run(&["plan", "backfill.yaml", "--engine", "aws"]).ended(2);
    ran.says(&["which AWS cannot read", "backfill.yaml:", "help: write s3://bucket/prefix"]);
    assert!(!sandbox.root().join("state").exists());

    sandbox.run(&["plan", "none.yaml"]).ended(2).says(&["none.yaml"]);
    let ran = sandbox.run(&["local", "--lake", "none"]).ended(1);
    ran.says(&["there is no folder", "make it first"]).is_one_clear_error();
}

/// A file system of one mebibyte, where this user may mount one.
struct Tiny(std::path::PathBuf);

impl Tiny {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|o| o.status.success()).then_some(Self(at))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn no_room_for_the_journal() {
    let sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    let Some(tiny) = Tiny::mount(sandbox.root().join("state")) else {
        skip("this user may not mount a small file system");
        return;
    };
    let ballast = tiny.0.join("ballast");
    let full =
        Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", ballast.display())).output().unwrap();
    assert!(!full.status.success(), "the file system is full");
    fails(&sandbox, REACHING[1], 1, &["No space left", "make room there", "nothing is lost"]);
    assert_eq!(sandbox.facts().segments, 0);
    fs::remove_file(ballast).unwrap();
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.no_orphans();
}

#[test]
fn no_permission_for_the_journal() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 1);
    let Some(tiny) = Tiny::mount(sandbox.root().join("state")) else {
        skip("this user may not mount a small file system, and rights on folders do not bind root");
        return;
    };
    let remount = |how: &str| {
        let args = ["-o", &format!("remount,{how}"), tiny.0.to_str().unwrap()].map(str::to_owned);
        assert!(Command::new("mount").args(args).status().unwrap().success());
    };
    remount("ro");
    fails(&sandbox, REACHING[1], 1, &["cannot", "Read-only file system", "name another folder as `state`"]);
    sandbox.run(REACHING[0]).ended(0).prints(&["Plan: 1 job for 1 day."]);
    remount("rw");
    sandbox.spec["window"]["to"] = json!("2018-10-01");
    sandbox.save();
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
}
