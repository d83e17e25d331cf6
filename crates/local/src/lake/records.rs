//! What the store remembers of the objects that were written through it: a log of JSON lines beside the data.
//!
//! A file of the tree needs no record; then its ETag is made from its size, time and inode. A record holds
//! what a file cannot (the MD5, the content type, the user's metadata), and is believed only as long as the
//! file is still the one it was written for.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checksums::Sums;

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Bytes.
    #[serde(rename = "s")]
    pub(super) size: u64,
    /// Time of the last change, in nanoseconds since 1970.
    #[serde(rename = "m")]
    pub(super) modified_ns: i64,
    #[serde(rename = "i")]
    pub(super) inode: u64,
}

impl Stamp {
    /// The stamp of a file as it is now.
    pub(super) fn of(meta: &fs::Metadata) -> Self {
        let modified_ns = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
        Self { size: meta.len(), modified_ns, inode: meta.ino() }
    }
}

/// What an object carries besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attributes {
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(rename = "ce", default, skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<String>,
    #[serde(rename = "cd", default, skip_serializing_if = "Option::is_none")]
    pub(super) content_disposition: Option<String>,
    #[serde(rename = "cl", default, skip_serializing_if = "Option::is_none")]
    pub(super) content_language: Option<String>,
    #[serde(rename = "cc", default, skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<String>,
    #[serde(rename = "u", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// One object that was written through the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// ETag without quotes.
    #[serde(rename = "e")]
    pub(super) etag: String,
    #[serde(flatten)]
    pub(super) stamp: Stamp,
    #[serde(flatten)]
    pub(super) attributes: Attributes,
    #[serde(rename = "x", default, skip_serializing_if = "is_default")]
    pub(super) sums: Sums,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(rename = "k")]
    key: String,
    /// Kept in the side folder because no file of the tree can have this key.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    odd: bool,
    /// Absent: the key was deleted.
    #[serde(flatten)]
    record: Option<Record>,
}

/// The records of one bucket. The file is shared with other processes that serve the same bucket: they append
/// under its lock, and everybody reads what was appended since.
pub(super) struct Records {
    side: PathBuf,
    plain: HashMap<String, Record>,
    odd: BTreeMap<String, Record>,
    /// Inode and length of the log as far as it was read.
    seen: Option<(u64, u64)>,
    lines: usize,
}

/// Holds the bucket's lock across processes until dropped.
pub(super) struct WriteLock {
    _file: File,
}

impl Records {
    /// The records kept in `side`; nothing is created before the first write.
    pub(super) fn open(side: PathBuf) -> io::Result<Self> {
        let mut records = Self { side, plain: HashMap::new(), odd: BTreeMap::new(), seen: None, lines: 0 };
        records.refresh()?;
        if records.lines > 2 * (records.plain.len() + records.odd.len()) + 1000 {
            records.compact()?;
        }
        Ok(records)
    }

    /// Reads what was appended since the last look.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        let mut file = match File::open(self.log_path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        let (inode, length) = (meta.ino(), meta.len());
        let from = match self.seen {
            Some((same, seen)) if same == inode && seen <= length => seen,
            _ => {
                self.forget();
                0
            }
        };
        if from == length && self.seen.is_some() {
            return Ok(());
        }
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.take(length - from).read_to_end(&mut text)?;
        // A line without its end was cut by a crash or is being written: it counts for nothing, and the next
        // writer starts a line of its own.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        for line in text[..whole].split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            if let Ok(line) = serde_json::from_slice::<Line>(line) {
                self.apply(line);
            }
        }
        self.seen = Some((inode, from + whole as u64));
        Ok(())
    }

    /// The record of a key whose bytes are a file of the tree, if that file is still the one written.
    pub(super) fn plain(&self, key: &str, stamp: Stamp) -> Option<&Record> {
        self.plain.get(key).filter(|record| record.stamp == stamp)
    }

    /// Whether there is a record of this key as a file of the tree, be it still true or not.
    pub(super) fn has_plain(&self, key: &str) -> bool {
        self.plain.contains_key(key)
    }

    /// The record of a key that is kept in the side folder.
    pub(super) fn odd(&self, key: &str) -> Option<&Record> {
        self.odd.get(key)
    }

    /// The keys kept in the side folder from `bound` on that begin with `prefix`, in order.
    pub(super) fn odd_keys(&self, bound: &str, prefix: &str) -> Vec<String> {
        let from = bound.max(prefix);
        let begins = |key: &&String| key.starts_with(prefix);
        let range = (Bound::Included(from), Bound::Unbounded);
        self.odd.range::<str, _>(range).map(|(key, _)| key).take_while(begins).cloned().collect()
    }

    /// Whether no key is kept in the side folder.
    pub(super) fn has_odd(&self) -> bool {
        !self.odd.is_empty()
    }

    /// Waits for the lock that writers of this bucket take, in whichever process, and catches up.
    pub(super) fn lock(&mut self) -> io::Result<WriteLock> {
        fs::create_dir_all(&self.side)?;
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(self.side.join("lock"))?;
        file.lock()?;
        self.refresh()?;
        Ok(WriteLock { _file: file })
    }

    /// Notes that `key` is now as `record` says, or gone.
    pub(super) fn set(
        &mut self,
        _lock: &WriteLock,
        key: &str,
        odd: bool,
        record: Option<Record>,
    ) -> io::Result<()> {
        let line = Line { key: key.to_owned(), odd, record };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        let mut file = OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let meta = file.metadata()?;
        let ends = self.seen.filter(|&(inode, _)| inode == meta.ino()).map_or(0, |(_, end)| end);
        if ends < meta.len() {
            // What a crashed writer left of its line.
            text.insert(0, b'\n');
        }
        file.write_all(&text)?;
        self.seen = Some((meta.ino(), meta.len() + text.len() as u64));
        self.apply(line);
        Ok(())
    }

    fn apply(&mut self, line: Line) {
        self.lines += 1;
        match (line.odd, line.record) {
            (false, Some(record)) => drop(self.plain.insert(line.key, record)),
            (false, None) => drop(self.plain.remove(&line.key)),
            (true, Some(record)) => drop(self.odd.insert(line.key, record)),
            (true, None) => drop(self.odd.remove(&line.key)),
        }
    }

    /// Writes the log anew without what was overtaken. Best effort: a store that cannot be written is read.
    fn compact(&mut self) -> io::Result<()> {
        let Ok(_lock) = self.lock() else { return Ok(()) };
        let fresh = self.side.join("objects.jsonl.new");
        let mut out = io::BufWriter::new(File::create(&fresh)?);
        let plain = self.plain.iter().map(|(key, record)| (key, record, false));
        let odd = self.odd.iter().map(|(key, record)| (key, record, true));
        for (key, record, odd) in plain.chain(odd) {
            let line = Line { key: key.clone(), odd, record: Some(record.clone()) };
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
        fs::rename(&fresh, self.log_path())?;
        self.forget();
        self.refresh()
    }

    fn forget(&mut self) {
        self.plain.clear();
        self.odd.clear();
        self.seen = None;
        self.lines = 0;
    }

    fn log_path(&self) -> PathBuf {
        log_path(&self.side)
    }
}

