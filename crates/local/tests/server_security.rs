//! Who is let in, and how the others are told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod lake_support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use dayfill_local::{StartError, running};
use lake_support::{Call, Engine, Reply};

const SERVICES: [(&str, &str, &str); 3] =
    [("s3", "GET", "/"), ("batch", "POST", "/v1/describejobqueues"), ("logs", "POST", "/")];

fn call(engine: &Engine, service: &str, method: &str, target: &str) -> Call {
    let call = engine.call(method, target).with(|call| call.service = service.into());
    match service {
        "logs" => call.header("x-amz-target", "Logs_20140328.GetLogEvents").body("{}"),
        "batch" => call.body("{}"),
        _ => call,
    }
}

fn error_type(reply: &Reply) -> String {
    match reply.header("x-amzn-errortype") {
        Some(name) => name.to_owned(),
        None => reply.error().1,
    }
}

#[test]
fn an_unsigned_request_is_refused_in_the_words_of_its_service() {
    let engine = Engine::start();
    for (service, method, target) in SERVICES {
        let reply = call(&engine, service, method, target).with(|call| call.signed = false).send();
        assert_eq!(reply.status, 403, "{service}");
        let expected = if service == "s3" { "AccessDenied" } else { "MissingAuthenticationTokenException" };
        assert_eq!(error_type(&reply), expected, "{service}: {}", reply.text());
    }
    let reply = engine.call("GET", "/lake/key").with(|call| call.signed = false).send();
    assert_eq!(reply.error(), (403, "AccessDenied".into()));
}

#[test]
fn a_wrong_key_or_signature_is_refused() {
    let engine = Engine::start();
    for (service, method, target) in SERVICES {
        let unknown = call(&engine, service, method, target)
            .with(|call| call.key_id = "AKIAIOSFODNN7EXAMPLE".into())
            .send();
        let forged = call(&engine, service, method, target).with(|call| call.secret = "guess".into()).send();
        let expected = if service == "s3" {
            ["InvalidAccessKeyId", "SignatureDoesNotMatch"]
        } else {
            ["UnrecognizedClientException", "InvalidSignatureException"]
        };
        assert_eq!((unknown.status, error_type(&unknown)), (403, expected[0].into()), "{}", unknown.text());
        assert_eq!((forged.status, error_type(&forged)), (403, expected[1].into()), "{}", forged.text());
        let good = call(&engine, service, method, target).send();
        assert_ne!(good.status, 403, "{service}: {}", good.text());
    }
}

#[test]
fn an_old_or_early_date_is_refused() {
    let engine = Engine::start_with(|config| config.signature_age = Duration::from_mins(2));
    assert_eq!(engine.endpoint().signature_age_seconds, 120);
    for (service, method, target) in SERVICES {
        for (minutes, fresh) in [(-3, false), (-1, true), (1, true), (3, false)] {
            let shifted = call(&engine, service, method, target)
                .with(|call| call.date += chrono::TimeDelta::minutes(minutes))
                .send();
            if fresh {
                assert_ne!(shifted.status, 403, "{service} {minutes}: {}", shifted.text());
                continue;
            }
            let expected = if service == "s3" { "RequestTimeTooSkewed" } else { "InvalidSignatureException" };
            assert_eq!((shifted.status, error_type(&shifted)), (403, expected.into()), "{minutes}");
            if service != "s3" {
                let text = if minutes < 0 { "Signature expired: " } else { "Signature not yet current: " };
                assert!(shifted.text().contains(text), "{}", shifted.text());
            }
        }
    }
}

#[test]
fn only_the_names_of_this_machine_are_answered() {
    let engine = Engine::start();
    let port = engine.port();
    for (service, method, target) in SERVICES {
        let wrong = [
            format!("attacker.example:{port}"),
            "127.0.0.1:".to_owned(),
            "127.0.0.1:65536".to_owned(),
            format!("127.0.0.2:{port}"),
            format!("localhost.attacker.example:{port}"),
            format!("bucket.localhost:{port}"),
            format!("127.0.0.1:{port}.attacker.example"),
            format!("127.0.0.1:+{port}"),
            String::new(),
        ];
        for host in wrong {
            let reply = call(&engine, service, method, target).with(|call| call.host = host.clone()).send();
            assert_eq!(reply.status, 421, "{service} {host}: {}", reply.text());
        }
        // The port may be that of a proxy or a tunnel on this machine.
        for host in [format!("localhost:{port}"), format!("127.0.0.1:{}", port ^ 1), "localhost".to_owned()] {
            let local = call(&engine, service, method, target).with(|call| call.host = host.clone()).send();
            assert!(![403, 421].contains(&local.status), "{host}: {}", local.text());
        }
    }
    for head in [
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: attacker.example\r\n"),
        format!("GET http://attacker.example/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"),
        "GET / HTTP/1.0\r\n".to_owned(),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains(" 421 "), "{head}{text}");
    }
}

