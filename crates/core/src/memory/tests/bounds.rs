//! Where Batch tells no peak: a success is an upper bound, a kill a lower one.

use super::*;

fn enough(gib: u64, mib: u64) -> Observation {
    Observation::succeeded(gib * GIB, gib, mib, None, 10.0)
}

fn killed(gib: u64, mib: u64) -> Observation {
    Observation::killed(gib * GIB, gib, mib, 10.0)
}

#[test]
fn without_any_peak_what_sufficed_is_asked_for_again() {
    let model = Model::fit(&(1..=20).map(|gib| enough(gib, 2048)).collect::<Vec<_>>());
    assert_eq!(request(&model, 3), 2048);
    let why = model.request(GIB, 1, WIDE, Platform::Ec2).why.to_string();
    assert!(why.starts_with("flat: 2.0 GiB, from 20 jobs that told no peak, only enough or not"), "{why}");
}

#[test]
fn without_any_peak_kills_of_large_slices_make_a_line() {
    let mut jobs: Vec<Observation> = (1..=10).map(|gib| enough(gib, 2048)).collect();
    jobs.extend((11..=20).map(|gib| enough(gib, 4096).after_kill_at(2048)));
    jobs.extend((21..=30).map(|gib| enough(gib, 8192).after_kill_at(4096)));
    jobs.extend((31..=40).map(|gib| killed(gib, 8192)));
    let model = Model::fit(&jobs);
    assert_eq!(model.rule(), Some(Rule::Line));
    assert!(request(&model, 35) > 8192, "{}", request(&model, 35));
    assert!(request(&model, 1) >= 2048, "less than anything that sufficed");
    let bounds = MemoryBounds { max_mib: 8192, ..WIDE };
    assert!(matches!(
        model.after_oom(8192, 40 * GIB, 40, bounds, Platform::Ec2),
        Next::Split { parts: 2.., .. }
    ));
}

#[test]
fn a_kill_counts_where_the_peaks_say_that_less_is_enough() {
    let mut jobs: Vec<Observation> = (0..20).map(|i| job(1, 1000.0 + f64::from(i))).collect();
    let before = Model::fit(&jobs).after_oom(1088, GIB, 1, WIDE, Platform::Ec2);
    assert!(matches!(before, Next::Memory(Request { mib: ..2048, .. })), "{before:?}");
    jobs.push(killed(1, 4096));
    let after = Model::fit(&jobs).after_oom(1088, GIB, 1, WIDE, Platform::Ec2);
    assert!(matches!(after, Next::Memory(Request { mib: 4500.., .. })), "{after:?}");
    // One that the peaks explain says nothing new.
    let mut jobs: Vec<Observation> = (1..=20).map(|gib| job(gib, 1000.0 * gib as f64)).collect();
    let before = request(&Model::fit(&jobs), 15);
    jobs.push(killed(15, 2048));
    assert_eq!(request(&Model::fit(&jobs), 15), before);
}

#[test]
fn a_success_counts_where_the_peaks_say_that_more_is_needed() {
    let mut jobs: Vec<Observation> = (1..=5).map(|gib| job(gib, 1000.0 * gib as f64)).collect();
    let before = request(&Model::fit(&jobs), 30);
    jobs.extend((20..=40).map(|gib| enough(gib, 8192)));
    let after = request(&Model::fit(&jobs), 30);
    assert!(after < before, "{after} {before}");
}

#[test]
fn tries_of_one_slice_are_one_observation() {
    assert_eq!(enough(1, 4096).after_kill_at(2048).peak, Peak::Between(2048, 4096));
    assert_eq!(enough(1, 4096).after_kill_at(2048).after_kill_at(1024).peak, Peak::Between(2048, 4096));
    assert_eq!(killed(1, 4096).after_kill_at(2048).peak, Peak::AtLeast(4096));
    assert_eq!(job(1, 3000.0).after_kill_at(2048).peak, Peak::Exact(3000.0));
    assert_eq!(job(1, 1900.0).after_kill_at(2048).peak, Peak::Exact(2048.0));
    assert_eq!(enough(1, 1024).after_kill_at(2048).peak, Peak::AtLeast(2048));
}
