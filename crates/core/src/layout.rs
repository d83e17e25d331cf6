//! Key layouts: the template that says where in a key its day and its dimensions stand.
//!
//! A template turns into prefixes to list, and keys turn back into a day and the values of the dimensions. Keys and
//! prefixes are relative to the uri of the source.
//!
//! # The language
//!
//! | written | matches |
//! |---|---|
//! | `{year}` `{month}` `{day}` `{hour}` | 4, 2, 2 and 2 digits |
//! | `{date:%Y-%m-%d-%H}` | strftime tokens `%Y %m %d %j %H %M` and literals between them |
//! | `{service}`, any other lower-case name | a free dimension: at least one character, never `/` |
//! | `{{`, `}}` | a brace |
//! | anything else | itself |
//!
//! What follows the template in a key is the object's own and may be anything. A dimension takes the shortest text
//! after which the template goes on; at the end of the template it takes the rest of its path component. A field or
//! dimension that is named again must be the same again.

mod matcher;
mod parse;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use chrono::{Datelike as _, NaiveDate};

pub use self::parse::RESERVED;
pub use self::value::check_value;
pub(crate) use self::value::is_unsafe;

/// A parsed key template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    template: String,
    tokens: Vec<Token>,
    dimensions: Vec<String>,
    has_hour: bool,
}

/// Why a text is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LayoutError {
    /// The bytes of the template that are wrong.
    pub at: Range<usize>,
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// What a key says about its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFields {
    /// The values of the dimensions, in the order of [`Layout::dimensions`].
    pub values: Vec<String>,
    /// The day in the zone of the keys.
    pub day: NaiveDate,
    /// The hour, 0 to 23, where the layout has one.
    pub hour: Option<u8>,
}

/// A piece of a template. Literals end behind every `/`, so that path components are runs of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(String),
    Number(Number),
    Dimension(usize),
}

/// A field of a fixed number of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Year,
    Month,
    Day,
    Ordinal,
    Hour,
    Minute,
}

impl Number {
    const COUNT: usize = 6;

    fn index(self) -> usize {
        self as usize
    }

    fn width(self) -> usize {
        match self {
            Self::Year => 4,
            Self::Ordinal => 3,
            Self::Month | Self::Day | Self::Hour | Self::Minute => 2,
        }
    }

    /// The number as a day fixes it; nothing for hours and minutes.
    fn of(self, day: NaiveDate) -> Option<u32> {
        match self {
            Self::Year => u32::try_from(day.year()).ok(),
            Self::Month => Some(day.month()),
            Self::Day => Some(day.day()),
            Self::Ordinal => Some(day.ordinal()),
            Self::Hour | Self::Minute => None,
        }
    }
}

impl Layout {
    /// Reads a template.
    pub fn parse(template: &str) -> Result<Self, LayoutError> {
        parse::parse(template)
    }

    /// The template as it was written.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The names of the dimensions in order of first appearance.
    pub fn dimensions(&self) -> &[String] {
        &self.dimensions
    }

    /// Whether keys say their hour.
    pub fn has_hour(&self) -> bool {
        self.has_hour
    }

    /// The longest prefix that every key of this day with these dimension values shares. It stops at the first hour,
    /// minute or dimension without a value.
    ///
    /// A prefix may be shared: by several days, where a dimension without a value stands before the last date field,
    /// and by several values, where it ends inside a name (`…/1` lists `…/10` too). So list each prefix once, and
    /// let [`Layout::match_key`] say whose a key is.
    pub fn day_prefix(&self, known: &BTreeMap<String, String>, day: NaiveDate) -> String {
        self.render_while_known(&self.tokens, known, Some(day), None)
    }

    /// Whether only keys of one day and one combination of values begin with what [`Layout::day_prefix`] says of them, all
    /// values known: every date field and every dimension stands before the first hour or minute, and the prefix does not
    /// end inside a name.
    pub fn day_has_its_own_prefix(&self) -> bool {
        let is_time = |token: &Token| matches!(token, Token::Number(Number::Hour | Number::Minute));
        let end = self.tokens.iter().position(is_time).unwrap_or(self.tokens.len());
        let (prefix, rest) = self.tokens.split_at(end);
        let is_known = |token: &Token| match token {
            Token::Literal(_) => true,
            Token::Number(_) if is_time(token) => true,
            Token::Number(_) | Token::Dimension(_) => prefix.contains(token),
        };
        rest.iter().all(is_known) && !matches!(prefix.last(), Some(Token::Dimension(_)))
    }

