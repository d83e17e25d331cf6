//! One bucket: a folder, its records, and the lock under which it is changed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use s3s::dto::ETagCondition;
use s3s::{S3Result, s3_error};
use sha2::{Digest, Sha256};

use super::checksums::Sums;
use super::error::{from_io, no_such_key, precondition_failed};
use super::key::{Key, RESERVED};
use super::listing::{Item, Keys, Query, page};
use super::records::{Attributes, Record, Records, Stamp};
use super::temp::{self, Temp};
use super::tree::{Cursor, FolderCache, leads_to_file};

/// A folder served as a bucket.
pub(super) struct Bucket {
    root: PathBuf,
    /// What belongs to the bucket but is no object as a file: records, uploads, odd keys.
    side: PathBuf,
    records: Mutex<Records>,
    folders: Arc<FolderCache>,
}

/// An object as it is now.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// Without quotes.
    pub(super) etag: String,
    pub(super) stamp: Stamp,
    pub(super) attributes: Attributes,
    pub(super) sums: Sums,
}

impl Object {
    /// When it was last changed, in whole seconds as S3 has it.
    pub(super) fn modified(&self) -> SystemTime {
        let seconds = self.stamp.modified_ns.div_euclid(1_000_000_000);
        let span = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { SystemTime::UNIX_EPOCH - span } else { SystemTime::UNIX_EPOCH + span }
    }
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteCondition {
    Always,
    IfAbsent,
    IfMatch(ETagCondition),
}

impl WriteCondition {
    /// From the headers `If-Match` and `If-None-Match` of a write.
    pub(super) fn new(
        if_match: Option<ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<Self> {
        match (if_match, if_none_match) {
            (None, None) => Ok(Self::Always),
            (None, Some(ETagCondition::Any)) => Ok(Self::IfAbsent),
            (Some(condition), None) => Ok(Self::IfMatch(condition)),
            _ => Err(s3_error!(
                NotImplemented,
                "A write takes either If-None-Match with the value * or If-Match, not both and nothing else."
            )),
        }
    }

    fn check(&self, current: Option<&Object>) -> S3Result<()> {
        match (self, current) {
            (Self::Always, _) | (Self::IfAbsent, None) => Ok(()),
            (Self::IfMatch(_), None) => Err(no_such_key()),
            (Self::IfMatch(condition), Some(object)) if etag_is(condition, &object.etag) => Ok(()),
            _ => Err(precondition_failed()),
        }
    }
}

/// Whether a condition of a request names this ETag.
pub(super) fn etag_is(condition: &ETagCondition, etag: &str) -> bool {
    condition.as_etag().is_none_or(|wanted| wanted.value() == etag)
}

/// What is written: its bytes are in a temporary file by now.
pub(super) struct Draft {
    pub(super) bytes: Temp,
    pub(super) etag: String,
    pub(super) attributes: Attributes,
    pub(super) sums: Sums,
}

/// One line of a listing.
pub(super) enum Line {
    Object(String, Box<Object>),
    CommonPrefix(String),
}

impl Bucket {
    /// Serves `root`, with what cannot be a file of it in `side`. Writes nothing but what a crash left to be cleared away.
    pub(super) fn open(root: PathBuf, side: PathBuf, folders: Arc<FolderCache>) -> io::Result<Self> {
        let records = Mutex::new(Records::open(side.clone())?);
        for folder in [side.join("tmp"), root.join(RESERVED)] {
            temp::sweep(&folder);
        }
        Ok(Self { root, side, records, folders })
    }

    /// Whether the folder is still there.
    pub(super) fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// Removes the folder, which must hold nothing but empty folders, and what belongs to it.
    pub(super) fn remove(&self) -> S3Result<()> {
        let mut records = self.records()?;
        let _lock = records.lock().map_err(from_io)?;
        if records.has_odd() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        remove_folders(&self.root).map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty => {
                s3_error!(error, BucketNotEmpty, "The bucket you tried to delete is not empty")
            }
            _ => from_io(error),
        })?;
        fs::remove_dir_all(&self.side).map_err(from_io)
    }

    /// A new temporary file on the file system of the bucket.
    pub(super) fn temp(&self) -> S3Result<Temp> {
        let beside = self.side.join("tmp");
        let same = fs::create_dir_all(&beside).and_then(|()| same_device(&beside, &self.root));
        // A file can be renamed within one file system only.
        let folder = if same.map_err(from_io)? { beside } else { self.root.join(RESERVED) };
        Temp::create(&folder).map_err(from_io)
    }

