//! `dayfill doctor`: one line for each thing that a backfill rests on, and what to do about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;

use chrono::{TimeDelta, Utc};
use dayfill_tests::wire::{Answer, Call, Fault, Message, Proxy};
use dayfill_tests::{Ran, Sandbox, Server, sandbox};
use serde_json::{Value, json};

const DOCTOR: [&str; 2] = ["doctor", "backfill.yaml"];
/// What is looked at on AWS, in this order, with one compute environment.
const ON_AWS: [&str; 16] = [
    "region",
    "credentials",
    "source",
    "layout",
    "queue",
    "compute_environment",
    "share_identifier",
    "definition",
    "platform",
    "vcpus",
    "memory",
    "retry",
    "timeout",
    "state",
    "journal",
    "clock",
];

/// The checks by id, of a run in JSON that ended with this code.
struct Found {
    ids: Vec<String>,
    by_id: BTreeMap<String, Value>,
    ran: Ran,
}

impl Found {
    #[track_caller]
    fn of(sandbox: &Sandbox, code: i32) -> Self {
        let ran = sandbox.run(&["doctor", "backfill.yaml", "--format", "json"]).ended(code);
        let json = ran.json();
        assert_eq!(json["schema_version"], 1);
        assert_eq!(json["passed"], code == 0, "{ran}");
        let checks = json["checks"].as_array().unwrap().clone();
        let ids = checks.iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
        let by_id = checks.into_iter().map(|c| (c["id"].as_str().unwrap().to_owned(), c)).collect();
        Self { ids, by_id, ran }
    }

    /// Panics unless this check came out so and says this.
    #[track_caller]
    fn is(&self, id: &str, status: &str, texts: &[&str]) -> &Self {
        let check = self.by_id.get(id).unwrap_or_else(|| panic!("no {id} in {}", self.ran));
        assert_eq!(check["status"], status, "{check}");
        let said = format!("{} → {}", check["detail"].as_str().unwrap(), check["remedy"]);
        for text in texts {
            assert!(said.contains(text), "no {text:?} in {check}");
        }
        let wants_remedy = status == "failed" || status == "warning";
        assert_eq!(check["remedy"].is_string(), wants_remedy, "{check}");
        self
    }

    /// Panics unless these and no others came out so.
    #[track_caller]
    fn only(&self, status: &str, ids: &[&str]) -> &Self {
        let found: Vec<_> = self.ids.iter().filter(|id| self.by_id[*id]["status"] == status).collect();
        assert_eq!(found, ids, "{}", self.ran);
        self
    }
}

/// Changes the backfill for one look at it.
#[track_caller]
fn with(sandbox: &mut Sandbox, code: i32, change: impl FnOnce(&mut Value)) -> Found {
    let good = sandbox.spec.clone();
    change(&mut sandbox.spec);
    sandbox.save();
    let found = Found::of(sandbox, code);
    sandbox.spec = good;
    sandbox.save();
    found
}

/// A sandbox whose backfill goes to AWS at this server, with its keys.
fn on_aws(server: &Server) -> Sandbox {
    let mut sandbox = sandbox!();
    sandbox.spec["engine"] = json!("aws");
    sandbox.spec.as_object_mut().unwrap().remove("local");
    sandbox.spec["aws"] = json!({ "region": "us-east-1", "endpoint_url": server.url() });
    sandbox.spec["job"]["queue"] = json!("loads");
    sandbox.spec["state"] = json!("s3://state/dayfill");
    sandbox.save();
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        sandbox.set(name, &server.exports[name]);
    }
    sandbox
}

#[test]
fn all_is_well_on_this_machine() {
    let sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    let ran = sandbox.run(&DOCTOR).ended(0);
    let marks: Vec<_> = ran.out.lines().map(|l| l.chars().next().unwrap()).collect();
    assert_eq!(marks, ["✓".repeat(16), "s".to_owned()].concat().chars().collect::<Vec<_>>(), "{ran}");
    ran.prints(&[
        "✓ local engine ",
        "✓ layout               s3://logs/app/condor/2018/10/01/0.log is of condor/2018-10-01",
        "the local engine makes small when it is first used",
        "job.yaml is not registered yet: submit would register it as checksum",
        "has no journal yet",
        "small: 16 ok.",
    ]);
    assert!(!sandbox.root().join("state").exists(), "nothing is left of the probe");

    // It made no queue and registered nothing; after a run both are there, and the journal agrees.
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
    let before = sandbox.facts().segments;
    let found = Found::of(&sandbox, 0);
    found.is("queue", "ok", &["small is VALID and ENABLED"]);
    found.is("definition", "ok", &["job.yaml is registered as checksum:1"]);
    found.is("journal", "ok", &["agrees with the YAML", "3 slices"]);
    assert_eq!(sandbox.facts().segments, before);
    assert!(!sandbox.state().join("doctor").exists());
    sandbox.no_orphans();
}

