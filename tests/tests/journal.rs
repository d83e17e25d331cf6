//! What was written down and no longer fits: a damaged journal, a YAML that became another, a plan that is old or edited.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use dayfill_tests::facts::segments;
use dayfill_tests::sandbox::CHECKSUM;
use dayfill_tests::{Sandbox, sandbox};
use serde_json::{Value, json};

fn plan(sandbox: &Sandbox, file: &str, args: &[&str]) -> Value {
    let all = [&["plan", "backfill.yaml", "-o", file, "--format", "json"], args].concat();
    sandbox.run(&all).ended(0).json()
}

/// Panics unless every command that needs the journal refuses with exit code 1 and these texts.
#[track_caller]
fn all_refuse(sandbox: &Sandbox, texts: &[&str]) {
    let place = sandbox.state();
    for command in [
        &["status", "backfill.yaml"][..],
        &["explain", "backfill.yaml", "condor/2018-10-01"],
        &["plan", "backfill.yaml"],
        &["submit", "plan.json", "--yes"],
        &["advance", "backfill.yaml"],
        &["mark", "backfill.yaml", "failed", "--only", "condor/2018-10-01", "--reason", "r", "--yes"],
        &["run", "backfill.yaml", "--yes"],
    ] {
        sandbox.run(command).ended(1).says(texts).says(&[place.to_str().unwrap()]).is_one_clear_error();
    }
}

#[test]
fn a_damaged_journal_is_refused_by_name_and_never_half_read() {
    let sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    plan(&sandbox, "plan.json", &[]);
    sandbox.run(&["submit", "plan.json", "--wait", "--yes"]).ended(0);
    let journal = segments(&sandbox.state());
    assert!(journal.len() >= 3, "{journal:?}");
    let (second, whole) = (&journal[1], fs::read_to_string(&journal[1]).unwrap());

    let cut = whole.trim_end().rfind('\n').unwrap() + 1;
    for end in [0, 10, cut, whole.len() - 1] {
        fs::write(second, &whole[..end]).unwrap();
        all_refuse(&sandbox, &["journal segment 2 is damaged", "restore this file"]);
    }
    fs::write(second, whole.replacen("condor", "eagle!", 1)).unwrap();
    all_refuse(&sandbox, &["journal segment 2 is damaged: its content does not match its checksum"]);

    fs::remove_file(second).unwrap();
    all_refuse(&sandbox, &["journal segment 2 is missing, although segment 3 is there"]);

    fs::write(second, whole.replacen("\"schema_version\":2", "\"schema_version\":3", 1)).unwrap();
    all_refuse(&sandbox, &["journal segment 2 has schema version 3", "use the newest dayfill"]);
    fs::write(second, &whole).unwrap();

    let plans = fs::read_dir(sandbox.state().join("plans")).unwrap();
    let adopted = plans.map(|e| e.unwrap().path()).next().unwrap();
    let digest = adopted.file_stem().unwrap().to_str().unwrap()[..12].to_owned();
    let text = fs::read_to_string(&adopted).unwrap();
    fs::remove_file(&adopted).unwrap();
    all_refuse(&sandbox, &["the adopted plan", &digest[..8], "is missing"]);
    fs::write(&adopted, text.replacen("2018-10-01", "2018-10-02", 1)).unwrap();
    all_refuse(&sandbox, &["the adopted plan", &digest[..8], "cannot be used"]);
    fs::write(&adopted, &text).unwrap();

    // Nothing of all this was written down, and with everything back in its place it is done.
    assert_eq!(segments(&sandbox.state()), journal);
    sandbox.backfill(0);
    sandbox.facts().each_succeeded_once(&partitions);
}

#[test]
fn a_yaml_that_became_another_is_refused_with_the_difference() {
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor"], 3);
    plan(&sandbox, "plan.json", &[]);
    sandbox.backfill(0);
    let before = segments(&sandbox.state());
    let good = sandbox.spec.clone();
    fs::create_dir(sandbox.lake().join("other-logs")).unwrap();
    for (path, value, texts) in [
        (
            "/source/layout",
            json!("app/{service}/{date:%Y/%m/%d}/"),
            ["source.layout: ", "{year}/{month}/{day}"],
        ),
        ("/source/uri", json!("s3://other-logs"), ["source.uri: ", "s3://logs"]),
        ("/source/zone", json!("Asia/Tokyo"), ["source.zone: the journal has \"UTC\"", "Asia/Tokyo"]),
    ] {
        sandbox.spec = good.clone();
        let (parent, member) = path.rsplit_once('/').unwrap();
        sandbox.spec.pointer_mut(parent).unwrap()[member] = value;
        sandbox.save();
        for command in [&["plan", "backfill.yaml"][..], &["run", "backfill.yaml", "--yes"]] {
            let ran = sandbox.run(command);
            ran.ended(2).says(&texts).says(&["the journal has", "the YAML says"]).is_one_clear_error();
        }
    }

    // The same YAML and journal beside another engine folder: the jobs that the journal knows are not there.
    sandbox.spec = good.clone();
    sandbox.spec["state"] = json!(sandbox.root().join("state"));
    sandbox.spec["local"]["lake"] = json!(sandbox.lake());
    sandbox.write("elsewhere/backfill.yaml", sandbox.spec.to_string());
    sandbox.write("elsewhere/job.yaml", sandbox.read("job.yaml"));
    let ran = sandbox.run(&["run", "elsewhere/backfill.yaml", "--yes"]).ended(2);
    ran.says(&["cloud: ", "elsewhere/.dayfill/engine"]).is_one_clear_error();
    assert_eq!(segments(&sandbox.state()), before, "a refusal writes nothing");

    // What may change: the window, sizes, the job.
    sandbox.spec = good;
    sandbox.spec["window"] = json!({ "from": "2018-09-30", "to": "2018-10-04" });
    sandbox.spec["job"]["memory"]["start"] = json!("96MiB");
    sandbox.save();
    sandbox.fill(&["condor"], 4);
    sandbox.backfill(0);
    assert_eq!(sandbox.status()["total"]["done"], 4);
}

