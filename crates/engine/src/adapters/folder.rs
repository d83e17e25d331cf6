//! The journal in a local folder.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::ports::{Created, ErrorKind, Journal, PortError, StoredSegment};

/// A journal in a folder: `journal/0000000000000042.jsonl`, `plans/{digest}.json`, `manifests/{fingerprint}.jsonl`,
/// `results/{job}.json` and `snapshot.json`.
///
/// A segment is written to a temporary file, synced, and linked to its number: `link(2)` fails where the number is
/// taken, so a number has one content for ever and no reader sees half of it. The store's clock is the file system's.
#[derive(Debug, Clone)]
pub struct FolderJournal {
    root: PathBuf,
}

impl FolderJournal {
    /// The journal in `root`, which is created when something is first written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn segment_path(&self, number: u64) -> PathBuf {
        self.root.join("journal").join(format!("{number:016}.jsonl"))
    }

    fn manifest_path(&self, fingerprint: &str) -> PathBuf {
        self.root.join("manifests").join(format!("{fingerprint}.jsonl"))
    }

    fn result_path(&self, job: &str) -> PathBuf {
        self.root.join("results").join(format!("{job}.json"))
    }

    fn snapshot_path(&self) -> PathBuf {
        self.root.join("snapshot.json")
    }

    /// Writes `bytes` to `target` only if there is no such file.
    fn create_file(&self, target: &Path, bytes: &[u8]) -> io::Result<Option<DateTime<Utc>>> {
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let temporary = folder.join(format!(".{}.tmp", Uuid::new_v4()));
        let linked = (|| {
            let mut file = File::create_new(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            let stored_at = file.metadata()?.modified()?.into();
            match fs::hard_link(&temporary, target) {
                Ok(()) => Ok(Some(stored_at)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
                Err(e) => Err(e),
            }
        })();
        let removed = fs::remove_file(&temporary);
        let stored = linked?;
        removed?;
        File::open(folder)?.sync_all()?;
        Ok(stored)
    }

    /// Writes `bytes` to `target` in place of what is there. Not synced: what a crash may leave of a snapshot does not
    /// match its checksum.
    fn replace_file(&self, target: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.root.join(format!(".{}.tmp", Uuid::new_v4()));
        let replaced = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, target));
        if replaced.is_err() {
            // What cannot be written may not be there to be removed, either.
            let _ = fs::remove_file(&temporary);
        }
        replaced
    }

    fn read_segments(&self, from: u64) -> io::Result<Vec<StoredSegment>> {
        let folder = self.root.join("journal");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let number =
                name.to_str().and_then(|n| n.strip_suffix(".jsonl")).and_then(|n| n.parse::<u64>().ok());
            numbers.extend(number.filter(|n| *n >= from));
        }
        numbers.sort_unstable();
        let read = |number: u64| {
            let path = self.segment_path(number);
            let stored_at = fs::metadata(&path)?.modified()?.into();
            Ok(StoredSegment { number, bytes: fs::read(&path)?, stored_at })
        };
        numbers.into_iter().map(read).collect()
    }

    fn error(&self, doing: &str, error: &io::Error) -> PortError {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Other,
        };
        let port = PortError::new(kind, format!("cannot {doing} {}: {error}", self.root.display()));
        match kind {
            ErrorKind::Denied => {
                port.hint("give this user the right to write there, or name another folder as `state`")
            }
            ErrorKind::Full => port.hint("make room there and run the same command again: nothing is lost"),
            _ => port,
        }
    }

    /// File work happens on a thread of its own kind, so that a slow disk does not hold up everything else.
    async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let own = self.clone();
        match tokio::task::spawn_blocking(move || work(&own)).await {
            Ok(result) => result.map_err(|e| self.error(doing, &e)),
            Err(e) => {
                Err(PortError::new(ErrorKind::Other, format!("cannot {doing} {}: {e}", self.root.display())))
            }
        }
    }
}

/// A job has written it, so it may be of any length, or be something else than a file: a pipe that nobody writes to would
/// be waited for.
fn read_start(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            let mut start = Vec::new();
            File::open(path)?.take(most).read_to_end(&mut start)?;
            Ok(Some(start))
        }
        Ok(_) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[async_trait]
impl Journal for FolderJournal {
    async fn segments(&self, from: u64) -> Result<Vec<StoredSegment>, PortError> {
        self.run("read the journal in", move |j| j.read_segments(from)).await
    }

    async fn create(&self, number: u64, bytes: &[u8]) -> Result<Created, PortError> {
        let bytes = bytes.to_vec();
        let write = move |j: &Self| j.create_file(&j.segment_path(number), &bytes);
        Ok(self.run("write the journal in", write).await?.map_or(Created::Taken, Created::Stored))
    }

