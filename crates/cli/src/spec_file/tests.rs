use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

/// What is complete; the other files differ from it in one thing each.
const GOOD: &str = "name: td-audit
source:
  uri: s3://example-infra-logs
  layout: applications/{service}/audit/{year}/{month}/{day}/{hour}/ # hourly
  zone: Asia/Tokyo
  include: '\\.gz$'
  exclude: _tmp
  dimensions: { service: [condor, eagle] }
  settle: 6h
window: { from: 2016-04-01, to: 2018-10-04, zone: Asia/Tokyo }
job:
  definition: job-definitions/embulk-td.yaml
  queue: dayfill-spot
  share_identifier: backfill
  vcpus: 2
  memory: { start: 2GiB, max: 30GiB }
  timeout: 2h
  idempotent: no
  command: [run, config.yml.liquid, -v, 1.50]
  environment:
    S3BUCKET: '{bucket}'
    VERSION: 0010
    FLAG: off
    DOTTED: a.b
    TEXT: |
      two
      lines
retry: { app: 0, spot: 8, start: 3 }
limits: { in_flight: 50, stop_after: 5%, max_jobs: 5000 }
prices: { vcpu_hour: 0.013, gib_hour: 0.0015 }
aws: { region: ap-northeast-1, profile: data }
local:
engine: aws
state: s3://example-state/dayfill
";

const DEFINITION: &str = "jobDefinitionName: embulk-td
type: container
containerProperties:
  image: example/embulk:1
  command: [run, Ref::config]
  environment: [{ name: YEAR, value: 2018 }]
  resourceRequirements:
    - { type: VCPU, value: 2 }
  secrets: [{ name: TD_API_KEY, valueFrom: 'arn:aws:ssm:eu-west-1:123456789012:parameter/td' }]
  readonlyRootFilesystem: true
  ulimits: [{ name: nofile, softLimit: 1024, hardLimit: 2048 }]
parameters: { config: config.yml }
retryStrategy: { attempts: 3, evaluateOnExit: [{ onStatusReason: Host EC2*, action: RETRY }] }
timeout: { attemptDurationSeconds: 3600 }
tags: { team: data }
propagateTags: true
platformCapabilities: [EC2]
";

fn bad_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/spec_file/bad");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The report of a bad file under its bare name.
fn report(path: &Path) -> SpecFileError {
    let name = path.file_name().unwrap().to_str().unwrap();
    let source = match Source::decode(name, &fs::read(path).unwrap()) {
        Ok(source) => source,
        Err(error) => return error,
    };
    let text = source.text().to_owned();
    if name.ends_with(".definition.yaml") {
        parse_definition(&text, name).expect_err(name)
    } else {
        parse(&text, name).expect_err(name)
    }
}

#[test]
fn every_bad_file_says_where_what_and_what_instead() {
    let files = bad_files();
    assert!(files.len() > 60, "{}", files.len());
    for path in files {
        let error = report(&path);
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = error.to_string();
        let places = text.lines().filter(|line| line.contains(&format!("--> {name}:"))).count();
        assert_eq!(places, error.count(), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("= help: ")).count(), error.count(), "{text}");
        // In one line it is the same line that is named.
        let (what, help) = error.brief();
        let line = what.strip_prefix(&format!("{name}:")).and_then(|rest| rest.split_once(':')).unwrap().0;
        assert!(text.contains(&format!("--> {name}:{line}:")), "{what}\n{text}");
        assert!(!help.is_empty() && !what.contains('\n') && !help.contains('\n'), "{what}\n{help}");
        insta::assert_snapshot!(name.trim_end_matches(".yaml"), text);
    }
}

#[test]
fn a_good_file_is_taken_as_it_was_written() {
    for text in
        [GOOD.to_owned(), format!("\u{feff}{GOOD}"), GOOD.replace('\n', "\r\n"), GOOD.replace('\n', "\r")]
    {
        let spec = parse(&text, "good.yaml").unwrap_or_else(|error| panic!("{error}"));
        let environment = spec.job().environment();
        // YAML would read these as eight, as false and as one and a half.
        assert_eq!(environment["VERSION"].source(), "0010");
        assert_eq!(environment["FLAG"].source(), "off");
        assert_eq!(environment["TEXT"].source(), "two\nlines\n");
        assert_eq!(spec.job().command().unwrap()[3].source(), "1.50");
        assert_eq!(spec.job().idempotent().name(), "no");
        assert_eq!(spec.retry().app, 0);
        assert_eq!(spec.window().to().unwrap().to_string(), "2018-10-04");
        assert_eq!(spec.source().dimensions()["service"], ["condor", "eagle"]);
    }
}

