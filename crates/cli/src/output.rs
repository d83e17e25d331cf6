//! Data on standard output.

use std::io::{self, Write};

use crate::error::{Exit, Failure};

/// The version of every JSON document that this program prints.
pub const JSON_SCHEMA: u32 = 1;

/// Writes to standard output. A reader that went away (`| head`) is no error.
pub fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Error, format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Writes a value as indented JSON.
pub fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Failure::new(Exit::Error, format!("cannot write JSON: {e}")))?;
    text.push('\n');
    write(&text)
}
