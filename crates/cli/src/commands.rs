//! One file a command.

mod advance;
mod cancel;
mod completions;
mod days;
mod doctor;
mod explain;
mod local;
mod logs;
mod mark;
mod plan;
mod register;
mod run;
mod show;
mod status;
mod submit;
mod watch;

use crate::args::{Cli, Command};
use crate::error::{Exit, Failure};

/// Runs the command that was asked for.
pub async fn run(cli: Cli) -> Result<Exit, Failure> {
    let format = cli.format;
    match cli.command {
        Command::Plan(args) => Box::pin(plan::run(args, format)).await,
        Command::Doctor(args) => doctor::run(&args, format).await,
        Command::Show(args) => show::run(&args, format),
        Command::Submit(args) => submit::run(args, format).await,
        Command::Advance(args) => advance::run(args, format).await,
        Command::Watch(args) => watch::run(args, format).await,
        Command::Run(args) => run::run(args, format).await,
        Command::Status(args) => status::run(args, format).await,
        Command::Explain(args) => explain::run(args, format).await,
        Command::Logs(args) => logs::run(args, format).await,
        Command::Cancel(args) => cancel::run(args, format).await,
        Command::Mark(args) => mark::run(args, format).await,
        Command::Register(args) => register::run(args, format).await,
        Command::Local(args) => local::run(args).await,
        Command::Completions { shell } => completions::run(shell),
    }
}
