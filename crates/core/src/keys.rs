//! Whose an object is, by its key.

use regex::Regex;

use crate::layout::{KeyFields, Layout};
use crate::plan::Plan;
use crate::spec::SourceSpec;

/// Reads keys as a backfill does: below its prefix, by its layout, past `include` and `exclude`.
#[derive(Debug, Clone)]
pub struct KeyReader {
    layout: Layout,
    root: String,
    include: Option<Regex>,
    exclude: Option<Regex>,
}

/// What a key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// `include` and `exclude` leave it out.
    Filtered,
    /// It is a folder marker of a console, which is no data.
    Marker,
    /// It does not follow the layout.
    Stray,
    /// It belongs there.
    At(KeyFields),
}

impl KeyReader {
    /// The reader of a source. `root` is the prefix inside the bucket that the layout's keys are relative to.
    pub fn of_source(source: &SourceSpec, root: &str) -> Self {
        let regex = |text: Option<&str>| text.and_then(|text| Regex::new(text).ok());
        Self {
            layout: source.layout().clone(),
            root: root.to_owned(),
            include: regex(source.include()),
            exclude: regex(source.exclude()),
        }
    }

    /// The reader of the source that a plan was made from; nothing where the plan's texts do not read, which were checked
    /// when it was made.
    pub fn of_plan(plan: &Plan) -> Option<Self> {
        let regex = |text: &Option<String>| text.as_deref().map(Regex::new).transpose().ok();
        Some(Self {
            layout: Layout::parse(&plan.identity.layout).ok()?,
            root: plan.source.root.clone(),
            include: regex(&plan.source.include)?,
            exclude: regex(&plan.source.exclude)?,
        })
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The prefix inside the bucket that the layout's keys are relative to.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What a whole key of an object of this size says.
    pub fn place(&self, key: &str, size: u64) -> Placed {
        let is_wanted = self.include.as_ref().is_none_or(|include| include.is_match(key))
            && !self.exclude.as_ref().is_some_and(|exclude| exclude.is_match(key));
        if !is_wanted {
            return Placed::Filtered;
        }
        let relative = key.strip_prefix(&self.root).unwrap_or(key);
        if relative.ends_with('/') && size == 0 {
            return Placed::Marker;
        }
        self.layout.match_key(relative).map_or(Placed::Stray, Placed::At)
    }
}