#[test]
fn a_plan_is_submitted_as_it_was_made_or_not_at_all() {
    let sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    let made = plan(&sandbox, "plan.json", &[]);
    let shown = sandbox.run(&["show", "plan.json", "--format", "json"]).ended(0).json();
    assert_eq!(made, shown);

    // Edited by hand, cut, not a plan, not there.
    let text = sandbox.read("plan.json");
    for edited in
        [text.replace("\"64MiB\"", "\"1MiB\"").replace(": 64", ": 4096"), text.replacen("condor", "eagle", 1)]
    {
        assert_ne!(edited, text);
        sandbox.write("edited.json", edited);
        sandbox.run(&["submit", "edited.json", "--yes"]).ended(2).says(&["edited.json"]).is_one_clear_error();
    }
    for broken in [&text[..text.len() / 2], "", "{}", "[1, 2]"] {
        sandbox.write("edited.json", broken);
        sandbox.run(&["submit", "edited.json", "--yes"]).ended(2).says(&["edited.json"]).is_one_clear_error();
    }
    sandbox.run(&["submit", "none.json", "--yes"]).ended(1).says(&["none.json"]);
    assert!(!sandbox.state().exists(), "nothing was written");

    // One day goes ahead; the plan that had it as well is stale, and says which day.
    plan(&sandbox, "one.json", &["--only", "condor/2018-10-02"]);
    sandbox.run(&["submit", "one.json", "--wait", "--yes"]).ended(0);
    let stale = sandbox.run(&["submit", "plan.json", "--yes"]).ended(4);
    stale
        .says(&["the plan is stale", "condor/2018-10-02: load 1 succeeded", "plan again"])
        .is_one_clear_error();

    plan(&sandbox, "two.json", &["--only", "condor/2018-10-01"]);
    plan(&sandbox, "three.json", &["--only", "condor/2018-10-03"]);
    sandbox.run(&["submit", "two.json", "--wait", "--yes"]).ended(0);
    sandbox.run(&["submit", "three.json", "--wait", "--yes"]).ended(0);
    sandbox.run(&["submit", "one.json", "--yes"]).ended(4).says(&["a newer one since"]);

    // The newest again: done before, so nothing is done now.
    let before = segments(&sandbox.state());
    for wait in [&["submit", "three.json", "--yes"][..], &["submit", "three.json", "--wait", "--yes"]] {
        sandbox.run(wait).ended(0).says(&["was adopted before"]);
    }
    assert_eq!(segments(&sandbox.state()), before);
    sandbox.facts().each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);

    // A plan for a journal that was thrown away.
    plan(&sandbox, "again.json", &["--only", "condor/2018-10-03"]);
    fs::rename(sandbox.state(), sandbox.root().join("kept")).unwrap();
    sandbox.run(&["submit", "three.json", "--yes"]).ended(4).says(&["another backfill of this name"]);
}

#[test]
fn a_stale_plan_is_refused_with_the_difference_by_day() {
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor"], 3);
    sandbox.spec["retry"] = json!({ "app": 0 });
    sandbox.save();
    sandbox.define(&format!("[ \"$DATE\" != 2018-10-02 ] || exit 1; {CHECKSUM}"));
    plan(&sandbox, "plan.json", &[]);
    for (day, code) in [("condor/2018-10-01", 0), ("condor/2018-10-02", 3)] {
        sandbox.run(&["run", "backfill.yaml", "--yes", "--only", day]).ended(code);
    }
    let before = segments(&sandbox.state());
    let ran = sandbox.run(&["submit", "plan.json", "--yes"]).ended(4);
    let days: Vec<_> = ran.err.lines().filter(|l| l.contains("2018-10-")).collect();
    let want = ["  condor/2018-10-01: load 1 succeeded", "  condor/2018-10-02: 1 tries instead of 0"];
    assert_eq!(days, want, "{ran}");
    ran.says(&["the plan is stale: 2 of its days have moved on", "plan again"]).is_one_clear_error();
    assert_eq!(segments(&sandbox.state()), before, "a refusal writes nothing");
}

