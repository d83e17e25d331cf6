//! From a YAML file to the place where its journal is and its jobs run.

use std::path::{Path, PathBuf};

use dayfill_core::plan::{Place, RunsOn};
use dayfill_core::spec::{EngineKind, SourceUri, Spec, State};

use crate::args::SpecArgs;
use crate::error::{Exit, Failure};
use crate::spec_file::{self, LoadedSpec};

/// Folder of the local engine and of its default lake, beside the YAML file.
const OWN: &str = ".dayfill";

/// A loaded YAML file with what the command line adds to it.
pub struct Backfill {
    /// What must be true.
    pub spec: Spec,
    /// Where the journal is and where jobs run.
    pub place: Place,
    /// The bucket that jobs read.
    pub bucket: String,
    /// The prefix in the bucket that the layout's keys are relative to; empty, or ending in `/`.
    pub root: String,
    /// The folder of the YAML file, absolute.
    pub folder: PathBuf,
    /// The file as it was named on the command line, for messages.
    pub file: PathBuf,
}

impl Backfill {
    /// Reads the YAML file.
    pub fn load(args: &SpecArgs) -> Result<Self, Failure> {
        let LoadedSpec { spec, folder, .. } = spec_file::load(&args.file, args.engine.map(Into::into))?;
        let folder = absolute(&folder)?;
        let engine = args.engine.map_or(spec.engine(), Into::into);
        let (bucket, root) = match spec.source().uri() {
            SourceUri::S3 { bucket, prefix } => (bucket.clone(), prefix.clone()),
            SourceUri::Folder(path) => (bucket_name(&folder.join(path))?, String::new()),
        };
        let place = place(&spec, &folder, engine, args.lake.as_deref(), &bucket)?;
        Ok(Self { spec, place, bucket, root, folder, file: args.file.clone() })
    }
}

fn place(
    spec: &Spec,
    folder: &Path,
    engine: EngineKind,
    lake: Option<&Path>,
    bucket: &str,
) -> Result<Place, Failure> {
    let state = match spec.state() {
        State::S3 { .. } => spec.state().to_string(),
        State::Folder(path) => text(&folder_or_nothing("state", &absolute(&folder.join(path))?)?)?,
    };
    let runs_on = match engine {
        EngineKind::Aws => {
            if let SourceUri::Folder(path) = spec.source().uri() {
                let what = format!("source.uri {path:?} is a folder of this machine, which AWS cannot read");
                return Err(
                    Failure::new(Exit::Usage, what).hint("write s3://bucket/prefix, or use --engine local")
                );
            }
            let aws = spec.aws();
            RunsOn::Aws {
                region: aws.region.clone(),
                profile: aws.profile.clone(),
                endpoint_url: aws.endpoint_url.clone(),
            }
        }
        EngineKind::Local => {
            let own = folder.join(OWN);
            let from_yaml = || spec.local().lake.as_ref().map(|l| folder.join(l));
            let lake = lake.map(absolute).transpose()?.or_else(from_yaml).unwrap_or_else(|| own.join("lake"));
            let lake = folder_or_nothing("local.lake", &absolute(&lake)?)?;
            let mounts = match spec.source().uri() {
                SourceUri::Folder(path) => vec![(bucket.to_owned(), text(&absolute(&folder.join(path))?)?)],
                SourceUri::S3 { .. } => Vec::new(),
            };
            RunsOn::Local {
                folder: text(&absolute(&own.join("engine"))?)?,
                lake: text(&lake)?,
                mounts,
                vcpus: spec.local().vcpus,
                memory_mib: spec.local().memory_mib,
                reclaims: spec.local().reclaims.clone(),
            }
        }
    };
    Ok(Place { state, runs_on })
}

/// Absolute and without `.` and `..`, so that two ways to write a folder are one identity. The folder need not exist.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let full = std::path::absolute(path)
        .map_err(|e| Failure::new(Exit::Error, format!("cannot resolve {}: {e}", path.display())))?;
    let mut plain = PathBuf::new();
    for part in full.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            std::path::Component::CurDir => {}
            other => plain.push(other),
        }
    }
    // What exists may be reached through symbolic links.
    Ok(plain.canonicalize().unwrap_or(plain))
}

/// The path again, unless it or what it lies in is a file, where no folder can ever be made.
fn folder_or_nothing(field: &str, path: &Path) -> Result<PathBuf, Failure> {
    match path.ancestors().find(|p| p.exists()).filter(|p| !p.is_dir()) {
        Some(file) => {
            let what = format!("{field}: {} is a file, and a folder is needed", file.display());
            Err(Failure::new(Exit::Error, what).hint(format!("name another folder as `{field}`")))
        }
        None => Ok(path.to_path_buf()),
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("the path {} is not UTF-8", path.display())))
}

/// The bucket name that a folder is served under: its own name, as far as a bucket may be called so.
fn bucket_name(folder: &Path) -> Result<String, Failure> {
    let folder = absolute(folder)?;
    if !folder.is_dir() {
        let what = format!("source.uri: there is no folder {}", folder.display());
        return Err(Failure::new(Exit::Error, what).hint("paths in the YAML are relative to the YAML file"));
    }
    let own = folder.file_name().and_then(|n| n.to_str()).unwrap_or("lake").to_lowercase();
    let plain: String =
        own.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let name = plain.trim_matches('-').to_owned();
    Ok(if name.len() < 3 { format!("lake-{name}").trim_end_matches('-').to_owned() } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_the_name_of_a_bucket() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, bucket) in
            [("Log Lake", "log-lake"), ("a", "lake-a"), ("__", "lake"), ("2018_data", "2018-data")]
        {
            let path = dir.path().join(folder);
            std::fs::create_dir(&path).unwrap();
            assert_eq!(bucket_name(&path).unwrap(), bucket);
        }
        let missing = bucket_name(&dir.path().join("none")).unwrap_err();
        assert!(missing.what.contains("there is no folder"));
    }

    #[test]
    fn two_ways_to_write_a_folder_are_one() {
        let dir = tempfile::tempdir().unwrap();
        let plain = absolute(&dir.path().join("state")).unwrap();
        assert_eq!(absolute(&dir.path().join("x/../state/.")).unwrap(), plain);
    }
}
