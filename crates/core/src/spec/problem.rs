//! What is wrong with a spec, and the pot in which problems are collected.

use std::ops::Range;

/// One thing that is wrong with what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// The dotted path of the field: `window.from`, `source.dimensions.service[1]`, `job.environment.YEAR`. Where the
    /// field is missing, the path it would have.
    pub field: String,
    /// What of the field is wrong.
    pub part: ProblemPart,
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// What of a field is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemPart {
    /// All of its value.
    Value,
    /// These bytes of its text.
    Bytes(Range<usize>),
    /// Its name.
    Name,
    /// Its value, which looks like a credential and must not be shown.
    Secret,
}

/// The problems found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<SpecProblem>);

impl Problems {
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        self.add_part(field, ProblemPart::Value, message, help);
    }

    pub fn add_at(
        &mut self,
        field: impl Into<String>,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add_part(field, ProblemPart::Bytes(at), message, help);
    }

    pub fn add_part(
        &mut self,
        field: impl Into<String>,
        part: ProblemPart,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.0.push(SpecProblem { field: field.into(), part, message: message.into(), help: help.into() });
    }

    /// What was written, or a problem saying that it is missing.
    pub fn required<T>(&mut self, field: &str, value: Option<T>, help: &str) -> Option<T> {
        if value.is_none() {
            self.add(field, format!("`{field}` is missing"), help);
        }
        value
    }

    pub fn into_vec(self) -> Vec<SpecProblem> {
        self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