fn log_path(side: &Path) -> PathBuf {
    side.join("objects.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(etag: &str, size: u64) -> Record {
        let stamp = Stamp { size, modified_ns: 1_700_000_000_123_456_789, inode: 7 };
        Record { etag: etag.to_owned(), stamp, attributes: Attributes::default(), sums: Sums::default() }
    }

    fn put(records: &mut Records, key: &str, odd: bool, record: Option<Record>) {
        let lock = records.lock().unwrap();
        records.set(&lock, key, odd, record).unwrap();
    }

    #[test]
    fn what_was_set_is_read_again_and_by_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = Records::open(dir.path().join("side")).unwrap();
        let mut two = Records::open(dir.path().join("side")).unwrap();
        let mut rich = record("e1", 3);
        rich.attributes.content_type = Some("text/plain".into());
        rich.attributes.metadata.insert("owner".into(), "é".into());
        put(&mut one, "a", false, Some(rich.clone()));
        put(&mut two, "b/", true, Some(record("e2", 0)));
        one.refresh().unwrap();
        assert_eq!(one.odd("b/"), Some(&record("e2", 0)));
        assert_eq!(two.plain("a", rich.stamp), Some(&rich));
        put(&mut one, "b/", true, None);
        let again = Records::open(dir.path().join("side")).unwrap();
        assert_eq!(again.plain("a", rich.stamp), Some(&rich));
        assert!(again.odd("b/").is_none() && !again.has_odd());
    }

    #[test]
    fn a_record_is_not_believed_for_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::open(dir.path().to_owned()).unwrap();
        put(&mut records, "a", false, Some(record("e", 3)));
        assert!(records.plain("a", record("e", 4).stamp).is_none());
    }

    #[test]
    fn half_a_line_of_a_crash_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::open(dir.path().to_owned()).unwrap();
        put(&mut records, "a", false, Some(record("e", 3)));
        let mut log = OpenOptions::new().append(true).open(log_path(dir.path())).unwrap();
        log.write_all(b"{\"k\":\"b\",\"e\":\"half").unwrap();
        put(&mut records, "c", false, Some(record("c", 5)));
        let again = Records::open(dir.path().to_owned()).unwrap();
        assert!(again.plain("a", record("e", 3).stamp).is_some());
        assert!(again.plain("c", record("c", 5).stamp).is_some());
        assert_eq!(again.plain.len(), 2);
    }

    #[test]
    fn a_long_log_is_compacted_and_others_notice() {
        let dir = tempfile::tempdir().unwrap();
        let mut other = Records::open(dir.path().to_owned()).unwrap();
        let mut records = Records::open(dir.path().to_owned()).unwrap();
        for size in 0..1200 {
            put(&mut records, "a", false, Some(record("e", size)));
        }
        other.refresh().unwrap();
        let long = fs::metadata(log_path(dir.path())).unwrap().len();
        let again = Records::open(dir.path().to_owned()).unwrap();
        assert!(fs::metadata(log_path(dir.path())).unwrap().len() < long / 100);
        assert!(again.plain("a", record("e", 1199).stamp).is_some());
        other.refresh().unwrap();
        assert!(other.plain("a", record("e", 1199).stamp).is_some());
    }
}
