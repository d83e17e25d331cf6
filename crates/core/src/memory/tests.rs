use proptest::prelude::*;

use super::*;

mod bounds;
mod properties;

const GIB: u64 = 1 << 30;
const WIDE: MemoryBounds = MemoryBounds { start_mib: 2048, max_mib: 131_072 };

/// A job of so many GiB that held `peak` MiB for ten minutes.
fn job(gib: u64, peak: f64) -> Observation {
    Observation::succeeded(gib * GIB, gib, 65_536, Some(peak), 10.0)
}

fn request(model: &Model, gib: u64) -> u64 {
    model.request(gib * GIB, gib, WIDE, Platform::Ec2).mib
}

/// What a learned request says of itself, without its numbers.
fn learned(model: &Model, gib: u64) -> (Rule, Option<Limit>) {
    match model.request(gib * GIB, gib, WIDE, Platform::Ec2).why {
        Why::Learned { rule, limit, .. } => (rule, limit),
        other => panic!("{other}"),
    }
}

#[test]
fn doubles_to_the_cap_and_no_further() {
    let bounds = MemoryBounds { start_mib: 128, max_mib: 300 };
    assert_eq!(after_oom(128, bounds), Some(256));
    assert_eq!(after_oom(256, bounds), Some(300));
    assert_eq!(after_oom(300, bounds), None);
    // A cap that was lowered since: what failed above it is not repeated below it.
    assert_eq!(after_oom(512, bounds), None);
}

#[test]
fn starts_with_what_the_person_wrote() {
    let start = Request { mib: 2048, why: Why::Start };
    assert_eq!(Model::default().request(GIB, 1, WIDE, Platform::Ec2), start);
    assert_eq!(Model::fit(&[job(1, 100.0), job(2, 200.0)]).request(GIB, 1, WIDE, Platform::Ec2), start);
    assert_eq!(start.why.to_string(), "memory.start: fewer than 3 jobs have finished");
    let odd = MemoryBounds { start_mib: 100, max_mib: 300 };
    assert_eq!(Model::default().request(GIB, 1, odd, Platform::Ec2).mib, 100);
    assert_eq!(Model::default().request(GIB, 1, odd, Platform::fargate(1)).mib, 300, "nothing is sold below");
}

#[test]
fn memory_that_follows_bytes_is_a_line() {
    let jobs: Vec<Observation> = (1..=20).map(|gib| job(gib, 512.0 + 1024.0 * gib as f64)).collect();
    let model = Model::fit(&jobs);
    // 1.025 × (512 + 1024 × 40) = 42,508.8, and the next multiple of 64.
    assert_eq!(request(&model, 40), 42_560);
    assert_eq!(learned(&model, 40), (Rule::Line, None));
    let why = model.request(40 * GIB, 40, WIDE, Platform::Ec2).why.to_string();
    assert!(why.starts_with("line: 525 MiB + 1.0 × bytes, from 20 jobs, slack "), "{why}");
    assert_eq!(learned(&model, 200), (Rule::Line, Some(Limit::Max(131_072))));
    assert_eq!(request(&model, 200), 131_072);
}

#[test]
fn memory_that_follows_objects_is_a_line_in_objects() {
    let job =
        |n: u64| Observation::succeeded(7 * n % 5 * GIB, n, 65_536, Some(300.0 + 20.0 * n as f64), 10.0);
    let model = Model::fit(&(1..=40).map(job).collect::<Vec<_>>());
    assert_eq!(model.rule(), Some(Rule::Objects));
    let why = model.request(GIB, 100, WIDE, Platform::Ec2).why.to_string();
    assert!(why.starts_with("objects: 307 MiB + 20 MiB × objects, from 40 jobs"), "{why}");
}

#[test]
fn memory_that_follows_nothing_is_flat() {
    let jobs: Vec<Observation> =
        (0..30).map(|i| job(1 + i * 7 % 11, 1000.0 + (i * 13 % 17) as f64)).collect();
    let model = Model::fit(&jobs);
    assert_eq!(model.rule(), Some(Rule::Flat));
    assert_eq!(request(&model, 1), 1088);
    assert_eq!(request(&model, 1), request(&model, 1000));
    let why = model.request(GIB, 1, WIDE, Platform::Ec2).why.to_string();
    assert!(why.starts_with("flat: 1.0 GiB, from 30 jobs, slack "), "{why}");
}

