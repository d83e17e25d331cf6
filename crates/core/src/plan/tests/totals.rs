//! What a plan adds up to.

use super::*;

fn partition(values: &[&str], of: u32, bytes: u64, choice: Choice) -> PlannedPartition {
    PlannedPartition {
        partition: PartitionId::new(values.iter().map(|v| (*v).to_owned()).collect(), day(of)),
        choice,
        objects: u64::from(bytes > 0) * 2,
        bytes,
        largest: bytes,
        newest: None,
        missing_hours: Vec::new(),
        failed: None,
        why: None,
    }
}

const MISSING: Choice = Choice::Submit(SubmitReason::Missing);
const DONE: Choice = Choice::Skip(SkipReason::Done);
const NO_DATA: Choice = Choice::Skip(SkipReason::NoData);
const UNLISTED: Choice = Choice::Skip(SkipReason::Unlisted);

fn totals(partitions: Vec<PlannedPartition>) -> Totals {
    let mut plan = plan(Vec::new());
    plan.partitions = partitions;
    plan.totals()
}

fn days(values: &[&str], bytes: &[u64]) -> Vec<PlannedPartition> {
    let choice = |bytes| if bytes == 0 { NO_DATA } else { MISSING };
    (1..).zip(bytes).map(|(of, bytes)| partition(values, of, *bytes, choice(*bytes))).collect()
}

#[test]
fn days_are_counted_by_service_and_choice() {
    let mut partitions = days(&["condor", "eu"], &[10, 0, 30]);
    partitions.extend(days(&["condor", "us"], &[5]));
    partitions.push(partition(&["eagle", "eu"], 1, 7, DONE));
    let totals = totals(partitions);
    let condor = &totals.services["condor"];
    assert_eq!((condor.days, condor.submit, condor.objects, condor.bytes), (4, 3, 6, 45));
    assert_eq!(condor.choices, BTreeMap::from([("missing".to_owned(), 3), ("no data".to_owned(), 1)]));
    let eagle = &totals.services["eagle"];
    assert_eq!((eagle.submit, eagle.bytes, eagle.bytes_in_window, eagle.objects_in_window), (0, 0, 7, 2));
    assert_eq!((totals.all.days, totals.all.bytes_in_window), (5, 52));
}

#[test]
fn a_layout_without_dimensions_has_one_row() {
    assert_eq!(totals(days(&[], &[1, 2])).services.into_keys().collect::<Vec<_>>(), ["all"]);
}

#[test]
fn skew_leaves_out_days_without_objects() {
    let skew = |bytes: &[u64]| totals(days(&["a"], bytes)).skew;
    assert_eq!(skew(&[]), None);
    assert_eq!(skew(&[0, 0]), None);
    assert_eq!(skew(&[0, 7]), Some(Skew { p50: 7, p95: 7, max: 7 }));
    assert_eq!(skew(&[4, 1, 3, 2]), Some(Skew { p50: 2, p95: 4, max: 4 }));
    let twenty: Vec<u64> = (1..=20).collect();
    assert_eq!(skew(&twenty), Some(Skew { p50: 10, p95: 19, max: 20 }));
}

#[test]
fn outliers_are_ten_times_the_median_and_more() {
    let found = totals(days(&["a"], &[10, 99, 10, 100, 10, 866, 0])).outliers;
    let found: Vec<(&str, u64)> = found.iter().map(|o| (o.partition.as_str(), o.times_median)).collect();
    assert_eq!(found, [("a/2018-10-06", 87), ("a/2018-10-04", 10)]);
}

#[test]
fn gaps_lie_between_days_with_objects() {
    let mut partitions = days(&["a"], &[0, 1, 0, 0, 1, 0, 1, 0]);
    partitions.extend(days(&["b"], &[0, 1]));
    let gaps = totals(partitions).gaps;
    let told: Vec<(&str, u32, u32, u64)> = gaps
        .iter()
        .map(|g| (g.values.as_str(), chrono::Datelike::day(&g.from), chrono::Datelike::day(&g.to), g.days))
        .collect();
    assert_eq!(told, [("a", 3, 4, 2), ("a", 6, 6, 1)]);
}

#[test]
fn nobody_knows_whether_an_unlisted_day_is_a_gap() {
    let mut partitions = days(&["a"], &[1, 0, 0, 1]);
    partitions[2].choice = UNLISTED;
    assert_eq!(totals(partitions).gaps, []);
}

#[test]
fn jobs_ask_for_memory_and_vcpus() {
    let mut plan = plan(vec![job(1, 1, 0), job(2, 1, 0)]);
    plan.job.vcpus = 2;
    let totals = plan.totals();
    assert_eq!((totals.jobs, totals.memory_mib, totals.vcpus), (2, 256, 4));
}

#[test]
fn an_estimate_rests_on_what_was_done() {
    let mut plan = plan(vec![job(1, 1, 0), job(2, 1, 0)]);
    assert_eq!(plan.totals().estimate, None);
    // 3,600 s for 1,000 bytes: an hour for each job of 1,000 bytes, at 128 MiB.
    plan.history = History { jobs: 3, seconds: 3600, bytes: 1000 };
    let estimate = plan.totals().estimate.unwrap();
    assert_eq!((estimate.vcpu_hours, estimate.gib_hours, estimate.dollars), (2.0, 0.25, None));
    plan.prices = Some(Prices { vcpu_hour: 0.5, gib_hour: 4.0 });
    assert_eq!(plan.totals().estimate.unwrap().dollars, Some(2.0));
    plan.history.bytes = 0;
    assert!(plan.totals().estimate.unwrap().vcpu_hours.is_finite());
}
