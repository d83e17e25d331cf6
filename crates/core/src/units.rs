//! Sizes and durations as people write them: a number and a unit, never a bare number.

use std::fmt::Write as _;
use std::time::Duration;

/// Bytes in a mebibyte, the unit in which Batch counts memory.
pub const MIB: u64 = 1 << 20;

/// Why a text is no size or duration, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl UnitError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const DURATIONS: [(&str, u64); 5] = [("w", 7 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Reads a size such as `4GiB`, `1.5 GiB` or `500 MB` as bytes. `KiB` and its kin are powers of two, `KB` and its kin
/// powers of ten; capital or small letters mean the same.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    let (number, unit) = split_number(text);
    if number.is_empty() {
        return Err(UnitError::new(
            format!("`{text}` is not a size"),
            "write a number and a unit, such as 4GiB",
        ));
    }
    if unit.is_empty() {
        return Err(UnitError::new(
            format!("the size {number} has no unit"),
            format!(
                "write {number}MiB or {number}GiB; KiB, MiB, GiB and TiB are powers of two, KB, MB, GB and TB powers of ten"
            ),
        ));
    }
    let factor = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
    let Some(factor) = factor else {
        let letter = unit.chars().next().unwrap_or_default().to_ascii_uppercase();
        let help = if "KMGT".contains(letter) {
            format!("write {number}{letter}iB (powers of two) or {number}{letter}B (powers of ten)")
        } else {
            "the units are KiB, MiB, GiB, TiB (powers of two) and KB, MB, GB, TB (powers of ten)".to_owned()
        };
        return Err(UnitError::new(format!("`{unit}` is not a unit of size"), help));
    };
    scaled(number, factor).ok_or_else(|| {
        UnitError::new(
            format!("`{text}` is not a size that can be counted in bytes"),
            "write a number such as 4GiB or 1.5GiB",
        )
    })
}

/// Reads a duration such as `6h`, `90m`, `2h30m`, `2h 30m` or `1d`; the units are `w d h m s`, largest first.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const HELP: &str =
        "write a number and a unit, such as 6h, 90m, 2h30m or 1d; the units are w, d, h, m and s";
    let text = text.trim();
    let not_one = || UnitError::new(format!("`{text}` is not a duration"), HELP);
    let mut seconds: u64 = 0;
    let mut smallest = u64::MAX;
    let mut rest = text;
    if rest.is_empty() {
        return Err(not_one());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        if number.is_empty() {
            return Err(not_one());
        }
        let tail = tail.trim_start();
        let letters = tail.len() - tail.trim_start_matches(char::is_alphabetic).len();
        let (unit, after) = tail.split_at(letters);
        if unit.is_empty() && after.is_empty() {
            return Err(UnitError::new(
                format!("the duration {text} has no unit"),
                format!("write {number}h for hours, {number}m for minutes or {number}s for seconds"),
            ));
        }
        let factor = DURATIONS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let factor = factor.ok_or_else(not_one)?;
        if factor >= smallest {
            return Err(UnitError::new(format!("the units of `{text}` are not in descending order"), HELP));
        }
        smallest = factor;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        seconds = part
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(|| UnitError::new(format!("the duration `{text}` is too long"), HELP))?;
        rest = after.trim_start();
    }
    Ok(Duration::from_secs(seconds))
}

/// Reads a percentage from 0 to 100, such as `10%` or `0.5 %`.
pub fn parse_percent(text: &str) -> Result<f64, UnitError> {
    let number = text.strip_suffix('%').map(str::trim_end);
    let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    number
        .filter(plain)
        .and_then(|number| number.parse().ok())
        .filter(|percent| *percent <= 100.0)
        .ok_or_else(|| {
            UnitError::new(
                format!("`{}` is not a percentage", text.escape_debug()),
                "write 0% to 100%, such as 10%",
            )
        })
}

/// Writes a count of mebibytes as short as it can be said exactly: `512 MiB`, `4 GiB`, `4.5 GiB`.
pub fn show_mib(mib: u64) -> String {
    match mib {
        0..1024 => format!("{mib} MiB"),
        _ if mib.is_multiple_of(1024) => format!("{} GiB", mib / 1024),
        _ if mib.is_multiple_of(512) => format!("{}.5 GiB", mib / 1024),
        _ => format!("{mib} MiB"),
    }
}

/// Writes whole seconds as [`parse_duration`] reads them: `2h30m`; `0s` for nothing.
pub fn show_duration(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut shown = String::new();
    // Weeks are read but never written: nobody thinks of a timeout as `1w1d`.
    for (unit, factor) in &DURATIONS[1..] {
        let count = seconds / factor;
        seconds %= factor;
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{count}{unit}");
        }
    }
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// `number` (digits, perhaps with a decimal part) times `factor`, exact, rounded down to a whole.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || decimals.is_empty() || decimals.len() > 9 {
        return None;
    }
    let whole = u128::from(whole.parse::<u64>().ok()?) * u128::from(factor);
    let part =
        u128::from(decimals.parse::<u64>().ok()?) * u128::from(factor) / 10u128.pow(decimals.len() as u32);
    u64::try_from(whole + part).ok()
}

