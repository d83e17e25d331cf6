//! Fields in the command and the environment of a job: `{date}`, `{prefix}`, `{service}`.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The fields that every backfill has; the dimensions of its layout come on top.
pub const FIELDS: [&str; 15] = [
    "bucket",
    "prefix",
    "manifest",
    "year",
    "month",
    "day",
    "hour",
    "date",
    "partition",
    "slice",
    "load",
    "try",
    "bytes",
    "objects",
    "memory_mib",
];

/// A text with fields in it, parsed once. It is serialized as it was written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(String),
}

/// Says whether a field may have this name; the bytes are those of the field with its braces.
type CheckName<'c> = &'c dyn Fn(Range<usize>, &str) -> Result<(), TemplateError>;

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// The bytes of the text that are wrong.
    pub at: Range<usize>,
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl Template {
    /// Reads a template whose fields are [`FIELDS`] and `dimensions`.
    pub fn parse(source: &str, dimensions: &[String]) -> Result<Self, TemplateError> {
        read(source, &|at, name| check_name(at, name, dimensions))
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the text has any field.
    pub fn has_fields(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(_)))
    }

    /// Whether it has this field.
    pub fn names(&self, field: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(name) if name == field))
    }

    /// The text with every field replaced by what `lookup` says. A field that `lookup` does not know stays as it was
    /// written, so that it is seen; [`Template::parse`] lets none of those through.
    pub fn render(&self, lookup: impl Fn(&str) -> Option<String>) -> String {
        let mut rendered = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Literal(text) => rendered.push_str(text),
                Part::Field(name) => match lookup(name) {
                    Some(value) => rendered.push_str(&value),
                    None => rendered.extend(["{", name, "}"]),
                },
            }
        }
        rendered
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

/// A template that was checked when it was written: any field of a proper name is taken.
impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(source: String) -> Result<Self, TemplateError> {
        read(&source, &|at, name| if is_name(name) { Ok(()) } else { Err(no_field(at, name)) })
    }
}

fn read(source: &str, check: CheckName<'_>) -> Result<Template, TemplateError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push(c);
            at += 2;
        } else if c == '{' {
            let Some(length) = rest.find('}') else {
                let help = "end the field with `}`, or write `{{` for a brace";
                return Err(error(at..source.len(), "a field is not closed", help));
            };
            let name = &rest[1..length];
            check(at..at + length + 1, name)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Field(name.to_owned()));
            at += length + 1;
        } else if c == '}' {
            return Err(error(at..at + 1, "a brace closes no field", "write `}}` for a brace"));
        } else {
            literal.push(c);
            at += c.len_utf8();
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(Template { source: source.to_owned(), parts })
}

fn check_name(at: Range<usize>, name: &str, dimensions: &[String]) -> Result<(), TemplateError> {
    if FIELDS.contains(&name) || dimensions.iter().any(|dimension| dimension == name) {
        return Ok(());
    }
    let names = || FIELDS.into_iter().chain(dimensions.iter().map(String::as_str));
    let distance = |known: &str| strsim::damerau_levenshtein(known, &name.to_lowercase());
    let nearest = names().min_by_key(|known| distance(known)).filter(|known| distance(known) <= 2);
    let mut unknown = no_field(at, name);
    let advice = match nearest {
        Some(known) => format!("did you mean {{{known}}}?"),
        None => format!("the fields are {};", names().collect::<Vec<_>>().join(", ")),
    };
    unknown.help = format!("{advice} a brace that belongs to the text is written `{{{{`");
    Err(unknown)
}

fn no_field(at: Range<usize>, name: &str) -> TemplateError {
    error(at, format!("{{{name}}} is not a field"), "write `{{` for a brace that belongs to the text")
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn error(at: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> TemplateError {
    TemplateError { at, message: message.into(), help: help.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(source: &str) -> Result<Template, TemplateError> {
        Template::parse(source, &["service".to_owned()])
    }

    #[test]
    fn fields_are_replaced() {
        let template = parse("s3://{bucket}/{prefix} {{{service}}} {date}é").unwrap();
        let rendered = template.render(|name| Some(name.to_uppercase()));
        assert_eq!(rendered, "s3://BUCKET/PREFIX {SERVICE} DATEé");
        assert!(template.has_fields() && !parse("plain {{}}").unwrap().has_fields());
        assert_eq!(parse("").unwrap().render(|_| None), "");
    }

    #[test]
    fn a_value_is_not_read_as_a_template() {
        let rendered = parse("{service}").unwrap().render(|_| Some("{date}}}{{".to_owned()));
        assert_eq!(rendered, "{date}}}{{");
    }

    #[test]
    fn a_field_without_a_value_stays_visible() {
        assert_eq!(parse("a {date} b").unwrap().render(|_| None), "a {date} b");
    }

    #[test]
    fn unknown_fields_name_the_nearest() {
        for (source, at, message, help) in [
            ("x {servce}", 2..10, "{servce} is not a field", "did you mean {service}?"),
            ("{YEAR}", 0..6, "{YEAR} is not a field", "did you mean {year}?"),
            ("{zzzzzzzz}", 0..10, "{zzzzzzzz} is not a field", "the fields are bucket"),
            ("{}", 0..2, "{} is not a field", "the fields are bucket"),
            ("{date", 0..5, "a field is not closed", "`{{`"),
            ("json: }", 6..7, "a brace closes no field", "`}}`"),
        ] {
            let error = parse(source).unwrap_err();
            assert_eq!(error.at, at, "{source}");
            assert!(error.message.contains(message), "{source}: {}", error.message);
            assert!(error.help.contains(help), "{source}: {}", error.help);
        }
    }

    #[test]
    fn it_is_serialized_as_it_was_written() {
        let template = parse("{service}/{{x}}").unwrap();
        let json = serde_json::to_string(&template).unwrap();
        assert_eq!(json, r#""{service}/{{x}}""#);
        assert_eq!(serde_json::from_str::<Template>(&json).unwrap(), template);
        assert!(serde_json::from_str::<Template>(r#""{Bad Name}""#).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(source in "[{}a-z é]{0,20}|\\PC{0,20}") {
            match parse(&source) {
                Ok(template) => prop_assert_eq!(template.source(), source),
                Err(error) => prop_assert!(source.get(error.at).is_some()),
            }
        }

        #[test]
        fn doubled_braces_give_any_text_back(text in "\\PC{0,30}") {
            let source = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(parse(&source).unwrap().render(|_| None), text);
        }
    }
}
