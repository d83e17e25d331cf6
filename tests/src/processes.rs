//! The processes of this machine, as `/proc` shows them.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that has to happen at some time. It is no measure of speed: a test that waits for it is
/// broken, or what it tests is.
pub const BOUND: Duration = Duration::from_mins(2);

/// Looks again and again until `found` says so; panics at [`BOUND`].
#[track_caller]
pub fn until(what: &str, mut found: impl FnMut() -> bool) {
    let start = Instant::now();
    while !found() {
        assert!(start.elapsed() < BOUND, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The processes that have `text` in the environment that they were started with: number and command line.
pub fn with_environment(text: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        // A process that has just ended has no files any more.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|b| *b == 0).any(|e| String::from_utf8_lossy(e).contains(text)) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((pid, String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    found
}