#[test]
fn what_is_wrong_on_this_machine() {
    let mut sandbox = sandbox!();
    let found = Found::of(&sandbox, 1);
    found.only("failed", &["layout"]).is("layout", "failed", &["no object below s3://logs/app/"]);

    sandbox.write("lake/logs/app/README", "hello");
    let found = Found::of(&sandbox, 1);
    let template = "app/{service}/{year}/{month}/{day}/";
    found.is(
        "layout",
        "failed",
        &["of 1 keys that were seen none follows", template, "s3://logs/app/README", "source.layout"],
    );

    sandbox.fill(&["condor"], 1);
    Found::of(&sandbox, 0).is("layout", "ok", &["condor/2018-10-01"]);
    let found = with(&mut sandbox, 1, |spec| spec["source"]["include"] = json!(r"\.gz$"));
    found.is("layout", "failed", &["source.include", "2018/10/01/0.log"]);

    // Keys before it that are something else's, more than a page has, do not hide it; nor does an empty service.
    for number in 0..1001 {
        sandbox.write(&format!("lake/logs/app/!index/{number}"), "");
    }
    Found::of(&sandbox, 0).is("layout", "ok", &["condor/2018-10-01"]);
    let named = |names: &[&str]| {
        let names = json!({ "service": names });
        move |spec: &mut Value| spec["source"]["dimensions"] = names
    };
    let found = with(&mut sandbox, 0, named(&["adler", "condor"]));
    found.is("source", "ok", &["s3://logs/app/adler/ may"]).is("layout", "ok", &["condor/2018-10-01"]);
    let found = with(&mut sandbox, 1, named(&["adler", "bussard"]));
    found.is("layout", "failed", &["no object below s3://logs/app/adler/, s3://logs/app/bussard/"]);

    let found = with(&mut sandbox, 1, |spec| spec["source"]["uri"] = json!("s3://no-such-bucket"));
    found.only("failed", &["source"]).only("skipped", &["layout"]);
    found.is("source", "failed", &["the bucket does not exist", "create the bucket"]);

    let found = with(&mut sandbox, 1, |spec| {
        spec["job"]["memory"] = json!({ "start": "1GiB", "max": "4GiB" });
        spec["job"]["vcpus"] = json!(5);
    });
    found.only("failed", &["vcpus", "memory"]);
    found.is("vcpus", "failed", &["5 vCPUs", "maxvCpus 4"]);
    found.is("memory", "failed", &["a job of 4 GiB would wait for ever", "2 GiB", "local.memory"]);

    let found = with(&mut sandbox, 0, |spec| {
        spec["job"].as_object_mut().unwrap().remove("timeout");
        spec["job"]["idempotent"] = json!("no");
    });
    found.only("warning", &["timeout"]).is("retry", "ok", &["idempotent: no"]);

    let found = with(&mut sandbox, 1, |spec| spec["job"]["share_identifier"] = json!("backfill"));
    found.is("share_identifier", "failed", &["has no scheduling policy", "leave job.share_identifier out"]);
    let found = with(&mut sandbox, 1, |spec| spec["job"]["definition"] = json!("nobody-registered-this:3"));
    found.only("failed", &["definition"]).only("skipped", &["platform"]);
    found.is("definition", "failed", &["nobody-registered-this:3 does not exist"]);
    sandbox.write("bad.yaml", "jobDefinitionName: load\ntype: container\ncontainerPropertie: {}\n");
    let found = with(&mut sandbox, 1, |spec| spec["job"]["definition"] = json!("bad.yaml"));
    found.is("definition", "failed", &["bad.yaml:3: ", "containerProperties"]);
    assert!(!sandbox.root().join("state").exists());
}

