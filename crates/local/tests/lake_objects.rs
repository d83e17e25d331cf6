//! Objects and buckets, over the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod lake_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use std::time::Instant;

use lake_support::{Engine, Reply, files_below, skip, with_bucket};

#[test]
fn what_is_put_is_read_again_with_all_it_carried() {
    let engine = with_bucket();
    let put = engine
        .call("PUT", "/lake/deep/er/%C3%A9%20%2B%25%26%3C.txt")
        .header("content-type", "text/plain")
        .header("content-encoding", "identity")
        .header("cache-control", "no-store")
        .header("x-amz-meta-owner", "me")
        .body("hello")
        .send();
    assert_eq!((put.status, put.etag()), (200, "\"5d41402abc4b2a76b9719d911017c592\"".into()));
    assert_eq!(fs::read(engine.lake().join("lake/deep/er/é +%&<.txt")).unwrap(), b"hello");
    for method in ["GET", "HEAD"] {
        let reply = engine.call(method, "/lake/deep/er/%C3%A9%20%2B%25%26%3C.txt").send();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.etag(), put.etag());
        assert_eq!(reply.header("content-length"), Some("5"));
        assert_eq!(reply.header("content-type"), Some("text/plain"));
        assert_eq!(reply.header("content-encoding"), Some("identity"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-amz-meta-owner"), Some("me"));
        assert!(reply.header("last-modified").is_some());
        assert_eq!(reply.text(), if method == "GET" { "hello" } else { "" });
    }
    assert_eq!(engine.get("/lake/missing").error(), (404, "NoSuchKey".into()));
    assert_eq!(engine.get("/missing/key").error(), (404, "NoSuchBucket".into()));
    assert_eq!(engine.call("HEAD", "/lake/missing").send().status, 404);
}

#[test]
fn ranges_and_conditions_of_reads() {
    let engine = with_bucket();
    let etag = engine.put("/lake/k", "0123456789").etag();
    let get = |name: &str, value: &str| engine.call("GET", "/lake/k").header(name, value).send();
    for (range, said, text) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=8-99", "bytes 8-9/10", "89"),
    ] {
        let reply = get("range", range);
        assert_eq!((reply.status, reply.header("content-range")), (206, Some(said)));
        assert_eq!(reply.text(), text);
    }
    assert_eq!(get("range", "bytes=10-").error(), (416, "InvalidRange".into()));
    assert_eq!(get("if-match", &etag).status, 200);
    assert_eq!(get("if-match", "\"other\"").error().0, 412);
    let unchanged = get("if-none-match", &etag);
    assert_eq!((unchanged.status, unchanged.text(), unchanged.etag()), (304, String::new(), etag));
    assert_eq!(get("if-none-match", "\"other\"").status, 200);
    assert_eq!(get("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT").status, 200);
    assert_eq!(get("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT").status, 412);
    let modified = engine.get("/lake/k").header("last-modified").unwrap().to_owned();
    assert_eq!(get("if-modified-since", &modified).status, 304);
}

#[test]
fn of_many_who_create_exactly_one_wins() {
    let engine = with_bucket();
    for round in 0..4 {
        let key = format!("/lake/journal/{round:016}.jsonl");
        let barrier = Barrier::new(32);
        let replies: Vec<(usize, Reply)> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..32)
                .map(|number| {
                    let call = engine
                        .call("PUT", &key)
                        .header("if-none-match", "*")
                        .body(format!("writer {number}"));
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        (number, call.send())
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let winners: Vec<usize> =
            replies.iter().filter(|(_, reply)| reply.status == 200).map(|(number, _)| *number).collect();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        for (_, reply) in replies.iter().filter(|(_, reply)| reply.status != 200) {
            assert_eq!(reply.error(), (412, "PreconditionFailed".into()));
        }
        assert_eq!(engine.get(&key).text(), format!("writer {}", winners[0]));
    }
}

#[test]
fn of_many_who_replace_the_same_state_exactly_one_wins() {
    let engine = with_bucket();
    let etag = engine.put("/lake/state", "first").etag();
    let won = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..16)
            .map(|number| {
                let call =
                    engine.call("PUT", "/lake/state").header("if-match", &etag).body(format!("{number}"));
                scope.spawn(move || call.send().status)
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).filter(|status| *status == 200).count()
    });
    assert_eq!(won, 1);
    let missing = engine.call("PUT", "/lake/none").header("if-match", &etag).body("x").send();
    assert_eq!(missing.error(), (404, "NoSuchKey".into()));
    let unknown = engine.call("PUT", "/lake/none").header("if-none-match", "\"e\"").body("x").send();
    assert_eq!(unknown.error(), (501, "NotImplemented".into()));
}

