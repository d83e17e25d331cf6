use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::fact::{Fact, Outcome};
use crate::failure::FailureClass;
use crate::plan::{History, Unsplit};
use crate::spec::Reads;
use crate::testing::{Scene, at, ended, job, plan};

const GIB: u64 = units::MIB << 10;

#[test]
fn three_minutes_to_start_and_a_reclaim_in_five_hours_make_forty_minutes() {
    let best = best_length(0.05, 0.2) * 60.0;
    assert!((42.0..43.0).contains(&best), "{best}");
}

#[test]
fn without_reclaims_a_job_takes_its_start_and_its_run() {
    assert!((expected(2.0, 0.5, 0.0) - 2.5).abs() < f64::EPSILON);
    // And nearly so where they are rare.
    assert!((expected(2.0, 0.5, 1e-9) - 2.5).abs() < 1e-6);
    assert!(expected(1e9, 0.0, 1.0).is_finite() && expected(1e9, 0.0, 1.0) > 1e300);
}

/// What a job takes that is begun anew after each reclaim, told by trying it often.
#[test]
fn what_is_expected_is_what_comes_out_on_average() {
    let (run, start, rate) = (1.5, 0.1, 0.7);
    let mut seed = 1u64;
    let mut uniform = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let times = 200_000;
    let mut total = 0.0;
    for _ in 0..times {
        loop {
            let taken_after = -uniform().ln() / rate;
            total += start + taken_after.min(run);
            if taken_after >= run {
                break;
            }
        }
    }
    let (average, told) = (total / f64::from(times), expected(run, start, rate));
    assert!((average / told - 1.0).abs() < 0.02, "{average} against {told}");
}

proptest! {
    /// Where reclaims are rare against the length of a job, cutting work into jobs of the best length is within a few
    /// percent of the best of all cuts.
    #[test]
    fn no_other_length_is_much_better(start in 0.01..0.2f64, rate in 0.01..0.5f64, factor in 0.1..10.0f64) {
        let best = best_length(start, rate);
        let per_hour = |length: f64| expected(length, start, rate) / length;
        prop_assert!(per_hour(best) <= per_hour(best * factor) * 1.05);
    }
}

/// A ledger with so many reclaims in ten hours on `spot`, where three jobs that each started after 3 minutes read 1, 2 and
/// 3 GiB in as many hours, and a plan with jobs of these sizes.
fn scene(reclaims: u32, sizes: &[u64]) -> (Scene, Plan) {
    let mut before = plan((1..=3).map(|of| job(of, 1, 0)).collect());
    before.jobs.iter_mut().zip(1..).for_each(|(j, n)| j.bytes = n * GIB);
    let mut scene = Scene::of(before);
    for name in scene.submit() {
        let hours = (scene.ledger.job(&name).unwrap().1.intended.bytes / GIB) as i64;
        let Fact::Ended(mut end) = ended(&name, Outcome::Succeeded, true) else { unreachable!() };
        // The intents were stored at second 3.
        (end.started_at, end.stopped_at) = (Some(at(183)), Some(at(183 + 3600 * hours)));
        scene.tell(Fact::Ended(end));
    }
    let mut lost = plan(vec![job(9, 1, 0)]);
    lost.made_at = at(7);
    scene.adopt(lost);
    let name = scene.submit_one().name;
    let Fact::Ended(mut end) = ended(&name, Outcome::Failed(FailureClass::HostLost), true) else {
        unreachable!()
    };
    (end.attempts, end.reclaims, end.reclaimed_ms) = (reclaims, reclaims, 4 * 3_600_000);
    scene.tell(Fact::Ended(end));
    let mut plan = plan((1..=sizes.len() as u32).map(|of| job(of, 1, 0)).collect());
    plan.jobs.iter_mut().zip(sizes).for_each(|(j, bytes)| (j.bytes, j.objects) = (*bytes, 1000));
    (plan.job.idempotent, plan.job.reads) = (Idempotent::Slice, Reads::Manifest);
    plan.history = History::of(&scene.ledger);
    (scene, plan)
}

