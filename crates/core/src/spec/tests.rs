use super::*;

#[expect(clippy::unnecessary_wraps, reason = "every field of the parts may be left out")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The smallest backfill that is complete.
fn parts() -> SpecParts {
    SpecParts {
        name: text("td-audit"),
        source: Some(SourceParts {
            uri: text("s3://example-infra-logs/raw"),
            layout: text("applications/{service}/audit/{year}/{month}/{day}/{hour}/"),
            ..SourceParts::default()
        }),
        window: Some(WindowParts { from: text("2018-10-01"), ..WindowParts::default() }),
        job: Some(JobParts {
            definition: text("job-definitions/load.yaml"),
            queue: text("dayfill-spot"),
            memory: Some(MemoryParts { start: text("2GiB"), max: None }),
            idempotent: text("partition"),
            ..JobParts::default()
        }),
        state: text("s3://example-state/dayfill"),
        ..SpecParts::default()
    }
}

fn with(change: impl FnOnce(&mut SpecParts, &mut SourceParts, &mut WindowParts, &mut JobParts)) -> SpecParts {
    let mut parts = parts();
    let (mut source, mut window, mut job) =
        (parts.source.take().unwrap(), parts.window.take().unwrap(), parts.job.take().unwrap());
    change(&mut parts, &mut source, &mut window, &mut job);
    SpecParts { source: Some(source), window: Some(window), job: Some(job), ..parts }
}

fn problems(parts: SpecParts) -> Vec<SpecProblem> {
    let problems = Spec::new(parts).unwrap_err();
    for problem in &problems {
        assert!(!problem.message.is_empty() && !problem.help.is_empty(), "{problem:?}");
    }
    problems
}

/// The one problem there is.
fn problem(parts: SpecParts) -> SpecProblem {
    let mut problems = problems(parts);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[test]
fn what_is_left_out_has_a_default() {
    let spec = Spec::new(parts()).unwrap();
    assert_eq!(spec.name(), "td-audit");
    assert_eq!(spec.source().uri().to_string(), "s3://example-infra-logs/raw/");
    assert_eq!(spec.source().zone(), chrono_tz::Tz::UTC);
    assert_eq!(spec.source().settle(), std::time::Duration::ZERO);
    assert_eq!(spec.window().zone(), chrono_tz::Tz::UTC);
    assert_eq!(spec.window().to(), None);
    assert_eq!(spec.job().vcpus(), 1);
    assert_eq!(spec.job().memory(), MemoryBounds { start_mib: 2048, max_mib: 8192 });
    assert_eq!(spec.job().timeout(), None);
    assert_eq!(spec.job().command(), None);
    assert_eq!(spec.job().definition(), &Definition::File("job-definitions/load.yaml".to_owned()));
    assert_eq!(spec.retry(), RetryPolicy::default());
    assert_eq!(spec.limits(), Limits { in_flight: 50, stop_after: None, max_jobs: 5000, pilots: 3 });
    assert_eq!(spec.prices(), None);
    assert_eq!(spec.engine(), EngineKind::Aws);
    assert_eq!(spec.state().to_string(), "s3://example-state/dayfill/");
}

#[test]
fn what_is_written_is_kept() {
    let spec = Spec::new(with(|parts, source, window, job| {
        source.zone = text("Asia/Tokyo");
        source.include = text(r"\.gz$");
        source.exclude = text("_tmp");
        source.settle = text("0h");
        source.dimensions = vec![("service".to_owned(), vec!["eagle".to_owned(), "condor".to_owned()])];
        window.to = text("2018-10-04");
        window.zone = text("Asia/Tokyo");
        job.definition = text("embulk-td:3");
        job.vcpus = Some(2);
        job.memory = Some(MemoryParts { start: text("1.5 GiB"), max: text("500 GB") });
        job.timeout = text("2h");
        job.share_identifier = text("backfill");
        job.command = Some(vec!["run".to_owned(), "{date}".to_owned()]);
        job.environment = vec![("YEAR".to_owned(), "{year}".to_owned())];
        parts.prices = Some(PricesParts { vcpu_hour: Some(0.013), gib_hour: Some(0.0015) });
        parts.limits.stop_after = text("5%");
        parts.retry.spot = Some(9);
    }))
    .unwrap();
    assert!(spec.source().wants("raw/x.gz"));
    assert!(!spec.source().wants("raw/x") && !spec.source().wants("raw/_tmp/x.gz"));
    assert_eq!(spec.source().dimensions()["service"], ["eagle", "condor"]);
    assert_eq!(spec.window().days(DateTime::UNIX_EPOCH, spec.source().settle()).count(), 4);
    assert_eq!(spec.job().memory(), MemoryBounds { start_mib: 1536, max_mib: 476_838 });
    assert_eq!(spec.job().definition(), &Definition::Named("embulk-td:3".to_owned()));
    assert_eq!(spec.job().command().unwrap()[1].source(), "{date}");
    assert_eq!(spec.job().environment()["YEAR"].source(), "{year}");
    assert_eq!(spec.job().share_identifier(), Some("backfill"));
    assert_eq!(spec.limits().stop_after, Some(StopAfter::Percent(5.0)));
    assert_eq!(spec.prices(), Some(Prices { vcpu_hour: 0.013, gib_hour: 0.0015 }));
    assert_eq!(spec.retry().spot, 9);
}

#[test]
fn the_local_engine_needs_less() {
    let local = |change: fn(&mut SpecParts)| {
        let mut parts = with(|parts, source, _, job| {
            parts.engine = text("local");
            parts.state = None;
            source.uri = text("lake/logs");
            job.queue = None;
        });
        change(&mut parts);
        parts
    };
    let spec = Spec::new(local(|_| {})).unwrap();
    assert_eq!(spec.source().uri(), &SourceUri::Folder("lake/logs".to_owned()));
    assert_eq!(spec.state(), &State::Folder(".dayfill".to_owned()));
    assert_eq!(spec.job().queue(), "local");
    assert_eq!(spec.local().reclaims, None);
    let reclaims = |seed| Some(Reclaims { percent: 2.5, seed, queue: "local".to_owned() });
    let spec = Spec::new(local(|parts| parts.local.reclaims = text("2.5%"))).unwrap();
    assert_eq!(spec.local().reclaims, reclaims(0));
    let seeded = local(|parts| {
        parts.local = LocalParts { reclaims: text("2.5%"), seed: Some(7), ..LocalParts::default() };
    });
    assert_eq!(Spec::new(seeded).unwrap().local().reclaims, reclaims(7));
    let bucket = |parts: &mut SpecParts| {
        parts.source.as_mut().unwrap().uri = text("s3://bucket");
        parts.local.memory = text("8GiB");
    };
    assert_eq!(problem(local(bucket)).field, "local.lake");
    let aws = problems(local(|parts| parts.engine = text("aws")));
    let fields: Vec<_> = aws.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["source.uri", "job.queue", "state"]);
}

