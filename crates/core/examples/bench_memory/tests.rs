use std::io::Write as _;
use std::path::PathBuf;

use crate::policies::Name;
use crate::replay::{Cost, Setting, replay};
use crate::tables::{Random, orders};
use crate::trace::{Task, Trace, read};

const SETTING: Setting = Setting { phi: 1.0, slots: 16 };

fn cost(trace: &Trace, name: Name) -> Cost {
    let mut total = Cost::default();
    for tasks in trace.types.values() {
        for order in orders(tasks.len()) {
            total += replay(tasks, &order, SETTING, name);
        }
    }
    total
}

/// Names a folder of traces, which are no part of the project.
const TRACES: &str = "DAYFILL_TRACES";

/// Every `*.tsv` of that folder.
#[test]
fn on_real_traces_it_wastes_half_of_doubling_and_no_more_than_anybody() {
    let Some(folder) = std::env::var_os(TRACES) else {
        // Past the harness, which keeps what `eprintln!` says of a test that passes to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {TRACES} names no folder of traces");
        return;
    };
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|p| p.extension() == Some("tsv".as_ref())).collect();
    assert!(!files.is_empty(), "no traces in {}", folder.display());
    for path in files {
        let trace = read(&path).unwrap();
        let ours = cost(&trace, Name::Dayfill);
        for name in Name::ALL.into_iter().filter(|name| !name.is_ours()) {
            let allowed = if name == Name::Doubling { 0.5 } else { 1.0 };
            let theirs = cost(&trace, name).wasted * allowed;
            assert!(ours.wasted <= theirs, "{}: {}: {} {theirs}", path.display(), name.show(), ours.wasted);
        }
    }
}

/// Memory that follows bytes, with noise, and a few that need far more.
#[test]
fn where_memory_follows_bytes_it_learns_to() {
    for seed in 1..=5 {
        let mut random = Random::new(seed);
        let mut task = || {
            let bytes = random.draw() >> 28;
            let noise = (random.draw() >> 56) as f64;
            let rare = if random.draw().is_multiple_of(40) { 4000.0 } else { 0.0 };
            let peak_mib = 800.0 + bytes as f64 / 1e7 + noise + rare;
            Task { bytes, objects: 0, peak_mib, minutes: 5.0 + peak_mib / 500.0 }
        };
        let tasks = (0..150).map(|_| task()).collect();
        let trace = Trace { types: [("one".to_owned(), tasks)].into(), ..Trace::default() };
        let (ours, doubling) = (cost(&trace, Name::Dayfill), cost(&trace, Name::Doubling));
        assert!(ours.wasted < 0.5 * doubling.wasted, "seed {seed}: {} {}", ours.wasted, doubling.wasted);
        let untold = cost(&trace, Name::DayfillUntold);
        assert!(untold.wasted < doubling.wasted, "seed {seed}: {} {}", untold.wasted, doubling.wasted);
        assert!(ours.kills < doubling.kills / 4, "seed {seed}: {} {}", ours.kills, doubling.kills);
    }
}

/// What is charged, by hand: 3 GiB for an hour, killed once at 2 GiB, then an hour with 4 GiB.
#[test]
fn a_killed_task_pays_for_its_time() {
    let task = Task { bytes: 1, objects: 0, peak_mib: 3072.0, minutes: 60.0 };
    for (phi, wasted) in [(1.0, 2048.0 * 60.0 + 1024.0 * 60.0), (0.5, 2048.0 * 30.0 + 1024.0 * 60.0)] {
        let cost = replay(&[task], &[0], Setting { phi, slots: 16 }, Name::Doubling);
        assert!((cost.wasted - wasted).abs() < 1e-6 && cost.kills == 1, "{cost:?}");
    }
}
