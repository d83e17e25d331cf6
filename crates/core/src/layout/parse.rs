//! Templates into tokens, with errors that point at the bytes that are wrong.

use std::ops::Range;

use super::{Layout, LayoutError, Number, Token, value};

/// Names that mean something else in a layout or in the fields of a command, and so cannot name a dimension.
pub const RESERVED: [&str; 17] = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "date",
    "bucket",
    "prefix",
    "manifest",
    "partition",
    "slice",
    "load",
    "try",
    "bytes",
    "objects",
    "memory_mib",
];

const FIELDS_HELP: &str = "the fields are {year}, {month}, {day}, {hour}, {date:%Y-%m-%d} and lower-case names of your own such as {service}";
const OWN_TEXT_HELP: &str =
    "leave it out: what follows the last field of the layout is the object's own and may be anything";
const DATE_HELP: &str =
    "a date is written in the tokens %Y, %m, %d, %j, %H and %M, such as {date:%Y-%m-%d-%H}";
/// The longest key that S3 stores.
const MAX_BYTES: usize = 1024;
const MAX_NAME_BYTES: usize = 64;

struct Parser<'t> {
    template: &'t str,
    tokens: Vec<Token>,
    /// Where each token came from, for messages about two of them.
    spans: Vec<Range<usize>>,
    dimensions: Vec<String>,
    literal: String,
    literal_start: usize,
}