    async fn keep_plan(&self, digest: &str, bytes: &[u8]) -> Result<(), PortError> {
        let target = self.root.join("plans").join(format!("{digest}.json"));
        let bytes = bytes.to_vec();
        let keep = move |j: &Self| {
            // A job that writes a result does not make the folder for it.
            fs::create_dir_all(j.root.join("results"))?;
            j.create_file(&target, &bytes)
        };
        self.run("keep the plan in", keep).await?;
        Ok(())
    }

    async fn keep_manifest(&self, fingerprint: &str, bytes: &[u8]) -> Result<(), PortError> {
        let (target, bytes) = (self.manifest_path(fingerprint), bytes.to_vec());
        self.run("keep the manifest in", move |j| j.create_file(&target, &bytes)).await?;
        Ok(())
    }

    async fn result(&self, job: &str, most: u64) -> Result<Option<Vec<u8>>, PortError> {
        let path = self.result_path(job);
        self.run("read the result of a job in", move |_| read_start(&path, most)).await
    }

    async fn plan(&self, digest: &str) -> Result<Option<Vec<u8>>, PortError> {
        let target = self.root.join("plans").join(format!("{digest}.json"));
        self.run("read the plan in", move |_| read_file(&target)).await
    }

    async fn keep_snapshot(&self, bytes: &[u8]) -> Result<(), PortError> {
        let bytes = bytes.to_vec();
        self.run("keep a snapshot in", move |j| j.replace_file(&j.snapshot_path(), &bytes)).await
    }

    async fn snapshot(&self) -> Result<Option<Vec<u8>>, PortError> {
        self.run("read the snapshot in", |j| read_file(&j.snapshot_path())).await
    }

    async fn now(&self) -> Result<DateTime<Utc>, PortError> {
        // A file system shared by several machines has a clock of its own; a fresh file tells it.
        let touch = |j: &Self| {
            fs::create_dir_all(&j.root)?;
            let path = j.root.join(format!(".{}.tmp", Uuid::new_v4()));
            let modified = File::create_new(&path).and_then(|f| f.metadata()?.modified());
            fs::remove_file(&path)?;
            Ok(modified?.into())
        };
        self.run("write a file in", touch).await
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn of_many_racers_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Arc::new(FolderJournal::new(dir.path()));
        let racers = (0..32u8).map(|i| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { (i, journal.create(1, &[i]).await.unwrap()) })
        });
        let results: Vec<(u8, Created)> =
            futures::future::join_all(racers).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<u8> =
            results.iter().filter(|(_, c)| matches!(c, Created::Stored(_))).map(|(i, _)| *i).collect();
        assert_eq!(winners.len(), 1);
        let stored = journal.segments(1).await.unwrap();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].bytes, winners);
        let left: Vec<_> = fs::read_dir(dir.path().join("journal")).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left");
    }

    #[tokio::test]
    async fn of_a_result_only_the_start_is_read_and_only_if_it_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(dir.path());
        assert_eq!(journal.result("df-1", 3).await.unwrap(), None);
        journal.keep_plan("abc", b"{}").await.unwrap();
        fs::write(dir.path().join("results/df-1.json"), b"12345").unwrap();
        assert_eq!(journal.result("df-1", 3).await.unwrap().as_deref(), Some(b"123".as_slice()));
        fs::create_dir(dir.path().join("results/df-2.json")).unwrap();
        assert_eq!(journal.result("df-2", 3).await.unwrap(), None);
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("results/df-3.json")).unwrap();
        assert_eq!(journal.result("df-3", 3).await.unwrap(), None);
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("results/df-4.json")).status();
        assert!(made.unwrap().success());
        assert_eq!(journal.result("df-4", 3).await.unwrap(), None, "nobody ever writes into it");
    }

    #[tokio::test]
    async fn an_absent_folder_is_an_empty_journal() {
        let dir = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(dir.path().join("none/such"));
        assert_eq!(journal.segments(1).await.unwrap(), []);
        assert_eq!(journal.plan("abc").await.unwrap(), None);
        assert_eq!(journal.snapshot().await.unwrap(), None);
        assert!(!dir.path().join("none").exists(), "reading creates nothing");
    }

    #[tokio::test]
    async fn a_snapshot_takes_the_place_of_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(dir.path());
        for content in ["a longer one", "one"] {
            journal.keep_snapshot(content.as_bytes()).await.unwrap();
            assert_eq!(journal.snapshot().await.unwrap().unwrap(), content.as_bytes());
        }
        fs::remove_file(dir.path().join("snapshot.json")).unwrap();
        fs::create_dir(dir.path().join("snapshot.json")).unwrap();
        assert!(journal.keep_snapshot(b"one").await.is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_one_clear_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = FolderJournal::new(&file).create(1, b"x").await.unwrap_err();
        assert!(error.what.contains("cannot write the journal in"), "{error}");
        assert!(!error.what.contains('\n'));
    }
}
