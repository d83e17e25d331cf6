//! Data on standard output.

use std::io::{self, Write};

use dayfill_core::escape;

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
    write(&harmless(&text))
}

/// The same JSON with every character as `\uXXXX` that a terminal could obey. Such characters stand within strings
/// only, and JSON itself escapes no more than the first 32 of them.
fn harmless(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !(c.is_control() || escape::is_bidi(c)) {
            out.push(c);
        } else {
            // All of them are of the plane whose characters are one UTF-16 unit each.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_and_a_terminal_is_left_alone() {
        let value =
            serde_json::json!({ "a\u{9b}b": ["\u{202e}gpj", "\u{7f}", "\u{1b}[2J", "日本 🙂"], "n": 1 });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = harmless(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(shown.chars().all(|c| c == '\n' || !(c.is_control() || escape::is_bidi(c))), "{shown}");
        assert!(shown.contains("日本 🙂") && shown.contains("\\u202egpj"), "{shown}");
    }
}