#[test]
fn more_input_is_never_believed_to_need_less() {
    let jobs: Vec<Observation> = (1..=20).map(|gib| job(gib, 5000.0 - 200.0 * gib as f64)).collect();
    assert_eq!(Model::fit(&jobs).rule(), Some(Rule::Flat));
}

#[test]
fn one_job_in_twenty_that_needs_thrice_as_much_is_not_what_all_are_sized_for() {
    let jobs: Vec<Observation> =
        (0..40).map(|i| job(1, if i % 20 == 0 { 6000.0 } else { 1000.0 + f64::from(i) })).collect();
    let model = Model::fit(&jobs);
    assert!(request(&model, 1) < 1200, "{}", request(&model, 1));
    // And the one that fails goes right to what covers it.
    let next = model.after_oom(1100, GIB, 1, WIDE, Platform::Ec2);
    let why = Why::Covers { rule: Rule::Flat, killed_mib: 1100, jobs: 40 };
    assert_eq!(next, Next::Memory(Request { mib: 6144, why }));
    assert_eq!(why.to_string(), "flat: killed at 1100 MiB; covers all of 40 jobs");
}

#[test]
fn below_ten_jobs_the_largest_shortfall_is_the_slack() {
    let jobs: Vec<Observation> = (0..9).map(|i| job(1, if i == 0 { 6000.0 } else { 1000.0 })).collect();
    assert_eq!(request(&Model::fit(&jobs), 1), 6208);
}

#[test]
fn a_line_is_not_followed_below_the_smallest_peak() {
    let jobs: Vec<Observation> = (5..=20).map(|gib| job(gib, 1000.0 * gib as f64 - 3000.0)).collect();
    let model = Model::fit(&jobs);
    assert_eq!(request(&model, 1), 2048);
    assert_eq!(learned(&model, 1), (Rule::Line, Some(Limit::SmallestPeak(2000))));
}

#[test]
fn after_a_kill_what_was_learned_or_twice_as_much() {
    let jobs: Vec<Observation> = (1..=20).map(|gib| job(gib, 1000.0 * gib as f64)).collect();
    let model = Model::fit(&jobs);
    let next = |failed| model.after_oom(failed, 10 * GIB, 10, WIDE, Platform::Ec2);
    // R is 1.5 × 1.025 × 10,000 MiB.
    let why = |killed_mib| Why::Covers { rule: Rule::Line, killed_mib, jobs: 20 };
    assert_eq!(next(2048), Next::Memory(Request { mib: 15_424, why: why(2048) }));
    assert_eq!(next(13_900), Next::Memory(Request { mib: 15_424, why: why(13_900) }));
    // It is no more than a tenth above what failed.
    let doubled = Request { mib: 28_800, why: Why::Doubled { killed_mib: 14_400 } };
    assert_eq!(next(14_400), Next::Memory(doubled));
    let unlearned = Model::default().after_oom(2048, 1, 1, WIDE, Platform::Ec2);
    let doubled = Request { mib: 4096, why: Why::Doubled { killed_mib: 2048 } };
    assert_eq!(unlearned, Next::Memory(doubled));
}

