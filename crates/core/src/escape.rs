//! Untrusted text, made harmless for the sink that shows it. Keys, reasons and log lines are other people's text:
//! the journal keeps them as they are, and each sink escapes what could hurt it there.

/// For a terminal: control characters (C0, DEL, C1) and bidirectional marks are shown as `\u{…}`, so that no text
/// can move the cursor, change colours or reorder a line. Other non-ASCII text is left alone.
pub fn terminal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_bidi(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Marks, embeddings, overrides and isolates that change the direction of text.
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal() {
        assert_eq!(terminal("a\u{1b}[31mred"), "a\\u{1b}[31mred");
        assert_eq!(terminal("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(
            terminal("tab\tline\nback\rdel\u{7f}csi\u{9b}"),
            "tab\\tline\\nback\\rdel\\u{7f}csi\\u{9b}"
        );
        assert_eq!(terminal("日本語 naïve 🙂"), "日本語 naïve 🙂");
    }
}