pub(super) fn parse(template: &str) -> Result<Layout, LayoutError> {
    let whole = 0..template.len();
    if template.is_empty() {
        return Err(error(
            whole,
            "the layout is empty",
            "write where the date stands in the keys, such as {year}/{month}/{day}/",
        ));
    }
    if template.len() > MAX_BYTES {
        return Err(error(
            whole,
            "the layout is longer than any key can be",
            "an S3 key has at most 1024 bytes",
        ));
    }
    if template.starts_with('/') {
        return Err(error(0..1, "a layout cannot begin with `/`", "leave the first `/` out: keys have none"));
    }
    if let Some((at, c)) = template.char_indices().find(|(_, c)| value::is_unsafe(*c)) {
        return Err(error(
            at..at + c.len_utf8(),
            "the layout holds a control or text-direction character",
            "remove it",
        ));
    }
    let mut parser = Parser {
        template,
        tokens: Vec::new(),
        spans: Vec::new(),
        dimensions: Vec::new(),
        literal: String::new(),
        literal_start: 0,
    };
    parser.run()?;
    parser.check_neighbours()?;
    parser.check_date()?;
    let has_hour = parser.has(Number::Hour);
    Ok(Layout {
        template: template.to_owned(),
        tokens: parser.tokens,
        dimensions: parser.dimensions,
        has_hour,
    })
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), LayoutError> {
        let mut at = 0;
        while let Some(c) = self.template[at..].chars().next() {
            let rest = &self.template[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                self.push_literal(c, at);
                at += 2;
            } else if c == '{' {
                let Some(length) = rest.find('}') else {
                    return Err(error(
                        at..self.template.len(),
                        "a field is not closed",
                        "end the field with `}`, or write `{{` for a brace",
                    ));
                };
                self.flush_literal(at);
                self.field(at + 1..at + length)?;
                at += length + 1;
            } else if c == '}' {
                return Err(error(at..at + 1, "a brace closes no field", "write `}}` for a brace"));
            } else {
                self.push_literal(c, at);
                at += c.len_utf8();
            }
        }
        self.flush_literal(at);
        Ok(())
    }

    /// One field, where `inner` is what stands between the braces.
    fn field(&mut self, inner: Range<usize>) -> Result<(), LayoutError> {
        let whole = inner.start - 1..inner.end + 1;
        let text = &self.template[inner.clone()];
        if let Some(brace) = text.find('{') {
            let open = whole.start..inner.start + brace;
            return Err(error(
                open,
                "a field is not closed",
                "end the field with `}`, or write `{{` for a brace",
            ));
        }
        if let Some((name, format)) = text.split_once(':') {
            if name != "date" {
                return Err(error(
                    whole,
                    format!("only {{date:…}} takes a format, not {{{name}}}"),
                    FIELDS_HELP,
                ));
            }
            return self.date(inner.start + name.len() + 1, format);
        }
        let number = match text {
            "year" => Number::Year,
            "month" => Number::Month,
            "day" => Number::Day,
            "hour" => Number::Hour,
            "date" => return Err(error(whole, "{date} has no format", DATE_HELP)),
            "minute" | "second" => {
                return Err(error(
                    whole,
                    format!("{{{text}}} is not a field: days and hours are counted, nothing finer"),
                    OWN_TEXT_HELP,
                ));
            }
            _ => return self.dimension(whole, text),
        };
        self.push(Token::Number(number), whole);
        Ok(())
    }

    fn dimension(&mut self, whole: Range<usize>, name: &str) -> Result<(), LayoutError> {
        let lower = name.to_lowercase();
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if name.is_empty() {
            return Err(error(whole, "a field has no name", FIELDS_HELP));
        }
        if !is_name {
            let help = if lower != name && RESERVED.contains(&lower.as_str()) {
                format!("write {{{lower}}}")
            } else {
                format!(
                    "a name has lower-case letters, digits and _, and begins with a letter; {FIELDS_HELP}"
                )
            };
            return Err(error(whole, format!("{{{name}}} is not a field"), help));
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(error(whole, "the name of a dimension is longer than 64 characters", "shorten it"));
        }
        if RESERVED.contains(&name) {
            let help = format!("name it differently, such as {{key_{name}}}");
            return Err(error(
                whole,
                format!("{{{name}}} means something else in commands and cannot name a dimension"),
                help,
            ));
        }
        let index = self.dimensions.iter().position(|known| known == name).unwrap_or_else(|| {
            self.dimensions.push(name.to_owned());
            self.dimensions.len() - 1
        });
        self.push(Token::Dimension(index), whole);
        Ok(())
    }

    /// The tokens of a date's format, which begins at byte `start`.
    fn date(&mut self, start: usize, format: &str) -> Result<(), LayoutError> {
        if format.is_empty() {
            return Err(error(start - 1..start, "the format of the date is empty", DATE_HELP));
        }
        let mut chars = format.char_indices();
        while let Some((offset, c)) = chars.next() {
            let at = start + offset;
            if c != '%' {
                self.push_literal(c, at);
                continue;
            }
            let Some((_, letter)) = chars.next() else {
                return Err(error(at..at + 1, "a `%` ends the format of the date", DATE_HELP));
            };
            let span = at..at + 1 + letter.len_utf8();
            let number = match letter {
                'Y' => Number::Year,
                'm' => Number::Month,
                'd' => Number::Day,
                'j' => Number::Ordinal,
                'H' => Number::Hour,
                'M' => Number::Minute,
                '%' => {
                    self.push_literal('%', at);
                    continue;
                }
                _ => {
                    return Err(error(
                        span,
                        format!("`%{letter}` is not a token of a date here"),
                        token_help(letter),
                    ));
                }
            };
            self.flush_literal(at);
            self.push(Token::Number(number), span);
        }
        self.flush_literal(start + format.len());
        Ok(())
    }

    fn push(&mut self, token: Token, span: Range<usize>) {
        self.tokens.push(token);
        self.spans.push(span);
    }

    fn push_literal(&mut self, c: char, at: usize) {
        if self.literal.is_empty() {
            self.literal_start = at;
        }
        self.literal.push(c);
        if c == '/' {
            self.flush_literal(at + 1);
        }
    }

    fn flush_literal(&mut self, end: usize) {
        if !self.literal.is_empty() {
            let text = std::mem::take(&mut self.literal);
            self.push(Token::Literal(text), self.literal_start..end);
        }
    }

    fn has(&self, number: Number) -> bool {
        self.tokens.contains(&Token::Number(number))
    }

    fn check_neighbours(&self) -> Result<(), LayoutError> {
        for (pair, spans) in self.tokens.windows(2).zip(self.spans.windows(2)) {
            if let [Token::Dimension(_), Token::Dimension(_)] = pair {
                return Err(error(
                    spans[0].start..spans[1].end,
                    "nothing tells where one dimension ends and the next begins",
                    "put the text between them that stands in the keys, such as `/` or `-`",
                ));
            }
        }
        Ok(())
    }

    fn check_date(&self) -> Result<(), LayoutError> {
        let by_month = self.has(Number::Month) && self.has(Number::Day);
        if self.has(Number::Year) && (by_month || self.has(Number::Ordinal)) {
            return Ok(());
        }
        let missing: Vec<&str> = [(Number::Year, "year"), (Number::Month, "month"), (Number::Day, "day")]
            .into_iter()
            .filter_map(|(number, name)| (!self.has(number)).then_some(name))
            .collect();
        let whole = 0..self.template.len();
        let message = format!("the layout does not say the {} of a key", in_words(&missing));
        Err(error(
            whole,
            message,
            "dayfill loads day by day: name the whole date, as {year}/{month}/{day} or {date:%Y-%m-%d}",
        ))
    }
}

fn token_help(letter: char) -> String {
    match letter {
        'F' => "write %Y-%m-%d".to_owned(),
        'R' => "write %H:%M".to_owned(),
        'y' => "only years of four digits can be read: %Y".to_owned(),
        'D' | 'b' | 'B' | 'e' | '-' | 'I' | 'p' => {
            format!("only numbers of fixed width can be read; {DATE_HELP}")
        }
        'S' | 's' | 'f' | 'T' | 'z' | 'Z' => OWN_TEXT_HELP.to_owned(),
        _ => DATE_HELP.to_owned(),
    }
}

fn in_words(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn error(at: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> LayoutError {
    LayoutError { at, message: message.into(), help: help.into() }
}