    /// The folder that holds the multipart uploads.
    pub(super) fn uploads(&self) -> PathBuf {
        self.side.join("uploads")
    }

    /// The object, if there is one.
    pub(super) fn find(&self, key: &Key) -> S3Result<Option<Object>> {
        Ok(self.locate(&*self.records()?, key).map_err(from_io)?.map(|(_, object)| object))
    }

    /// The object and its bytes; both are of the same state of the file.
    pub(super) fn read(&self, key: &Key) -> S3Result<(File, Object)> {
        let records = self.records()?;
        let (path, object) = self.locate(&records, key).map_err(from_io)?.ok_or_else(no_such_key)?;
        let file = File::open(path).map_err(from_io)?;
        let stamp = Stamp::of(&file.metadata().map_err(from_io)?);
        let object = if stamp == object.stamp { object } else { known(&records, key.as_str(), stamp) };
        Ok((file, object))
    }

    /// Makes `draft` the object, if the condition holds; the check and the change are one step for everybody.
    pub(super) fn write(&self, key: &Key, draft: Draft, condition: &WriteCondition) -> S3Result<Object> {
        let stamp = Stamp::of(&draft.bytes.settle().map_err(from_io)?);
        let object = Object { etag: draft.etag, stamp, attributes: draft.attributes, sums: draft.sums };
        let record = Record {
            etag: object.etag.clone(),
            stamp,
            attributes: object.attributes.clone(),
            sums: object.sums.clone(),
        };
        let path = {
            let mut records = self.records()?;
            let lock = records.lock().map_err(from_io)?;
            condition.check(self.locate(&records, key).map_err(from_io)?.map(|(_, found)| found).as_ref())?;
            let place = self.place(key).map_err(from_io)?;
            let path = place.clone().unwrap_or_else(|| self.odd_path(key));
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(from_io)?;
            }
            draft.bytes.rename(&path).map_err(from_io)?;
            if place.is_some() && records.odd(key.as_str()).is_some() {
                records.set(&lock, key.as_str(), true, None).map_err(from_io)?;
                fs::remove_file(self.odd_path(key)).map_err(from_io)?;
            }
            records.set(&lock, key.as_str(), place.is_none(), Some(record)).map_err(from_io)?;
            path
        };
        // Waiting for the disk needs no lock.
        if let Some(parent) = path.parent() {
            File::open(parent).and_then(|folder| folder.sync_all()).map_err(from_io)?;
        }
        Ok(object)
    }

    /// Removes the object; one that is not there counts as removed, unless the condition names it.
    pub(super) fn delete(&self, key: &Key, condition: &WriteCondition) -> S3Result<()> {
        if self.find(key)?.is_none() {
            // Nothing is written for nothing: a bucket that can only be read answers as any other.
            return condition.check(None);
        }
        let mut records = self.records()?;
        let lock = records.lock().map_err(from_io)?;
        // One round for the file of the tree, one for what was kept beside it.
        while let Some((path, object)) = self.locate(&records, key).map_err(from_io)? {
            condition.check(Some(&object))?;
            fs::remove_file(&path).map_err(from_io)?;
            let odd = path.starts_with(&self.side);
            if odd || records.has_plain(key.as_str()) {
                records.set(&lock, key.as_str(), odd, None).map_err(from_io)?;
            }
            if !odd {
                // S3 has no folders: those that only held this key vanish with it.
                let parents = path.ancestors().skip(1).take_while(|parent| *parent != self.root);
                parents.map(fs::remove_dir).take_while(Result::is_ok).for_each(drop);
            }
        }
        Ok(())
    }

    /// One page of a listing, and whether more follows; the last text of the page is where to go on.
    pub(super) fn list(&self, query: &Query) -> S3Result<(Vec<Line>, Option<String>)> {
        let Some(bound) = query.bound() else { return Ok((Vec::new(), None)) };
        let odd = self.records()?.odd_keys(&bound, &query.prefix);
        let tree = Cursor::new(&self.root, &query.prefix, &bound, &self.folders).map_err(from_io)?;
        let page = Keys::new(tree, odd).and_then(|mut keys| page(&mut keys, query)).map_err(from_io)?;
        let next = page.items.last().filter(|_| page.more).map(|item| item.text().to_owned());
        let records = self.records()?;
        let mut lines = Vec::with_capacity(page.items.len());
        for item in page.items {
            match item {
                Item::CommonPrefix(prefix) => lines.push(Line::CommonPrefix(prefix)),
                // Gone since the walk: it is not listed.
                Item::Key(key) => lines.extend(self.listed(&records, key)),
            }
        }
        Ok((lines, next))
    }

    fn listed(&self, records: &Records, key: String) -> Option<Line> {
        // The walk went through real folders, so one look at the file is enough.
        let path = self.root.join(&key);
        let object = match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() => known(records, &key, Stamp::of(&meta)),
            Ok(meta) if meta.is_symlink() => known(records, &key, Stamp::of(&fs::metadata(&path).ok()?)),
            _ => from_record(records.odd(&key)?),
        };
        Some(Line::Object(key, Box::new(object)))
    }

    fn records(&self) -> S3Result<MutexGuard<'_, Records>> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.refresh().map_err(from_io)?;
        Ok(records)
    }

    fn locate(&self, records: &Records, key: &Key) -> io::Result<Option<(PathBuf, Object)>> {
        if let Some((path, meta)) = self.file(key)? {
            let object = known(records, key.as_str(), Stamp::of(&meta));
            return Ok(Some((path, object)));
        }
        let odd = records.odd(key.as_str()).filter(|_| self.odd_path(key).is_file());
        Ok(odd.map(|record| (self.odd_path(key), from_record(record))))
    }

    /// The file of the tree that is this key: through real folders only, so that no link leads elsewhere.
    fn file(&self, key: &Key) -> io::Result<Option<(PathBuf, fs::Metadata)>> {
        let Some(path) = key.path_under(&self.root) else { return Ok(None) };
        for folder in key.folders_under(&self.root) {
            if !look(&folder)?.is_some_and(|meta| meta.is_dir()) {
                return Ok(None);
            }
        }
        Ok(match look(&path)? {
            Some(meta) if meta.is_file() => Some((path, meta)),
            Some(meta) if meta.is_symlink() && leads_to_file(&path, &self.root) => {
                let meta = fs::metadata(&path)?;
                Some((path, meta))
            }
            _ => None,
        })
    }

    /// Where in the tree the key can be written; `None`: a folder or a file is in its way.
    fn place(&self, key: &Key) -> io::Result<Option<PathBuf>> {
        let Some(path) = key.path_under(&self.root) else { return Ok(None) };
        for folder in key.folders_under(&self.root) {
            match look(&folder)? {
                None => return Ok(Some(path)),
                Some(meta) if meta.is_dir() => {}
                Some(_) => return Ok(None),
            }
        }
        Ok(look(&path)?.is_none_or(|meta| !meta.is_dir()).then_some(path))
    }

    fn odd_path(&self, key: &Key) -> PathBuf {
        self.side.join("odd").join(hex(&Sha256::digest(key.as_str())))
    }
}

