//! Keys against the tokens of a template, without a regex: this runs once for every object of the lake.
//!
//! Between two dimensions a template is a *run* of fixed text: literals, digits, and values that are bound already.
//! A dimension takes the shortest text after which its run fits. Since a run begins in the same path component
//! wherever the dimension ends, an earlier end never spoils what comes later, and no choice is taken back: the time
//! is bounded by the length of the key times that of the template, whoever wrote the key.

use chrono::{Datelike as _, NaiveDate};

use super::{KeyFields, Number, Token, value};

/// What a key has said so far.
struct Bound<'k> {
    numbers: [Option<u16>; Number::COUNT],
    values: Vec<Option<&'k str>>,
}

pub(super) fn match_key(tokens: &[Token], dimensions: usize, key: &str) -> Option<KeyFields> {
    let mut bound = Bound { numbers: [None; Number::COUNT], values: vec![None; dimensions] };
    walk(tokens, &mut bound, key)?;
    let day = bound.day()?;
    let hour = bound.numbers[Number::Hour.index()].and_then(|hour| u8::try_from(hour).ok());
    let values = bound.values.into_iter().map(|value| value.map(str::to_owned)).collect::<Option<_>>()?;
    Some(KeyFields { values, day, hour })
}

/// Matches whole path components: all of `text` must be used up. Takes the values known so far, gives all known then.
pub(super) fn match_components<'k>(
    tokens: &[Token],
    values: Vec<Option<&'k str>>,
    text: &'k str,
) -> Option<Vec<Option<&'k str>>> {
    let mut bound = Bound { numbers: [None; Number::COUNT], values };
    (walk(tokens, &mut bound, text)? == text.len()).then_some(bound.values)
}

/// Binds what `key` says and returns how many of its bytes the tokens took.
fn walk<'k>(tokens: &[Token], bound: &mut Bound<'k>, key: &'k str) -> Option<usize> {
    let (lead, mut rest) = tokens.split_at(next_open(tokens, &bound.values, None));
    let mut position = fit(lead, bound, key, 0)?;
    while let Some((Token::Dimension(dimension), after)) = rest.split_first() {
        let (run, tail) = after.split_at(next_open(after, &bound.values, Some(*dimension)));
        position = take(*dimension, run, bound, key, position)?;
        rest = tail;
    }
    Some(position)
}

/// The first token that is a dimension without a value, where `taken` is about to get one.
fn next_open(tokens: &[Token], values: &[Option<&str>], taken: Option<usize>) -> usize {
    let open = |token: &Token| match token {
        Token::Dimension(index) => values[*index].is_none() && Some(*index) != taken,
        Token::Literal(_) | Token::Number(_) => false,
    };
    tokens.iter().position(open).unwrap_or(tokens.len())
}

/// Gives the dimension the shortest text after which `run` fits, and returns where the run ends.
fn take<'k>(
    dimension: usize,
    run: &[Token],
    bound: &mut Bound<'k>,
    key: &'k str,
    start: usize,
) -> Option<usize> {
    let rest = key.get(start..)?;
    let component = rest.find('/').unwrap_or(rest.len());
    let shortest = if run.is_empty() { component.max(1) } else { 1 };
    for length in shortest..=component {
        let Some(text) = rest.get(..length) else { continue };
        let numbers = bound.numbers;
        bound.values[dimension] = Some(text);
        if let Some(end) = fit(run, bound, key, start + length) {
            return value::check_value(text).is_ok().then_some(end);
        }
        bound.numbers = numbers;
        bound.values[dimension] = None;
    }
    None
}

/// Fits tokens without an open dimension at `position` and returns where they end.
fn fit(run: &[Token], bound: &mut Bound<'_>, key: &str, mut position: usize) -> Option<usize> {
    for token in run {
        let rest = key.as_bytes().get(position..)?;
        position += match token {
            Token::Literal(text) => rest.starts_with(text.as_bytes()).then_some(text.len())?,
            Token::Dimension(index) => {
                let text = bound.values[*index]?;
                rest.starts_with(text.as_bytes()).then_some(text.len())?
            }
            Token::Number(number) => {
                bound.agree(*number, digits(rest.get(..number.width())?)?)?;
                number.width()
            }
        };
    }
    Some(position)
}

fn digits(bytes: &[u8]) -> Option<u16> {
    bytes
        .iter()
        .try_fold(0u16, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u16::from(byte - b'0')))
}

impl Bound<'_> {
    /// Binds a number, unless it was bound to another or can be none of its kind.
    fn agree(&mut self, number: Number, value: u16) -> Option<()> {
        let possible = match number {
            Number::Year => true,
            Number::Month => (1..=12).contains(&value),
            Number::Day => (1..=31).contains(&value),
            Number::Ordinal => (1..=366).contains(&value),
            Number::Hour => value <= 23,
            Number::Minute => value <= 59,
        };
        let slot = &mut self.numbers[number.index()];
        (possible && slot.is_none_or(|bound| bound == value)).then(|| *slot = Some(value))
    }

    fn day(&self) -> Option<NaiveDate> {
        let number = |number: Number| self.numbers[number.index()].map(u32::from);
        let year = i32::try_from(number(Number::Year)?).ok()?;
        let (month, day, ordinal) = (number(Number::Month), number(Number::Day), number(Number::Ordinal));
        let date = match (month, day, ordinal) {
            (Some(month), Some(day), _) => NaiveDate::from_ymd_opt(year, month, day)?,
            (_, _, ordinal) => NaiveDate::from_yo_opt(year, ordinal?)?,
        };
        let agrees = month.is_none_or(|month| month == date.month())
            && day.is_none_or(|day| day == date.day())
            && ordinal.is_none_or(|ordinal| ordinal == date.ordinal());
        agrees.then_some(date)
    }
}
