use std::fmt::Write;

use super::*;

const RUN: &str = "0123456789abcdef0123456789abcdef";

struct Fixture {
    _dir: tempfile::TempDir,
    logs: Logs,
    names: Names,
    active: bool,
}

fn fixture(text: &[u8]) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let logs = Logs::new(dir.path().to_owned());
    let file = logs.file("job", RUN);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    let names = Names { region: "eu-west-1".to_owned(), account: "000000000000".to_owned() };
    Fixture { _dir: dir, logs, names, active: false }
}

impl Fixture {
    fn get(&self, more: Value) -> Result<Value, LogsError> {
        let mut request = json!({ "logGroupName": GROUP, "logStreamName": format!("job/default/{RUN}") });
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        let times = |_: &str| Some(RunTimes { started_at: Some(1_000), active: self.active });
        self.logs.call(&self.names, "Logs_20140328.GetLogEvents", request.to_string().as_bytes(), times)
    }
}

fn messages(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[test]
fn pages_forward_until_the_token_comes_back() {
    let fixture = fixture(b"one\ntwo\n\nthree\nfour");
    let mut seen = Vec::new();
    let mut token = None::<String>;
    for _ in 0..10 {
        let mut more = json!({ "startFromHead": true, "limit": 2 });
        if let Some(token) = &token {
            more["nextToken"] = json!(token);
        }
        let answer = fixture.get(more).unwrap();
        seen.extend(messages(&answer).into_iter().map(str::to_owned));
        let next = answer["nextForwardToken"].as_str().unwrap().to_owned();
        if token.as_ref() == Some(&next) {
            assert_eq!(seen, ["one", "two", "three", "four"], "empty lines are no events");
            return;
        }
        token = Some(next);
    }
    panic!("the end was not reached");
}

#[test]
fn without_a_token_the_latest_come_first_and_go_on_backwards() {
    let fixture = fixture(b"one\ntwo\nthree\nfour\nfive\n");
    let latest = fixture.get(json!({ "limit": 2 })).unwrap();
    assert_eq!(messages(&latest), ["four", "five"]);
    let before = fixture.get(json!({ "limit": 2, "nextToken": latest["nextBackwardToken"] })).unwrap();
    assert_eq!(messages(&before), ["two", "three"]);
    let first = fixture.get(json!({ "limit": 2, "nextToken": before["nextBackwardToken"] })).unwrap();
    assert_eq!(messages(&first), ["one"]);
    let none = fixture.get(json!({ "limit": 2, "nextToken": first["nextBackwardToken"] })).unwrap();
    assert!(messages(&none).is_empty());
    assert_eq!(none["nextBackwardToken"], first["nextBackwardToken"]);
}

#[test]
fn a_line_that_is_being_written_waits_until_it_is_whole() {
    let mut fixture = fixture(b"one\ntw");
    fixture.active = true;
    for from_head in [true, false] {
        assert_eq!(messages(&fixture.get(json!({ "startFromHead": from_head })).unwrap()), ["one"]);
    }
    fixture.active = false;
    assert_eq!(messages(&fixture.get(json!({})).unwrap()), ["one", "tw"]);
}

#[test]
fn long_lines_and_long_files_lose_nothing() {
    let mut text = "x".repeat(EVENT_BYTES + 10);
    text.push('\n');
    for number in 0..200_000 {
        writeln!(text, "line {number}").unwrap();
    }
    let fixture = fixture(text.as_bytes());
    let (mut token, mut all) = (json!("f/0"), String::new());
    loop {
        let answer = fixture.get(json!({ "startFromHead": true, "nextToken": token })).unwrap();
        for message in messages(&answer) {
            all.push_str(message);
            if message.len() < EVENT_BYTES {
                all.push('\n');
            }
        }
        if answer["nextForwardToken"] == token {
            break;
        }
        token = answer["nextForwardToken"].clone();
    }
    assert!(all == text, "{} of {} bytes", all.len(), text.len());
    let last = fixture.get(json!({})).unwrap();
    assert_eq!(messages(&last).last(), Some(&"line 199999"));
    assert_eq!(messages(&last).len(), 10_000);
}

#[test]
fn times_are_the_attempts_and_select() {
    let fixture = fixture(b"one\n");
    let answer = fixture.get(json!({ "startTime": 1_000, "endTime": 1_001 })).unwrap();
    assert_eq!(answer["events"][0]["timestamp"], 1_000);
    assert!(messages(&fixture.get(json!({ "startTime": 1_001 })).unwrap()).is_empty());
    assert!(messages(&fixture.get(json!({ "endTime": 1_000 })).unwrap()).is_empty());
}

#[test]
fn what_is_not_there_and_what_is_not_ours_does_not_exist() {
    let fixture = fixture(b"one\n");
    let outside = format!("../{RUN}");
    for stream in ["job/default/ffff", "../../etc/passwd", "job/default/..", &outside, "", "job"] {
        let refused = fixture.get(json!({ "logStreamName": stream })).unwrap_err();
        assert_eq!(refused.kind, "ResourceNotFoundException", "{stream}");
        assert_eq!(refused.message, "The specified log stream does not exist.");
    }
    let refused = fixture.get(json!({ "logGroupName": "/other" })).unwrap_err();
    assert_eq!(refused.message, "The specified log group does not exist.");
    for bad in [json!({ "limit": 0 }), json!({ "limit": 10_001 }), json!({ "nextToken": "x" })] {
        assert_eq!(fixture.get(bad).unwrap_err().kind, "InvalidParameterException");
    }
}

#[test]
fn streams_are_listed_by_prefix_and_in_pages() {
    let fixture = fixture(b"one\n");
    for run in ["a", "b", "c"] {
        fs::write(fixture.logs.file("job", run), "x\n").unwrap();
    }
    let list = |request: Value| {
        let target = "Logs_20140328.DescribeLogStreams";
        fixture.logs.call(&fixture.names, target, request.to_string().as_bytes(), |_| None).unwrap()
    };
    let request = json!({ "logGroupName": GROUP, "logStreamNamePrefix": "job/default/", "limit": 3 });
    let first = list(request.clone());
    let names: Vec<_> =
        first["logStreams"].as_array().unwrap().iter().map(|s| s["logStreamName"].clone()).collect();
    assert_eq!(names, [format!("job/default/{RUN}").as_str(), "job/default/a", "job/default/b"]);
    let mut next = request;
    next["nextToken"] = first["nextToken"].clone();
    let second = list(next);
    assert_eq!(second["logStreams"][0]["logStreamName"], "job/default/c");
    assert!(second.get("nextToken").is_none());
}