#[test]
fn a_presigned_url_opens_one_object_for_its_time() {
    let engine = Engine::start();
    assert_eq!(engine.put("/lake", "").status, 200);
    assert_eq!(engine.put("/lake/a%20b", "inside").status, 200);
    let url = engine.call("GET", "/lake/a%20b").presigned(60);
    assert_eq!(url.send().text(), "inside");
    let other = url.clone().with(|call| call.target = call.target.replace("a%20b", "ab"));
    assert_eq!(other.send().error(), (403, "SignatureDoesNotMatch".into()));
    let late = engine
        .call("GET", "/lake/a%20b")
        .with(|call| call.date -= chrono::TimeDelta::seconds(120))
        .presigned(60);
    assert_eq!(late.send().error(), (403, "AccessDenied".into()));
    let put = engine.call("PUT", "/lake/new").presigned(60).body("by url");
    assert_eq!(put.send().status, 200);
    assert_eq!(engine.get("/lake/new").text(), "by url");
}

#[test]
fn older_ways_to_sign_are_refused() {
    let engine = Engine::start();
    let id = &engine.endpoint().access_key_id;
    let unsigned = |target: &str| engine.call("GET", target).with(|call| call.signed = false);
    let version_2 = unsigned("/").header("authorization", &format!("AWS {id}:AAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    assert_eq!(version_2.send().status, 403);
    let in_query = unsigned(&format!("/lake/k?AWSAccessKeyId={id}&Expires=9999999999&Signature=AAAA"));
    assert_eq!(in_query.send().status, 403);
    // Both at once must not let the weaker one decide.
    let both = engine.call("GET", &format!("/?AWSAccessKeyId={id}&Expires=9999999999&%53ignature=AAAA"));
    assert_eq!(both.send().error(), (400, "InvalidRequest".into()));
    let form = engine.call("POST", "/lake").header("content-type", "Multipart/form-data; boundary=x");
    assert_eq!(form.body("--x--\r\n").send().error(), (400, "InvalidRequest".into()));
}

#[test]
fn a_call_for_another_service_or_too_large_is_refused() {
    let engine = Engine::start();
    let sts = engine.call("POST", "/").with(|call| call.service = "sts".into()).send();
    assert_eq!((sts.status, error_type(&sts)), (404, "UnknownServiceException".into()));
    let large = engine.call("POST", "/v1/submitjob").with(|call| call.service = "batch".into());
    assert_eq!(large.body(vec![b' '; 1024 * 1024 + 1]).send().status, 413);
}

#[test]
fn every_answer_has_a_date_and_an_id() {
    let engine = Engine::start();
    for (service, method, target) in SERVICES {
        let reply = call(&engine, service, method, target).send();
        let date = reply.header("date").expect("a date");
        assert!(chrono::DateTime::parse_from_rfc2822(date).is_ok(), "{date}");
        assert!(reply.header("x-amz-request-id").is_some() || reply.header("x-amzn-requestid").is_some());
    }
}

#[test]
fn a_folder_has_one_engine_and_the_second_is_told_which() {
    let mut engine = Engine::start();
    let first = engine.endpoint().clone();
    assert_eq!(running(&engine.dir()), Some(first.clone()));
    let mode = |name: &str| std::fs::metadata(engine.dir().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("endpoint.json")), (0o700, 0o600));
    match engine.try_another(|_| {}) {
        Err(StartError::Running(endpoint)) => assert_eq!(endpoint, first),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two engines on one folder"),
    }
    engine.restart();
    assert_ne!(engine.endpoint().secret_access_key, first.secret_access_key);
    let old = engine.call("GET", "/").with(|call| call.key_id = first.access_key_id.clone());
    assert_eq!(old.send().error().0, 403);
    engine.stop();
    assert_eq!(running(&engine.dir()), None);
    assert!(!engine.dir().join("endpoint.json").exists());
    assert!(engine.call("GET", "/").try_send().is_err(), "nobody listens any more");
}

#[test]
fn what_cannot_be_started_says_why() {
    let engine = Engine::start();
    let elsewhere = engine.home.path().join("other");
    let port = engine.port();
    let taken = engine.try_another(|config| {
        config.dir = elsewhere.clone();
        config.port = port;
    });
    assert!(matches!(taken, Err(StartError::Port { port: said, .. }) if said == port));
    assert_eq!(running(&elsewhere), None, "the folder is given up again");
    let mount = |name: &str, folder: &str| {
        let (name, folder) = (name.to_owned(), engine.home.path().join(folder));
        let result = engine.try_another(|config| {
            config.dir = elsewhere.clone();
            config.mounts = vec![(name, folder)];
        });
        result.err().expect("an error").to_string()
    };
    assert!(mount("Bad_Name", "lake").contains("`Bad_Name` is no name for a bucket"));
    assert!(mount("good-name", "missing").contains("missing"));
}
