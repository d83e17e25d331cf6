//! Temporary files that vanish unless they are given a name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

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

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.renamed {
            // Nobody could do anything about it, and the store passes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}
