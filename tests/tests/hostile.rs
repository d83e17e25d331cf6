//! Names that other people chose: jobs get them as they are or not at all, no shell reads them, no terminal obeys them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use dayfill_tests::{Ran, Sandbox, sandbox, skip};
use serde_json::{Value, json};

/// Strange, and harmless once nobody interprets them.
const STRANGE: [&str; 26] = [
    "a b",
    " leading and trailing ",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned;",
    "\" ; touch pwned ; \"",
    "' ; touch pwned ; '",
    "| touch pwned",
    "${IFS}",
    "() { :;}; touch pwned",
    "${jndi:ldap:x}",
    "--help",
    "-rf",
    "*",
    "~",
    "..x",
    "a\\nb",
    "%2e%2e%2f",
    "a&b=c?d#e",
    "a+b",
    "{service}",
    "{{date}}",
    "=1+1",
    "<script>alert(1)<",
    "日本 naïve 🙂",
    "e\u{301}",
];

/// What would move a cursor, change colours or reorder a line.
const UNSAFE: [&str; 6] =
    ["\u{1b}[31mred", "two\nlines", "tab\there", "bell\u{7}", "\u{202e}gpj", "c1\u{9b}31m"];

/// Panics if any of what was printed could do something to a terminal.
#[track_caller]
fn harmless(ran: &Ran) {
    for text in [&ran.out, &ran.err] {
        let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.contains(bad), "{ran}");
    }
    assert!(!ran.err.contains("panicked"), "{ran}");
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat()
}

/// One day of a service of this name.
fn service(sandbox: &Sandbox, name: &[u8]) -> bool {
    let folder = sandbox.lake().join("logs/app").join(std::ffi::OsStr::from_bytes(name));
    if fs::create_dir_all(folder.join("2018/10/01")).is_err() {
        return false;
    }
    fs::write(folder.join("2018/10/01/0.log"), "x").is_ok()
}

#[test]
fn dimension_values_reach_the_job_intact_or_are_named_as_passed_over() {
    let mut sandbox = sandbox!();
    for name in STRANGE.iter().chain(&UNSAFE) {
        assert!(service(&sandbox, name.as_bytes()), "{name:?}");
    }
    assert!(service(&sandbox, b"not \xff UTF-8"));
    sandbox.spec["window"]["to"] = json!("2018-10-01");
    sandbox.spec["job"]["command"] = json!([
        "sh",
        "-euc",
        "printf '%s' \"$0\" > \"$OUT/$AWS_BATCH_JOB_ID.argument\"\n\
        printf '%s' \"$SERVICE\" > \"$OUT/$AWS_BATCH_JOB_ID\"\nprintf '%s\\n' \"$SERVICE\" >&2",
        "{service}"
    ]);
    sandbox.save();

    let plan = sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
    harmless(&plan);
    let line =
        plan.out.lines().find(|l| l.contains("whose dimension values cannot be passed")).unwrap_or_default();
    assert!(line.starts_with(&format!("Passed over: {} ", UNSAFE.len())), "{plan}");
    assert!(plan.out.contains(&format!("Plan: {0} jobs for {0} days.", STRANGE.len())), "{plan}");
    for show in
        [&["--jobs"][..], &["--days"], &["--jobs", "--format", "json"], &["--days", "--format", "json"]]
    {
        harmless(&sandbox.run(&[&["show", "plan.json"], show].concat()).ended(0));
    }

    harmless(&sandbox.backfill(0));
    let mut got: BTreeMap<bool, BTreeSet<String>> = BTreeMap::new();
    for entry in fs::read_dir(sandbox.root().join("out")).unwrap() {
        let path = entry.unwrap().path();
        let is_argument = path.extension().is_some();
        got.entry(is_argument).or_default().insert(hex(&fs::read_to_string(path).unwrap()));
    }
    let want: BTreeSet<String> = STRANGE.iter().map(|name| hex(name)).collect();
    assert_eq!(got, BTreeMap::from([(false, want.clone()), (true, want)]), "by environment, and by command");

    for name in STRANGE {
        let partition = format!("{name}/2018-10-01");
        // `--` as with any command line: a name may begin with a dash.
        for command in [&["explain", "backfill.yaml"][..], &["logs", "backfill.yaml"]] {
            let ran = sandbox.run(&[command, &["--", &partition]].concat()).ended(0);
            harmless(&ran);
            // Logs are kept by lines, without the blanks at their ends.
            assert!(ran.out.contains(name.trim_end()), "{ran}");
        }
    }
    for by in ["service", "day"] {
        harmless(&sandbox.run(&["status", "backfill.yaml", "--by", by]).ended(0));
        harmless(&sandbox.run(&["status", "backfill.yaml", "--by", by, "--format", "json"]).ended(0));
    }
    no_file_named_pwned(&sandbox.root());
    sandbox.facts().each_succeeded_once(&STRANGE.map(|name| format!("{name}/2018-10-01")));
}

