//! A YAML document as a tree of nodes that know where they stand.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Location, Spanned};

/// A value and where it stands.
pub(super) struct Node {
    pub value: Value,
    /// The bytes of the document. Of a list or a mapping only the opening bracket, if it has one.
    pub at: Range<usize>,
    /// The byte of the document at which the text begins letter by letter as it was read; none where it is quoted with
    /// escapes, folded, or stands elsewhere under an anchor.
    pub verbatim: Option<usize>,
}

/// What a node holds. A scalar is the text that was written, whatever YAML would make of it: `no` stays `no`.
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// The kind of thing, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// The root of a document.
    pub fn read(document: &str, options: serde_yaml::Options) -> Result<Self, serde_yaml::Error> {
        serde_yaml::from_str_with_options::<Spanned<Raw>>(document, options)
            .map(|root| Self::new(root, document))
    }

    /// The text, where the node is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    fn new(raw: Spanned<Raw>, document: &str) -> Self {
        let at = bytes(&raw.referenced, document);
        let defined = bytes(&raw.defined, document);
        let written = document.get(defined.clone()).unwrap_or_default();
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Text(text),
            // YAML has turned what was written into something else, so take it from the document.
            Raw::Other(text) => Value::Text(match written.chars().next() {
                None | Some('"' | '\'') => text,
                Some(_) => written.to_owned(),
            }),
            Raw::List(items) => {
                Value::List(items.into_iter().map(|item| Self::new(item, document)).collect())
            }
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (Self::new(key, document), Self::new(value, document)))
                    .collect(),
            ),
        };
        let verbatim = match &value {
            Value::Text(text) if at == defined => verbatim(text, written).map(|skipped| at.start + skipped),
            _ => None,
        };
        Self { value, at, verbatim }
    }
}

/// How many bytes of what was written stand before the text, if the text stands there as it was read.
fn verbatim(text: &str, written: &str) -> Option<usize> {
    if written == text {
        return Some(0);
    }
    let inner = written.strip_prefix(['"', '\''])?.strip_suffix(['"', '\''])?;
    (inner == text).then_some(1)
}

/// A location in bytes of the document, at least one character wide where there is one.
pub(super) fn bytes(location: &Location, document: &str) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().and_then(|start| usize::try_from(start).ok());
    let length = span.byte_len().and_then(|length| usize::try_from(length).ok());
    if let (Some(start), Some(length)) = (start, length)
        && document.get(start..start + length).is_some()
    {
        return start..start + length;
    }
    // The scanner counts characters.
    let mut starts = document.char_indices().map(|(at, _)| at).chain([document.len()]);
    let skipped = usize::try_from(span.offset()).unwrap_or(usize::MAX);
    let start = starts.nth(skipped).unwrap_or(document.len());
    let end = starts.next().unwrap_or(document.len());
    start..end
}

/// What the deserializer hands over.
enum Raw {
    Null,
    Text(String),
    /// A number or a truth value.
    Other(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