#[test]
fn anchors_may_spare_a_repetition() {
    let text = GOOD
        .replace("zone: Asia/Tokyo\n", "zone: &zone Asia/Tokyo\n")
        .replace("2018-10-04, zone: Asia/Tokyo", "2018-10-04, zone: *zone");
    assert_eq!(parse(&text, "good.yaml").unwrap().window().zone().name(), "Asia/Tokyo");
    let wrong = text.replace("&zone Asia/Tokyo", "&zone Asia/Tokio");
    let error = parse(&wrong, "bad.yaml").unwrap_err();
    assert_eq!(error.count(), 2);
    assert!(error.to_string().contains("--> bad.yaml:10:51"), "{error}");
}

#[test]
fn a_definition_is_the_json_that_the_service_takes() {
    let json = parse_definition(DEFINITION, "good.definition.yaml").unwrap_or_else(|error| panic!("{error}"));
    let expected = serde_json::json!({
        "jobDefinitionName": "embulk-td",
        "type": "container",
        "containerProperties": {
            "image": "example/embulk:1",
            "command": ["run", "Ref::config"],
            "environment": [{ "name": "YEAR", "value": "2018" }],
            "resourceRequirements": [{ "type": "VCPU", "value": "2" }],
            "secrets": [{ "name": "TD_API_KEY", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/td" }],
            "readonlyRootFilesystem": true,
            "ulimits": [{ "name": "nofile", "softLimit": 1024, "hardLimit": 2048 }],
        },
        "parameters": { "config": "config.yml" },
        "retryStrategy": {
            "attempts": 3,
            "evaluateOnExit": [{ "onStatusReason": "Host EC2*", "action": "RETRY" }],
        },
        "timeout": { "attemptDurationSeconds": 3600 },
        "tags": { "team": "data" },
        "propagateTags": true,
        "platformCapabilities": ["EC2"],
    });
    assert_eq!(json, expected);
}

#[test]
fn a_file_is_read_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backfill.yaml");
    fs::write(&path, GOOD).unwrap();
    let loaded = load(&path, None).unwrap();
    assert_eq!(loaded.folder, folder.path());
    assert_eq!(loaded.spec.name(), "td-audit");
    // Another engine asks for other things: a folder that stands in for S3.
    let error = load(&path, Some(EngineKind::Local)).unwrap_err();
    assert!(error.to_string().contains("`local.lake` is missing"), "{error}");
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load(&folder.path().join("backfill.yml"), None).unwrap_err().to_string();
    assert!(missing.starts_with("error: cannot read ") && missing.contains("check the name"), "{missing}");
    let of_a_folder = load(folder.path(), None).unwrap_err().to_string();
    assert!(of_a_folder.contains("name a file, not a folder"), "{of_a_folder}");
    let huge = folder.path().join("huge.yaml");
    fs::write(&huge, "# x\n".repeat(1 << 18)).unwrap();
    assert!(load(&huge, None).unwrap_err().to_string().contains("the file is empty"));
    fs::write(&huge, "# x\n".repeat((1 << 18) + 1)).unwrap();
    assert!(load(&huge, None).unwrap_err().to_string().contains("larger than 1 MiB"));
}

#[test]
fn colours_are_there_only_when_asked_for() {
    let error = parse("name: x", "x.yaml").unwrap_err();
    assert!(!error.render(false).contains('\u{1b}'));
    assert!(error.render(true).contains('\u{1b}'));
}

#[test]
fn bombs_are_refused_quickly() {
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(aliases, "a{level}: &a{level} [{items}]").unwrap();
    }
    let many_aliases = format!("a: &a x\nb: [{}]\n", vec!["*a"; 10_000].join(", "));
    let deep = format!("a: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let deep_block = (0..500).map(|level| " ".repeat(level) + "a:\n").collect::<String>();
    let wide = format!("a: [{}]\n", vec!["x"; 300_000].join(","));
    let recursive = "a: &a [*a]\n".to_owned();
    for text in [aliases, many_aliases, deep, deep_block, wide, recursive] {
        let began = std::time::Instant::now();
        let error = parse(&text, "bomb.yaml").unwrap_err();
        assert_eq!(error.count(), 1, "{}", &text[..40]);
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{}", &text[..40]);
    }
}

#[test]
fn hostile_texts_are_refused_or_kept_but_never_shown_raw() {
    let hostile = [
        "\u{1b}[2J\u{1b}[31mred",
        "\u{202e}txt.exe",
        "\u{2066}\u{2069}",
        "\u{7f}\u{80}\u{9b}31m",
        "<script>alert(1)</script>",
        "'; DROP TABLE jobs; --",
        "$(touch /tmp/x)",
        "`id`",
        "() { :; }; echo vulnerable",
        "${jndi:ldap://x/a}",
        "../../../../etc/passwd",
        "%s%s%n%x",
        "=cmd|' /C calc'!A0",
        "Ω≈ç√∫˜µ≤≥÷",
        "田中さんにあげて下さい",
        "🏳0🌈\u{fe0f}",
        "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮",
        "\u{feff}\u{200b}x",
        "NaN",
        "-0x7fffffffffffffffffffffff",
        "1e999",
        "!!python/object/apply:os.system [id]",
        "a\tb\u{b}c\u{c}d",
        "\u{2028}\u{2029}\u{85}",
        "NULL",
        "~",
        "{{{{{{{{",
        "}",
        "[\"",
        "&anchor *alias",
    ];
    for text in hostile {
        let quoted = serde_json::to_string(text).unwrap();
        for place in [
            "name: td-audit",
            "s3://example-infra-logs",
            "applications/{service}/audit/{year}/{month}/{day}/{hour}/",
            "Asia/Tokyo",
            "'\\.gz$'",
            "condor",
            "6h",
            "2016-04-01",
            "dayfill-spot",
            "backfill",
            "2GiB",
            "'{bucket}'",
            "S3BUCKET",
            "5%",
            "0.013",
            "ap-northeast-1",
            "engine",
        ] {
            for written in [quoted.as_str(), text] {
                if let Err(error) = parse(&GOOD.replacen(place, written, 1), text) {
                    shown_safely(&error.to_string());
                }
                if let Err(error) = parse_definition(&DEFINITION.replacen("embulk", written, 2), text) {
                    shown_safely(&error.to_string());
                }
            }
        }
    }
}

fn shown_safely(report: &str) {
    let unsafe_character = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
    };
    assert!(!report.contains(unsafe_character), "{report:?}");
}