/// Removes a folder that holds only folders. What cannot be an object (a pipe, a link, a name that is no text)
/// is somebody's too: it stops the removal.
fn remove_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == RESERVED {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_type()?.is_dir() {
            remove_folders(&entry.path())?;
        } else {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
    }
    fs::remove_dir(folder)
}

/// What is at a path itself, links not followed.
fn look(path: &Path) -> io::Result<Option<fs::Metadata>> {
    use io::ErrorKind as Kind;
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The object that a file of the tree is: with its record, if it was written through the API and is unchanged.
fn known(records: &Records, key: &str, stamp: Stamp) -> Object {
    match records.plain(key, stamp) {
        Some(record) => from_record(record),
        None => Object {
            etag: etag_of_stamp(stamp),
            stamp,
            attributes: Attributes::default(),
            sums: Sums::default(),
        },
    }
}

fn from_record(record: &Record) -> Object {
    Object {
        etag: record.etag.clone(),
        stamp: record.stamp,
        attributes: record.attributes.clone(),
        sums: record.sums.clone(),
    }
}

/// The ETag of a file that was not written through the API: it changes with the file, costs no reading, and
/// its `-0` tells clients that it is not the MD5 of the bytes.
fn etag_of_stamp(stamp: Stamp) -> String {
    let mut hash = Sha256::new();
    hash.update(stamp.size.to_be_bytes());
    hash.update(stamp.modified_ns.to_be_bytes());
    hash.update(stamp.inode.to_be_bytes());
    format!("{}-0", hex(&hash.finalize()[..16]))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn same_device(one: &Path, other: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(one)?.dev() == fs::metadata(other)?.dev())
}
