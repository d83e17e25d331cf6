//! What holds whatever the jobs were.

use super::*;

fn peaks() -> impl Strategy<Value = Peak> {
    prop_oneof![
        4 => (1.0..40_000.0).prop_map(Peak::Exact),
        1 => (1u64..40_000).prop_map(Peak::AtMost),
        1 => (1u64..40_000).prop_map(Peak::AtLeast),
        1 => (1u64..40_000, 1u64..40_000).prop_map(|(a, b)| Peak::Between(a, a + b)),
        1 => prop_oneof![Just(0.0), Just(f64::NAN), Just(-5.0), Just(1e300)].prop_map(Peak::Exact),
    ]
}

prop_compose! {
    fn observations()(
        scale in 0.0..4.0f64,
        jobs in prop::collection::vec((0u64..1 << 42, 0u64..100_000, peaks(), 0.0..500.0f64), 0..40),
    ) -> Vec<Observation> {
        let job = |(bytes, objects, peak, minutes)| {
            // Some of them follow their bytes, so that a line has a chance.
            let peak = match peak {
                Peak::Exact(peak) if scale > 2.0 => Peak::Exact(peak / 100.0 + bytes as f64 / 1e8),
                other => other,
            };
            Observation { bytes, objects, asked_mib: 65_536, peak, minutes }
        };
        jobs.into_iter().map(job).collect()
    }
}

prop_compose! {
    fn bounds()(start in 4u64..8192, more in 0u64..122_880) -> MemoryBounds {
        MemoryBounds { start_mib: start, max_mib: start + more }
    }
}

fn platforms() -> impl Strategy<Value = Platform> {
    let fargate = prop::sample::select(vec![250, 500, 1000, 2000, 4000, 8000, 16_000]);
    prop_oneof![Just(Platform::Ec2), fargate.prop_map(|milli_vcpus| Platform::Fargate { milli_vcpus })]
}

fn cap(bounds: MemoryBounds, platform: Platform) -> u64 {
    platform.round_down(bounds.max_mib).unwrap_or(bounds.max_mib)
}

/// It is sold, or it is as a person wrote it.
fn can_be_had(mib: u64, bounds: MemoryBounds, platform: Platform) -> bool {
    let as_written = mib == bounds.start_mib && platform == Platform::Ec2;
    platform.round_up(mib) == Some(mib) || mib == cap(bounds, platform) || as_written
}

proptest! {
    #[test]
    fn a_request_is_within_its_bounds_and_sold(
        jobs in observations(), bounds in bounds(), platform in platforms(),
        bytes in 0u64..1 << 44, objects in 0u64..1_000_000,
    ) {
        let request = Model::fit(&jobs).request(bytes, objects, bounds, platform);
        prop_assert!(request.mib >= 1 && request.mib <= bounds.max_mib, "{request:?}");
        prop_assert!(can_be_had(request.mib, bounds, platform), "{request:?}");
        prop_assert_eq!(jobs.len() < 3, request.why == Why::Start);
        if let Why::Learned { base_mib, slope_mib, .. } = request.why {
            prop_assert!(base_mib.is_finite() && slope_mib.is_finite() && slope_mib >= 0.0, "{request:?}");
        }
    }

    #[test]
    fn no_request_is_below_the_smallest_peak(
        peaks in prop::collection::vec((0u64..1 << 42, 100.0..30_000.0f64), 3..40), bytes in 0u64..1 << 42,
    ) {
        let job = |&(bytes, peak)| Observation::succeeded(bytes, 0, 32_768, Some(peak), 1.0);
        let model = Model::fit(&peaks.iter().map(job).collect::<Vec<_>>());
        let smallest = peaks.iter().map(|(_, peak)| *peak).fold(f64::MAX, f64::min);
        let mib = model.request(bytes, 0, WIDE, Platform::Ec2).mib;
        prop_assert!(mib as f64 >= smallest, "{mib} {smallest}");
    }

    #[test]
    fn more_input_never_asks_for_less(
        jobs in observations(), platform in platforms(),
        (less, more) in (0u64..1 << 43, 0u64..1 << 43), (few, many) in (0u64..1 << 20, 0u64..1 << 20),
    ) {
        let model = Model::fit(&jobs);
        let small = model.request(less, few, WIDE, platform).mib;
        let large = model.request(less + more, few + many, WIDE, platform).mib;
        prop_assert!(small <= large, "{small} {large}");
    }

    /// Until a split or the end, every request is strictly above all before it, and the end comes.
    #[test]
    fn no_shape_is_killed_twice(
        jobs in observations(), bounds in bounds(), platform in platforms(),
        bytes in 0u64..1 << 44, objects in 0u64..1_000_000,
    ) {
        let model = Model::fit(&jobs);
        let mut failed = model.request(bytes, objects, bounds, platform).mib;
        for rung in 0.. {
            prop_assert!(rung < 64, "no end at {failed}");
            match model.after_oom(failed, bytes, objects, bounds, platform) {
                Next::Memory(next) => {
                    prop_assert!(next.mib > failed, "{next:?} after {failed}");
                    prop_assert!(can_be_had(next.mib, bounds, platform), "{next:?}");
                    prop_assert!(next.mib <= bounds.max_mib, "{next:?}");
                    failed = next.mib;
                }
                Next::Split { parts, .. } => {
                    prop_assert!(parts >= 2);
                    prop_assert!(model.rule() != Some(Rule::Flat));
                    break;
                }
                Next::GiveUp { .. } => break,
            }
        }
    }

    /// Journals are read in one order by one program and in another by the next.
    #[test]
    fn the_order_of_the_jobs_says_nothing(mut jobs in observations(), bytes in 0u64..1 << 42) {
        let there = Model::fit(&jobs).request(bytes, 7, WIDE, Platform::Ec2);
        jobs.reverse();
        prop_assert_eq!(Model::fit(&jobs).request(bytes, 7, WIDE, Platform::Ec2), there);
    }

    #[test]
    fn why_reads_back(jobs in observations(), bytes in 0u64..1 << 42) {
        let request = Model::fit(&jobs).request(bytes, 7, WIDE, Platform::Ec2);
        let text = serde_json::to_string(&request).unwrap();
        prop_assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        prop_assert!(!request.why.to_string().ends_with('.'));
    }
}
