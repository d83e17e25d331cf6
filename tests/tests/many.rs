//! Ten thousand jobs under way, watched for real: through the SDK, a proxy that counts, and the local engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use dayfill_core::partition::{PartitionId, SliceId};
use dayfill_tests::sandbox;
use dayfill_tests::wire::{Bench, Call, Cloud};

const JOBS: usize = 10_000;

/// Bytes of this process in memory.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}

/// Alone in its program, so that nothing else moves its memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_jobs_are_watched_with_a_flat_memory() {
    let sandbox = sandbox!();
    sandbox.define("sleep 3600");
    let cloud = Cloud::start(sandbox, 1, &["--vcpus", "1"]).await;
    let mut bench = Bench::new(&cloud).await;
    let day = bench.plan.jobs[0].clone();
    let of_service = |number| {
        let partition = PartitionId::new(vec![format!("service{number}")], day.slice.partition().day());
        dayfill_core::plan::PlannedJob { slice: SliceId::whole(partition), ..day.clone() }
    };
    bench.plan.jobs = (0..JOBS).map(of_service).collect();
    bench.plan.limits.in_flight = JOBS as u32;
    let mut engine = bench.engine().await;
    engine.advance().await.unwrap();
    assert_eq!(engine.book().ledger().live().count(), JOBS);
    assert_eq!(bench.submits(), JOBS as u64);

    let mut sizes = Vec::new();
    for look in 1..=6 {
        let before = bench.proxy.count(Call::DescribeJobs);
        engine.advance().await.unwrap();
        assert_eq!(bench.proxy.count(Call::DescribeJobs) - before, 100, "calls of look {look}");
        sizes.push(resident());
    }
    // The first look writes down how each job was first seen, and the allocator keeps what that took.
    let (first, last) = (sizes[1], sizes[5]);
    assert!(last < first + first / 10, "bytes in memory after each look: {sizes:?}");
}
