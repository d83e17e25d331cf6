//! Text to tree: the limits of what is read, and syntax errors as findings.

use serde_yaml::Error;
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};

use super::fields::{Finding, Findings};
use super::node::{self, Node, Value};
use super::report::{Source, SpecFileError};

/// Reads the one document of a file as a mapping.
pub(super) fn parse(source: &Source) -> Result<Node, SpecFileError> {
    let mut findings = Findings::default();
    match Node::read(source.text(), options()) {
        Ok(root) if matches!(root.value, Value::Map(_)) => return Ok(root),
        Ok(root) if matches!(root.value, Value::Null) => {
            findings.add(0..0, "the file is empty", "write the fields of the file, each as `name: value`");
        }
        Ok(root) => {
            let message =
                format!("the file should be a mapping of names to values, not {}", root.value.kind());
            findings.add(root.at, message, "write each field as `name: value`");
        }
        Err(error) => {
            let Finding { place, message, help, .. } = finding(&error, source.text());
            findings.add(place, message, help);
        }
    }
    Err(SpecFileError::invalid(source, findings))
}

/// A file of this kind has some dozens of values. Aliases are allowed, but not enough of them to grow a bomb.
fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_documents: 1,
            max_depth: 16,
            max_nodes: 50_000,
            max_aliases: 100,
            max_anchors: 100,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
        },
        // Passed on, so that they are reported with both places and among all the other findings.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

fn finding(error: &Error, document: &str) -> Finding {
    let mut at = error.location().map_or(0..0, |location| node::bytes(&location, document));
    let said = error.to_string();
    // The reader puts the place behind its message, and the report shows it anyway.
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message);
    let after = document.get(at.start..).unwrap_or_default();
    let line = document.get(..at.start).and_then(|before| before.lines().next_back()).unwrap_or_default();
    let (message, help) = match error {
        Error::Budget { .. } if after.starts_with("---") || said.contains("Documents") => {
            ("a second document begins here".to_owned(), "write one document a file, and remove this `---`")
        }
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            "the file is nested or repeats itself beyond what is read".to_owned(),
            "write the values out instead of using anchors and aliases",
        ),
        Error::MultipleDocuments { .. } => {
            ("a second document begins here".to_owned(), "write one document a file, and remove the `---`")
        }
        Error::MergeKeyNotAllowed { .. } => ("merge keys are not read".to_owned(), "write the fields out"),
        Error::UnknownAnchor { .. } => {
            ("an alias refers to no anchor".to_owned(), "a text that begins with `*` is written in quotes")
        }
        _ if said.contains("tab") && after.contains('\t') => {
            // The scanner stops at the line before, or behind the tab.
            let tab = at.start + after.find('\t').unwrap_or_default();
            at = tab..tab + 1;
            ("a tab stands in the indentation".to_owned(), "indent with spaces")
        }
        _ if said.contains("unexpected character") || said.contains("indicator") => {
            (said.to_owned(), "put the text in quotes")
        }
        _ if said.contains("unknown escape") => {
            (said.to_owned(), "in double quotes `\\` begins an escape: write `\\\\`, or use single quotes")
        }
        _ if said.contains("quote") => (said.to_owned(), "close the quote with the sign that opened it"),
        // `layout: {service}/{year}/`: the brace opens a mapping, and what follows it is left over.
        _ if line.contains(": {") || line.contains(": [") => {
            (said.to_owned(), "a text that begins with `{` or `[` is written in quotes")
        }
        _ if said.contains("flow") => {
            (said.to_owned(), "close the bracket `{` or `[` that was opened before")
        }
        _ if said.contains("mapping values") => (
            said.to_owned(),
            "put a text that holds `: ` in quotes, and indent the fields of a mapping alike",
        ),
        _ => (
            said.to_owned(),
            "look at the indentation, the quotes and the brackets here and in the line before",
        ),
    };
    Finding { place: at.into(), context: None, message, help: help.to_owned() }
}
