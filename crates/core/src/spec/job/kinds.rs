//! What a job says of itself in one word: what may run again, what it reads, what makes it a success.

use super::super::policy::{Idempotent, Reads, Success};
use super::super::problem::Problems;
use crate::template::Template;

pub(super) const IDEMPOTENT_HELP: &str = "say what may run again without harm:\n\
    slice: rerunning any part of a day replaces what is stored of that part, whoever stored it\n\
    partition: only a whole day replaces itself\n\
    no: a second run loads twice, so ask me first";

pub(super) fn read_idempotent(name: &str, problems: &mut Problems) -> Option<Idempotent> {
    let kind = Idempotent::of(name);
    if kind.is_none() {
        let message = format!("`{}` is not a kind of idempotence", name.escape_debug());
        problems.add("job.idempotent", message, IDEMPOTENT_HELP);
    }
    kind
}

pub(super) fn read_reads(name: &str, problems: &mut Problems) -> Option<Reads> {
    let kind = Reads::of(name);
    if kind.is_none() {
        let help = "write `prefix`, for all keys that begin with {prefix}, or `manifest`, for those that the object {manifest} lists";
        problems.add("job.reads", format!("`{}` is not a way to read", name.escape_debug()), help);
    }
    kind
}

pub(super) fn read_success(name: &str, problems: &mut Problems) -> Option<Success> {
    let kind = Success::of(name);
    if kind.is_none() {
        let help = "write `exit`, for what Batch records as SUCCEEDED, or `result`, if the job must have written its result too";
        problems.add("job.success", format!("`{}` is not what makes a success", name.escape_debug()), help);
    }
    kind
}

/// A manifest is written where a job reads it, and a job reads it where it is told of it.
pub(super) fn check_manifest(reads: Option<Reads>, templates: &[&Template], problems: &mut Problems) {
    let is_told = templates.iter().any(|template| template.names("manifest"));
    match reads {
        Some(Reads::Manifest) if !is_told => {
            let message = "the job reads a manifest, and nothing tells it which";
            let help = "add a variable such as MANIFEST: '{manifest}' to `environment`";
            problems.add("job.reads", message, help);
        }
        Some(Reads::Prefix) if is_told => {
            let message = "{manifest} is told to a job that reads a prefix, so none is written";
            problems.add("job.reads", message, "write `reads: manifest`");
        }
        _ => {}
    }
}