#[test]
fn conditions_hold_for_two_engines_on_one_lake() {
    let one = with_bucket();
    let two = Engine::start_with(|config| config.lake = Some(one.lake()));
    let won = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..32)
            .map(|number| {
                let engine = if number % 2 == 0 { &one } else { &two };
                let call =
                    engine.call("PUT", "/lake/once").header("if-none-match", "*").body(number.to_string());
                scope.spawn(move || call.send().status)
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).filter(|status| *status == 200).count()
    });
    assert_eq!(won, 1);
    let put = one.put("/lake/shared", "x");
    assert_eq!(two.get("/lake/shared").etag(), put.etag());
    assert_eq!(two.put("/lake/shared/below", "y").status, 200);
    assert_eq!(one.get("/lake/shared/below").text(), "y");
}

#[test]
fn bytes_that_are_not_what_was_announced_are_refused() {
    let engine = with_bucket();
    let put =
        |name: &str, value: &str| engine.call("PUT", "/lake/k").header(name, value).body("hello").send();
    assert_eq!(put("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==").error(), (400, "BadDigest".into()));
    assert_eq!(put("content-md5", "not base64").error(), (400, "InvalidDigest".into()));
    assert_eq!(put("x-amz-checksum-crc32", "AAAAAA==").error(), (400, "BadDigest".into()));
    assert_eq!(engine.get("/lake/k").status, 404, "nothing of it is kept");
    let good = engine.call("PUT", "/lake/k").header("content-md5", "XUFAKrxLKna5cZ2REBfFkg==");
    let good = good.header("x-amz-checksum-crc32", "NhCmhg==").body("hello").send();
    assert_eq!((good.status, good.header("x-amz-checksum-crc32")), (200, Some("NhCmhg==")));
    let head = engine.call("HEAD", "/lake/k").header("x-amz-checksum-mode", "ENABLED").send();
    assert_eq!(head.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
    let mut forged = engine.call("PUT", "/lake/k").body("hello");
    forged.headers.push(("x-amz-content-sha256".into(), "0".repeat(64)));
    assert!(forged.send().status >= 400);
    assert_eq!(files_below(&engine.lake().join(".s3local/lake/tmp")), 0, "no temporary file is left");
}

#[test]
fn keys_that_cannot_be_files_are_kept_all_the_same() {
    let mut engine = with_bucket();
    let long = format!("/lake/{}", "n".repeat(300));
    let odd = ["/lake/a", "/lake/a/b", "/lake/a/b/c", "/lake/folder/", "/lake/folder/x", &long];
    for (number, key) in odd.iter().enumerate() {
        assert_eq!(engine.put(key, number.to_string()).status, 200, "{key}");
    }
    let expected: Vec<String> = {
        let mut keys: Vec<_> = odd.iter().map(|key| key.strip_prefix("/lake/").unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    for round in 0..2 {
        for (number, key) in odd.iter().enumerate() {
            assert_eq!(engine.get(key).text(), number.to_string(), "{key}, round {round}");
        }
        assert_eq!(engine.keys("lake", "&max-keys=2"), expected);
        engine.restart();
    }
    assert_eq!(engine.call("DELETE", "/lake/a").send().status, 204);
    assert_eq!(engine.get("/lake/a").status, 404);
    assert_eq!(engine.get("/lake/a/b").text(), "1");
    let again = engine.call("PUT", "/lake/a/b").header("if-none-match", "*").body("x").send();
    assert_eq!(again.status, 412, "it is there, wherever it is kept");
    assert_eq!(engine.put("/lake/a/b", "moved").status, 200);
    assert_eq!(engine.get("/lake/a/b").text(), "moved");
    assert_eq!(engine.keys("lake", "").len(), odd.len() - 1);
    for key in odd {
        assert_eq!(engine.call("DELETE", key).send().status, 204);
    }
    assert_eq!(engine.keys("lake", ""), Vec::<String>::new());
    assert_eq!(engine.call("DELETE", "/lake").send().status, 204);
    assert!(!engine.lake().join("lake").exists());
}

#[test]
fn nothing_outside_of_the_bucket_is_reached() {
    let engine = with_bucket();
    fs::write(engine.home.path().join("secret"), "secret").unwrap();
    fs::write(engine.lake().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(engine.home.path(), engine.lake().join("lake/out")).unwrap();
    std::os::unix::fs::symlink(engine.home.path().join("secret"), engine.lake().join("lake/link")).unwrap();
    std::os::unix::fs::symlink(engine.home.path(), engine.lake().join("linked")).unwrap();
    let before = files_below(engine.home.path());
    for key in [
        "../secret",
        "..%2Fsecret",
        "%2e%2e/secret",
        "%2E%2E%2F%2E%2E%2Fsecret",
        "a/../../secret",
        "a%2F..%2F..%2Fsecret",
        "./k",
        "/etc/passwd",
        "%2Fetc/passwd",
        "a//b",
        "a%00b",
        ".s3local/lock",
        "%2es3local/objects.jsonl",
    ] {
        for method in ["GET", "PUT", "DELETE", "HEAD"] {
            let body = if method == "PUT" { "overwritten" } else { "" };
            let reply = engine.call(method, &format!("/lake/{key}")).body(body).send();
            assert!((400..500).contains(&reply.status), "{method} {key}: {}", reply.text());
            assert!(!reply.text().contains("secret\n"), "{method} {key}");
        }
        let copy =
            engine.call("PUT", "/lake/copy").header("x-amz-copy-source", &format!("/lake/{key}")).send();
        assert!((400..500).contains(&copy.status), "{key}: {}", copy.text());
    }
    for key in ["out/secret", "link"] {
        assert_eq!(engine.get(&format!("/lake/{key}")).status, 404, "{key}");
    }
    for bucket in ["..", "%2e%2e", ".s3local", "linked", "lake%2F.."] {
        let reply = engine.get(&format!("/{bucket}/secret"));
        assert!((400..500).contains(&reply.status), "{bucket}: {}", reply.text());
        assert!(engine.get(&format!("/{bucket}?list-type=2&prefix=../")).status >= 400, "{bucket}");
    }
    assert_eq!(engine.keys("lake", "&prefix=..%2F"), Vec::<String>::new());
    assert_eq!(engine.keys("lake", ""), Vec::<String>::new());
    assert_eq!(files_below(engine.home.path()), before, "nothing was written anywhere");
    // A key behind a link is a key of its own, and never writes through the link.
    assert_eq!(engine.put("/lake/out/secret", "mine").status, 200);
    assert_eq!(fs::read_to_string(engine.home.path().join("secret")).unwrap(), "secret");
    assert_eq!(engine.get("/lake/out/secret").text(), "mine");
}

#[test]
fn files_put_there_by_hand_have_an_etag_that_stays() {
    let mut engine = with_bucket();
    fs::create_dir_all(engine.lake().join("lake/by")).unwrap();
    fs::write(engine.lake().join("lake/by/hand"), "one").unwrap();
    let etag = engine.get("/lake/by/hand").etag();
    assert!(etag.ends_with("-0\""), "{etag} must not be taken for an MD5");
    assert_eq!(engine.call("HEAD", "/lake/by/hand").send().etag(), etag);
    assert_eq!(engine.get("/lake?list-type=2").all("ETag"), std::slice::from_ref(&etag));
    engine.restart();
    assert_eq!(engine.get("/lake/by/hand").etag(), etag);
    fs::write(engine.lake().join("lake/by/hand"), "three").unwrap();
    assert_ne!(engine.get("/lake/by/hand").etag(), etag);
    let put = engine.put("/lake/by/hand", "four").etag();
    assert_eq!(engine.get("/lake?list-type=2").all("ETag"), std::slice::from_ref(&put));
    engine.restart();
    assert_eq!(engine.get("/lake/by/hand").etag(), put);
    fs::write(engine.lake().join("lake/by/hand"), "changed by hand").unwrap();
    assert!(engine.get("/lake/by/hand").etag().ends_with("-0\""));
}

#[test]
fn a_bucket_that_is_made_again_is_empty() {
    let mut engine = with_bucket();
    assert_eq!(engine.put("/lake/marker/", "").status, 200);
    engine.stop();
    fs::remove_dir_all(engine.lake().join("lake")).unwrap();
    engine.restart();
    assert_eq!(engine.get("/lake?list-type=2").status, 404);
    assert_eq!(engine.put("/lake", "").status, 200);
    assert_eq!(engine.keys("lake", ""), Vec::<String>::new());
}

#[test]
fn control_characters_in_keys_survive_a_listing() {
    let engine = with_bucket();
    for key in ["cr%0Dlf", "crlf%0D%0A", "bell%07", "tab%09", "esc%1B%5B31m", "%E2%80%AEbidi"] {
        assert_eq!(engine.put(&format!("/lake/{key}"), "x").status, 200, "{key}");
    }
    let plain = engine.get("/lake?list-type=2").text();
    assert!(plain.contains("<Key>cr&#13;lf</Key>") && plain.contains("<Key>crlf&#13;\n</Key>"), "{plain}");
    assert!(plain.contains("<Key>bell&#7;</Key>") && plain.contains("<Key>esc&#27;[31m</Key>"), "{plain}");
    let encoded = engine.keys("lake", "&encoding-type=url");
    let expected = ["bell%07", "cr%0Dlf", "crlf%0D%0A", "esc%1B%5B31m", "tab%09", "%E2%80%AEbidi"];
    assert_eq!(encoded, expected);
}

#[test]
fn deleting_leaves_no_folders_behind() {
    let engine = with_bucket();
    engine.put("/lake/a/b/c/one", "1");
    engine.put("/lake/a/two", "2");
    assert_eq!(engine.call("DELETE", "/lake/a/b/c/one").send().status, 204);
    assert!(!engine.lake().join("lake/a/b").exists() && engine.lake().join("lake/a/two").exists());
    assert_eq!(engine.call("DELETE", "/lake/a/b/c/one").send().status, 204, "again is no error");
    assert_eq!(engine.call("DELETE", "/lake").send().error(), (409, "BucketNotEmpty".into()));
    let stale = engine.call("DELETE", "/lake/a/two").header("if-match", "\"other\"").send();
    assert_eq!(stale.error().0, 412);
    let keys = "<Delete><Object><Key>a/two</Key></Object><Object><Key>../x</Key></Object></Delete>";
    let many = engine.call("POST", "/lake?delete").body(keys).send();
    assert_eq!((many.status, many.all("Key")), (200, vec!["a/two".to_owned(), "../x".to_owned()]));
    assert_eq!(many.all("Code"), ["InvalidArgument"]);
    assert_eq!(engine.call("DELETE", "/lake").send().status, 204);
    assert_eq!(engine.call("HEAD", "/lake").send().status, 404);
}

#[test]
fn what_is_no_object_keeps_its_bucket() {
    let engine = with_bucket();
    std::os::unix::fs::symlink("/nowhere", engine.lake().join("lake/link")).unwrap();
    assert_eq!(engine.keys("lake", ""), Vec::<String>::new());
    assert_eq!(engine.call("DELETE", "/lake").send().error(), (409, "BucketNotEmpty".into()));
}

#[test]
fn buckets_are_folders() {
    let engine = Engine::start();
    fs::create_dir_all(engine.lake().join("by-hand")).unwrap();
    fs::create_dir_all(engine.lake().join("No_Bucket")).unwrap();
    assert_eq!(engine.put("/made", "").status, 200);
    assert_eq!(engine.put("/made", "").status, 200, "us-east-1 says yes again");
    assert_eq!(engine.get("/").all("Name"), ["by-hand", "made"]);
    assert_eq!(engine.call("HEAD", "/by-hand").send().header("x-amz-bucket-region"), Some("us-east-1"));
    assert_eq!(engine.put("/No_Bucket", "").error(), (400, "InvalidBucketName".into()));
    assert_eq!(engine.get("/made?location").status, 200);
    assert_eq!(engine.get("/made?versioning").status, 200);
    assert_eq!(engine.get("/made?acl").error(), (501, "NotImplemented".into()));
}

#[test]
fn a_mounted_folder_is_a_bucket_and_may_be_read_only() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("k"), "mounted").unwrap();
    let engine = Engine::start_with(|config| config.mounts = vec![("data".into(), data.path().into())]);
    assert_eq!(engine.get("/data/k").text(), "mounted");
    assert_eq!(engine.get("/").all("Name"), ["data"]);
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "reading writes nothing");
    assert_eq!(engine.call("DELETE", "/data").send().error(), (403, "AccessDenied".into()));
    assert_eq!(engine.put("/data/new", "x").status, 200);
    assert_eq!(engine.keys("data", ""), ["k", "new"]);
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 2, "only the object is added");
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(data.path().join("probe"), "").is_ok() {
        skip("permissions do not bind this user");
        return;
    }
    assert_eq!(engine.put("/data/newer", "x").error(), (403, "AccessDenied".into()));
    assert_eq!(engine.call("DELETE", "/data/k").send().error(), (403, "AccessDenied".into()));
    assert_eq!(engine.get("/data/k").text(), "mounted");
}

#[test]
fn a_flat_folder_of_many_keys_lists_in_pages_without_reading_it_each_time() {
    let engine = with_bucket();
    let folder = engine.lake().join("lake");
    for number in 0..20_000 {
        fs::File::create(folder.join(format!("{number:06}"))).unwrap();
    }
    // Old enough to be remembered.
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    fs::File::open(&folder).unwrap().set_modified(hour_ago).unwrap();
    let begin = Instant::now();
    assert_eq!(engine.keys("lake", "&max-keys=100").len(), 20_000);
    let took = begin.elapsed();
    assert!(took.as_secs() < 20, "200 pages took {took:?}");
}
