//! `dayfill completions`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::{Exit, Failure};
use crate::output;

/// Prints the completion script of a shell.
pub fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dayfill", &mut script);
    output::write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
