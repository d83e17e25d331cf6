//! The command line: arguments, the YAML file, rendering, exit codes.

mod args;
mod commands;
mod confirm;
mod error;
mod output;
mod place;
mod planning;
mod progress;
mod render;
mod site;
pub mod spec_file;
mod watching;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::error::{Exit, Failure};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // The local engine starts this program again as the process that owns its jobs; that is no command for people.
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(site::GUARD)) {
        return dayfill_local::guard_main();
    }
    let cli = Cli::parse();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Error, format!("cannot start: {e}")))
        .and_then(|runtime| runtime.block_on(commands::run(cli)));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{}", failure.render());
            failure.exit.into()
        }
    }
}
