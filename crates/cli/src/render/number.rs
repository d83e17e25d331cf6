//! Numbers as people read them.

pub use dayfill_core::units::show_bytes as bytes;

/// `1 day`, `2 days`.
pub fn count(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// Seconds as `1h 02m`, `3m 07s`, `9s`.
pub fn seconds(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        assert_eq!(seconds(59), "59s");
        assert_eq!(seconds(187), "3m 07s");
        assert_eq!(seconds(3_720), "1h 02m");
        assert_eq!(count(1, "job"), "1 job");
        assert_eq!(count(0, "job"), "0 jobs");
    }
}
