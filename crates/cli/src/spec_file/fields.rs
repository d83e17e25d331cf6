//! The fields of a mapping, taken out one by one with their types; whatever is wrong is kept as a finding.

use std::ops::Range;

use super::node::{Node, Value};
use super::place::Place;

/// Something that is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub place: Place,
    /// Another place that has to do with it, and what it is.
    pub context: Option<(Range<usize>, &'static str)>,
    pub message: String,
    pub help: String,
}

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    /// The paths of fields whose value could not be taken.
    broken: Vec<String>,
}

impl Findings {
    pub fn add(&mut self, place: impl Into<Place>, message: impl Into<String>, help: impl Into<String>) {
        self.list.push(Finding {
            place: place.into(),
            context: None,
            message: message.into(),
            help: help.into(),
        });
    }

    /// A finding because of which the field has no value.
    pub fn broken(
        &mut self,
        path: &str,
        place: impl Into<Place>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.broken.push(path.to_owned());
        self.add(place, message, help);
    }

    /// Whether the field has no value because of a finding, so that nothing said of it by others means anything.
    pub fn covers(&self, path: &str) -> bool {
        self.broken.iter().any(|broken| {
            path.strip_prefix(broken.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The findings in the order of the document.
    pub fn into_sorted(self) -> Vec<Finding> {
        let mut list = self.list;
        list.sort_by_key(|finding| finding.place.at.start);
        list
    }

    fn duplicate(&mut self, name: &str, second: &Node, first: &Node) {
        self.list.push(Finding {
            place: second.at.clone().into(),
            context: Some((first.at.clone(), "first written here")),
            message: format!("`{}` is written twice", name.escape_debug()),
            help: "keep one of the two".to_owned(),
        });
    }
}

/// The fields of one mapping.
pub(super) struct Fields<'n> {
    /// The dotted path of the mapping; empty for the document.
    path: String,
    /// In the order written, each name once.
    entries: Vec<(&'n str, &'n Node, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The fields of a node that should be a mapping; none where it holds nothing.
    pub fn of(node: &'n Node, name: &Node, path: &str, findings: &mut Findings) -> Self {
        let mut fields = Self { path: path.to_owned(), entries: Vec::new() };
        let entries = match &node.value {
            Value::Map(entries) => entries,
            // A section whose lines are all commented out.
            Value::Null => return fields,
            Value::Text(_) | Value::List(_) => {
                let message =
                    format!("`{path}` should be a mapping of names to values, not {}", node.value.kind());
                findings.broken(
                    path,
                    name.at.clone(),
                    message,
                    "write each of its fields on a line below it as `name: value`",
                );
                return fields;
            }
        };
        for (key, value) in entries {
            let Some(text) = key.text() else {
                findings.add(
                    key.at.clone(),
                    format!("a name should be a text, not {}", key.value.kind()),
                    "write `name: value`; quote the name if it begins with a bracket",
                );
                continue;
            };
            match fields.entries.iter().find(|(known, ..)| *known == text) {
                Some((_, first, _)) => findings.duplicate(text, key, first),
                None => fields.entries.push((text, key, value)),
            }
        }
        fields
    }

    /// Reports every field that is none of `known`, with the nearest that is.
    pub fn only(&self, known: &[&str], findings: &mut Findings) {
        for (name, key, _) in self.entries.iter().filter(|(name, ..)| !known.contains(name)) {
            let section = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
            let help = match nearest(name, known) {
                Some(near) => {
                    // Then it is not missing either.
                    if self.get(near).is_none() {
                        findings.broken.push(self.path(near));
                    }
                    format!("did you mean `{near}`?")
                }
                None => format!("the fields{section} are {}", known.join(", ")),
            };
            findings.add(
                key.at.clone(),
                format!("there is no field `{}`{section}", name.escape_debug()),
                help,
            );
        }
    }

    /// Every field: its name, the node of the name, and the value.
    pub fn entries(&self) -> impl Iterator<Item = (&'n str, &'n Node, &'n Node)> {
        self.entries.iter().copied()
    }

    /// The dotted path of a field.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A field and the node of its name.
    pub fn get(&self, name: &str) -> Option<(&'n Node, &'n Node)> {
        self.entries.iter().find(|(known, ..)| *known == name).map(|(_, key, value)| (*key, *value))
    }

    /// The fields of a field that should be a mapping.
    pub fn section(&self, name: &str, known: &[&str], findings: &mut Findings) -> Option<Self> {
        let (key, node) = self.get(name)?;
        let section = Self::of(node, key, &self.path(name), findings);
        section.only(known, findings);
        Some(section)
    }

    /// A text; numbers and truth values are taken as they were written.
    pub fn text(&self, name: &str, findings: &mut Findings) -> Option<String> {
        let (key, node) = self.get(name)?;
        text(&self.path(name), key, node, findings)
    }

    /// A whole number from 0 up.
    pub fn whole(&self, name: &str, findings: &mut Findings) -> Option<u64> {
        let text = self.text(name, findings)?;
        let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        if number.is_none() {
            self.mistaken(name, &text, "a whole number", "write digits only, such as 50", findings);
        }
        number
    }

    /// A number with or without decimals.
    pub fn number(&self, name: &str, findings: &mut Findings) -> Option<f64> {
        let text = self.text(name, findings)?;
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
        let number = text.parse().ok().filter(|_| plain(&text));
        if number.is_none() {
            self.mistaken(name, &text, "a number", "write a number such as 0.013", findings);
        }
        number
    }

    /// A list of texts.
    pub fn texts(&self, name: &str, findings: &mut Findings) -> Option<Vec<String>> {
        let (key, node) = self.get(name)?;
        let path = self.path(name);
        let Value::List(items) = &node.value else {
            let words: Vec<_> = node.text().unwrap_or("first second").split_whitespace().collect();
            let help = format!("write a list: [{}]", words.join(", ").escape_debug());
            let message = format!("`{path}` should be a list, not {}", node.value.kind());
            findings.broken(&path, place_of(key, node), message, help);
            return None;
        };
        let item = |(index, item): (usize, &Node)| text(&format!("{path}[{index}]"), item, item, findings);
        // An item without a text is a finding; an empty one keeps the others in their places.
        Some(items.iter().enumerate().map(item).map(Option::unwrap_or_default).collect())
    }

    fn mistaken(&self, name: &str, text: &str, expected: &str, help: &str, findings: &mut Findings) {
        let Some((key, node)) = self.get(name) else { return };
        let path = self.path(name);
        let message = format!("`{path}` should be {expected}, not `{}`", text.escape_debug());
        findings.broken(&path, place_of(key, node), message, help);
    }
}

/// A text at a path, where `key` is what to point at if the value has no bytes of its own.
pub(super) fn text(path: &str, key: &Node, node: &Node, findings: &mut Findings) -> Option<String> {
    let (message, help) = match &node.value {
        Value::Text(text) => return Some(text.clone()),
        Value::Null => (
            format!("`{path}` has no value"),
            "write one behind the colon, '' for an empty text, or remove the line".to_owned(),
        ),
        Value::Map(entries) => {
            let message = format!("`{path}` should be a text, not a mapping");
            // `{year}` without quotes is a mapping from year to nothing.
            match entries.as_slice() {
                [(name, Node { value: Value::Null, .. })] if name.text().is_some() => {
                    (message, format!("quote it: '{{{}}}'", name.text().unwrap_or_default().escape_debug()))
                }
                _ => (message, "write a text; one that begins with a brace is written in quotes".to_owned()),
            }
        }
        Value::List(_) => (
            format!("`{path}` should be a text, not a list"),
            "write a text; one that begins with a bracket is written in quotes".to_owned(),
        ),
    };
    findings.broken(path, place_of(key, node), message, help);
    None
}

/// The value, or the name where the value has no bytes.
fn place_of(key: &Node, node: &Node) -> Range<usize> {
    if node.at.is_empty() { key.at.clone() } else { node.at.clone() }
}

/// The known name that is a slip of the pen away.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = name.to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), &lower);
    let bound = 1 + name.chars().count() / 3;
    known.iter().copied().min_by_key(|known| distance(known)).filter(|known| distance(known) <= bound)
}
