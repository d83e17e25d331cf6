//! How a command ends: its exit code, or one clear error with what to do.

use std::fmt::Write as _;
use std::process::ExitCode;

use dayfill_core::escape;
use dayfill_engine::book::BookError;
use dayfill_engine::ports::PortError;
use dayfill_engine::segment::SegmentError;
use dayfill_engine::submit::AdoptError;

use crate::spec_file::SpecFileError;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Ok = 0,
    /// An error.
    Error = 1,
    /// Usage, or a mistake in the YAML.
    Usage = 2,
    /// Finished, with failed days.
    FailedDays = 3,
    /// The plan is stale.
    Stale = 4,
    /// Still running at `--timeout`.
    TimedOut = 5,
    /// A guard refused, or the breaker opened.
    Refused = 6,
    /// A person has to decide.
    NeedsPerson = 7,
    /// `plan --exit-code`, and there is work.
    Work = 10,
    /// Interrupted; jobs go on.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong and where.
    pub what: String,
    /// Details, a line each.
    pub details: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    /// `what` is a whole report already, with its own `error:` and carets.
    is_report: bool,
}

impl Failure {
    /// An error with this exit code.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), details: Vec::new(), hint: None, is_report: false }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The text for standard error. Other people's text in it cannot move the cursor.
    pub fn render(&self) -> String {
        if self.is_report {
            return self.what.clone();
        }
        let mut out = String::from("error: ");
        push_escaped(&mut out, &self.what);
        for detail in &self.details {
            out.push_str("\n  ");
            push_escaped(&mut out, detail);
        }
        if let Some(hint) = &self.hint {
            out.push_str("\n  help: ");
            push_escaped(&mut out, hint);
        }
        out
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for (i, line) in text.lines().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        out.push_str(&escape::terminal(line));
    }
}

/// An error and all that caused it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their cause in their own text.
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl From<SpecFileError> for Failure {
    fn from(error: SpecFileError) -> Self {
        let colours = console::colors_enabled_stderr();
        Self { is_report: true, ..Self::new(Exit::Usage, error.render(colours)) }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self { exit: Exit::Error, what: error.what, details: Vec::new(), hint: error.hint, is_report: false }
    }
}

impl From<BookError> for Failure {
    fn from(error: BookError) -> Self {
        let hint = match &error {
            BookError::Port(port) => return port.clone().into(),
            BookError::Segment { source: SegmentError::Newer { .. }, .. } => {
                "use the newest dayfill for this backfill"
            }
            BookError::Segment { source: SegmentError::Damaged { .. }, .. } | BookError::Gap { .. } => {
                "restore this file from a backup or an older version of the object; dayfill never changes a segment \
                 and does not go on without one, since it could submit a day twice"
            }
            BookError::NoPlan { .. } | BookError::Plan { .. } => "restore this file from a backup",
            BookError::Fold { .. } | BookError::Write(_) => {
                "the journal was changed by something else than dayfill"
            }
        };
        Self::new(Exit::Error, chain(&error)).hint(hint)
    }
}

impl From<AdoptError> for Failure {
    fn from(error: AdoptError) -> Self {
        let what = error.to_string();
        match error {
            AdoptError::Book(book) => book.into(),
            AdoptError::OtherIdentity(differences) => {
                let line = |(field, journal, yaml): (&str, String, String)| {
                    format!("{field}: the journal has {journal:?}, the YAML says {yaml:?}")
                };
                let details = differences.into_iter().map(line).collect();
                let hint = "change the YAML back, or give the new backfill another name";
                Self { details, ..Self::new(Exit::Usage, what) }.hint(hint)
            }
            AdoptError::OtherBackfill => {
                Self::new(Exit::Stale, what).hint("plan again: dayfill plan backfill.yaml -o plan.json")
            }
            AdoptError::Superseded => Self::new(Exit::Stale, what),
            AdoptError::Stale(jobs) => {
                let details = jobs.into_iter().map(|j| format!("{}: {}", j.slice, j.since)).collect();
                Self { details, ..Self::new(Exit::Stale, what) }.hint("plan again and submit the new plan")
            }
        }
    }
}
