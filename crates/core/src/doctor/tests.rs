use super::*;
use crate::spec::MemoryBounds;

fn environment(kind: &str, max_vcpus: u32) -> Environment {
    Environment {
        name: format!("{}-hosts", kind.to_lowercase().replace('_', "-")),
        kind: EnvironmentKind::of(kind),
        state: "ENABLED".into(),
        status: "VALID".into(),
        reason: None,
        max_vcpus: Some(max_vcpus),
        instance_types: if kind.starts_with("FARGATE") { vec![] } else { vec!["optimal".into()] },
    }
}

fn bounds(start_mib: u64, max_mib: u64) -> MemoryBounds {
    MemoryBounds { start_mib, max_mib }
}

#[track_caller]
fn says(check: &Check, status: Status, text: &str) {
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.detail.contains(text), "{check:?}");
    let wants_remedy = matches!(status, Status::Warning | Status::Failed);
    assert_eq!(check.remedy.is_some(), wants_remedy, "{check:?}");
}

#[test]
fn nothing_failed_unless_something_did() {
    let warning = Check::warning("a", "b", "c");
    let skipped = Check::skipped("a", "queue");
    assert!(passed(&[Check::ok("a", "b"), warning.clone(), skipped]));
    assert!(!passed(&[Check::ok("a", "b"), Check::failed("a", "b", "c"), warning]));
}

#[test]
fn clocks_may_be_off_by_half_a_minute_and_no_more_than_four() {
    for (seconds, status, text) in [
        (0, Status::Ok, "agree"),
        (-1, Status::Ok, "agree"),
        (30, Status::Ok, "30s apart"),
        (31, Status::Warning, "31s ahead of"),
        (-240, Status::Warning, "4m behind"),
        (241, Status::Failed, "4m1s ahead of"),
        (-86_400, Status::Failed, "1d behind"),
    ] {
        says(&clock("S3", TimeDelta::seconds(seconds)), status, text);
    }
    says(&clock("S3", TimeDelta::MIN), Status::Failed, "behind");
}

#[test]
fn a_share_is_wanted_exactly_where_there_is_a_policy() {
    assert_eq!(share(true, Some("a")), Ok(()));
    assert_eq!(share(false, None), Ok(()));
    assert_eq!(share(true, None), Err(ShareMismatch::Missing));
    assert_eq!(share(false, Some("a")), Err(ShareMismatch::Forbidden));
}

#[test]
fn a_queue_is_valid_and_enabled_or_says_why_not() {
    says(&queue("queue", "q", "ENABLED", "VALID", None), Status::Ok, "q is VALID and ENABLED");
    says(&queue("queue", "q", "DISABLED", "VALID", None), Status::Failed, "q is DISABLED");
    says(&queue("queue", "q", "ENABLED", "UPDATING", None), Status::Warning, "being changed");
    says(
        &queue("queue", "q", "ENABLED", "INVALID", Some("no role")),
        Status::Failed,
        "INVALID, not VALID (no role)",
    );
    says(&queue("queue", "q", "ENABLED", "DELETING", None), Status::Failed, "DELETING");
}

#[test]
fn one_usable_environment_is_enough_to_run() {
    let good = environment("SPOT", 64);
    let disabled = Environment { state: "DISABLED".into(), ..environment("EC2", 8) };
    let invalid = Environment {
        status: "INVALID".into(),
        reason: Some("CLIENT_ERROR - no such subnet".into()),
        ..environment("EC2", 8)
    };
    let both = environments(&[good, disabled.clone()]);
    says(&both[0], Status::Ok, "spot-hosts is VALID and ENABLED: EC2 Spot (optimal), at most 64 vCPUs");
    says(&both[1], Status::Warning, "ec2-hosts is VALID and DISABLED");
    let none = environments(&[disabled, invalid]);
    says(&none[0], Status::Failed, "DISABLED");
    says(&none[1], Status::Failed, "INVALID and ENABLED (CLIENT_ERROR - no such subnet)");
    says(&environments(&[])[0], Status::Failed, "no compute environment");
}

#[test]
fn a_job_has_to_fit_the_bound_of_some_environment() {
    let (large, small) = (environment("EC2", 64), environment("SPOT", 4));
    says(&vcpus(4, &[large.clone(), small.clone()]), Status::Ok, "4 vCPUs within maxvCpus");
    says(&vcpus(1, std::slice::from_ref(&small)), Status::Ok, "1 vCPU within");
    says(&vcpus(8, &[large, small.clone()]), Status::Warning, "does not fit spot-hosts (maxvCpus 4)");
    says(&vcpus(8, &[small]), Status::Failed, "it would wait for ever");
    let unmanaged = Environment { max_vcpus: None, ..environment("UNMANAGED", 0) };
    says(&vcpus(900, &[unmanaged]), Status::Ok, "900 vCPUs");
    says(&vcpus(3, &[environment("FARGATE", 64)]), Status::Failed, "no tasks of 3 vCPUs");
    says(&vcpus(16, &[environment("FARGATE_SPOT", 8)]), Status::Failed, "does not fit");
}

