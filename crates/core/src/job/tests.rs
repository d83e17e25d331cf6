use proptest::prelude::*;

use super::*;
use crate::partition::PartitionId;
use crate::spec::MemoryBounds;
use crate::template::{FIELDS, Template};
use crate::testing::{job, plan};

fn slice_of(value: &str) -> SliceId {
    SliceId::whole(PartitionId::new(vec![value.to_owned()], "2018-10-04".parse().unwrap()))
}

#[test]
fn a_name_reads_well() {
    let name = JobName::new(Uuid::nil(), &slice_of("condor"), 1, 2, 0xabc);
    let prefix = JobName::search_prefix(Uuid::nil(), &slice_of("condor"), 1);
    assert_eq!(name.as_str(), format!("{prefix}condor-2018-10-04-2-00000abc"));
}

proptest! {
    #[test]
    fn names_are_what_batch_takes(value in "[^/]{1,200}", load in 1u32..9, r#try in 1u32..99, nonce: u32) {
        let name = JobName::new(Uuid::nil(), &slice_of(&value), load, r#try, nonce);
        prop_assert!(name.as_str().len() <= 128);
        prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        let prefix = JobName::search_prefix(Uuid::nil(), &slice_of(&value), load);
        prop_assert!(name.as_str().starts_with(&prefix));
        let other = JobName::search_prefix(Uuid::nil(), &slice_of(&value), load + 1);
        prop_assert!(!name.as_str().starts_with(&other));
    }
}

#[test]
fn one_attempt_where_nothing_may_run_twice() {
    let retry = RetryPolicy::default();
    assert_eq!(RetryStrategy::of(&retry, false).attempts, 1);
    let strategy = RetryStrategy::of(&retry, true);
    assert_eq!(strategy.attempts, 9);
    assert!(strategy.rules.len() <= 5);
    assert!(strategy.rules.iter().skip(2).all(|r| !r.retry), "only lost hosts are repeated by Batch");
}

fn template(text: &str) -> Template {
    Template::parse(text, &["service".to_owned()]).unwrap()
}

fn submission(plan: &Plan, shape: Shape) -> Submission {
    Submission::of(plan, &plan.jobs[0], shape, JobName::from_text("df-x"), "load:7".to_owned())
}

const SHAPE: Shape = Shape { r#try: 2, memory_mib: 256, timeout_s: Some(120), fallback: false };

#[test]
fn every_field_is_rendered() {
    let mut plan = plan(vec![PlannedJob { slice: slice_of("condor").of_hour(5), ..job(4, 3, 1) }]);
    let manifest = format!("s3://example-state/x/sample/manifests/{}.jsonl", plan.jobs[0].fingerprint);
    let values: BTreeMap<&str, &str> = [
        ("bucket", "example-logs"),
        ("prefix", "condor/2018/10/04/"),
        ("manifest", &manifest),
        ("hour", "05"),
        ("year", "2018"),
        ("month", "10"),
        ("day", "04"),
        ("date", "2018-10-04"),
        ("partition", "condor/2018-10-04"),
        ("slice", "condor/2018-10-04/05"),
        ("load", "3"),
        ("try", "2"),
        ("bytes", "1000"),
        ("objects", "3"),
        ("memory_mib", "256"),
        ("service", "condor"),
    ]
    .into();
    assert!(FIELDS.iter().all(|f| values.contains_key(f)), "every field is here");
    plan.job.environment =
        values.keys().map(|f| (f.to_uppercase(), template(&format!("<{{{f}}}>")))).collect();
    plan.job.command = vec![template("load"), template("s3://{bucket}/{prefix}"), template("{{literal}}")];
    let submission = submission(&plan, SHAPE);
    let mut expected: BTreeMap<String, String> =
        values.iter().map(|(f, v)| (f.to_uppercase(), format!("<{v}>"))).collect();
    expected.insert("DAYFILL_RESULT".to_owned(), "s3://example-state/x/sample/results/df-x.json".to_owned());
    expected.insert("DAYFILL_SLICE".to_owned(), "condor/2018-10-04/05".to_owned());
    assert_eq!(submission.environment, expected);
    assert_eq!(submission.command, ["load", "s3://example-logs/condor/2018/10/04/", "{literal}"]);
}

#[test]
fn a_submission_has_the_shape_of_its_try_and_the_rest_of_the_plan() {
    let mut plan = plan(vec![job(4, 1, 0)]);
    plan.job.share_identifier = Some("backfill".to_owned());
    plan.job.vcpus = 4;
    plan.job.memory = MemoryBounds { start_mib: 128, max_mib: 512 };
    let submission = submission(&plan, SHAPE);
    assert_eq!((submission.memory_mib, submission.timeout_s, submission.vcpus), (256, Some(120), 4));
    assert_eq!((submission.queue.as_str(), submission.definition.as_str()), ("spot", "load:7"));
    assert_eq!(submission.share_identifier.as_deref(), Some("backfill"));
    assert_eq!(submission.retry, RetryStrategy::of(&plan.retry, true));
    assert!(submission.command.is_empty(), "the definition's own command stands");
}

/// `containerOverrides` as the SDK writes it.
fn overrides(submission: &Submission) -> String {
    let environment: Vec<_> = submission
        .environment
        .iter()
        .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
        .collect();
    serde_json::json!({
        "command": submission.command,
        "environment": environment,
        "resourceRequirements": [
            { "type": "MEMORY", "value": submission.memory_mib.to_string() },
            { "type": "VCPU", "value": submission.vcpus.to_string() },
        ],
    })
    .to_string()
}

/// The longest form of a JSON text: everything beyond ASCII as UTF-16 escapes.
fn escaped(json: &str) -> usize {
    json.chars().map(|c| if c.is_ascii() { 1 } else { c.len_utf16() * r"\u0000".len() }).sum()
}

proptest! {
    #[test]
    fn the_length_of_the_overrides_is_never_underestimated(
        command in prop::collection::vec(any::<String>(), 0..8),
        environment in prop::collection::btree_map(any::<String>(), any::<String>(), 0..8),
        memory_mib: u64, vcpus: u32
    ) {
        let plan = plan(vec![job(4, 1, 0)]);
        let submission = Submission {
            command, environment, memory_mib, vcpus, ..submission(&plan, SHAPE)
        };
        let real = escaped(&overrides(&submission));
        prop_assert!(submission.override_length() >= real, "{} < {real}", submission.override_length());
    }

    #[test]
    fn plain_overrides_are_not_much_overestimated(
        command in prop::collection::vec("[a-z]{1,40}", 0..8),
        environment in prop::collection::btree_map("[A-Z]{1,9}", "[a-z/]{0,40}", 0..8)
    ) {
        let plan = plan(vec![job(4, 1, 0)]);
        let submission = Submission { command, environment, ..submission(&plan, SHAPE) };
        prop_assert!(submission.override_length() <= overrides(&submission).len() + 200);
    }
}
