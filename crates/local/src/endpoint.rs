//! One engine per folder: the lock that says so, and the file that tells others how to reach it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How to reach an engine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Of S3, Batch and CloudWatch Logs alike: `http://127.0.0.1:PORT`.
    pub url: String,
    /// The Region that ARNs name and clients should sign for.
    pub region: String,
    /// Made up at each start.
    pub access_key_id: String,
    /// Made up at each start.
    pub secret_access_key: String,
    /// When the engine started.
    pub started_at: DateTime<Utc>,
    /// How many seconds a signature may be off, either way.
    pub signature_age_seconds: u64,
    /// The process that serves.
    pub pid: u32,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("started_at", &self.started_at)
            .field("signature_age_seconds", &self.signature_age_seconds)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// How often, and how far apart, a held lock is tried again: whoever asks [`running`] holds it for an instant.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// The folder of a live engine, held until dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    dir: PathBuf,
    _lock: File,
}

/// Why a folder could not be claimed.
#[derive(Debug)]
pub(crate) enum Unclaimed {
    /// A live engine has it; its endpoint is known once it serves.
    Taken(Option<Endpoint>),
    Io(PathBuf, io::Error),
}

impl Claim {
    /// Claims `dir`, which is created for its owner alone if it is missing.
    pub(crate) async fn take(dir: &Path) -> Result<Self, Unclaimed> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| Unclaimed::Io(path, error)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
        let path = lock_path(dir);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed(&path))?;
        for attempt in 1.. {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(&path)(error)),
                Err(TryLockError::WouldBlock) if attempt < TRIES => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => return Err(Unclaimed::Taken(read(dir))),
            }
        }
        let claim = Self { dir: dir.to_owned(), _lock: lock };
        // What an engine left that was killed.
        claim.withdraw().map_err(failed(&file_path(dir)))?;
        Ok(claim)
    }

    /// Tells others how to reach this engine.
    pub(crate) fn publish(&self, endpoint: &Endpoint) -> io::Result<()> {
        let fresh = self.dir.join("endpoint.json.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        serde_json::to_writer_pretty(&mut file, endpoint)?;
        file.write_all(b"\n")?;
        fs::rename(fresh, file_path(&self.dir))
    }

    fn withdraw(&self) -> io::Result<()> {
        match fs::remove_file(file_path(&self.dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Left over, it would be passed over: nobody holds the lock any more.
        let _ = self.withdraw();
    }
}

/// The endpoint of the live engine that works in `dir`, if there is one and it serves already.
pub fn running(dir: &Path) -> Option<Endpoint> {
    let lock = File::open(lock_path(dir)).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read(dir),
        _ => None,
    }
}

fn read(dir: &Path) -> Option<Endpoint> {
    serde_json::from_slice(&fs::read(file_path(dir)).ok()?).ok()
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

fn file_path(dir: &Path) -> PathBuf {
    dir.join("endpoint.json")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            url: "http://127.0.0.1:1".into(),
            region: "us-east-1".into(),
            access_key_id: "LOCALID".into(),
            secret_access_key: "very secret".into(),
            started_at: DateTime::UNIX_EPOCH,
            signature_age_seconds: 900,
            pid: 1,
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_folder_has_one_engine_and_says_which() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("deep/engine");
        assert_eq!(running(&dir), None);
        let claim = Claim::take(&dir).await.unwrap();
        assert_eq!(running(&dir), None);
        claim.publish(&endpoint()).unwrap();
        assert_eq!(running(&dir), Some(endpoint()));
        assert_eq!((mode(&dir), mode(&file_path(&dir))), (0o700, 0o600));
        let Err(Unclaimed::Taken(Some(other))) = Claim::take(&dir).await else { panic!("taken twice") };
        assert_eq!(other, endpoint());
        drop(claim);
        assert_eq!(running(&dir), None);
        assert!(!file_path(&dir).exists());
    }

    #[tokio::test]
    async fn what_a_killed_engine_left_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(lock_path(dir.path()), b"").unwrap();
        fs::write(file_path(dir.path()), serde_json::to_vec(&endpoint()).unwrap()).unwrap();
        assert_eq!(running(dir.path()), None);
        let _claim = Claim::take(dir.path()).await.unwrap();
        assert_eq!(running(dir.path()), None);
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", endpoint()).contains("very secret"));
    }
}
