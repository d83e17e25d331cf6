//! What is wrong with a spec, and the pot in which problems are collected.

use std::ops::Range;

/// One thing that is wrong with what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// The dotted path of the field: `window.from`, `source.dimensions.service[1]`, `job.environment.YEAR`. Where the
    /// field is missing, the path it would have.
    pub field: String,
    /// The bytes of the field's text that are wrong, where only a part of it is.
    pub at: Option<Range<usize>>,
    /// Whether the field's text must not be shown, since it looks like a credential.
    pub secret: bool,
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// The problems found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<SpecProblem>);

impl Problems {
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        self.push(field.into(), None, false, message.into(), help.into());
    }

    pub fn add_at(
        &mut self,
        field: impl Into<String>,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(field.into(), Some(at), false, message.into(), help.into());
    }

    pub fn add_secret(
        &mut self,
        field: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(field.into(), None, true, message.into(), help.into());
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

    fn push(&mut self, field: String, at: Option<Range<usize>>, secret: bool, message: String, help: String) {
        self.0.push(SpecProblem { field, at, secret, message, help });
    }
}