fn advice(scene: &Scene, plan: &Plan) -> Option<LengthAdvice> {
    LengthAdvice::of(plan, &Experience::of(&scene.ledger, scene.now + TimeDelta::hours(1)))
}

#[test]
fn long_jobs_are_told_to_be_split() {
    let (scene, plan) = scene(5, &[8 * GIB, 8 * GIB, GIB / 10]);
    let advice = advice(&scene, &plan).unwrap();
    // √(2 · 3 min / 0.5 per hour) = 26.8 min, at 1 GiB an hour.
    assert_eq!((advice.best_s, advice.longer_jobs), (1610, 2));
    assert_eq!(advice.remedy, LengthRemedy::Split { max_bytes: 450 * units::MIB });
    // Eight hours at risk take 110 of them, split about ten.
    assert_eq!(advice.saved_percent, 90);
    assert_eq!(
        advice.to_string(),
        "0.50 reclaims an hour on spot (5 in 10h), 3m to start: jobs of 26m50s lose least, 2 would run for longer; \
         split: { max_bytes: 450MiB } would spare 90 % of the time"
    );
}

#[test]
fn the_advice_of_aws_is_told_where_it_is_less() {
    let (scene, plan) = scene(3, &[8 * GIB]);
    let advice = advice(&scene, &plan).unwrap();
    assert!(advice.best_s > ADVISED_BY_AWS);
    assert!(advice.to_string().contains("jobs of 34m39s lose least (AWS advises 30m at most)"), "{advice}");
}

#[test]
fn nothing_is_said_where_nothing_is_gained_or_known() {
    let none = |scene: &Scene, plan: &Plan| assert_eq!(advice(scene, plan), None);
    let (two, plan) = scene(2, &[8 * GIB]);
    none(&two, &plan);
    for sizes in [&[][..], &[GIB / 4], &[GIB / 2, GIB / 10]] {
        let (scene, plan) = scene(5, sizes);
        none(&scene, &plan);
    }
    let (scene, mut plan) = scene(5, &[8 * GIB]);
    plan.job.queue = "another".to_owned();
    none(&scene, &plan);
}

#[test]
fn nothing_is_promised_that_a_split_cannot_give() {
    let (scene, mut plan) = scene(5, &[8 * GIB]);
    plan.jobs[0].objects = 1;
    assert_eq!(advice(&scene, &plan), None, "a single object");
    plan.jobs[0].objects = 1000;
    assert!(advice(&scene, &plan).is_some());
    let why = "all of it is of one hour".to_owned();
    plan.unsplit = vec![Unsplit { slice: plan.jobs[0].slice.clone(), why }];
    assert_eq!(advice(&scene, &plan), None, "it was tried");
}

#[test]
fn where_days_cannot_be_split_it_is_the_fallback_queue_that_helps() {
    let (scene, mut plan) = scene(5, &[8 * GIB]);
    let kinds = [
        (Idempotent::Partition, Reads::Manifest),
        (Idempotent::No, Reads::Manifest),
        // Its layout says no hour.
        (Idempotent::Slice, Reads::Prefix),
    ];
    for (idempotent, reads) in kinds {
        (plan.job.idempotent, plan.job.reads) = (idempotent, reads);
        plan.job.fallback_queue = None;
        let advice = advice(&scene, &plan).unwrap();
        assert_eq!(advice.remedy, LengthRemedy::FallbackQueue);
        assert!(advice.to_string().contains("job.fallback_queue"), "{advice}");
        plan.job.fallback_queue = Some("on-demand".to_owned());
        assert_eq!(LengthAdvice::of(&plan, &Experience::of(&scene.ledger, scene.now)), None);
    }
}

#[test]
fn sizes_are_written_as_the_yaml_reads_them() {
    for (bytes, written) in [
        (0, "1B"),
        (999, "990B"),
        (30_000, "29KiB"),
        (9 * units::MIB + 5, "9200KiB"),
        (1_234 * units::MIB, "1200MiB"),
        (12 * GIB + 1, "12GiB"),
        (345 * GIB, "340GiB"),
    ] {
        assert_eq!(size(plain(bytes)), written);
        assert_eq!(units::parse_size(written).unwrap(), plain(bytes));
    }
}