#[test]
fn every_missing_field_is_reported_at_once() {
    let fields = |parts| problems(parts).into_iter().map(|problem| problem.field).collect::<Vec<_>>();
    assert_eq!(fields(SpecParts::default()), ["name", "source", "window", "job", "state"]);
    let empty = with(|_, source, window, job| {
        *source = SourceParts::default();
        *window = WindowParts::default();
        *job = JobParts { memory: Some(MemoryParts::default()), ..JobParts::default() };
    });
    assert_eq!(
        fields(empty),
        [
            "source.uri",
            "source.layout",
            "window.from",
            "job.definition",
            "job.queue",
            "job.memory.start",
            "job.idempotent"
        ]
    );
}

#[test]
fn one_thing_wrong_is_one_problem_with_a_remedy() {
    type Change = fn(&mut SpecParts, &mut SourceParts, &mut WindowParts, &mut JobParts);
    let cases: &[(&str, &str, &str, Change)] = &[
        ("name", "cannot name a backfill", "begin with a letter", |p, _, _, _| p.name = text("TD audit")),
        ("name", "cannot name a backfill", "1 to 64", |p, _, _, _| p.name = Some("x".repeat(65))),
        ("source.uri", "not the name of a bucket", "lower-case", |_, s, _, _| {
            s.uri = text("s3://My_Bucket/x");
        }),
        ("source.uri", "`gs://` is not a place", "s3://", |_, s, _, _| s.uri = text("gs://bucket/x")),
        ("source.uri", "which AWS cannot read", "engine: local", |_, s, _, _| s.uri = text("./lake")),
        ("source.uri", "is empty", "s3://", |_, s, _, _| s.uri = text(" ")),
        ("source.uri", "control", "s3://", |_, s, _, _| s.uri = text("s3://bucket/\u{202e}x")),
        ("source.layout", "does not say the day", "{year}/{month}/{day}", |_, s, _, _| {
            s.layout = text("{service}/{year}/{month}/");
        }),
        ("source.zone", "`JST-9` is not a time zone", "Asia/Tokyo", |_, s, _, _| s.zone = text("JST-9")),
        ("source.zone", "`Tokyo` is not a time zone", "did you mean Asia/Tokyo?", |_, s, _, _| {
            s.zone = text("Tokyo");
        }),
        ("source.zone", "not a time zone", "did you mean Europe/Berlin?", |_, s, _, _| {
            s.zone = text("Europe/Berlim");
        }),
        ("source.zone", "`+09:00` is not a time zone", "Etc/GMT-9", |_, s, _, _| s.zone = text("+09:00")),
        ("source.include", "cannot be read: unclosed group", "regular expression", |_, s, _, _| {
            s.include = text(r"(\.gz$");
        }),
        ("source.exclude", "cannot be read: repetition operator", r"\.gz$", |_, s, _, _| {
            s.exclude = text("*.tmp");
        }),
        ("source.exclude", "too large", "shorter", |_, s, _, _| s.exclude = text(r"(\w{1000}){1000}")),
        ("source.settle", "has no unit", "6h", |_, s, _, _| s.settle = text("6")),
        ("source.settle", "more than a year", "6h", |_, s, _, _| s.settle = text("9000h")),
        (
            "source.dimensions.servce",
            "the layout has no dimension {servce}",
            "the layout has {service}",
            |_, s, _, _| {
                s.dimensions = vec![("servce".to_owned(), vec!["condor".to_owned()])];
            },
        ),
        ("source.dimensions.service", "no value", "discovered", |_, s, _, _| {
            s.dimensions = vec![("service".to_owned(), vec![])];
        }),
        ("source.dimensions.service[1]", "holds a `/`", "in the keys", |_, s, _, _| {
            s.dimensions = vec![("service".to_owned(), vec!["a".to_owned(), "b/c".to_owned()])];
        }),
        ("source.dimensions.service[1]", "named twice", "leave one", |_, s, _, _| {
            s.dimensions = vec![("service".to_owned(), vec!["a".to_owned(), "a".to_owned()])];
        }),
        ("window.to", "ends on 2018-09-30, before it begins on 2018-10-01", "swap", |_, _, w, _| {
            w.to = text("2018-09-30");
        }),
        ("window.from", "there is no day 2018-02-30", "2018-10-04", |_, _, w, _| w.from = text("2018-02-30")),
        ("window.from", "`2018-1-2` is not a day", "2018-10-04", |_, _, w, _| w.from = text("2018-1-2")),
        ("window.from", "not between 0001 and 9999", "2018-10-04", |_, _, w, _| w.from = text("0000-01-01")),
        (
            "window.zone",
            "days are counted in Asia/Tokyo, but the keys are dated in UTC",
            "write UTC",
            |_, _, w, _| {
                w.zone = text("Asia/Tokyo");
            },
        ),
        ("job.definition", "not a job definition", ".yaml", |_, _, _, j| j.definition = text("a b")),
        ("job.definition", "not a job definition", ".yaml", |_, _, _, j| j.definition = text("embulk:0")),
        ("job.queue", "not the name of a job queue", "ARN", |_, _, _, j| j.queue = text("spot queue")),
        ("job.share_identifier", "not a share identifier", "letters", |_, _, _, j| {
            j.share_identifier = text("back-fill");
        }),
        ("job.vcpus", "0 is too small", "from 1", |_, _, _, j| j.vcpus = Some(0)),
        ("job.vcpus", "too large", "1 to 1024", |_, _, _, j| j.vcpus = Some(u64::MAX)),
        ("job.memory", "`job.memory` is missing", "start: 2GiB", |_, _, _, j| j.memory = None),
        ("job.memory.start", "the size 2048 has no unit", "2048MiB", |_, _, _, j| {
            j.memory = Some(MemoryParts { start: text("2048"), max: None });
        }),
        ("job.memory.start", "starts at 4 GiB, above its most of 2 GiB", "lower `start`", |_, _, _, j| {
            j.memory = Some(MemoryParts { start: text("4GiB"), max: text("2GiB") });
        }),
        ("job.memory.max", "less than a job can have", "4MiB", |_, _, _, j| {
            j.memory = Some(MemoryParts { start: text("4MiB"), max: text("1KiB") });
        }),
        ("job.memory.start", "more than any host has", "4GiB", |_, _, _, j| {
            j.memory = Some(MemoryParts { start: text("9999999TiB"), max: None });
        }),
        ("job.timeout", "a timeout of 30s is too short", "60s", |_, _, _, j| j.timeout = text("30s")),
        ("job.timeout", "a timeout of 99999w is too long", "2h", |_, _, _, j| j.timeout = text("99999w")),
        ("job.timeout", "the duration 90 has no unit", "90m", |_, _, _, j| j.timeout = text("90")),
        ("job.idempotent", "`job.idempotent` is missing", "partition: only a whole day", |_, _, _, j| {
            j.idempotent = None;
        }),
        ("job.idempotent", "`yes` is not a kind", "slice: rerunning", |_, _, _, j| {
            j.idempotent = text("yes");
        }),
        ("job.command", "the command is empty", "leave `command` out", |_, _, _, j| j.command = Some(vec![])),
        ("job.reads", "nothing tells it which", "MANIFEST: '{manifest}'", |_, _, _, j| {
            j.reads = Some("manifest".to_owned());
        }),
        ("job.reads", "none is written", "reads: manifest", |_, _, _, j| {
            j.command = Some(vec!["run".to_owned(), "{manifest}".to_owned()]);
        }),
        ("job.success", "`marker` is not what makes a success", "`result`", |_, _, _, j| {
            j.success = Some("marker".to_owned());
        }),
        ("job.environment.DAYFILL_RESULT", "set by dayfill itself", "another name", |_, _, _, j| {
            j.environment = vec![("DAYFILL_RESULT".to_owned(), String::new())];
        }),
        ("job.reads", "`keys` is not a way to read", "`prefix`", |_, _, _, j| {
            j.reads = Some("keys".to_owned());
        }),
        ("split", "nothing of how large", "max_bytes: 4GiB", |p, _, _, _| {
            p.split = Some(SplitParts { is_empty: true, ..SplitParts::default() });
        }),
        ("split.max_objects", "no slice is that small", "from 1", |p, _, _, _| {
            p.split = Some(SplitParts { max_objects: Some(0), ..SplitParts::default() });
        }),
        ("split.max_bytes", "no slice is that small", "4GiB", |p, _, _, _| {
            p.split = Some(SplitParts { max_bytes: Some("0GiB".to_owned()), ..SplitParts::default() });
        }),
        ("job.command[1]", "{hours}", "{hour}", |_, _, _, j| {
            j.command = Some(vec!["run".to_owned(), "{hours}".to_owned()]);
        }),
        ("job.environment.X", "{servce} is not a field", "did you mean {service}?", |_, _, _, j| {
            j.environment = vec![("X".to_owned(), "{servce}".to_owned())];
        }),
        ("job.environment.A-B", "cannot name an environment variable", "letters", |_, _, _, j| {
            j.environment = vec![("A-B".to_owned(), String::new())];
        }),
        ("job.environment.AWS_BATCH_X", "set by Batch itself", "choose another", |_, _, _, j| {
            j.environment = vec![("AWS_BATCH_X".to_owned(), String::new())];
        }),
        ("job.environment.X", "NUL", "remove it", |_, _, _, j| {
            j.environment = vec![("X".to_owned(), "a\0".to_owned())];
        }),
        ("retry.app", "101 is too large", "0 to 100", |p, _, _, _| p.retry.app = Some(101)),
        ("retry.spot", "10 is too large", "0 to 9", |p, _, _, _| p.retry.spot = Some(10)),
        ("limits.in_flight", "0 is too small", "from 1", |p, _, _, _| p.limits.in_flight = Some(0)),
        ("limits.max_jobs", "0 is too small", "from 1", |p, _, _, _| p.limits.max_jobs = Some(0)),
        ("limits.stop_after", "`lots` is not a share", "5%", |p, _, _, _| p.limits.stop_after = text("lots")),
        ("prices.gib_hour", "`prices.gib_hour` is missing", "dollars", |p, _, _, _| {
            p.prices = Some(PricesParts { vcpu_hour: Some(0.1), gib_hour: None });
        }),
        ("prices.gib_hour", "-1 is not a price", "dollars", |p, _, _, _| {
            p.prices = Some(PricesParts { vcpu_hour: Some(0.1), gib_hour: Some(-1.0) });
        }),
        ("deadline", "`2018-10-08T06:00` has no offset from UTC", "+09:00", |p, _, _, j| {
            j.fallback_queue = text("on-demand");
            p.deadline = text("2018-10-08T06:00");
        }),
        ("deadline", "`tomorrow` is not a time", "or Z for UTC", |p, _, _, j| {
            j.fallback_queue = text("on-demand");
            p.deadline = text("tomorrow");
        }),
        ("deadline", "`2018-02-30T06:00Z` is not a time", "2018-10-08", |p, _, _, j| {
            j.fallback_queue = text("on-demand");
            p.deadline = text("2018-02-30T06:00Z");
        }),
        ("deadline", "without a fallback queue", "write job.fallback_queue", |p, _, _, _| {
            p.deadline = text("2018-10-08T06:00Z");
        }),
        ("aws.region", "`Tokyo` is not a Region", "eu-west-1", |p, _, _, _| p.aws.region = text("Tokyo")),
        ("aws.profile", "is not a profile", "leave it out", |p, _, _, _| p.aws.profile = text("")),
        ("aws.endpoint_url", "is not an endpoint", "http://", |p, _, _, _| {
            p.aws.endpoint_url = text("localhost:80");
        }),
        ("engine", "`docker` is not an engine", "local (this machine)", |p, _, _, _| {
            p.engine = text("docker");
        }),
        ("local.memory", "the size 8 has no unit", "8MiB", |p, _, _, _| p.local.memory = text("8")),
        ("local.vcpus", "0 is too small", "from 1", |p, _, _, _| p.local.vcpus = Some(0)),
        ("local.reclaims", "`10` is not a percentage", "0% to 100%, such as 10%", |p, _, _, _| {
            p.local.reclaims = text("10");
        }),
        ("local.seed", "which hosts are taken, and none is", "`reclaims: 10%`", |p, _, _, _| {
            p.local.seed = Some(7);
        }),
        ("state", "`state` is missing", "s3://bucket/prefix", |p, _, _, _| p.state = None),
        ("state", "not the name of a bucket", "3 to 63", |p, _, _, _| p.state = text("s3://x")),
    ];
    for (field, message, help, change) in cases {
        let problem = problem(with(change));
        assert_eq!(problem.field, *field);
        assert!(problem.message.contains(message), "{field}: {}", problem.message);
        assert!(problem.help.contains(help), "{field}: {}", problem.help);
    }
}