    /// The longest prefix that every key of this hour of the day with these dimension values shares; nothing where it
    /// says no more than that of the day does.
    pub fn hour_prefix(&self, known: &BTreeMap<String, String>, day: NaiveDate, hour: u8) -> Option<String> {
        let prefix = self.render_while_known(&self.tokens, known, Some(day), Some(hour));
        (prefix.len() > self.day_prefix(known, day).len()).then_some(prefix)
    }

    /// The longest prefix that every key with these dimension values shares, whatever its day. It stops at the first
    /// date field or dimension without a value.
    pub fn fixed_prefix(&self, known: &BTreeMap<String, String>) -> String {
        self.render_while_known(&self.tokens, known, None, None)
    }

    /// The listing to ask for next, with `/` as delimiter, to learn the next dimension that stands in path components
    /// before the date; nothing when no dimension is left to learn that way.
    pub fn next_discovery(&self, known: &BTreeMap<String, String>) -> Option<String> {
        let end = self.undiscovered_component(known)?;
        Some(self.render_while_known(&self.tokens[..end], known, None, None))
    }

    /// What a common prefix that the listing returned says: `known` and the newly learned values; nothing where it
    /// does not fit the template.
    pub fn discover(
        &self,
        known: &BTreeMap<String, String>,
        common_prefix: &str,
    ) -> Option<BTreeMap<String, String>> {
        let end = self.undiscovered_component(known)?;
        let bound = self.dimensions.iter().map(|name| known.get(name).map(String::as_str)).collect();
        let values = matcher::match_components(&self.tokens[..end], bound, common_prefix)?;
        let mut learned = known.clone();
        for (name, value) in self.dimensions.iter().zip(values) {
            if let Some(value) = value {
                learned.entry(name.clone()).or_insert_with(|| value.to_owned());
            }
        }
        Some(learned)
    }

    /// What a key says about its object; nothing where the key does not follow the layout, names a day, hour or
    /// minute that does not exist, or carries a value that [`check_value`] refuses.
    pub fn match_key(&self, key: &str) -> Option<KeyFields> {
        matcher::match_key(&self.tokens, self.dimensions.len(), key)
    }

    /// The end (in tokens) of the path component with the first dimension that is not known, if that component and
    /// all before it carry no date.
    fn undiscovered_component(&self, known: &BTreeMap<String, String>) -> Option<usize> {
        let unknown = |token: &Token| match token {
            Token::Dimension(index) => !known.contains_key(&self.dimensions[*index]),
            Token::Literal(_) | Token::Number(_) => false,
        };
        let first = self.tokens.iter().position(unknown)?;
        let ends = |token: &Token| matches!(token, Token::Literal(text) if text.ends_with('/'));
        let end = first + self.tokens[first..].iter().position(ends)? + 1;
        let dated = self.tokens[..end].iter().any(|token| matches!(token, Token::Number(_)));
        (!dated).then_some(end)
    }

    fn render_while_known(
        &self,
        tokens: &[Token],
        known: &BTreeMap<String, String>,
        day: Option<NaiveDate>,
        hour: Option<u8>,
    ) -> String {
        let mut prefix = String::new();
        for token in tokens {
            match token {
                Token::Literal(text) => prefix.push_str(text),
                Token::Dimension(index) => match known.get(&self.dimensions[*index]) {
                    Some(value) => prefix.push_str(value),
                    None => break,
                },
                Token::Number(Number::Hour) if hour.is_some() => {
                    _ = write!(prefix, "{:02}", hour.unwrap_or_default());
                }
                Token::Number(number) => match day.and_then(|day| number.of(day)) {
                    // Writing to a string cannot fail.
                    Some(value) => _ = write!(prefix, "{value:0width$}", width = number.width()),
                    None => break,
                },
            }
        }
        prefix
    }
}
