//! S3 over folders: every file is an object, whether it was written through the API or put there by hand.
//!
//! - A bucket is a subfolder of the lake, or any folder that was mounted under a name. Keys are paths in it.
//! - The ETag of an object that was put is the MD5 of its bytes, as with S3. That of a file put there by hand
//!   is made from its size, time and inode and ends in `-0`: a lake of any size lists without being read.
//! - A key that cannot be a file (`a` beside `a/b`, a folder marker `a/`, a component of over 255 bytes) is kept
//!   beside the bucket. One with an empty, `.` or `..` component is refused.
//! - Checks and changes are one step: of many conditional writes at once exactly one succeeds, also when several
//!   processes serve the same folder.
//! - Symbolic links are followed only to files within the bucket. Versions, ACLs, tags and encryption are not kept.

mod bucket;
mod checksums;
mod error;
mod intake;
mod key;
mod listing;
mod operations;
mod read;
mod records;
mod service;
mod temp;
mod tree;
mod uploads;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use s3s::path::check_bucket_name;
use s3s::{S3Result, s3_error};
use sha2::{Digest, Sha256};

use bucket::Bucket;
pub(crate) use bucket::hex;
use error::{from_io, no_such_bucket};
use key::RESERVED;
pub(crate) use service::service;
use tree::FolderCache;

/// Which folders are served.
#[derive(Debug, Clone)]
pub(crate) struct LakeConfig {
    /// Its subfolders are buckets.
    pub(crate) lake: Option<PathBuf>,
    /// Name of a bucket, and the folder that is served as it.
    pub(crate) mounts: Vec<(String, PathBuf)>,
    /// Where to keep what belongs to mounted buckets but is no file of theirs.
    pub(crate) side: PathBuf,
    pub(crate) region: String,
}

/// Why folders cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A mount has a name that S3 does not allow for buckets.
    #[error("`{name}` is no name for a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")]
    BucketName {
        /// The name as given.
        name: String,
    },
    /// Two mounts have the same name.
    #[error("two folders are to be served as bucket `{name}`")]
    Twice {
        /// The name.
        name: String,
    },
    /// A folder is missing, is no folder, or cannot be used.
    #[error("cannot serve the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// All buckets.
pub(crate) struct Lake {
    /// The folder whose subfolders are buckets.
    folder: Option<PathBuf>,
    /// Name, folder, and what belongs to it.
    mounts: HashMap<String, (PathBuf, PathBuf)>,
    region: String,
    open: Mutex<HashMap<String, Arc<Bucket>>>,
    folders: Arc<FolderCache>,
}

impl Lake {
    /// Checks the folders; that of the lake is created if it is missing.
    pub(crate) fn open(config: LakeConfig) -> Result<Self, LakeError> {
        let canonical = |path: &Path| {
            fs::canonicalize(path)
                .and_then(|path| fs::read_dir(&path).map(|_| path))
                .map_err(|source| LakeError::Folder { path: path.to_owned(), source })
        };
        let mut mounts = HashMap::new();
        for (name, folder) in config.mounts {
            if !check_bucket_name(&name) {
                return Err(LakeError::BucketName { name });
            }
            let root = canonical(&folder)?;
            let digest = hex(&Sha256::digest(root.as_os_str().as_encoded_bytes())[..8]);
            let side = config.side.join(format!("{name}-{digest}"));
            if mounts.insert(name.clone(), (root, side)).is_some() {
                return Err(LakeError::Twice { name });
            }
        }
        let folder = match config.lake {
            Some(folder) => {
                let created = fs::create_dir_all(&folder);
                created.map_err(|source| LakeError::Folder { path: folder.clone(), source })?;
                Some(canonical(&folder)?)
            }
            None => None,
        };
        let folders = Arc::default();
        Ok(Self { folder, mounts, region: config.region, open: Mutex::default(), folders })
    }

    /// The bucket of this name.
    fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = open.get(name) {
            if bucket.exists() {
                return Ok(Arc::clone(bucket));
            }
            open.remove(name);
        }
        let (root, side) = match self.mounts.get(name) {
            Some(mount) => mount.clone(),
            None => self.place_in_lake(name).ok_or_else(no_such_bucket)?,
        };
        // A link would lead out of the lake; a folder elsewhere is served by mounting it.
        if !fs::symlink_metadata(&root).is_ok_and(|meta| meta.is_dir()) {
            return Err(no_such_bucket());
        }
        let bucket = Arc::new(Bucket::open(root, side, Arc::clone(&self.folders)).map_err(from_io)?);
        open.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }

    /// The names of all buckets with the times of their creation, in order.
    fn buckets(&self) -> S3Result<Vec<(String, SystemTime)>> {
        let mut found: Vec<(String, PathBuf)> =
            self.mounts.iter().map(|(name, (root, _))| (name.clone(), root.clone())).collect();
        if let Some(lake) = &self.folder {
            for entry in fs::read_dir(lake).map_err(from_io)? {
                let entry = entry.map_err(from_io)?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if folder && check_bucket_name(&name) && !self.mounts.contains_key(&name) {
                    found.push((name, entry.path()));
                }
            }
        }
        found.sort();
        let created = |path: &Path| {
            let meta = fs::metadata(path)?;
            meta.created().or_else(|_| meta.modified())
        };
        Ok(found
            .into_iter()
            .map(|(name, path)| (name, created(&path).unwrap_or(SystemTime::UNIX_EPOCH)))
            .collect())
    }

    /// Makes a folder in the lake.
    fn create(&self, name: &str) -> S3Result<()> {
        if self.bucket(name).is_ok() {
            // The oldest Region says yes to the owner who creates a bucket again; the others do not.
            return if self.region == "us-east-1" {
                Ok(())
            } else {
                Err(s3_error!(
                    BucketAlreadyOwnedByYou,
                    "Your previous request to create the named bucket succeeded and you already own it."
                ))
            };
        }
        let Some((root, side)) = self.place_in_lake(name) else {
            return Err(s3_error!(
                AccessDenied,
                "no folder was given in which buckets could be created; only mounted ones are served"
            ));
        };
        fs::create_dir(&root).map_err(from_io)?;
        // What belonged to a bucket of this name whose folder was removed by hand must not come back.
        match fs::remove_dir_all(side) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(from_io(error)),
            _ => Ok(()),
        }
    }

    /// Removes an empty bucket of the lake.
    fn delete(&self, name: &str) -> S3Result<()> {
        let bucket = self.bucket(name)?;
        if self.mounts.contains_key(name) {
            return Err(s3_error!(AccessDenied, "a mounted folder is not removed"));
        }
        bucket.remove()?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }

    fn place_in_lake(&self, name: &str) -> Option<(PathBuf, PathBuf)> {
        let lake = self.folder.as_ref().filter(|_| check_bucket_name(name))?;
        Some((lake.join(name), lake.join(RESERVED).join(name)))
    }
}