#[test]
fn faults_inside_a_text_are_pointed_at() {
    let at = |change: fn(&mut SourceParts)| problem(with(|_, source, _, _| change(source))).part;
    assert_eq!(at(|source| source.uri = text("s3://B/x")), ProblemPart::Bytes(5..6));
    assert_eq!(at(|source| source.include = text("a(b")), ProblemPart::Bytes(1..2));
    assert_eq!(at(|source| source.layout = text("{service}/{date:%F}")), ProblemPart::Bytes(16..18));
    assert_eq!(at(|source| source.settle = text("6")), ProblemPart::Value);
}

#[test]
fn credentials_are_refused_and_never_repeated() {
    let key = "AKIAIOSFODNN7EXAMPLE".to_owned();
    for (name, value) in
        [("ID", key.as_str()), ("TD_API_KEY", "1/abcdef"), ("DB_PASSWORD", "hunter2"), ("X_TOKEN", "{x")]
    {
        let found =
            problems(with(|_, _, _, job| job.environment = vec![(name.to_owned(), value.to_owned())]));
        let secret = found.iter().find(|problem| problem.part == ProblemPart::Secret).expect("seen");
        assert_eq!(secret.field, format!("job.environment.{name}"));
        assert!(!secret.message.contains(value) && secret.help.contains("secrets:"));
    }
    let word = problem(with(|_, _, _, job| job.command = Some(vec![format!("--key={key}")])));
    assert!(word.part == ProblemPart::Secret && !word.message.contains(&key));
    for (name, value) in [("TOKEN_OF", "{service}"), ("PASSWORD", "")] {
        let parts = with(|_, _, _, job| job.environment = vec![(name.to_owned(), value.to_owned())]);
        assert!(Spec::new(parts).is_ok(), "{name}");
    }
}

#[test]
fn a_deadline_is_the_same_moment_whatever_clock_tells_it() {
    for (written, at) in [
        ("2018-10-08T06:00+09:00", "2018-10-07T21:00:00Z"),
        ("2018-10-07T21:00Z", "2018-10-07T21:00:00Z"),
        ("2018-10-07T14:00:30-07:00", "2018-10-07T21:00:30Z"),
        ("2018-10-07t21:00:00z", "2018-10-07T21:00:00Z"),
    ] {
        let parts = with(|p, _, _, j| {
            j.fallback_queue = text("on-demand");
            p.deadline = text(written);
        });
        let deadline = Spec::new(parts).unwrap().deadline().unwrap();
        assert_eq!(deadline, at.parse::<DateTime<Utc>>().unwrap(), "{written}");
    }
    assert_eq!(Spec::new(parts()).unwrap().deadline(), None);
}
