//! Days that are loaded in parts: real processes, real kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use dayfill_tests::{Sandbox, SplitMix64, sandbox};
use serde_json::{Value, json};

/// A job that holds a thousand times the bytes it reads, and then writes the lines that it read, into a file for its slice.
const BY_PREFIX: &str = r#"
files=$(find "$LAKE/${PREFIX%/*}" -type f -path "$LAKE/$PREFIX*" | sort)
need=$(($(cat $files | wc -c) * 1000))
{ head -c "$need" /dev/zero; sleep 0.3; } | tail -c "$need" > /dev/null
cat $files > "$OUT/.$AWS_BATCH_JOB_ID"
mv "$OUT/.$AWS_BATCH_JOB_ID" "$OUT/$(echo "$SLICE" | tr / _)"
"#;

/// The same, of the keys that its manifest lists.
const BY_MANIFEST: &str = r#"
files=$(sed 's/^{"key":"\([^"]*\)".*/\1/' "$MANIFEST" | while read -r key; do echo "$LAKE/$key"; done)
need=$(($(cat $files | wc -c) * 1000))
{ head -c "$need" /dev/zero; sleep 0.3; } | tail -c "$need" > /dev/null
cat $files > "$OUT/.$AWS_BATCH_JOB_ID"
mv "$OUT/.$AWS_BATCH_JOB_ID" "$OUT/$(echo "$SLICE" | tr / _)"
"#;

/// A sandbox whose keys say their hour. No job gets more than 256 MiB.
fn hourly(script: &str) -> Sandbox {
    let mut sandbox = sandbox!();
    sandbox.spec["source"]["layout"] = json!("app/{service}/{year}/{month}/{day}/{hour}/");
    sandbox.spec["job"]["environment"]["SLICE"] = json!("{slice}");
    sandbox.spec["window"]["to"] = json!("2018-10-05");
    sandbox.define(script);
    sandbox.save();
    sandbox
}

/// Lines of so many bytes, each of them another.
fn lines(key: &str, bytes: usize) -> String {
    (0..bytes / 50).map(|n| format!("{:<49}\n", format!("{key} {n}"))).collect()
}

fn put(sandbox: &Sandbox, key: &str, bytes: usize) {
    sandbox.object(&format!("app/condor/2018/10/{key}"), lines(key, bytes));
}

/// What jobs have written, by slice.
fn written(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let entries = fs::read_dir(sandbox.root().join("out")).unwrap().map(|e| e.unwrap());
    let named = entries.map(|e| (e.file_name().into_string().unwrap(), e.path()));
    named
        .filter(|(name, _)| !name.starts_with('.'))
        .map(|(name, path)| (name.replace('_', "/"), fs::read_to_string(path).unwrap()))
        .collect()
}

/// Every line of a day stands in exactly one of the files of its slices, as many times as in the lake.
fn is_loaded(sandbox: &Sandbox, day: &str, slices: &[&str]) {
    let written = written(sandbox);
    let of_day: Vec<&String> = written.keys().filter(|name| name.contains(day)).collect();
    assert_eq!(of_day, slices, "the slices of {day}");
    let mut got: Vec<&str> =
        written.iter().filter(|(name, _)| name.contains(day)).flat_map(|(_, text)| text.lines()).collect();
    got.sort_unstable();
    let folder = sandbox.lake().join("logs/app/condor").join(day.replace('-', "/"));
    let mut want = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                want.extend(
                    fs::read_to_string(entry).unwrap().lines().map(str::to_owned).collect::<Vec<_>>(),
                );
            }
        }
    }
    want.sort_unstable();
    assert_eq!(got, want, "the lines of {day}");
}

fn split(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.facts().of("split").into_iter().cloned().collect()
}

/// Four days that fit, and the 3rd of October, whose hours do but which itself does not.
fn one_that_no_memory_holds(sandbox: &Sandbox) {
    for day in [1, 2, 4, 5] {
        put(sandbox, &format!("{day:02}/08/0.log"), 20_000 * day);
    }
    for hour in [3, 7, 9] {
        put(sandbox, &format!("03/{hour:02}/0.log"), 150_000);
    }
}