/// A rate with two digits that say something: `0.20`, `0.0031`.
pub fn show_rate(rate: f64) -> String {
    let decimals = if rate > 0.0 { (1.0 - rate.log10().floor()).clamp(2.0, 9.0) } else { 2.0 };
    format!("{rate:.*}", decimals as usize)
}

/// Bytes with three digits: `433 MB` would be ambiguous, so powers of two with their own names.
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in [
            ("4GiB", 4 << 30),
            ("4 GiB", 4 << 30),
            (" 1.5gib ", 3 << 29),
            ("500MB", 500_000_000),
            ("2 TB", 2_000_000_000_000),
            ("128MiB", 128 << 20),
            ("7B", 7),
            ("0KiB", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_says_what_to_write() {
        for (text, message, help) in [
            ("4096", "the size 4096 has no unit", "write 4096MiB or 4096GiB"),
            ("4G", "`G` is not a unit of size", "write 4GiB (powers of two) or 4GB"),
            ("4Gi", "`Gi` is not a unit of size", "write 4GiB"),
            ("4 parsecs", "`parsecs` is not a unit of size", "the units are KiB"),
            ("", "`` is not a size", "write a number and a unit"),
            ("-4GiB", "`-4GiB` is not a size", "write a number and a unit"),
            ("1.2.3GiB", "`1.2.3GiB` is not a size that can be", "write a number such as"),
            (".GiB", "`.GiB` is not a size that can be", "write a number such as"),
            ("99999999999TiB", "`99999999999TiB` is not a size that can be", "write a number such as"),
        ] {
            let error = parse_size(text).unwrap_err();
            assert!(error.message.starts_with(message), "{text}: {}", error.message);
            assert!(error.help.starts_with(help), "{text}: {}", error.help);
        }
    }

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, seconds) in [
            ("6h", 6 * 3600),
            ("90m", 5400),
            ("2h30m", 9000),
            ("2h 30m", 9000),
            ("1d", 86_400),
            ("1w1s", 604_801),
            ("0h", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_what_to_write() {
        for (text, message) in [
            ("6", "the duration 6 has no unit"),
            ("2h30", "the duration 2h30 has no unit"),
            ("six hours", "`six hours` is not a duration"),
            ("", "`` is not a duration"),
            ("-1h", "`-1h` is not a duration"),
            ("1.5h", "`1.5h` is not a duration"),
            ("30m2h", "the units of `30m2h` are not in descending order"),
            ("1h1h", "the units of `1h1h` are not in descending order"),
            ("99999999999999999999h", "the duration `99999999999999999999h` is too long"),
            ("1é", "`1é` is not a duration"),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().message, message);
        }
    }

    #[test]
    fn percentages_are_read_with_their_sign() {
        for (text, percent) in [("0%", 0.0), ("0.5 %", 0.5), ("10%", 10.0), ("100%", 100.0)] {
            assert_eq!(parse_percent(text), Ok(percent), "{text}");
        }
        for text in
            ["", "%", ".%", "10", "0.1", "-1%", "+1%", "100.1%", "1e1%", "NaN%", "inf%", "ten%", "%10"]
        {
            let error = parse_percent(text).unwrap_err();
            assert_eq!(error.message, format!("`{text}` is not a percentage"));
            assert!(error.help.contains("10%"), "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        assert_eq!(show_mib(128), "128 MiB");
        assert_eq!(show_mib(4096), "4 GiB");
        assert_eq!(show_mib(4608), "4.5 GiB");
        assert_eq!(show_mib(4097), "4097 MiB");
        for seconds in [0, 1, 59, 60, 5400, 86_400, 90_061, 700_000] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn rates_never_read_as_nothing() {
        for (rate, text) in
            [(0.2, "0.20"), (12.345, "12.35"), (0.003, "0.0030"), (0.000_123, "0.00012"), (0.0, "0.00")]
        {
            assert_eq!(show_rate(rate), text);
        }
    }

    #[test]
    fn bytes_read_well() {
        assert_eq!(show_bytes(0), "0 B");
        assert_eq!(show_bytes(1023), "1023 B");
        assert_eq!(show_bytes(1024), "1.0 KiB");
        assert_eq!(show_bytes(1_048_575), "1.0 MiB");
        assert_eq!(show_bytes(454_000_000), "433.0 MiB");
        assert_eq!(show_bytes(u64::MAX), "16384.0 PiB");
    }
}
