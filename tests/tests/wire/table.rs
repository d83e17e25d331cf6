//! The table in `docs/exactly-once.md` and this suite name the same tests.

use std::collections::BTreeSet;

const TABLE: &str = include_str!("../../../docs/exactly-once.md");
const MODULES: [(&str, &str); 12] = [
    ("answers", include_str!("answers.rs")),
    ("clocks", include_str!("clocks.rs")),
    ("credentials", include_str!("credentials.rs")),
    ("doubles", include_str!("doubles.rs")),
    ("killed", include_str!("killed.rs")),
    ("lists", include_str!("lists.rs")),
    ("shapes", include_str!("shapes.rs")),
    ("snapshots", include_str!("snapshots.rs")),
    ("store", include_str!("store.rs")),
    ("suspended", include_str!("suspended.rs")),
    ("together", include_str!("together.rs")),
    ("writers", include_str!("writers.rs")),
];

#[test]
fn every_fault_has_its_test_and_every_test_its_fault() {
    let mut tests = BTreeSet::new();
    for (module, text) in MODULES {
        for after in text.split("test]\n").chain(text.split("worker_threads = 2)]\n")).skip(1) {
            let line = after.lines().next().unwrap();
            let name = line.trim_start_matches("async ").strip_prefix("fn ").and_then(|l| l.split_once("()"));
            tests.extend(name.map(|(name, _)| format!("{module}::{name}")));
        }
    }
    let rows = TABLE.lines().filter_map(|l| l.trim_end().strip_suffix("` |")?.rsplit_once('`'));
    let told: BTreeSet<String> = rows.map(|(_, name)| name.to_owned()).collect();
    assert_eq!(told, tests);
    assert!(tests.len() > 30, "{tests:?}");
}