/// Panics if any name below a folder is what the strings above would make if a shell read them.
fn no_file_named_pwned(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        assert_ne!(entry.file_name(), "pwned", "{}", folder.display());
        if entry.file_type().unwrap().is_dir() {
            no_file_named_pwned(&entry.path());
        }
    }
}

#[test]
fn what_a_job_says_does_nothing_to_the_terminal() {
    let sandbox = sandbox!();
    sandbox.fill(&["condor"], 3);
    sandbox.define(
        r"printf 'a\033[2Jb\r\342\200\256c\007d\n\377\376\n' >&2; printf '=cmd|x\n| a | b |\n' >&2; exit 1",
    );
    harmless(&sandbox.backfill(3));
    for args in [
        &["explain", "backfill.yaml", "condor/2018-10-01"][..],
        &["logs", "backfill.yaml", "condor/2018-10-01"],
    ] {
        let ran = sandbox.run(args).ended(0);
        harmless(&ran);
        assert!(ran.out.contains("a\\u{1b}[2Jb"), "{ran}");
        harmless(&sandbox.run(&[args, &["--format", "json"]].concat()).ended(0));
    }
}

#[test]
fn arguments_and_files_of_any_text_are_refused_in_peace() {
    let sandbox = sandbox!();
    sandbox.fill(&["condor"], 1);
    for name in STRANGE.iter().chain(&UNSAFE) {
        for args in [
            &["explain", "backfill.yaml", "--", &format!("{name}/2018-10-01")][..],
            &["explain", "backfill.yaml", "--", name],
            &["plan", "backfill.yaml", &format!("--only={name}")],
            &[
                "cancel",
                "backfill.yaml",
                "--from",
                "2018-10-01",
                "--to",
                "2018-10-01",
                &format!("--where={name}=x"),
            ],
        ] {
            let ran = sandbox.run(args);
            assert!(ran.code == Some(2), "{ran}");
            assert!(!ran.err.contains("panicked") && !ran.err.contains('\u{1b}'), "{ran}");
        }
        sandbox.write("strange.yaml", format!("name: small\n{name}: 1\nsource: {name}\n"));
        let ran = sandbox.run(&["plan", "strange.yaml"]).ended(2);
        assert!(!ran.err.contains("panicked") && !ran.err.contains('\u{1b}'), "{ran}");
    }
}

/// The big list of naughty strings as a JSON array, where it is there; it is no part of the project.
fn naughty() -> Option<Vec<String>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/blns/blns.json");
    let path = std::env::var("DAYFILL_BLNS").unwrap_or_else(|_| default.to_owned());
    let Ok(text) = fs::read_to_string(&path) else {
        skip(&format!("there is no {path}; DAYFILL_BLNS can name another"));
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn the_big_list_of_naughty_strings_as_services() {
    let Some(naughty) = naughty() else { return };
    let mut sandbox = sandbox!();
    let names: BTreeSet<String> = naughty
        .into_iter()
        .filter(|n| !n.contains(['/', '\0']) && !matches!(n.as_str(), "" | "." | ".."))
        .filter(|n| service(&sandbox, n.as_bytes()))
        .collect();
    assert!(names.len() > 300, "{}", names.len());
    sandbox.spec["window"]["to"] = json!("2018-10-01");
    sandbox.save();
    let plan = sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json", "--format", "json"]).ended(0);
    harmless(&sandbox.run(&["show", "plan.json"]).ended(0));
    let jobs = sandbox.run(&["show", "plan.json", "--jobs", "--format", "json"]).ended(0).json();
    let passed: BTreeSet<String> = jobs["jobs"].as_array().unwrap().iter().map(service_of).collect();
    assert!(passed.is_subset(&names), "{:?}", passed.difference(&names));
    let refused = names.difference(&passed).count();
    assert_eq!(plan.json()["passed_over"]["unusable"]["count"], refused);
    for name in names.difference(&passed) {
        let reason = name.len() > 200 || name.chars().any(|c| c.is_control() || !c.is_ascii());
        assert!(reason, "{name:?} is harmless and was passed over");
    }
}

fn service_of(job: &Value) -> String {
    job["environment"]["SERVICE"].as_str().unwrap().to_owned()
}
