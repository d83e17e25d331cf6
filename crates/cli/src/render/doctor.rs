//! What the doctor found, a line each.

use std::fmt::Write as _;

use dayfill_core::doctor::{Check, Status, passed};
use dayfill_core::escape;
use serde::Serialize;

use super::number::count;
use crate::args::Format;
use crate::error::Failure;
use crate::output::{self, JSON_SCHEMA};

/// Prints the checks.
pub fn doctor(backfill: &str, checks: &[Check], format: Format) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Doctor<'a> {
        schema_version: u32,
        backfill: &'a str,
        passed: bool,
        checks: &'a [Check],
    }
    match format {
        Format::Json => {
            output::json(&Doctor { schema_version: JSON_SCHEMA, backfill, passed: passed(checks), checks })
        }
        Format::Table => output::write(&text(backfill, checks)),
    }
}

fn text(backfill: &str, checks: &[Check]) -> String {
    let width = checks.iter().map(|c| c.id.len()).max().unwrap_or_default();
    let mut out = String::new();
    for check in checks {
        let mark = match check.status {
            Status::Ok => '✓',
            Status::Warning => '!',
            Status::Failed => '✗',
            Status::Skipped => '-',
        };
        let name = check.id.replace('_', " ");
        // Writing to a string cannot fail.
        let _ = write!(out, "{mark} {name:width$}  {}", line(&check.detail));
        if let Some(remedy) = &check.remedy {
            let _ = write!(out, " → {}", line(remedy));
        }
        out.push('\n');
    }
    let number = |status| checks.iter().filter(|c| c.status == status).count() as u64;
    let _ = write!(out, "{backfill}: {} ok", number(Status::Ok));
    if number(Status::Warning) > 0 {
        let _ = write!(out, ", {}", count(number(Status::Warning), "warning"));
    }
    for (status, label) in [(Status::Failed, "failed"), (Status::Skipped, "not checked")] {
        if number(status) > 0 {
            let _ = write!(out, ", {} {label}", number(status));
        }
    }
    out.push_str(".\n");
    out
}

/// Other people's text may have many lines, and more than lines.
fn line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    escape::terminal(&lines.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_one_line() {
        let checks = [
            Check::ok("region", "eu-west-1"),
            Check::failed("queue", "sport does not exist", "there are: on-demand, spot"),
            Check::skipped("compute_environment", "queue"),
            Check::warning("timeout", "there is none:\n  \u{1b}[31mred", "write one\nsoon"),
        ];
        insta::assert_snapshot!(text("td-audit", &checks), @r"
        ✓ region               eu-west-1
        ✗ queue                sport does not exist → there are: on-demand, spot
        - compute environment  not checked, because of queue
        ! timeout              there is none: \u{1b}[31mred → write one soon
        td-audit: 1 ok, 1 warning, 1 failed, 1 not checked.
        ");
        let good = [Check::ok("a", "b")];
        assert_eq!(text("td-audit", &good), "✓ a  b\ntd-audit: 1 ok.\n");
    }
}
