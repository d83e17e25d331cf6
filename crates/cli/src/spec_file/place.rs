//! From the dotted path of a field to its bytes in the document.

use std::cmp::Reverse;
use std::ops::Range;

use dayfill_core::spec::{ProblemPart, SpecProblem};

use super::node::{Node, Value};

/// Where a finding points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub at: Range<usize>,
    /// Bytes that must not be shown.
    pub secret: Option<Range<usize>>,
}

impl From<Range<usize>> for Place {
    fn from(at: Range<usize>) -> Self {
        Self { at, secret: None }
    }
}

/// Where a problem of the spec stands. What is missing stands at the name of the mapping that should have it.
pub(super) fn of(root: &Node, problem: &SpecProblem) -> Place {
    let found = find(root, &problem.field);
    let Some(value) = found.value else {
        return found.name.map_or_else(|| top(root), |name| name.at.clone()).into();
    };
    let name = || found.name.map_or_else(|| value.at.clone(), |name| name.at.clone());
    match &problem.part {
        ProblemPart::Name => name().into(),
        ProblemPart::Secret => Place { at: name(), secret: Some(value.at.clone()) },
        // A list or a mapping has no bytes of its own to point at.
        _ if value.text().is_none() => name().into(),
        ProblemPart::Value => value.at.clone().into(),
        ProblemPart::Bytes(part) => match value.verbatim {
            Some(start) => (start + part.start..start + part.end).into(),
            None => value.at.clone().into(),
        },
    }
}

/// The first name of the document, which stands for all of it.
fn top(root: &Node) -> Range<usize> {
    match &root.value {
        Value::Map(entries) => entries.first().map_or(root.at.clone(), |(key, _)| key.at.clone()),
        Value::Null | Value::Text(_) | Value::List(_) => root.at.clone(),
    }
}

struct Found<'n> {
    /// The nearest name on the way: that of the field itself, where it was found.
    name: Option<&'n Node>,
    value: Option<&'n Node>,
}

fn find<'n>(root: &'n Node, path: &str) -> Found<'n> {
    let mut name = None;
    let mut node = root;
    let mut rest = path;
    while !rest.is_empty() {
        let step = match &node.value {
            Value::Map(entries) => entry(entries, rest.strip_prefix('.').unwrap_or(rest)),
            Value::List(items) => item(items, rest).map(|(value, rest)| (None, value, rest)),
            Value::Null | Value::Text(_) => None,
        };
        let Some((key, value, after)) = step else { return Found { name, value: None } };
        name = key.or(name);
        node = value;
        rest = after;
    }
    Found { name, value: Some(node) }
}

/// The entry whose key the path begins with, and the rest of the path. Names of variables may have dots in them, so
/// the longest key wins; of equal keys the first, which is the one that is read.
fn entry<'n, 'p>(
    entries: &'n [(Node, Node)],
    path: &'p str,
) -> Option<(Option<&'n Node>, &'n Node, &'p str)> {
    let begins = |(key, value): &'n (Node, Node)| {
        let text = key.text()?;
        let rest = path.strip_prefix(text)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some((text.len(), key, value, rest))
    };
    let (_, key, value, rest) =
        entries.iter().filter_map(begins).min_by_key(|(length, ..)| Reverse(*length))?;
    Some((Some(key), value, rest))
}

fn item<'n, 'p>(items: &'n [Node], path: &'p str) -> Option<(&'n Node, &'p str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((items.get(index.parse::<usize>().ok()?)?, rest))
}
