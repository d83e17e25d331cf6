//! What the value of a dimension may be.

/// The most bytes that the value of a dimension may have.
const MAX_VALUE_BYTES: usize = 200;

/// Says why a text cannot be the value of a dimension, as a lowercase fragment that follows the value.
///
/// Values stand in names of partitions, in prefixes and in the environment of jobs, so they are kept to what is safe
/// there: not empty, no `/`, neither `.` nor `..`, no control or bidirectional-formatting characters, at most 200 bytes.
pub fn check_value(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        Err("is empty")
    } else if value.len() > MAX_VALUE_BYTES {
        Err("is longer than 200 bytes")
    } else if value.contains('/') {
        Err("holds a `/`, and a dimension stands within one path component")
    } else if value == "." || value == ".." {
        Err("means a folder, not a name")
    } else if value.chars().any(is_unsafe) {
        Err("holds a control or text-direction character")
    } else {
        Ok(())
    }
}

/// Control characters, line and paragraph separators, and marks that reorder the text around them.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_values() {
        for value in ["condor", "o-x1y2", "05_5fbef6f0fdec", "日本", "a b", "...", "-", "$(rm -rf)"] {
            assert_eq!(check_value(value), Ok(()), "{value}");
        }
        assert_eq!(check_value(&"x".repeat(200)), Ok(()));
    }

    #[test]
    fn what_is_unsafe_is_no_value() {
        for value in ["", "a/b", ".", "..", "a\nb", "\u{1b}[31m", "a\u{7f}", "\u{85}", "\u{202e}gz", "\0"] {
            assert!(check_value(value).is_err(), "{value:?}");
        }
        assert!(check_value(&"x".repeat(201)).is_err());
    }
}
