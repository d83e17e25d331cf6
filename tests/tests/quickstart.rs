//! The quickstart as a newcomer runs it, and what happens when its lake changes afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dayfill_tests::{Facts, Sandbox, sandbox};
use serde_json::Value;

const YAML: &str = "examples/quickstart/backfill.yaml";
const BUCKET: &str = "examples/quickstart/lake/example-logs";

/// Copies what is in the repository, and none of what an earlier run left there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if [".dayfill", ".s3local", "results"].iter().any(|own| name == *own) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn prepared() -> Sandbox {
    let sandbox = sandbox!();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["examples/quickstart", "job-definitions"] {
        copy(&repository.join(folder), &sandbox.root().join(folder));
    }
    sandbox
}

fn state(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("examples/quickstart/.dayfill/state/quickstart")
}

fn status(sandbox: &Sandbox) -> Value {
    sandbox.run(&["status", YAML, "--format", "json"]).ended(0).json()["total"].clone()
}

/// The lines that the job has to write for a day: path, requests, distinct users, users who came back.
fn expected(day: &Path) -> String {
    let mut requests: BTreeMap<String, u64> = BTreeMap::new();
    let mut visits: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for hour in fs::read_dir(day).unwrap() {
        for object in fs::read_dir(hour.unwrap().path()).unwrap() {
            let text = Command::new("gzip").arg("-dc").arg(object.unwrap().path()).output().unwrap().stdout;
            for line in String::from_utf8(text).unwrap().lines() {
                let visit: Value = serde_json::from_str(line).unwrap();
                let of = |name: &str| visit[name].as_str().unwrap().to_owned();
                *requests.entry(of("path")).or_default() += 1;
                *visits.entry(of("path")).or_default().entry(of("user")).or_default() += 1;
            }
        }
    }
    let line = |(path, requests): (&String, &u64)| {
        let users = &visits[path];
        let back = users.values().filter(|visits| **visits > 1).count();
        format!("{path},{requests},{},{back}\n", users.len())
    };
    requests.iter().map(line).collect()
}

fn results_are_right(sandbox: &Sandbox) {
    let bucket = sandbox.root().join(BUCKET);
    let mut days = 0;
    for service in fs::read_dir(bucket.join("applications")).unwrap() {
        let service = service.unwrap();
        for day in fs::read_dir(service.path().join("app/2018/10")).unwrap() {
            let day = day.unwrap();
            let name = format!("2018-10-{}.csv", day.file_name().to_str().unwrap());
            let path = bucket.join("results").join(service.file_name()).join(name);
            let written = fs::read_to_string(&path).unwrap();
            // `sort` of the job follows the locale, so the lines are compared as a set.
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
            assert_eq!(lines(&written), lines(&expected(&day.path())), "{}", path.display());
            days += 1;
        }
    }
    assert_eq!(days, 40);
}

#[test]
fn the_quickstart_loads_every_day_and_what_changes_later_only_when_asked() {
    let sandbox = prepared();
    sandbox.run(&["run", YAML, "--yes"]).ended(0).prints(&["40 of 40 days done, 2 without data"]);
    let total = status(&sandbox);
    assert_eq!((&total["done"], &total["no_data"]), (&40.into(), &2.into()), "{total}");
    assert!(total["out_of_memory"].as_u64() >= Some(1), "{total}");
    results_are_right(&sandbox);

    // The heavy day ran out of memory at the first size and not at a larger one.
    sandbox.run(&["explain", YAML, "condor/2018-10-09"]).ended(0).prints(&[
        "try 1 with 32 MiB: out of memory, exit code 137",
        "Batch says: OutOfMemoryError: Container killed due to memory usage",
        "try 2 with ",
        "next: nothing: it is loaded",
    ]);
    let tries = sandbox.run(&["explain", YAML, "condor/2018-10-09", "--format", "json"]).ended(0).json();
    let tries = tries["tries"].as_array().unwrap();
    assert_eq!(tries.last().unwrap()["state"], "succeeded");
    assert!(tries.windows(2).all(|w| w[0]["memory_mib"].as_u64() < w[1]["memory_mib"].as_u64()));
    sandbox.run(&["logs", YAML, "condor/2018-10-01"]).ended(0).prints(&["condor 2018-10-01: ", " requests"]);

    // The same again: nothing to do, and nothing written.
    let before = Facts::read(&state(&sandbox));
    sandbox.run(&["run", YAML, "--yes"]).ended(0);
    let after = Facts::read(&state(&sandbox));
    assert_eq!(after.segments, before.segments);
    let plan = ["plan", YAML, "--exit-code"];
    sandbox.run(&plan).ended(0).prints(&["Plan: 0 jobs for 0 days. Not in plan: 40 done, 2 without data."]);

    one_object_changes(&sandbox);
    sandbox.no_orphans();
}

fn one_object_changes(sandbox: &Sandbox) {
    let day = sandbox.root().join(BUCKET).join("applications/web/app/2018/10/05");
    let hour = fs::read_dir(&day).unwrap().next().unwrap().unwrap().path();
    let object = fs::read_dir(hour).unwrap().next().unwrap().unwrap().path();
    let script = r#"gzip -dc "$0" > "$0.raw" && tail -n 3 "$0.raw" >> "$0.raw" && gzip -c "$0.raw" > "$0" && rm "$0.raw""#;
    assert!(Command::new("sh").args(["-c", script]).arg(&object).status().unwrap().success());

    sandbox.run(&["plan", YAML, "--exit-code"]).ended(0).prints(&["39 done", "1 changed, not asked for"]);
    let before = Facts::read(&state(sandbox)).segments;
    sandbox.run(&["run", YAML, "--yes"]).ended(0);
    assert_eq!(Facts::read(&state(sandbox)).segments, before, "what changed is loaded only when asked for");

    sandbox.run(&["run", YAML, "--yes", "--only", "changed"]).ended(0).says(&["Plan: 1 job for 1 day."]);
    results_are_right(sandbox);
    sandbox.run(&["explain", YAML, "web/2018-10-05"]).ended(0).prints(&["load 2, try 1 with ", "succeeded"]);
    let loads: Vec<(String, usize)> = Facts::read(&state(sandbox)).successes().into_iter().collect();
    assert_eq!(loads.len(), 41, "40 first loads and one second: {loads:?}");
    assert!(loads.iter().all(|(_, times)| *times == 1), "{loads:?}");
    sandbox.run(&["plan", YAML, "--exit-code"]).ended(0).prints(&["40 done"]);
}