#[test]
fn a_journal_that_says_otherwise() {
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor"], 3);
    sandbox.backfill(0);
    let found = with(&mut sandbox, 1, |spec| spec["source"]["zone"] = json!("Asia/Tokyo"));
    found.only("failed", &["journal"]);
    found.is("journal", "failed", &["source.zone", "\"UTC\"", "\"Asia/Tokyo\"", "another name"]);

    // Without a Region nothing can be asked, but a journal in a folder can be read.
    let found = with(&mut sandbox, 1, |spec| spec["engine"] = json!("aws"));
    found.only("failed", &["region"]).is("region", "failed", &["no AWS Region is set", "aws.region"]);
    found.is("state", "ok", &[]).is(
        "journal",
        "ok",
        &["as far as can be told without the queue", "3 slices"],
    );
    found.is("clock", "ok", &[]).is("queue", "skipped", &["region"]);

    fs::remove_file(sandbox.state().join("journal/0000000000000001.jsonl")).unwrap();
    let found = Found::of(&sandbox, 1);
    found.is("journal", "failed", &["journal segment 1 is missing", "restore this file"]);
}

#[test]
fn the_same_through_the_cloud() {
    let home = sandbox!();
    home.fill(&["condor"], 3);
    fs::create_dir(home.lake().join("state")).unwrap();
    let server = Server::start(&home, &["--queue", "loads", "--vcpus", "4"]);
    let mut sandbox = on_aws(&server);

    let found = Found::of(&sandbox, 0);
    assert_eq!(found.ids, ON_AWS, "{}", found.ran);
    // How large the instances are is the one thing that nobody can tell.
    found.only("warning", &["memory"]).is("memory", "warning", &["cannot be told from here", "optimal"]);
    found.is("credentials", "ok", &[&server.exports["AWS_ACCESS_KEY_ID"]]);
    found.is("region", "ok", &["us-east-1", server.url()]);
    found.is("compute_environment", "ok", &["local is VALID and ENABLED: EC2 (optimal), at most 4 vCPUs"]);
    found.is("state", "ok", &["s3://state/dayfill/ may be written, each number once"]);
    found.is("clock", "ok", &["agree"]);
    let secret = &server.exports["AWS_SECRET_ACCESS_KEY"];
    assert!(!found.ran.out.contains(secret) && !found.ran.err.contains(secret), "no secret is printed");
    let left: Vec<_> = walk(&home.lake().join("state"));
    assert!(left.is_empty(), "nothing is left of the probe: {left:?}");

    sandbox.backfill(0);
    Found::of(&sandbox, 0).is(
        "journal",
        "ok",
        &["s3://state/dayfill/small agrees with the YAML", "3 slices"],
    );

    let found = with(&mut sandbox, 1, |spec| spec["job"]["queue"] = json!("laods"));
    found.only("failed", &["queue"]);
    found.is("queue", "failed", &["laods does not exist", "there are: default, loads"]);
    found.only(
        "skipped",
        &["compute_environment", "share_identifier", "platform", "vcpus", "memory", "retry"],
    );
    let found = with(&mut sandbox, 1, |spec| spec["state"] = json!("s3://no-such-state/dayfill"));
    found.only("failed", &["state"]).only("skipped", &["journal"]);
    found.is("state", "failed", &["the bucket does not exist"]);
    let found = with(&mut sandbox, 1, |spec| spec["job"]["vcpus"] = json!(64));
    found.only("failed", &["vcpus"]).is("vcpus", "failed", &["64 vCPUs", "maxvCpus 4"]);
}

#[test]
fn a_share_that_the_queue_does_not_want_is_refused_when_planning() {
    let home = sandbox!();
    home.fill(&["condor"], 3);
    let server = Server::start(&home, &["--queue", "loads"]);
    let mut sandbox = on_aws(&server);
    sandbox.spec["state"] = json!("state");
    sandbox.spec["job"]["share_identifier"] = json!("backfill");
    sandbox.save();
    for args in [&["plan", "backfill.yaml"][..], &["run", "backfill.yaml", "--yes"]] {
        let texts = ["loads has no scheduling policy", "leave job.share_identifier out"];
        sandbox.run(args).ended(2).says(&texts).is_one_clear_error();
    }
    assert!(!sandbox.state().exists());
    Found::of(&sandbox, 1).only("failed", &["share_identifier"]);
}