#[test]
fn a_day_that_no_memory_holds_is_loaded_by_hour() {
    let sandbox = hourly(BY_PREFIX);
    one_that_no_memory_holds(&sandbox);
    sandbox.backfill(0).says(&["condor/2018-10-03", "cut into 3 parts: killed at 256 MiB, the most"]);
    let parts = ["condor/2018-10-03/03", "condor/2018-10-03/07", "condor/2018-10-03/09"];
    is_loaded(&sandbox, "2018-10-03", &parts);
    is_loaded(&sandbox, "2018-10-05", &["condor/2018-10-05"]);
    assert_eq!(split(&sandbox).len(), 1);

    let explained = sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-03"]).ended(0);
    explained.prints(&[
        "cut into its hours",
        "killed at 256 MiB",
        "condor/2018-10-03/07: 1 object",
        "it is loaded",
    ]);
    sandbox
        .run(&["explain", "backfill.yaml", "condor/2018-10-03/07"])
        .ended(0)
        .prints(&["condor/2018-10-03/07"]);
    sandbox.run(&["explain", "backfill.yaml", "condor/2018-10-03/08"]).ended(2).says(&["was not cut into"]);
    let status = sandbox.status();
    assert_eq!((&status["total"]["done"], &status["total"]["days"]), (&json!(5), &json!(5)), "{status}");
    sandbox.run(&["logs", "backfill.yaml", "condor/2018-10-03/07"]).ended(0);
    sandbox
        .run(&["logs", "backfill.yaml", "condor/2018-10-03"])
        .ended(0)
        .says(&["this is of its part condor/2018-10-03/"]);
    let none = sandbox.run(&["logs", "backfill.yaml", "condor/2018-10-03/07", "--load", "2"]).ended(2);
    none.says(&["there is no job of load 2 of condor/2018-10-03/07", "dayfill explain condor/2018-10-03"]);

    // Nothing is left to do; what changes is loaded again in the same parts, and only where it changed.
    sandbox
        .run(&["plan", "backfill.yaml"])
        .ended(0)
        .prints(&["Plan: 0 jobs for 0 days. Not in plan: 5 done."]);
    put(&sandbox, "03/07/0.log", 140_000);
    put(&sandbox, "03/11/0.log", 100_000);
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["1 changed, not asked for"]);
    let again = sandbox.run(&["run", "backfill.yaml", "--yes", "--only", "changed"]).ended(0);
    again.says(&["Plan: 2 jobs for 1 day."]);
    is_loaded(&sandbox, "2018-10-03", &[parts[0], parts[1], parts[2], "condor/2018-10-03/11"]);
    assert_eq!(split(&sandbox).len(), 1, "the split is kept");

    // What is left of a part without objects only a person can know.
    fs::remove_dir_all(sandbox.lake().join("logs/app/condor/2018/10/03/11")).unwrap();
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["1 changed, not asked for"]);
    let asks = sandbox.run(&["run", "backfill.yaml", "--yes", "--only", "changed"]).ended(7);
    asks.says(&["Needs a person: condor/2018-10-03: its part condor/2018-10-03/11 has no objects any more"]);
    let part = "condor/2018-10-03/11";
    let mark = ["mark", "backfill.yaml", "done", "--only", part, "--reason", "removed", "--yes"];
    sandbox.run(&mark).ended(0).says(&["this day will be marked as done", part]);
    sandbox.run(&mark).ended(0).says(&["nothing to mark"]);
    sandbox
        .run(&["plan", "backfill.yaml"])
        .ended(0)
        .prints(&["Plan: 0 jobs for 0 days. Not in plan: 5 done."]);
    sandbox.no_orphans();
}

