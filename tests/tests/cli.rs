//! What people and programs read: help, tables, JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;

use dayfill_tests::{Sandbox, sandbox, scrub};
use insta::assert_snapshot;
use serde_json::json;

/// The commands that `--help` names.
fn commands(help: &str) -> BTreeSet<String> {
    let listed = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let named = listed.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    named.filter_map(|l| l.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn help_is_what_a_newcomer_can_act_on() {
    let sandbox = sandbox!();
    let help = sandbox.run(&["--help"]).ended(0);
    assert_snapshot!("help", scrub(&sandbox, &help.out));
    assert!(commands(&help.out).len() >= 15, "{help}");
    for command in commands(&help.out).iter().filter(|c| *c != "help") {
        let help = sandbox.run(&[command, "--help"]).ended(0).out;
        assert!(help.contains("Usage: ") && help.lines().next().is_some_and(|l| l.len() > 15), "{help}");
        // Each option and argument says what it is, in its own line or the next.
        let lines: Vec<&str> = help.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let is_option = ["  -", "      --", "  <", "  ["].iter().any(|start| line.starts_with(start));
            let own = line.trim_start().split("  ").nth(1).is_some_and(|text| !text.trim().is_empty());
            let next = lines.get(i + 1).is_some_and(|l| l.starts_with("          "));
            assert!(!is_option || own || next, "{command}: {line:?} says nothing");
        }
    }
    sandbox.run(&[]).ended(2).says(&["Usage: "]);
    sandbox.run(&["plan"]).ended(2).says(&["<FILE>"]);
    sandbox.run(&["plam", "backfill.yaml"]).ended(2).says(&["plan"]);
    sandbox.run(&["--version"]).ended(0).prints(&["dayfill 0."]);
    for shell in ["bash", "zsh", "fish"] {
        sandbox.run(&["completions", shell]).ended(0).prints(&["explain"]);
    }
}

/// Two services, a day without data, an hour of junk beside the layout, a heavy day and a day that fails.
fn prepared() -> Sandbox {
    let mut sandbox = sandbox!();
    sandbox.fill(&["condor", "eagle"], 4);
    fs::remove_dir_all(sandbox.lake().join("logs/app/eagle/2018/10/02")).unwrap();
    sandbox.object("app/condor/2018/10/03/1.log", "x".repeat(4000));
    // The second to be submitted, before anything is learned from measures that differ from run to run.
    sandbox.object("app/eagle/2018/10/03/1.log", "x".repeat(2000));
    sandbox.object("app/condor/2018/10/03/kept.tmp", "x");
    sandbox.spec["window"]["to"] = json!("2018-10-05");
    sandbox.spec["source"]["exclude"] = json!(r"\.tmp$");
    sandbox.spec["retry"] = json!({ "app": 1 });
    sandbox.spec["limits"] = json!({ "in_flight": 1 });
    sandbox.spec["prices"] = json!({ "vcpu_hour": 0.013, "gib_hour": 0.0015 });
    sandbox.save();
    sandbox.define(
        r#"
        if [ "$SERVICE-$DATE" = eagle-2018-10-03 ]; then echo "no table of that name" >&2; exit 4; fi
        if [ "$SERVICE-$DATE-$TRY" = condor-2018-10-03-1 ]; then exec awk 'BEGIN { while (1) held[i++] = i "x" }'; fi
        "#,
    );
    sandbox
}

#[test]
fn tables_and_json() {
    let sandbox = prepared();
    let run = |args: &[&str]| {
        let ran = sandbox.run(args);
        assert!(ran.code == Some(0), "{ran}");
        scrub(&sandbox, &ran.out)
    };
    let now = "2018-10-20T00:00:00Z";
    assert_snapshot!("plan", run(&["plan", "backfill.yaml", "--now", now, "-o", "plan.json"]));
    assert_snapshot!("show-days", run(&["show", "plan.json", "--days"]));
    assert_snapshot!("show-jobs", run(&["show", "plan.json", "--jobs"]));
    assert_snapshot!("status-before", run(&["status", "backfill.yaml"]));
    sandbox.run(&["submit", "plan.json", "--wait", "--yes"]).ended(3);
    for by in ["service", "month", "day", "class"] {
        assert_snapshot!(format!("status-by-{by}"), run(&["status", "backfill.yaml", "--by", by]));
    }
    assert_snapshot!("status-json", run(&["status", "backfill.yaml", "--format", "json"]));
    assert_snapshot!("explain-memory", run(&["explain", "backfill.yaml", "condor/2018-10-03"]));
    assert_snapshot!("explain-given-up", run(&["explain", "backfill.yaml", "eagle/2018-10-03"]));
    assert_snapshot!("explain-no-data", run(&["explain", "backfill.yaml", "eagle/2018-10-02"]));
    assert_snapshot!("logs", run(&["logs", "backfill.yaml", "eagle/2018-10-03"]));
    let after = run(&["plan", "backfill.yaml", "--now", now]);
    assert!(after.contains("Plan: 1 job for 1 day. Not in plan: 6 done, 3 without data."), "{after}");
    assert!(after.contains("Estimate from 6 finished jobs: "), "{after}");

    // Every JSON says which version of it this is.
    for args in [
        &["plan", "backfill.yaml"][..],
        &["show", "plan.json"],
        &["show", "plan.json", "--days"],
        &["show", "plan.json", "--jobs"],
        &["status", "backfill.yaml", "--by", "class"],
        &["explain", "backfill.yaml", "condor/2018-10-03"],
        &["logs", "backfill.yaml", "eagle/2018-10-03"],
    ] {
        let json = sandbox.run(&[args, &["--format", "json"]].concat()).ended(0).json();
        assert_eq!(json["schema_version"], 1, "{args:?}");
    }
}

#[test]
fn what_is_not_known_is_refused_with_how_to_write_it() {
    let sandbox = sandbox!();
    sandbox.fill(&["condor"], 3);
    for (args, texts) in [
        (
            &["explain", "backfill.yaml", "condor"][..],
            &["is neither a partition nor a part of one", "condor/2018-10-04"][..],
        ),
        (&["explain", "backfill.yaml", "eagle/2018-10-01"], &["nothing is known", "{service}/YYYY-MM-DD"]),
        (&["logs", "backfill.yaml", "condor/2018-10-01"], &["there is no job of condor/2018-10-01"]),
        (&["plan", "backfill.yaml", "--only", "new"], &["neither a reason", "condor/2018-10-04"]),
        (&["plan", "backfill.yaml", "--only", "missing,condor/2018-10-01"], &["neither a reason"]),
        (&["run", "backfill.yaml", "--timeout", "90"], &["90", "unit"]),
        (&["cancel", "backfill.yaml", "--yes"], &["--from"]),
        (&["mark", "backfill.yaml", "done", "--only", "condor/2018-10-01", "--yes"], &["--reason"]),
        (&["plan", "backfill.yaml", "--format", "markdown"], &["markdown", "table"]),
        (&["register", "none.yaml"], &["none.yaml"]),
    ] {
        sandbox.run(args).ended(2).says(texts);
    }
    assert!(!sandbox.state().exists());
}

#[test]
fn a_definition_is_registered_when_it_differs() {
    let sandbox = sandbox!();
    let register = ["register", "job.yaml", "--engine", "local"];
    let diff = [&register[..], &["--diff"]].concat();
    sandbox.run(&diff).ended(0).prints(&["checksum  not registered"]);
    sandbox.run(&register).ended(0).prints(&["checksum:1  registered"]);
    sandbox.run(&register).ended(0).prints(&["checksum:1  unchanged"]);
    sandbox.define("exit 0");
    sandbox.run(&diff).ended(0).prints(&["checksum:1  differs", "containerProperties.command", "exit 0"]);
    sandbox.run(&register).ended(0).prints(&["checksum:2  registered"]);
}

#[test]
fn a_yaml_that_is_none_is_refused_by_line_or_by_name() {
    let sandbox = sandbox!();
    sandbox.fill(&["condor"], 1);
    let typo = "name: small\nsource: { uri: s3://logs, layout: 'app/{service}/{year}/{month}/{day}/' }\nwindo: { from: 2018-10-01 }\n";
    sandbox.write("typo.yaml", typo);
    let ran = sandbox.run(&["plan", "typo.yaml"]).ended(2);
    ran.says(&["--> typo.yaml:3:1", "windo: { from", "^^^^^", "window"]);
    sandbox.write("empty.yaml", "");
    sandbox.write("binary.yaml", [0xff, 0xfe, 0x00, 0x01]);
    sandbox.write("large.yaml", format!("name: small\n#{}", "x".repeat(2 << 20)));
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b]\n";
    sandbox.write("bomb.yaml", bomb);
    fs::create_dir(sandbox.root().join("folder.yaml")).unwrap();
    for file in ["empty.yaml", "binary.yaml", "large.yaml", "bomb.yaml", "folder.yaml", "none.yaml"] {
        for command in [&["plan", file][..], &["run", file, "--yes"], &["status", file]] {
            let ran = sandbox.run(command).ended(2).says(&[file]);
            assert!(!ran.err.contains("panicked") && ran.out.is_empty(), "{ran}");
        }
    }
}

#[test]
fn output_that_cannot_be_written_is_no_crash() {
    let sandbox = sandbox!();
    sandbox.fill(&["condor"], 3);
    // Whoever read the output has gone: no error. No room for it: one.
    sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    for _ in 0..5 {
        let ran = sandbox.shell("\"$DAYFILL\" show --jobs plan.json | true").ended(0);
        assert!(ran.err.is_empty(), "{ran}");
    }
    for command in
        ["plan backfill.yaml", "show plan.json", "status backfill.yaml --format json", "completions bash"]
    {
        let ran = sandbox.shell(&format!("\"$DAYFILL\" {command} > /dev/full")).ended(1);
        ran.says(&["cannot write to standard output", "No space left"]);
    }
    sandbox.run(&["plan", "backfill.yaml", "-o", "no/such/plan.json"]).ended(1).says(&["no/such/plan.json"]);
}
