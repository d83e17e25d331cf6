//! Hosts that are taken away while jobs run, as Spot takes them: real processes, real kills, and a seed that decides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use dayfill_tests::processes::until;
use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::table::engine_jobs;
use dayfill_tests::{Sandbox, sandbox};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// A sandbox with days of four services, whose jobs all run at once.
fn days(each: u32) -> (Sandbox, Vec<String>) {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor", "eagle", "falcon", "kestrel"], each);
    sandbox.spec["window"]["to"] = json!(format!("2018-10-{each:02}"));
    sandbox.spec["limits"] = json!({ "pilots": 0, "in_flight": 100 });
    sandbox.spec["local"] = json!({ "lake": "lake", "vcpus": 64, "memory": "8GiB" });
    (sandbox, partitions)
}

/// Told by the engine itself: of every job its queue and how many hosts its attempts lost.
fn lost_hosts(sandbox: &Sandbox) -> Vec<(String, usize)> {
    let jobs = engine_jobs(&sandbox.root().join(".dayfill/engine"));
    jobs.into_iter().map(|job| (job.queue, job.attempts.iter().filter(|a| a.host_lost).count())).collect()
}

/// The lines of a file in the folder, sorted.
fn lines(sandbox: &Sandbox, path: &str) -> Vec<String> {
    let mut lines: Vec<String> = sandbox.read(path).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Forty jobs of sixteen seconds, of whose hosts so many are taken in a minute; returns how many were.
#[track_caller]
fn all_days_are_done_and_none_twice(percent: &str, seed: u64) -> usize {
    let (mut sandbox, partitions) = days(10);
    sandbox.define(&format!(
        "echo \"$SERVICE/$DATE\" >> \"$OUT/.begun\"\nsleep 16\n{CHECKSUM}\necho \"$SERVICE/$DATE\" >> \"$OUT/.done\""
    ));
    sandbox.spec["local"]["reclaims"] = json!(percent);
    sandbox.spec["local"]["seed"] = json!(seed);
    sandbox.save();
    sandbox.backfill(0).prints(&["40 of 40 days done"]);
    sandbox.no_orphans();

    let facts = sandbox.facts();
    facts.each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
    // Batch itself sent what was lost with its host to another, so each day had one job.
    let jobs = lost_hosts(&sandbox);
    assert_eq!(jobs.len(), partitions.len());
    let lost = jobs.iter().map(|(_, lost)| lost).sum();
    assert_eq!(facts.reclaims(), lost as u64, "the journal and the engine differ");
    // What was killed had begun, unless it was very slow, and came to nothing.
    let begun = lines(&sandbox, "out/.begun").len();
    assert!(begun > partitions.len() || lost == 0, "no job was killed while it ran");
    assert!(begun <= partitions.len() + lost, "{begun} began, and {lost} were lost");
    // What that cost is told by its cause.
    let waste = sandbox.status()["waste"].clone();
    let causes = waste["causes"].as_array().unwrap();
    let hosts = causes.iter().find(|c| c["class"] == "host_lost");
    assert_eq!(hosts.is_some(), lost > 0, "{waste}");
    if let Some(hosts) = hosts {
        assert!(hosts["jobs"].as_u64().unwrap() <= lost as u64 && hosts["jobs"] != 0, "{waste}");
        // Each was taken after more than two seconds; all of them were killed within a minute of their start.
        let minutes = hosts["lost_minutes"].as_f64().unwrap();
        assert!(minutes > lost as f64 / 30.0 && minutes < lost as f64, "{lost} hosts, {minutes} minutes");
        assert!(hosts["lost_gib_hours"].as_f64().unwrap() > 0.0);
        sandbox.run(&["status", "backfill.yaml", "--by", "class"]).ended(0).prints(&["host lost"]);
    }
    let mut each_day: Vec<String> = partitions;
    each_day.sort();
    assert_eq!(lines(&sandbox, "out/.done"), each_day);
    lost
}

// With these seeds, whatever host is taken within sixteen seconds is taken between the third and the thirteenth:
// however slow a machine is, these are lost.

#[test]
fn no_host_in_a_hundred_is_taken() {
    assert_eq!(all_days_are_done_and_none_twice("0%", 1), 0);
}

#[test]
fn ten_hosts_in_a_hundred_are_taken_within_a_minute() {
    assert!(all_days_are_done_and_none_twice("10%", 1185) >= 3);
}

#[test]
fn thirty_hosts_in_a_hundred_are_taken_within_a_minute() {
    // One job loses two.
    assert!(all_days_are_done_and_none_twice("30%", 17_412) >= 9);
}

/// Three days with a fallback queue for those whose host was taken once. With the seed 80287, of the first three jobs
/// two lose their hosts within four seconds, and not again within the next minute.
fn three_days_with_a_fallback_queue() -> Sandbox {
    let (mut sandbox, _) = days(1);
    sandbox.spec["source"]["dimensions"] = json!({ "service": ["condor", "eagle", "falcon"] });
    sandbox.spec["job"]["fallback_queue"] = json!("kept");
    sandbox.spec["retry"] = json!({ "fallback_after": 1 });
    // Where Batch sends it to again it would never come to an end.
    sandbox.define(&format!(
        "if [ \"$AWS_BATCH_JQ_NAME\" = small ]; then\n\
         if [ \"$AWS_BATCH_JOB_ATTEMPT\" = 1 ]; then sleep 8; else sleep 700; fi\n\
         fi\n{CHECKSUM}"
    ));
    sandbox.save();
    sandbox
}

#[track_caller]
fn two_days_are_done_on_the_fallback_queue(sandbox: &Sandbox) {
    let partitions = ["condor", "eagle", "falcon"].map(|service| format!("{service}/2018-10-01"));
    let facts = sandbox.facts();
    facts.each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
    let mut jobs = lost_hosts(sandbox);
    assert_eq!(facts.reclaims(), jobs.iter().map(|(_, lost)| *lost as u64).sum::<u64>());
    jobs.sort();
    let job = |queue: &str, lost| (queue.to_owned(), lost);
    assert_eq!(jobs, [job("kept", 0), job("kept", 0), job("small", 0), job("small", 1), job("small", 1)]);
}

#[test]
fn a_day_whose_host_is_taken_goes_to_the_fallback_queue_where_none_is() {
    let mut sandbox = three_days_with_a_fallback_queue();
    sandbox.spec["local"]["reclaims"] = json!("90%");
    sandbox.spec["local"]["seed"] = json!(80_287);
    sandbox.save();
    sandbox.backfill(0).prints(&["3 of 3 days done"]);
    sandbox.no_orphans();
    two_days_are_done_on_the_fallback_queue(&sandbox);
}

#[test]
fn an_engine_that_stays_takes_hosts_of_the_queues_that_it_was_told() {
    let sandbox = three_days_with_a_fallback_queue();
    let all = ["local", "--lake", "lake", "--dir", ".dayfill/engine", "--vcpus", "64", "--queue", "small"];
    let reclaims = ["--reclaims", "90%", "--seed", "80287", "--reclaims-on", "small"];
    let (mut engine, _, err) = sandbox.spawn(&[&all[..], &reclaims].concat());
    until("the engine says what it does", || {
        let said = fs::read_to_string(&err).unwrap();
        said.contains("# 90% of the hosts of small are taken away within a minute; again with --seed 80287")
    });
    sandbox.backfill(0).prints(&["3 of 3 days done"]);
    kill_process(Pid::from_raw(engine.id() as i32).unwrap(), Signal::TERM).unwrap();
    engine.wait().unwrap();
    sandbox.no_orphans();
    two_days_are_done_on_the_fallback_queue(&sandbox);
}

#[test]
fn what_cannot_be_taken_is_told() {
    let sandbox = sandbox!();
    let local = |args: &[&str]| sandbox.run(&[&["local", "--lake", "lake"], args].concat()).ended(2);
    for percent in ["10", "101%", "-1%"] {
        let text = format!("`{percent}` is not a percentage: write 0% to 100%, such as 10%");
        local(&[&format!("--reclaims={percent}")]).says(&[&text]);
    }
    local(&["--seed", "7"]).says(&["--reclaims <PERCENT>"]);
    local(&["--reclaims-on", "small"]).says(&["--reclaims <PERCENT>"]);
}
