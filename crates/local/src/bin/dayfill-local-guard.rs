//! The guard as a program of its own, for embedders that do not run themselves with another argument.

use std::process::ExitCode;

fn main() -> ExitCode {
    dayfill_local::guard_main()
}