#[test]
fn fargate_has_only_some_pairs() {
    let fargate = [environment("FARGATE", 256), environment("FARGATE_SPOT", 256)];
    for (n, start, max) in [
        (1, 2048, 8192),
        (1, 3072, 7168),
        (2, 4096, 16_384),
        (4, 8192, 30_720),
        (8, 16_384, 61_440),
        (16, 32_768, 122_880),
    ] {
        says(&memory(n, bounds(start, max), &fargate, None), Status::Ok, "all of which Fargate has");
    }
    for (n, start, max, wrong) in [
        (1, 1024, 8192, "1 GiB"),
        (1, 2048, 16_384, "16 GiB"),
        (1, 2048, 5000, "5000 MiB"),
        (2, 2048, 16_384, "2 vCPUs with 2 GiB"),
        (8, 16_384, 20_000, "20000 MiB"),
        (8, 18_432, 61_440, "18 GiB"),
        (16, 32_768, 69_632, "68 GiB"),
    ] {
        says(&memory(n, bounds(start, max), &fargate, None), Status::Failed, wrong);
    }
    says(&memory(8, bounds(20_480, 61_440), &fargate, None), Status::Ok, "20 GiB to 60 GiB");
    says(&memory(3, bounds(8192, 8192), &fargate, None), Status::Skipped, "vcpus");
}

#[test]
fn nobody_pretends_to_know_how_large_a_host_is() {
    let hosts = [environment("SPOT", 64), environment("EC2", 64)];
    let check = memory(2, bounds(2048, 30_720), &hosts, None);
    says(&check, Status::Warning, "one host of optimal has cannot be told");
    assert!(check.remedy.unwrap().contains("more than 30 GiB"));
    // Where the names of all types tell it, it is known.
    let of = |types: &[&str]| Environment {
        instance_types: types.iter().map(ToString::to_string).collect(),
        ..environment("SPOT", 64)
    };
    let small = memory(2, bounds(2048, 30_720), &[of(&["m5.large", "m5.xlarge"])], None);
    says(&small, Status::Failed, "30 GiB, and no host of m5.large, m5.xlarge has more than 16 GiB");
    let unnamed = memory(2, bounds(2048, 30_720), &[of(&["m5.large"]), of(&[])], None);
    says(&unnamed, Status::Warning, "cannot be told");
    for enough in [&["m5.large", "r5.xlarge"][..], &["m5.large", "optimal"]] {
        says(&memory(2, bounds(2048, 30_720), &[of(enough)], None), Status::Warning, "cannot be told");
    }
}

#[test]
fn this_machine_has_what_it_has() {
    let own = [environment("EC2", 4)];
    says(&memory(1, bounds(64, 256), &own, Some(256)), Status::Ok, "within the 256 MiB");
    says(&memory(1, bounds(64, 257), &own, Some(256)), Status::Failed, "a job of 257 MiB would wait");
    says(&memory(1, bounds(512, 2048), &own, Some(256)), Status::Failed, "a job of 512 MiB would wait");
}

#[test]
fn a_definition_is_for_the_hosts_that_there_are() {
    let (hosts, fargate) = ([environment("SPOT", 4)], [environment("FARGATE", 4)]);
    let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    says(&platform(&[], &hosts), Status::Ok, "EC2");
    says(&platform(&of(&["EC2", "FARGATE"]), &fargate), Status::Ok, "FARGATE");
    says(&platform(&[], &fargate), Status::Failed, "not for them");
    says(&platform(&of(&["FARGATE"]), &hosts), Status::Failed, "are EC2");
}

#[test]
fn retries_fit_hosts_that_may_be_taken() {
    let (spot, on_demand) = ([environment("SPOT", 4)], [environment("EC2", 4)]);
    let mixed = [environment("EC2", 4), environment("SPOT", 4)];
    let fargate_spot = [environment("FARGATE_SPOT", 4)];
    let times = |spot| RetryPolicy { spot, ..RetryPolicy::default() };
    says(&retry(times(8), Idempotent::Slice, &spot), Status::Ok, "up to 8 times");
    says(&retry(times(8), Idempotent::Partition, &mixed), Status::Ok, "up to 8 times");
    says(&retry(times(0), Idempotent::Slice, &spot), Status::Warning, "retry.spot is 0");
    says(&retry(times(8), Idempotent::No, &spot), Status::Warning, "asks a person");
    says(&retry(times(8), Idempotent::No, &fargate_spot), Status::Warning, "asks a person");
    says(&retry(times(8), Idempotent::No, &on_demand), Status::Ok, "nothing runs twice");
    says(&retry(times(8), Idempotent::Slice, &on_demand), Status::Ok, "no host is Spot");
    says(&retry(times(8), Idempotent::Slice, &fargate_spot), Status::Ok, "up to 8 times");
}

#[test]
fn a_job_that_hangs_has_an_end() {
    let hour = Some(Duration::from_hours(1));
    says(&timeout(hour, None), Status::Ok, "1h, and once twice that");
    says(&timeout(hour, Some(60)), Status::Ok, "1h");
    says(&timeout(None, Some(90)), Status::Ok, "1m30s (the job definition's)");
    says(&timeout(None, None), Status::Warning, "no timeout");
}

#[test]
fn checks_are_written_in_lower_case() {
    let json = serde_json::to_value(Check::failed("clock", "off", "set it")).unwrap();
    let want = serde_json::json!({"id": "clock", "status": "failed", "detail": "off", "remedy": "set it"});
    assert_eq!(json, want);
    assert_eq!(serde_json::to_value(Check::skipped("a", "b")).unwrap()["remedy"], serde_json::Value::Null);
}
