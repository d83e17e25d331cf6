//! A journal as it lies in its folder, read without any code of the product.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The facts of a journal, in order.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Every fact.
    pub all: Vec<Value>,
    /// How many segments they lie in.
    pub segments: usize,
}

impl Facts {
    /// Reads the journal of the backfill whose state is kept in `root` (`{state}/{name}`).
    pub fn read(root: &Path) -> Self {
        let segments = segments(root);
        let texts = segments.iter().map(|path| fs::read_to_string(path).unwrap());
        let all = texts
            .flat_map(|text| {
                text.lines().skip(1).map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<_>>()
            })
            .collect();
        Self { all, segments: segments.len() }
    }

    /// The facts of one kind.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.all.iter().filter(|f| f["fact"] == kind).collect()
    }

    /// How many times each slice (`condor/2018-10-04 load 1`) has succeeded.
    pub fn successes(&self) -> BTreeMap<String, usize> {
        let slice = |i: &Value| format!("{} load {}", i["slice"].as_str().unwrap(), i["load"]);
        let intended: BTreeMap<&str, String> =
            self.of("intended").into_iter().map(|i| (i["name"].as_str().unwrap(), slice(i))).collect();
        let mut successes = BTreeMap::new();
        for ended in self.of("ended").into_iter().filter(|e| e["outcome"] == "succeeded") {
            *successes.entry(intended[ended["name"].as_str().unwrap()].clone()).or_default() += 1;
        }
        successes
    }

    /// The most jobs that were intended and had not come to an end at any time.
    pub fn most_at_once(&self) -> usize {
        let (mut now, mut most) = (0usize, 0);
        for fact in &self.all {
            match fact["fact"].as_str().unwrap() {
                "intended" => now += 1,
                "ended" | "lost" | "refused" | "withdrawn" | "never_arrived" => now -= 1,
                _ => {}
            }
            most = most.max(now);
        }
        most
    }

    /// How many attempts of all jobs ended because their host did.
    pub fn reclaims(&self) -> u64 {
        self.of("ended").iter().filter_map(|e| e["reclaims"].as_u64()).sum()
    }

    /// Panics unless each of these partitions has exactly one success of load 1, and nothing else has any, no slice
    /// was ever doubled, and no two accepted jobs have a name or an id in common.
    #[track_caller]
    pub fn each_succeeded_once(&self, partitions: &[String]) {
        let want: BTreeMap<String, usize> = partitions.iter().map(|p| (format!("{p} load 1"), 1)).collect();
        assert_eq!(self.successes(), want);
        assert!(self.of("doubled").is_empty(), "doubled: {:?}", self.of("doubled"));
        let accepted = self.of("accepted");
        for member in ["name", "job_id"] {
            let different: BTreeSet<&str> = accepted.iter().map(|a| a[member].as_str().unwrap()).collect();
            assert_eq!(different.len(), accepted.len(), "accepted jobs share a {member}");
        }
    }
}

/// The files of a journal's segments, in order.
pub fn segments(root: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root.join("journal"))
        .map(|entries| entries.map(|e| e.unwrap().path()).collect())
        .unwrap_or_default();
    paths.retain(|p| p.extension().is_some_and(|e| e == "jsonl"));
    paths.sort();
    paths
}
