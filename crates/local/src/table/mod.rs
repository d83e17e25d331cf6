//! The jobs, definitions, queues and environments on disk: one file of JSON lines that is only appended to, and now
//! and then replaced by a shorter one that says the same.

mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use record::{DefinitionRecord, EnvironmentRecord, JobRecord, Progress, QueueRecord, Record};

const VERSION: u32 = 1;
// Below this a rewrite saves nothing that anybody would notice.
const SMALL: u64 = 8 << 20;

/// Why the table cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line in the middle is not one of ours.
    #[error("line {line} of {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Another version of this program wrote it.
    #[error("{} has version {found}, and only version {VERSION} is understood", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// The open file.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    file: File,
    length: u64,
    compacted: u64,
    unsynced: bool,
}

impl Table {
    /// Opens the table at `path`, or begins one, and reads what it remembers. A last line that was cut is dropped:
    /// nobody was ever answered on its account.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), TableError> {
        let io = |source| TableError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(io)?;
        }
        let records = parse(path, text.get(..whole).unwrap_or_default())?;
        let mut table = Self {
            path: path.to_owned(),
            file,
            length: whole as u64,
            compacted: whole as u64,
            unsynced: false,
        };
        if records.is_empty() {
            table.append(&[Record::Version(VERSION)]).map_err(io)?;
        }
        Ok((table, records))
    }

    /// Adds lines. They are in the file when this returns, and outlive the process from then on; [`Table::unsynced`]
    /// says when they should be made to outlive the machine as well. After an error none of them is there.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        if let Err(source) = self.file.write_all(&lines) {
            // Half a line must not become the beginning of the next one.
            self.file.set_len(self.length)?;
            return Err(source);
        }
        self.length += lines.len() as u64;
        self.unsynced = true;
        Ok(())
    }

    /// The file to sync, if anything was added since the last call.
    pub fn unsynced(&mut self) -> Option<File> {
        std::mem::take(&mut self.unsynced).then(|| self.file.try_clone().ok()).flatten()
    }

    /// Whether most of the file is history.
    pub fn is_long(&self) -> bool {
        self.length > SMALL && self.length > 4 * self.compacted
    }

    /// Replaces the file by one that holds these records only. At every instant there is one whole file.
    pub fn compact(&mut self, records: &[Record]) -> io::Result<()> {
        let path = self.path.with_extension("new");
        let mut lines = Vec::new();
        for record in std::iter::once(&Record::Version(VERSION)).chain(records) {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.set_len(0)?;
        file.write_all(&lines)?;
        file.sync_all()?;
        fs::rename(&path, &self.path)?;
        // From here on the old file is nobody's: nothing may come between and leave it the one that is written to.
        self.file = file;
        self.length = lines.len() as u64;
        self.compacted = self.length;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Vec<Record>, TableError> {
    let mut records = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Record::Version(VERSION)) => {}
            Ok(Record::Version(found)) => return Err(TableError::Version { path: path.to_owned(), found }),
            Ok(record) => records.push(record),
            Err(source) => {
                return Err(TableError::Damaged { path: path.to_owned(), line: index + 1, source });
            }
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(records: &[Record]) -> Vec<String> {
        records
            .iter()
            .map(|r| if let Record::Host(host) = r { host.clone() } else { format!("{r:?}") })
            .collect()
    }

    fn host(name: &str) -> Record {
        Record::Host(name.to_owned())
    }

    #[test]
    fn what_was_appended_is_read_back_and_a_cut_last_line_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.jsonl");
        let (mut table, records) = Table::open(&path).unwrap();
        assert!(records.is_empty());
        table.append(&[host("i-1"), host("i-2")]).unwrap();
        drop(table);
        let whole = fs::read(&path).unwrap();
        for cut in 1..=r#"{"host":"i-2"}"#.len() {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (mut table, records) = Table::open(&path).unwrap();
            assert_eq!(hosts(&records), ["i-1"], "cut by {cut}");
            table.append(&[host("i-3")]).unwrap();
            assert_eq!(hosts(&Table::open(&path).unwrap().1), ["i-1", "i-3"]);
        }
    }

    #[test]
    fn damage_in_the_middle_and_other_versions_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.jsonl");
        fs::write(&path, "{\"version\":1}\n{\"ho\n{\"host\":\"i-1\"}\n").unwrap();
        assert!(matches!(Table::open(&path), Err(TableError::Damaged { line: 2, .. })));
        fs::write(&path, "{\"version\":2}\n").unwrap();
        assert!(matches!(Table::open(&path), Err(TableError::Version { found: 2, .. })));
    }

    #[test]
    fn a_compacted_table_says_the_same_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.jsonl");
        let (mut table, _) = Table::open(&path).unwrap();
        for _ in 0..100 {
            table.append(&[host("i-old")]).unwrap();
        }
        table.compact(&[host("i-now")]).unwrap();
        table.append(&[host("i-next")]).unwrap();
        assert_eq!(hosts(&Table::open(&path).unwrap().1), ["i-now", "i-next"]);
    }
}