#[test]
fn a_plan_of_another_backfill_is_refused_with_the_difference() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor"], 3);
    // Made before there was a journal, so no uuid tells it apart.
    plan(&sandbox, "plan.json", &[]);
    sandbox.spec["source"]["layout"] = json!("app/{team}/{year}/{month}/{day}/");
    sandbox.spec["job"]["environment"]["SERVICE"] = json!("{team}");
    sandbox.save();
    sandbox.backfill(0);
    let before = segments(&sandbox.state());
    let texts = ["the journal has", "source.layout: ", "app/{team}/", "app/{service}/"];
    sandbox.run(&["submit", "plan.json", "--yes"]).ended(2).says(&texts).is_one_clear_error();
    assert_eq!(segments(&sandbox.state()), before, "a refusal writes nothing");
    sandbox.facts().each_succeeded_once(&partitions);
}

#[test]
fn the_same_lake_and_time_give_the_same_bytes() {
    let sandbox = sandbox!();
    sandbox.fill(&["condor", "eagle"], 3);
    let now = ["--now", "2018-10-20T00:00:00Z"];
    plan(&sandbox, "a.json", &now);
    plan(&sandbox, "b.json", &now);
    assert_eq!(sandbox.read("a.json"), sandbox.read("b.json"));
    assert!(!sandbox.state().exists(), "plan writes no journal");
}

#[test]
fn two_submits_of_one_plan_at_once_load_every_day_once() {
    let mut sandbox = sandbox!();
    let partitions = sandbox.fill(&["condor", "eagle"], 6);
    sandbox.spec["window"]["to"] = "2018-10-06".into();
    sandbox.save();
    plan(&sandbox, "plan.json", &[]);
    let submit = ["submit", "plan.json", "--wait", "--yes"];
    let started: Vec<_> = (0..3).map(|_| sandbox.spawn(&submit)).collect();
    let mut ended: Vec<_> = started.into_iter().map(|s| Sandbox::wait(&submit, s)).collect();
    // One of them runs the engine; the others may be left without it when it is done first, and are told to go on.
    ended.retain(|ran| ran.code != Some(0));
    assert!(ended.len() < 3, "{}", ended[0]);
    for ran in ended {
        ran.ended(1).is_one_clear_error();
    }
    sandbox.run(&submit).ended(0);
    let facts = sandbox.facts();
    assert_eq!(facts.of("adopted").len(), 1);
    assert_eq!(facts.of("accepted").len(), partitions.len());
    facts.each_succeeded_once(&partitions);
    sandbox.outputs_are_right(&partitions);
    sandbox.no_orphans();
}

#[test]
fn two_processes_write_in_turns_and_at_once_and_a_snapshot_tells_what_the_segments_do() {
    let sandbox = sandbox!();
    sandbox.fill(&["condor"], 2);
    sandbox.backfill(0);
    let before = segments(&sandbox.state()).len();
    let each = 60;
    let says = |n: u32| if n.is_multiple_of(2) { "done" } else { "failed" };
    // Each has a day of its own, which it finds marked as it left it.
    let mark = |day: &str| {
        for n in 1..=each {
            let (only, reason) = (format!("condor/2018-10-{day}"), format!("{day} {n}"));
            let args = ["mark", "backfill.yaml", says(n), "--only", &only, "--reason", &reason, "--yes"];
            sandbox.run(&args).ended(0);
        }
    };
    std::thread::scope(|scope| {
        ["01", "02"].map(|day| scope.spawn(move || mark(day))).map(|t| t.join().unwrap())
    });

    let facts = sandbox.facts();
    assert_eq!(facts.segments, before + 2 * each as usize);
    for day in ["01", "02"] {
        let told =
            facts.of("marked").into_iter().filter(|m| m["partition"] == format!("condor/2018-10-{day}"));
        let told: Vec<(String, String)> =
            told.map(|m| (m["mark"].to_string(), m["reason"].to_string())).collect();
        let all = (1..=each).map(|n| (format!("\"{}\"", says(n)), format!("\"{day} {n}\"")));
        assert_eq!(told, all.collect::<Vec<_>>());
    }

    let snapshot = sandbox.state().join("snapshot.json");
    let explained =
        |day: &str| sandbox.run(&["explain", "backfill.yaml", &format!("condor/2018-10-{day}")]).ended(0).out;
    let all = || (sandbox.status(), explained("01"), explained("02"));
    let kept = fs::read(&snapshot).unwrap();
    let told = all();
    assert_eq!(fs::read(&snapshot).unwrap(), kept, "who only reads keeps none");
    fs::remove_file(&snapshot).unwrap();
    assert_eq!(all(), told);
    assert!(!snapshot.exists(), "who only reads keeps none");
}