#[test]
fn credentials_that_are_missing_or_refused_stop_the_rest() {
    let home = sandbox!();
    home.fill(&["condor"], 1);
    let server = Server::start(&home, &["--queue", "loads"]);
    let rest: Vec<_> = ON_AWS[2..].to_vec();

    let mut sandbox = on_aws(&server);
    sandbox.set("AWS_SECRET_ACCESS_KEY", "wrong");
    let found = Found::of(&sandbox, 1);
    found.only("failed", &["credentials"]).only("skipped", &rest);
    found.is("credentials", "failed", &["HTTP 403", "check the secret key"]);

    let mut sandbox = sandbox!();
    sandbox.spec["engine"] = json!("aws");
    sandbox.spec["aws"] = json!({ "region": "us-east-1", "endpoint_url": server.url() });
    sandbox.save();
    let found = Found::of(&sandbox, 1);
    found.only("failed", &["credentials"]).only("ok", &["region", "state", "journal", "clock"]);
    found.is("credentials", "failed", &["no credentials", "AWS_ACCESS_KEY_ID"]);
}

#[test]
fn nobody_at_the_endpoint() {
    let mut sandbox = sandbox!();
    sandbox.set("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    sandbox.set("AWS_SECRET_ACCESS_KEY", "secret");
    sandbox.spec["engine"] = json!("aws");
    // Port 1 is reserved, and nobody listens there.
    sandbox.spec["aws"] = json!({ "region": "us-east-1", "endpoint_url": "http://127.0.0.1:1" });
    sandbox.spec["state"] = json!("s3://state/dayfill");
    sandbox.save();
    let found = Found::of(&sandbox, 1);
    found.only("failed", &["source", "queue"]).only("ok", &["region", "credentials", "timeout"]);
    found.is("source", "failed", &["nobody answers at http://127.0.0.1:1", "check the network"]);
    found.is("credentials", "ok", &["nobody is there to take it"]);
    found.is("definition", "skipped", &["queue"]).is("state", "skipped", &["source"]);
}

/// A queue of this name whose only compute environment has hosts of this type.
#[track_caller]
fn queue(server: &Server, name: &str, hosts: &str, more: &Value) {
    let resources = json!({ "type": hosts, "maxvCpus": 8, "subnets": ["subnet-1"] });
    let environment = format!("{name}-hosts");
    server.batch(
        "createcomputeenvironment",
        &json!({ "computeEnvironmentName": environment, "type": "MANAGED", "computeResources": resources }),
    );
    let order = json!([{ "order": 1, "computeEnvironment": environment }]);
    let mut request = json!({ "jobQueueName": name, "priority": 1, "computeEnvironmentOrder": order });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.batch("createjobqueue", &request);
}

#[test]
fn queues_of_other_kinds() {
    let home = sandbox!();
    home.fill(&["condor"], 3);
    let server = Server::start(&home, &[]);
    let policy = "arn:aws:batch:us-east-1:000000000000:scheduling-policy/fair";
    queue(&server, "fair", "SPOT", &json!({ "schedulingPolicyArn": policy }));
    queue(&server, "serverless", "FARGATE", &json!({}));
    queue(&server, "off", "EC2", &json!({ "state": "DISABLED" }));
    let mut sandbox = on_aws(&server);
    sandbox.spec["state"] = json!("state");

    // Without its share no job would be taken; with it all is well.
    sandbox.spec["job"]["queue"] = json!("fair");
    sandbox.save();
    let found = Found::of(&sandbox, 1);
    found.only("failed", &["share_identifier"]);
    found.is(
        "share_identifier",
        "failed",
        &["fair has a scheduling policy", "job.share_identifier: backfill"],
    );
    found.is("compute_environment", "ok", &["fair-hosts", "EC2 Spot", "at most 8 vCPUs"]);
    found.is("retry", "ok", &["up to 8 times"]);
    let plan = ["plan", "backfill.yaml"];
    sandbox
        .run(&plan)
        .ended(2)
        .says(&["has a scheduling policy", "job.share_identifier:"])
        .is_one_clear_error();
    sandbox.spec["job"]["share_identifier"] = json!("backfill");
    sandbox.save();
    Found::of(&sandbox, 0).is("share_identifier", "ok", &["backfill, and fair has a scheduling policy"]);
    sandbox.run(&plan).ended(0);
    let found = with(&mut sandbox, 0, |spec| spec["job"]["idempotent"] = json!("no"));
    found.is("retry", "warning", &["asks a person", "without Spot"]);
    sandbox.spec["job"].as_object_mut().unwrap().remove("share_identifier");

    sandbox.spec["job"]["queue"] = json!("serverless");
    let found = with(&mut sandbox, 1, |_| {});
    found.only("failed", &["platform", "memory"]);
    found.is("platform", "failed", &["FARGATE", "platformCapabilities: [FARGATE]"]);
    found.is(
        "memory",
        "failed",
        &["no tasks of 1 vCPU with 64 MiB", "from 2 GiB to 8 GiB in steps of 1 GiB"],
    );
    let found = with(&mut sandbox, 1, |spec| {
        spec["job"]["memory"] = json!({ "start": "2GiB", "max": "6GiB" });
        spec["job"]["vcpus"] = json!(3);
    });
    found.is("vcpus", "failed", &["no tasks of 3 vCPUs"]).is("memory", "skipped", &["vcpus"]);
    let found = with(&mut sandbox, 1, |spec| {
        spec["job"]["memory"] = json!({ "start": "2GiB", "max": "6GiB" });
    });
    found.only("failed", &["platform"]).is("memory", "ok", &["2 GiB to 6 GiB"]);

    sandbox.spec["job"]["queue"] = json!("off");
    let found = with(&mut sandbox, 1, |_| {});
    found.only("failed", &["queue"]).is("queue", "failed", &["off is DISABLED", "enable the queue"]);
}

#[test]
fn a_store_that_does_not_do_as_it_should() {
    let home = sandbox!();
    home.fill(&["condor"], 3);
    fs::create_dir(home.lake().join("state")).unwrap();
    let server = Server::start(&home, &["--queue", "loads"]);
    let proxy = Proxy::start(server.url());
    let mut sandbox = on_aws(&server);
    sandbox.spec["aws"]["endpoint_url"] = json!(proxy.url());
    sandbox.save();
    let always = 1..=u64::MAX;

    // The second write is taken as well.
    let taken = Answer::Said(Message::answer(200, "application/xml", ""));
    proxy.on(Call::WriteSegment, 2..=2, Fault::instead(taken));
    let found = Found::of(&sandbox, 1);
    found.only("failed", &["state"]).is("state", "failed", &["does not hold to conditional puts", "twice"]);
    assert_eq!(proxy.count(Call::WriteSegment), 2);

    // The probe may not be removed.
    proxy.heal();
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let no_delete = Answer::changed(move |request, answer| {
        if request.start.starts_with("DELETE") {
            *answer = Message::answer(403, "application/xml", denied);
        }
    });
    proxy.on(Call::WriteSegment, always.clone(), Fault::after(Answer::Real));
    proxy.on(Call::Other, always.clone(), Fault::after(no_delete));
    Found::of(&sandbox, 0).is("state", "ok", &["a small probe stays there", "AccessDenied"]);

    // It may not be written at all; the journal can still be read.
    proxy.heal();
    let answer = Answer::Said(Message::answer(403, "application/xml", denied));
    proxy.on(Call::WriteSegment, always.clone(), Fault::instead(answer));
    let found = Found::of(&sandbox, 1);
    found.is("state", "failed", &["s3:PutObject on arn:aws:s3:::state/"]).is("journal", "ok", &[]);

    for (minutes, code, status) in [(2, 0, "warning"), (-2, 0, "warning"), (5, 1, "failed")] {
        proxy.heal();
        let other_time = Answer::changed(move |_, answer| {
            let date = Utc::now() + TimeDelta::minutes(minutes);
            answer.set("date", &date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        });
        proxy.on(Call::Other, always.clone(), Fault::after(other_time));
        let found = Found::of(&sandbox, code);
        let side = if minutes < 0 { "behind" } else { "ahead of" };
        found.is("clock", status, &[side, "set this machine's clock"]);
    }
    assert_eq!(proxy.count(Call::SubmitJob), 0);
}

/// The files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
