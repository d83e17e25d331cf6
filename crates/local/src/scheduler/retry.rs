//! `retryStrategy`: which ends of an attempt lead to another one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::End;

/// The longest pattern that a rule may hold, in characters.
pub const PATTERN_CHARS: usize = 512;

/// A glob of `evaluateOnExit`: literal text, matched without regard to case, with at most one `*`, at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern for a text (`onStatusReason`, `onReason`): letters, digits, `.`, `:`, white space and one
    /// trailing `*`. `None` when it is anything else, or over [`PATTERN_CHARS`].
    pub fn text(pattern: &str) -> Option<Self> {
        Self::checked(pattern, |c| c.is_ascii_alphanumeric() || c == '.' || c == ':' || c.is_whitespace())
    }

    /// Reads a pattern for an exit code: digits and one trailing `*`.
    pub fn digits(pattern: &str) -> Option<Self> {
        Self::checked(pattern, |c| c.is_ascii_digit())
    }

    fn checked(pattern: &str, legal: impl Fn(char) -> bool) -> Option<Self> {
        let literal = pattern.strip_suffix('*').unwrap_or(pattern);
        let fits = pattern.chars().count() <= PATTERN_CHARS;
        (fits && literal.chars().all(legal)).then(|| Self(pattern.to_owned()))
    }

    /// Whether the pattern matches `text`.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.to_lowercase(), text.to_lowercase());
        match pattern.strip_suffix('*') {
            Some(start) => text.starts_with(start),
            None => text == pattern,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a matching rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Another attempt, if one is left.
    Retry,
    /// The job has FAILED.
    Exit,
}

/// One rule of `evaluateOnExit`; all of its conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Against the attempt's `statusReason`.
    pub on_status_reason: Option<Pattern>,
    /// Against the attempt's `container.reason`.
    pub on_reason: Option<Pattern>,
    /// Against the exit code in decimal.
    pub on_exit_code: Option<Pattern>,
    /// What to do when all of them match.
    pub action: Action,
}

impl Rule {
    // The service does not document what `*` makes of an absent value. Here it does not match, so that nothing
    // comes to rely on the friendlier reading.
    fn matches(&self, end: &End) -> bool {
        let holds = |pattern: &Option<Pattern>, value: Option<&str>| match (pattern, value) {
            (None, _) => true,
            (Some(pattern), Some(value)) => pattern.matches(value),
            (Some(_), None) => false,
        };
        let code = end.exit_code.map(|code| code.to_string());
        holds(&self.on_status_reason, Some(&end.status_reason))
            && holds(&self.on_reason, end.reason.as_deref())
            && holds(&self.on_exit_code, code.as_deref())
    }
}

/// What `rules` say about an attempt that failed: the first rule that matches decides, and none means retry.
pub fn decide(rules: &[Rule], end: &End) -> Action {
    rules.iter().find(|rule| rule.matches(end)).map_or(Action::Retry, |rule| rule.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(exit_code: Option<i32>, reason: Option<&str>, status_reason: &str) -> End {
        End { exit_code, reason: reason.map(str::to_owned), status_reason: status_reason.to_owned() }
    }

    fn rule(status: Option<&str>, reason: Option<&str>, code: Option<&str>, action: Action) -> Rule {
        Rule {
            on_status_reason: status.map(|p| Pattern::text(p).unwrap()),
            on_reason: reason.map(|p| Pattern::text(p).unwrap()),
            on_exit_code: code.map(|p| Pattern::digits(p).unwrap()),
            action,
        }
    }

    #[test]
    fn patterns_that_the_service_refuses_are_refused() {
        for bad in ["*EC2", "Host (instance", "a*b", "a**", "OutOfMemory-", "é"] {
            assert_eq!(Pattern::text(bad), None, "{bad}");
        }
        for bad in ["1x", "-1", "1 *", "*1"] {
            assert_eq!(Pattern::digits(bad), None, "{bad}");
        }
        assert!(Pattern::text(&"a".repeat(PATTERN_CHARS)).is_some());
        assert!(Pattern::text(&"a".repeat(PATTERN_CHARS + 1)).is_none());
    }

    #[test]
    fn matching_ignores_case_and_only_a_star_leaves_the_end_open() {
        let host = Pattern::text("host ec2*").unwrap();
        assert!(host.matches("Host EC2 (instance i-0) terminated."));
        assert!(!host.matches("The Host EC2"));
        assert!(!Pattern::text("Host EC2").unwrap().matches("Host EC2 (instance i-0) terminated."));
        assert!(Pattern::text("*").unwrap().matches(""));
    }

    #[test]
    fn conditions_are_anded_and_the_first_match_decides() {
        let rules = [
            rule(Some("Host EC2*"), None, Some("137"), Action::Exit),
            rule(Some("Host EC2*"), None, None, Action::Retry),
            rule(None, None, Some("1*"), Action::Exit),
        ];
        let lost = "Host EC2 (instance i-0) terminated.";
        assert_eq!(decide(&rules, &end(Some(137), None, lost)), Action::Exit);
        assert_eq!(decide(&rules, &end(None, None, lost)), Action::Retry);
        assert_eq!(decide(&rules, &end(Some(12), None, "x")), Action::Exit);
        assert_eq!(decide(&rules, &end(Some(2), None, "x")), Action::Retry, "no rule matches");
    }

    #[test]
    fn an_absent_value_matches_no_pattern() {
        let rules = [rule(None, Some("*"), None, Action::Exit)];
        assert_eq!(decide(&rules, &end(Some(1), None, "x")), Action::Retry);
        assert_eq!(decide(&rules, &end(Some(1), Some("why"), "x")), Action::Exit);
    }
}
