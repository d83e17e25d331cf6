//! Clients that people use: the AWS CLI and curl. Where one is not installed, its test says so and passes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod lake_support;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lake_support::{Engine, has, output, with_bucket};

fn aws(engine: &Engine, arguments: &[&str]) -> String {
    output(engine.command("aws").args(arguments))
}

/// Bytes that do not repeat, so that a part in the wrong place shows.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

#[test]
fn the_aws_cli_copies_lists_and_syncs() {
    if !has("aws", &["--version"]) {
        return;
    }
    let engine = with_bucket();
    let files = tempfile::tempdir().unwrap();
    for key in ["a-b", "a/b", "ab", "sp ace/+%&<é"] {
        let path = files.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, key).unwrap();
        // S3 tells time in whole seconds: what was written in the same second would seem newer than its copy.
        let hour_ago = SystemTime::now() - Duration::from_hours(1);
        fs::File::options().append(true).open(&path).unwrap().set_modified(hour_ago).unwrap();
    }
    aws(&engine, &["s3", "sync", files.path().to_str().unwrap(), "s3://lake/up", "--quiet"]);
    let listed = aws(&engine, &["s3", "ls", "s3://lake/up/", "--recursive"]);
    let keys: Vec<&str> = listed.lines().map(|line| line.split_once("up/").unwrap().1).collect();
    assert_eq!(keys, ["a-b", "a/b", "ab", "sp ace/+%&<é"]);
    let top = aws(&engine, &["s3", "ls", "s3://lake/up/"]);
    assert_eq!(top.matches("PRE").count(), 2, "{top}");
    let again = aws(&engine, &["s3", "sync", files.path().to_str().unwrap(), "s3://lake/up"]);
    assert_eq!(again.trim(), "", "nothing has changed");
    let back = files.path().join("back");
    aws(&engine, &["s3", "sync", "s3://lake/up", back.to_str().unwrap(), "--quiet"]);
    assert_eq!(fs::read_to_string(back.join("sp ace/+%&<é")).unwrap(), "sp ace/+%&<é");
    aws(&engine, &["s3", "mv", "s3://lake/up/ab", "s3://lake/moved", "--quiet"]);
    aws(&engine, &["s3", "rm", "s3://lake/up", "--recursive", "--quiet"]);
    assert_eq!(engine.keys("lake", ""), ["moved"]);
    aws(&engine, &["s3", "mb", "s3://made-by-cli"]);
    aws(&engine, &["s3", "rb", "s3://made-by-cli"]);
    assert_eq!(engine.get("/").all("Name"), ["lake"]);
}

#[test]
fn the_aws_cli_creates_once_and_copies_in_parts() {
    if !has("aws", &["--version"]) {
        return;
    }
    let engine = with_bucket();
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("small"), "x").unwrap();
    let small = path("small");
    let create = [
        "s3api",
        "put-object",
        "--bucket",
        "lake",
        "--key",
        "once",
        "--body",
        &small,
        "--if-none-match",
        "*",
    ];
    assert!(aws(&engine, &create).contains("9dd4e461268c8034f5c8564e155c67a6"));
    let second = engine.command("aws").args(create).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("PreconditionFailed"));

    let large = noise(20 * 1024 * 1024 + 7);
    fs::write(path("large"), &large).unwrap();
    aws(&engine, &["s3", "cp", &path("large"), "s3://lake/large", "--quiet"]);
    let head = aws(&engine, &["s3api", "head-object", "--bucket", "lake", "--key", "large"]);
    assert!(head.contains("-3\\\"") && head.contains("20971527"), "{head}");
    aws(&engine, &["s3", "cp", "s3://lake/large", "s3://lake/copied", "--quiet"]);
    aws(&engine, &["s3", "cp", "s3://lake/copied", &path("back"), "--quiet"]);
    assert!(fs::read(Path::new(&path("back"))).unwrap() == large, "the bytes came back in order");
    // The older CLI signs URLs the old way unless told otherwise.
    let settings = path("config");
    fs::write(&settings, "[default]\ns3 =\n    signature_version = s3v4\n").unwrap();
    let mut presign = engine.command("aws");
    let url = output(presign.env("AWS_CONFIG_FILE", &settings).args(["s3", "presign", "s3://lake/once"]));
    if has("curl", &["--version"]) {
        assert_eq!(output(engine.command("curl").args(["-sSf", url.trim()])), "x");
    }
}

#[test]
fn curl_signs_for_itself() {
    if !has("curl", &["--version"]) {
        return;
    }
    let engine = with_bucket();
    let endpoint = engine.endpoint().clone();
    let user = format!("{}:{}", endpoint.access_key_id, endpoint.secret_access_key);
    let curl = |arguments: &[&str], target: &str| {
        let url = format!("{}{target}", endpoint.url);
        let mut command = engine.command("curl");
        command.args(["-sS", "-w", "%{http_code}", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &user]);
        if arguments.contains(&"-T") {
            // S3 asks for it, and only newer curls send one of their own.
            command.args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        }
        output(command.args(arguments).arg(url))
    };
    let file = engine.home.path().join("file");
    fs::write(&file, "from curl").unwrap();
    assert_eq!(curl(&["-T", file.to_str().unwrap()], "/lake/day/05_c-1_0.gz"), "200");
    assert_eq!(curl(&[], "/lake/day/05_c-1_0.gz"), "from curl200");
    assert_eq!(curl(&["-r", "5-8"], "/lake/day/05_c-1_0.gz"), "curl206");
    // Read and rewritten, as a job does that replaces its result.
    assert_eq!(curl(&["-T", file.to_str().unwrap()], "/lake/day/05_c-1_0.gz"), "200");
    let listed = curl(&[], "/lake/?list-type=2&prefix=day");
    assert!(listed.contains("<Key>day/05_c-1_0.gz</Key>") && listed.ends_with("200"), "{listed}");
    assert_eq!(curl(&["-X", "DELETE"], "/lake/day/05_c-1_0.gz"), "204");
    assert!(curl(&[], "/lake/day/05_c-1_0.gz").ends_with("404"));
}
