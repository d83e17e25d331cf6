//! Findings as text: the file, the line, a caret and the remedy.

use std::fmt;
use std::io;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::fields::{Finding, Findings};

/// Why a YAML file could not be used. Its text is the whole report, for people; it may have many lines.
#[derive(Debug)]
pub enum SpecFileError {
    /// The file could not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than 1 MiB.
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The text is wrong in at least one place.
    Invalid(Box<Invalid>),
}

/// A text and what is wrong with it.
#[derive(Debug)]
pub struct Invalid {
    name: String,
    /// Credentials are blacked out.
    text: String,
    findings: Vec<Finding>,
}

impl SpecFileError {
    pub(super) fn invalid(source: &Source, findings: Findings) -> Self {
        let findings = findings.into_sorted();
        let mut text = harmless(&source.text);
        for secret in findings.iter().filter_map(|finding| finding.place.secret.clone()) {
            black_out(&mut text, secret);
        }
        Self::Invalid(Box::new(Invalid { name: source.name.clone(), text, findings }))
    }

    /// How many things are wrong.
    pub fn count(&self) -> usize {
        match self {
            Self::Unreadable { .. } | Self::TooLarge { .. } => 1,
            Self::Invalid(invalid) => invalid.findings.len(),
        }
    }

    /// The whole report, in colours or plain.
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        match self {
            Self::Invalid(invalid) => invalid.render(&renderer),
            Self::Unreadable { .. } | Self::TooLarge { .. } => {
                let (title, help) = self.brief();
                titled(&renderer, &title, &help)
            }
        }
    }

    /// The first thing that is wrong, and what to do about it, without the text around it: a line each.
    pub fn brief(&self) -> (String, String) {
        match self {
            Self::Unreadable { path, source } => {
                let name = path.display().to_string().escape_debug().to_string();
                let help = match source.kind() {
                    io::ErrorKind::NotFound => "check the name of the file",
                    io::ErrorKind::IsADirectory => "name a file, not a folder",
                    _ => "check that the file can be read",
                };
                (format!("cannot read {name}: {source}"), help.to_owned())
            }
            Self::TooLarge { path } => {
                let name = path.display().to_string().escape_debug().to_string();
                let help = "the files that dayfill reads have a few kilobytes: check the name of the file";
                (format!("{name} is larger than 1 MiB"), help.to_owned())
            }
            Self::Invalid(invalid) => invalid.brief(),
        }
    }
}

impl fmt::Display for SpecFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

// No `source()`: the report already says what the system said.
impl std::error::Error for SpecFileError {}

impl Invalid {
    fn render(&self, renderer: &Renderer) -> String {
        let reports: Vec<_> = self.findings.iter().map(|finding| self.report(finding, renderer)).collect();
        reports.join("\n\n")
    }

    fn brief(&self) -> (String, String) {
        let Some(first) = self.findings.first() else { return (self.name.clone(), String::new()) };
        let before = self.text.get(..first.place.at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let more = match self.findings.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let what = format!("{}:{line}: {}{more}", self.name, harmless(&first.message));
        (what, harmless(&first.help).replace('\n', "; "))
    }

    fn report(&self, finding: &Finding, renderer: &Renderer) -> String {
        let snippet = Snippet::source(self.text.as_str())
            .path(self.name.as_str())
            .annotation(AnnotationKind::Primary.span(visible(&self.text, &finding.place.at)))
            .annotations(
                finding
                    .context
                    .iter()
                    .map(|(at, label)| AnnotationKind::Context.span(visible(&self.text, at)).label(*label)),
            );
        let group = Group::with_title(Level::ERROR.primary_title(harmless(&finding.message)))
            .element(snippet)
            .element(Level::HELP.message(harmless(&finding.help)));
        renderer.render(&[group])
    }
}

fn titled(renderer: &Renderer, title: &str, help: &str) -> String {
    let group =
        Group::with_title(Level::ERROR.primary_title(harmless(title))).element(Level::HELP.message(help));
    renderer.render(&[group])
}

/// Only the first line of a range, so that a long text does not fill the screen, and at least one character of it.
fn visible(text: &str, at: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let start = at.start.min(text.len());
    let end = at.end.min(text.len());
    let part = text.get(start..end).unwrap_or_default();
    let line = part.find('\n').unwrap_or(part.len());
    if line > 0 {
        return start..start + line;
    }
    let next = text.get(start..).and_then(|rest| rest.chars().next()).filter(|c| *c != '\n');
    start..start + next.map_or(0, char::len_utf8)
}

/// The text with other signs for what a terminal could obey: each as many bytes long as what it stands for, so that
/// every place stays where it is. The renderer itself takes care of single bytes, but not of all others.
fn harmless(text: &str) -> String {
    let sign = |c: char| match c {
        '\u{80}'..='\u{9f}' | '\u{61c}' => '·',
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        _ => c,
    };
    text.chars().map(sign).collect()
}

fn black_out(text: &mut String, secret: std::ops::Range<usize>) {
    let Some(shown) = text.get(secret.clone()) else { return };
    // As many bytes as before, so that every other place stays where it is.
    let hidden: String = shown.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
    text.replace_range(secret, &hidden);
}

/// A text and the name it is shown under.
pub(super) struct Source {
    name: String,
    text: String,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
        // YAML takes all line ends for the same; snippets do not.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        Self { name: name.escape_debug().to_string(), text }
    }

    /// The text of a file, which must be UTF-8.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self, SpecFileError> {
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => return Ok(Self::new(name, text)),
            Err(error) => error.valid_up_to(),
        };
        let good = Self::new(name, &String::from_utf8_lossy(&bytes[..valid]));
        let start = good.text.len();
        let rest: Vec<u8> = bytes[valid..].split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        let text = good.text + &String::from_utf8_lossy(&rest);
        let mut findings = Findings::default();
        let message = format!("the file is not UTF-8: byte 0x{:02x}", bytes[valid]);
        findings.add(
            start..start + char::REPLACEMENT_CHARACTER.len_utf8(),
            message,
            "save the file as UTF-8",
        );
        Err(SpecFileError::invalid(&Self { name: good.name, text }, findings))
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}
