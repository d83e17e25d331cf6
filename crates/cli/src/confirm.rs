//! A question before something happens.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::error::{Exit, Failure};

/// Asks on the terminal. Where nobody can answer, it is an error that says how to say yes beforehand.
pub fn confirm(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        let what = format!("{question} Nobody can answer: standard input is not a terminal");
        return Err(Failure::new(Exit::Refused, what).hint("pass --yes to go on without being asked"));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stderr().flush().and_then(|()| io::stdin().lock().read_line(&mut answer));
    read.map_err(|e| Failure::new(Exit::Error, format!("cannot read the answer: {e}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