#[test]
fn past_the_cap_only_what_follows_the_input_is_split() {
    let bounds = MemoryBounds { start_mib: 2048, max_mib: 8192 };
    let line: Vec<Observation> = (1..=20).map(|gib| job(gib, 1024.0 + 512.0 * gib as f64)).collect();
    let line = Model::fit(&line);
    let parts = |gib: u64| match line.after_oom(8192, gib * GIB, gib, bounds, Platform::Ec2) {
        Next::Split { parts, rule, why } => {
            assert_eq!(rule, Rule::Line);
            assert_eq!(why.to_string(), "killed at 8 GiB, the most; memory follows bytes");
            parts
        }
        other => panic!("{other:?}"),
    };
    // 1.025 × 512 MiB a GiB into what 1.025 × 1024 MiB leave of 8192.
    assert_eq!(parts(60), 5);
    assert_eq!(parts(42), 4);
    // It should have been enough, and was not.
    assert_eq!(parts(1), 2);
    for part in [60 / 5, 42 / 4] {
        assert!(request(&line, part) <= 8192);
    }
    let flat = Model::fit(&(1..=20).map(|gib| job(gib, 3000.0)).collect::<Vec<_>>());
    let why = Why::NoMore { killed_mib: 8192, rule: Rule::Flat };
    assert_eq!(flat.after_oom(8192, 40 * GIB, 40, bounds, Platform::Ec2), Next::GiveUp { why });
    // Where nothing is known, the halves will tell.
    let why = Why::Halves { killed_mib: 8192 };
    let halves = Next::Split { parts: 2, rule: Rule::Flat, why };
    assert_eq!(Model::default().after_oom(8192, GIB, 1, bounds, Platform::Ec2), halves);
    // Even a part without any input would need more than the cap.
    let tight = MemoryBounds { start_mib: 512, max_mib: 1024 };
    let why = Why::NoMore { killed_mib: 1024, rule: Rule::Line };
    assert_eq!(line.after_oom(1024, GIB, 1, tight, Platform::Ec2), Next::GiveUp { why });
}

#[test]
fn a_report_off_by_a_thousand_changes_nothing() {
    let honest: Vec<Observation> = (1..=30).map(|i| job(i, 1000.0 + 40.0 * i as f64)).collect();
    let before = Model::fit(&honest);
    for lie in [0.0, -1.0, f64::NAN, f64::INFINITY, 1_840_000.0, 1.84] {
        let mut jobs = honest.clone();
        jobs.push(Observation::succeeded(21 * GIB, 21, 2048, Some(lie), 10.0));
        let after = Model::fit(&jobs);
        assert_eq!(request(&after, 50), request(&before, 50), "{lie}");
        // It is counted all the same: that it succeeded is known.
        let why = after.request(GIB, 1, WIDE, Platform::Ec2).why.to_string();
        assert!(why.contains("from 31 jobs (1 told no peak, only enough or not)"), "{why}");
    }
    let believed = Observation::succeeded(GIB, 1, 2048, Some(2200.0), f64::NAN);
    assert_eq!((believed.peak, believed.minutes), (Peak::Exact(2200.0), 0.0));
}

#[test]
fn pilots_are_the_median_the_80th_percentile_and_the_largest() {
    assert_eq!(pilots(&[5; 12]), None);
    assert_eq!(pilots(&[5; 13]), Some([6, 9, 12]));
    let sizes: Vec<u64> = (0..101).map(|i| i * 37 % 101).collect();
    assert_eq!(pilots(&sizes).unwrap().map(|i| sizes[i]), [50, 80, 100]);
}

#[test]
fn asks_for_what_is_sold() {
    let sold = |platform: Platform, mib| (platform.round_up(mib), platform.round_down(mib));
    assert_eq!(sold(Platform::Ec2, 65), (Some(128), Some(65)));
    assert_eq!(sold(Platform::Ec2, u64::MAX).0, None);
    let quarter = Platform::Fargate { milli_vcpus: 250 };
    assert_eq!(sold(quarter, 1), (Some(512), None));
    assert_eq!(sold(quarter, 1025), (Some(2048), Some(1024)));
    assert_eq!(sold(quarter, 1536), (Some(2048), Some(1024)));
    assert_eq!(sold(quarter, 2049), (None, Some(2048)));
    assert_eq!(sold(Platform::fargate(1), 2049), (Some(3072), Some(2048)));
    assert_eq!(sold(Platform::fargate(4), 30_721), (None, Some(30_720)));
    assert_eq!(sold(Platform::fargate(8), 16_385), (Some(20_480), Some(16_384)));
    assert_eq!(sold(Platform::fargate(16), 122_880), (Some(122_880), Some(122_880)));
    assert_eq!(sold(Platform::fargate(3), 4096), (None, None));
}
