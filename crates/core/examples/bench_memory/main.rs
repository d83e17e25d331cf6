//! How much memory the policy of `dayfill_core::memory` wastes, beside others: tasks that ran once are run anew, in
//! virtual time, each with what a policy asks for.
//!
//! `cargo run --release -p dayfill-core --example bench_memory -- FILE.tsv…`, each with the columns `process`, `bytes`,
//! `objects` (may be empty), `peak_mib` and `minutes`.
#![allow(clippy::disallowed_methods, reason = "it reads files and tells how long a fit takes; core does not")]

mod policies;
mod replay;
mod speed;
mod tables;
#[cfg(test)]
mod tests;
mod trace;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

/// Everybody begins with so much, and doubles, until [`ENOUGH`] tasks have succeeded.
const START_MIB: u64 = 2048;
const FLOOR_MIB: u64 = 256;
const CAP_MIB: u64 = 128 * 1024;
const ENOUGH: usize = 3;
/// One order is as traced; these shuffle the others.
const SEEDS: [u64; 3] = [1, 2, 3];

fn main() -> ExitCode {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        eprintln!("error: name at least one .tsv file (process, bytes, objects, peak_mib, minutes)");
        return ExitCode::from(2);
    }
    match run(&files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(files: &[PathBuf]) -> Result<(), String> {
    // A mistake in the last file is told before the first is replayed.
    let traces: Vec<_> = files.iter().map(|file| trace::read(file)).collect::<Result<_, String>>()?;
    let names = files.iter().map(|f| f.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    let traces: Vec<_> = names.zip(traces).collect();
    let mut out = std::io::stdout().lock();
    let printed = tables::print(&mut out, &traces).and_then(|()| speed::print(&mut out));
    match printed {
        // Who reads no further has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}