#[test]
fn an_hour_that_no_memory_holds_is_loaded_by_ranges_of_its_keys() {
    let mut sandbox = hourly(BY_MANIFEST);
    sandbox.spec["job"]["reads"] = json!("manifest");
    sandbox.spec["job"]["environment"]["MANIFEST"] = json!("{manifest}");
    sandbox.save();
    for day in [1, 2, 4, 5] {
        put(&sandbox, &format!("{day:02}/08/0.log"), 20_000 * day);
    }
    put(&sandbox, "03/03/0.log", 100_000);
    for part in 0..6 {
        put(&sandbox, &format!("03/07/part-{part}.log"), 90_000);
    }
    sandbox.backfill(0);
    let written = written(&sandbox);
    let of_day: Vec<&str> = written.keys().map(String::as_str).filter(|n| n.contains("10-03")).collect();
    assert!(of_day.len() >= 4, "{of_day:?}");
    assert_eq!(of_day[0], "condor/2018-10-03/03");
    assert!(of_day[1..].iter().all(|name| name.starts_with("condor/2018-10-03/07+")), "{of_day:?}");
    is_loaded(&sandbox, "2018-10-03", &of_day);
    assert_eq!(split(&sandbox)[0]["cut"]["by"], "hours");
    assert_eq!(split(&sandbox)[1]["cut"]["by"], "ranges");
    for (slice, times) in sandbox.facts().successes() {
        assert_eq!(times, 1, "{slice}");
    }
    assert_eq!(sandbox.status()["total"]["done"], 5);
}

#[test]
fn what_is_larger_than_split_allows_is_cut_before_anything_is_submitted() {
    let mut sandbox = hourly(BY_PREFIX);
    sandbox.spec["split"] = json!({ "max_bytes": "200KiB" });
    sandbox.save();
    one_that_no_memory_holds(&sandbox);
    put(&sandbox, "05/08/1.log", 200_000);
    let plan = sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    plan.prints(&[
        "Split: condor/2018-10-03 into 3 jobs, as it is larger than split.max_bytes (200.0 KiB)",
        "Not split: condor/2018-10-05 is larger than split.max_bytes (200.0 KiB), but all of it is of one hour",
        "Plan: 7 jobs for 5 days.",
    ]);
    // A day that needs more than 256 MiB, and cannot be cut.
    sandbox.run(&["submit", "plan.json", "--yes", "--wait"]).ended(3);
    is_loaded(
        &sandbox,
        "2018-10-03",
        &["condor/2018-10-03/03", "condor/2018-10-03/07", "condor/2018-10-03/09"],
    );
    let total = &sandbox.status()["total"];
    assert_eq!((&total["done"], &total["failed"]), (&json!(4), &json!(1)), "{total}");
    sandbox
        .run(&["explain", "backfill.yaml", "condor/2018-10-05"])
        .ended(0)
        .prints(&["it cannot be cut: all of it"]);
    // The same plan again changes nothing.
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(0).says(&["was adopted before"]);
    assert_eq!(split(&sandbox).len(), 1);
}

#[test]
fn a_part_can_fail_be_marked_cancelled_and_loaded_again() {
    let sandbox = hourly(&format!(
        "if [ \"$SLICE\" = condor/2018-10-03/07 ] && [ -e \"$OUT/.broken\" ]; then exit 9; fi\n{BY_PREFIX}"
    ));
    let mut sandbox = sandbox;
    sandbox.spec["split"] = json!({ "max_objects": 1 });
    sandbox.save();
    one_that_no_memory_holds(&sandbox);
    sandbox.write("out/.broken", "");
    sandbox.backfill(3);
    assert_eq!(sandbox.status()["total"]["failed"], 1);
    let classes = sandbox.run(&["status", "backfill.yaml", "--by", "class"]).ended(0);
    classes.prints(&["job failed"]);
    fs::remove_file(sandbox.root().join("out/.broken")).unwrap();
    let plan = sandbox.run(&["plan", "backfill.yaml"]).ended(0);
    plan.prints(&["Plan: 1 job for 1 day."]);
    sandbox.backfill(0);
    is_loaded(
        &sandbox,
        "2018-10-03",
        &["condor/2018-10-03/03", "condor/2018-10-03/07", "condor/2018-10-03/09"],
    );
    // One part is not all of the day, which is to be loaded again whole.
    let mark = |what: &str| {
        let mark = ["mark", "backfill.yaml", "failed", "--only", what, "--reason", "wrong", "--yes"];
        sandbox.run(&mark).ended(0)
    };
    mark("condor/2018-10-03/07").says(&["this day will be marked as failed", "condor/2018-10-03/07"]);
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["Plan: 1 job for 1 day."]);
    mark("condor/2018-10-03")
        .says(&["of condor/2018-10-03 2 of 3 parts are loaded, and would be loaded again"]);
    mark("condor/2018-10-03").says(&["nothing to mark"]);
    sandbox.run(&["plan", "backfill.yaml"]).ended(0).prints(&["Plan: 3 jobs for 1 day."]);
}