#[test]
fn a_secret_is_never_in_the_report() {
    for path in bad_files() {
        let report = format!("{0} {0:?}", report(&path));
        for secret in ["1/0123456789abcdef", "hunter2", "1/abcdef", "IOSFODNN7EXAMPLE"] {
            assert!(!report.contains(secret), "{} shows {secret}", path.display());
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "([a-z]{1,6}|[:{}\\[\\]&*!|>'\"%@`#,?\\- \n\t]|\\PC){0,60}") {
        for error in [parse(&text, "x.yaml").err(), parse_definition(&text, "x.yaml").err()].into_iter().flatten() {
            prop_assert!(error.count() > 0);
            shown_safely(&error.to_string());
        }
    }

    #[test]
    fn no_damage_panics(at in 0..GOOD.len(), length in 0usize..20, put in "[a-z:{}\\[\\]&*'\"\n é]{0,4}") {
        let mut text = GOOD.to_owned();
        let end = (at + length).min(text.len());
        text.replace_range(at..end, &put);
        if let Err(error) = parse(&text, "x.yaml") {
            prop_assert!(error.count() > 0);
            shown_safely(&error.to_string());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Err(error) = Source::decode("x.yaml", &bytes).and_then(|source| parse_source(&source, None)) {
            shown_safely(&error.to_string());
        }
    }
}
