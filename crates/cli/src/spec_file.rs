//! The YAML door: the only place that reads YAML.
//!
//! Text becomes a tree of nodes that know where they stand (`node`), the tree becomes the parts of a spec
//! (`wire`), and core says what they mean. Whatever is wrong on that way (the syntax, a name, a type, a meaning) ends as a report with the
//! line, a caret and what to write instead; all that can be found is reported at once.

mod definition;
mod fields;
mod node;
mod place;
mod report;
mod shape;
mod syntax;
#[cfg(test)]
mod tests;
mod wire;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dayfill_core::spec::{EngineKind, Spec, SpecProblem};

pub use self::definition::{load_definition, parse_definition};
use self::fields::Findings;
use self::node::Node;
use self::report::Source;
pub use self::report::SpecFileError;

/// The largest file that is read; a backfill takes a few kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// A backfill that was read from a file.
#[derive(Clone, Debug)]
pub struct LoadedSpec {
    /// The backfill.
    pub spec: Spec,
    /// The folder of the file; what is relative in the spec is relative to it.
    pub folder: PathBuf,
}

/// Reads a backfill from a file. `engine` takes the place of what the file says, where it is given.
///
/// # Errors
/// The file cannot be read, is larger than 1 MiB, or holds no valid backfill.
pub fn load(path: &Path, engine: Option<EngineKind>) -> Result<LoadedSpec, SpecFileError> {
    let source = read(path)?;
    let spec = parse_source(&source, engine)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(LoadedSpec { spec, folder })
}

/// Reads a backfill from a text; `file_name` is shown in errors.
///
/// # Errors
/// The text holds no valid backfill.
pub fn parse(text: &str, file_name: &str) -> Result<Spec, SpecFileError> {
    parse_source(&Source::new(file_name, text), None)
}

fn parse_source(source: &Source, engine: Option<EngineKind>) -> Result<Spec, SpecFileError> {
    let root = syntax::parse(source)?;
    let mut findings = Findings::default();
    let mut parts = wire::parts(&root, &mut findings);
    if let Some(engine) = engine {
        parts.engine = Some(engine.name().to_owned());
    }
    let spec = Spec::new(parts);
    for problem in spec.as_ref().err().into_iter().flatten() {
        add(&mut findings, &root, problem);
    }
    match spec {
        Ok(spec) if findings.is_empty() => Ok(spec),
        _ => Err(SpecFileError::invalid(source, findings)),
    }
}

/// A problem of the spec, unless the door has already said what is wrong there.
fn add(findings: &mut Findings, root: &Node, problem: &SpecProblem) {
    if !findings.covers(&problem.field) {
        findings.add(place::of(root, problem), &problem.message, &problem.help);
    }
}

fn read(path: &Path) -> Result<Source, SpecFileError> {
    let unreadable = |source| SpecFileError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SpecFileError::TooLarge { path: path.to_owned() });
    }
    Source::decode(&path.to_string_lossy(), &bytes)
}