/// Of days that are all alike nobody can say that memory does not follow their bytes.
#[test]
fn of_days_of_one_size_the_one_that_no_memory_holds_is_cut_all_the_same() {
    let sandbox = hourly(&format!(
        "if [ \"${{SLICE#*/2018-10-03}}\" = \"$SLICE\" ]; then cat \"$LAKE/$PREFIX\"*/* > /dev/null; exit 0; fi\n{BY_PREFIX}"
    ));
    for day in 1..=5 {
        for hour in 3..6 {
            put(&sandbox, &format!("{day:02}/{hour:02}/0.log"), 150_000);
        }
    }
    let cut = "cut into 3 parts: killed at 256 MiB, the most; what memory follows is not known";
    sandbox.backfill(0).says(&["condor/2018-10-03", cut]);
    is_loaded(
        &sandbox,
        "2018-10-03",
        &["condor/2018-10-03/03", "condor/2018-10-03/04", "condor/2018-10-03/05"],
    );
}

#[test]
fn only_jobs_that_replace_any_part_are_split() {
    let mut sandbox = hourly(BY_PREFIX);
    sandbox.spec["job"]["idempotent"] = json!("partition");
    sandbox.save();
    one_that_no_memory_holds(&sandbox);
    sandbox.backfill(3).says(&["only `idempotent: slice` lets parts replace themselves"]);
    assert_eq!(split(&sandbox), [] as [Value; 0]);
    // Each part would take the place of the day.
    sandbox.spec["split"] = json!({ "max_bytes": "100KiB" });
    sandbox.save();
    let plan = sandbox.run(&["plan", "backfill.yaml"]).ended(0);
    plan.prints(&[
        "Not split: condor/2018-10-03 is larger",
        "only a whole day replaces itself",
        "Plan: 1 job for 1 day.",
    ]);
}

/// Killed at random moments, while a day is cut before it is submitted and another when no memory holds it, the same
/// command again finishes; no line is missing and none is there twice.
#[test]
fn killed_at_any_moment_every_part_is_loaded_once() {
    let mut random = SplitMix64::from_environment();
    let mut sandbox = hourly(BY_MANIFEST);
    sandbox.spec["job"]["reads"] = json!("manifest");
    sandbox.spec["job"]["environment"]["MANIFEST"] = json!("{manifest}");
    sandbox.spec["split"] = json!({ "max_objects": 4 });
    sandbox.save();
    one_that_no_memory_holds(&sandbox);
    for part in 0..5 {
        put(&sandbox, &format!("04/08/part-{part}.log"), 5_000);
    }
    let run = ["run", "backfill.yaml", "--yes"];
    for _ in 0..12 {
        let (mut child, out, err) = sandbox.spawn(&run);
        thread::sleep(Duration::from_millis(random.below(1500)));
        if child.try_wait().unwrap().is_some() {
            Sandbox::wait(&run, (child, out, err)).ended(0);
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    sandbox.run(&run).ended(0);
    sandbox.no_orphans();
    let written = written(&sandbox);
    for day in ["2018-10-03", "2018-10-04", "2018-10-05"] {
        let slices: Vec<&str> =
            written.keys().map(String::as_str).filter(|name| name.contains(day)).collect();
        assert!(day == "2018-10-05" || slices.len() > 1, "{slices:?}");
        is_loaded(&sandbox, day, &slices);
    }
    for (slice, times) in sandbox.facts().successes() {
        assert_eq!(times, 1, "{slice}");
    }
    assert_eq!(sandbox.status()["total"]["done"], 5);
}
