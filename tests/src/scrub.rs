//! Texts without what differs from run to run.

use regex::Regex;

use crate::sandbox::Sandbox;

/// What differs, and what stands for it.
const CHANGING: [(&str, &str); 12] = [
    // Of a job that ends at once nobody may have measured anything.
    (r", at most [\d.]+ [KMG]iB of memory", ""),
    (r", [\d.]+ [KMG]iB of memory at its peak", ""),
    (r"Asked for and not used: .*\n", ""),
    (r#""unused": \{\s+"jobs": \d+"#, r#""unused": {"jobs": N"#),
    (r#""(lost_minutes|lost_gib_hours|unused_gib_hours|total_gib_hours)": [\d.e-]+"#, r#""$1": N"#),
    (r"dayfill-under-test", "dayfill"),
    (r"df-[0-9a-f]{16}-(\S+?)-(\d+)-[0-9a-f]{8}", "df-HASH-$1-$2-NONCE"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\b\d+s\b", "Ns"),
    (r#""seconds": \d+"#, r#""seconds": N"#),
];

/// The text with everything that differs from run to run replaced by what it is.
pub fn scrub(sandbox: &Sandbox, text: &str) -> String {
    let text = text.replace(sandbox.root().to_str().unwrap(), "ROOT");
    CHANGING.iter().fold(text, |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}
