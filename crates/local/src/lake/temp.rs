//! Temporary files that vanish unless they are given a name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file that is removed when dropped, unless it was renamed.
pub(super) struct Temp {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temp {
    /// A new empty file in `folder`, which is created if need be.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, renamed: false })
    }

    /// The open file, for writing.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Waits until the bytes are on the disk; what the file is then.
    pub(super) fn settle(&self) -> io::Result<fs::Metadata> {
        self.file.sync_data()?;
        self.file.metadata()
    }

    /// Gives the file its name, in place of what had it.
    pub(super) fn rename(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.renamed = true;
        Ok(())
    }
}

/// How old a temporary file is that nobody can be writing to any more.
const STALE: Duration = Duration::from_hours(24);

/// Removes what was left in `folder` by processes that were killed. Best effort: it only takes room.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|meta| meta.modified());
        if modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.renamed {
            // Nobody could do anything about it, and the store passes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_file_without_a_name_vanishes() {
        let dir = tempfile::tempdir().unwrap();
        drop(Temp::create(dir.path()).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        Temp::create(dir.path()).unwrap().rename(&dir.path().join("kept")).unwrap();
        assert!(dir.path().join("kept").exists());
    }

    #[test]
    fn only_what_is_old_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        for (name, hours) in [("old", 25), ("young", 1)] {
            let file = File::create(dir.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_hours(hours)).unwrap();
        }
        sweep(dir.path());
        assert!(!dir.path().join("old").exists() && dir.path().join("young").exists());
    }
}
