//! The keys of a folder tree in the order of S3: by the bytes of the whole key.
//!
//! Folders are read one at a time, where the walk needs them. Within one folder the order of keys is that of
//! the names, where a folder's name counts with its slash: `a-b` < `a/x` < `ab`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::key::RESERVED;
use super::records::Stamp;

/// A folder is remembered only if it had not changed for this long when it was read: file systems tell time
/// in steps of up to two seconds, and a change within the same step would go unnoticed.
const STEADY: Duration = Duration::from_secs(2);

/// How many names are remembered in all, over all folders.
const MOST_NAMES: usize = 2_000_000;

/// One name in a folder; that of a folder ends with a slash.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(Box<str>);

impl Name {
    fn is_folder(&self) -> bool {
        self.0.ends_with('/')
    }
}

/// The names in a folder, in the order of keys.
type Names = Arc<Vec<Name>>;

/// Folders that were read and have not changed since.
#[derive(Default)]
pub(super) struct FolderCache {
    inner: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    folders: HashMap<PathBuf, (Stamp, Names)>,
    names: usize,
}

impl FolderCache {
    fn read(&self, folder: &Path, root: &Path) -> io::Result<Names> {
        let meta = fs::symlink_metadata(folder)?;
        let stamp = Stamp::of(&meta);
        {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, names)) = inner.folders.get(folder).filter(|(seen, _)| *seen == stamp) {
                return Ok(Arc::clone(names));
            }
        }
        let steady = meta
            .modified()
            .is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age >= STEADY));
        let names = Arc::new(read_names(folder, root)?);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, old)) = inner.folders.remove(folder) {
            inner.names -= old.len();
        }
        if steady {
            if inner.names + names.len() > MOST_NAMES {
                *inner = Remembered::default();
            }
            inner.names += names.len();
            inner.folders.insert(folder.to_owned(), (stamp, Arc::clone(&names)));
        }
        Ok(names)
    }
}

fn read_names(folder: &Path, root: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is no UTF-8 cannot be a key.
        let Ok(mut name) = entry.file_name().into_string() else { continue };
        if name == RESERVED {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            name.push('/');
        } else if !(kind.is_file() || kind.is_symlink() && leads_to_file(&entry.path(), root)) {
            continue;
        }
        names.push(Name(name.into_boxed_str()));
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether a symbolic link ends at a regular file within `root`; no other link is followed.
pub(super) fn leads_to_file(link: &Path, root: &Path) -> bool {
    let inside = || Some(fs::canonicalize(link).ok()?.starts_with(fs::canonicalize(root).ok()?));
    inside() == Some(true) && fs::metadata(link).is_ok_and(|meta| meta.is_file())
}

/// The smallest text that is greater than every text which begins with `prefix`; `None`: there is none.
pub(super) fn after_all(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The order of UTF-8 bytes is that of the code points; the gap of the surrogates is stepped over.
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

struct Frame {
    /// The keys of this folder begin with it; empty or with a slash at the end.
    prefix: String,
    names: Names,
    next: usize,
}

/// Walks the keys that begin with a prefix, in order, and can jump forward.
pub(super) struct Cursor<'a> {
    root: &'a Path,
    prefix: &'a str,
    cache: &'a FolderCache,
    /// What this walk has read: jumping must not read a folder again that is too fresh for the cache.
    read: HashMap<String, Names>,
    stack: Vec<Frame>,
}

impl<'a> Cursor<'a> {
    /// A walk under `root` over the keys that begin with `prefix`, from `bound` (inclusive) on.
    pub(super) fn new(
        root: &'a Path,
        prefix: &'a str,
        bound: &str,
        cache: &'a FolderCache,
    ) -> io::Result<Self> {
        let mut cursor = Self { root, prefix, cache, read: HashMap::new(), stack: Vec::new() };
        cursor.seek(bound)?;
        Ok(cursor)
    }

    /// Continues at the first key that is not less than `bound`.
    pub(super) fn seek(&mut self, bound: &str) -> io::Result<()> {
        let bound = bound.max(self.prefix);
        self.stack.clear();
        let mut at = 0;
        loop {
            let here = &bound[..at];
            let names = self.names(here)?;
            let rest = &bound[at..];
            // Either the bound lies within a folder that is here, or the walk begins between two names.
            let inside = rest.find('/').and_then(|slash| {
                names.binary_search_by(|name| (*name.0).cmp(&rest[..=slash])).ok().map(|found| (found, slash))
            });
            let Some((found, slash)) = inside else {
                let next = names.partition_point(|name| *name.0 < *rest);
                self.stack.push(Frame { prefix: here.to_owned(), names, next });
                return Ok(());
            };
            self.stack.push(Frame { prefix: here.to_owned(), names, next: found + 1 });
            at += slash + 1;
        }
    }

    /// The next key, or `None` after the last one that begins with the prefix.
    pub(super) fn next(&mut self) -> io::Result<Option<String>> {
        while let Some(frame) = self.stack.last_mut() {
            let Some(name) = frame.names.get(frame.next) else {
                self.stack.pop();
                continue;
            };
            frame.next += 1;
            let key = format!("{}{}", frame.prefix, name.0);
            if !(key.starts_with(self.prefix) || name.is_folder() && self.prefix.starts_with(&key)) {
                // The walk began at the prefix, so what does not fit it lies behind all that does.
                self.stack.clear();
                return Ok(None);
            }
            if !name.is_folder() {
                return Ok(Some(key));
            }
            let names = self.names(&key)?;
            self.stack.push(Frame { prefix: key, names, next: 0 });
        }
        Ok(None)
    }

    fn names(&mut self, prefix: &str) -> io::Result<Names> {
        if let Some(names) = self.read.get(prefix) {
            return Ok(Arc::clone(names));
        }
        let names = match self.cache.read(&self.root.join(prefix), self.root) {
            Ok(names) => names,
            // Gone between its listing and its reading; nothing in it can be read either way.
            Err(error) if !prefix.is_empty() && error.kind() == io::ErrorKind::NotFound => Names::default(),
            Err(error) => return Err(error),
        };
        self.read.insert(prefix.to_owned(), Arc::clone(&names));
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(root: &Path, keys: &[&str]) {
        for key in keys {
            let path = root.join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
    }

    fn walk(root: &Path, prefix: &str, bound: &str) -> Vec<String> {
        let cache = FolderCache::default();
        let mut cursor = Cursor::new(root, prefix, bound, &cache).unwrap();
        std::iter::from_fn(|| cursor.next().unwrap()).collect()
    }

    #[test]
    fn keys_come_in_the_order_of_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), &["ab", "a/b", "a-b", "a/b-c/d", "a/b0", "b/é", "b/z", ".hidden"]);
        let all = walk(dir.path(), "", "");
        assert_eq!(all, [".hidden", "a-b", "a/b", "a/b-c/d", "a/b0", "ab", "b/z", "b/é"]);
        let mut sorted = all.clone();
        sorted.sort();
        assert_eq!(all, sorted);
    }

    #[test]
    fn a_prefix_or_a_bound_begins_in_the_middle() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), &["a/1/x", "a/10/x", "a/2", "b/1", "c"]);
        assert_eq!(walk(dir.path(), "a/1", ""), ["a/1/x", "a/10/x"]);
        assert_eq!(walk(dir.path(), "a/1/", ""), ["a/1/x"]);
        assert_eq!(walk(dir.path(), "", "a/10/x\0"), ["a/2", "b/1", "c"]);
        assert_eq!(walk(dir.path(), "", "a/11"), ["a/2", "b/1", "c"]);
        assert_eq!(walk(dir.path(), "zz", ""), Vec::<String>::new());
        assert_eq!(walk(dir.path(), "c/d", ""), Vec::<String>::new());
    }

    #[test]
    fn folders_out_of_the_prefix_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), &["a/1", "b/1", "c/1"]);
        let cache = FolderCache::default();
        let mut cursor = Cursor::new(dir.path(), "b", "", &cache).unwrap();
        while cursor.next().unwrap().is_some() {}
        let mut read: Vec<_> = cursor.read.keys().cloned().collect();
        read.sort();
        assert_eq!(read, ["", "b/"]);
    }

    #[test]
    fn links_that_leave_the_folder_are_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        lay(&root, &["a/file"]);
        fs::write(dir.path().join("secret"), b"s").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("a/file", root.join("in")).unwrap();
        std::os::unix::fs::symlink("a", root.join("folder")).unwrap();
        std::os::unix::fs::symlink(".", root.join("loop")).unwrap();
        assert_eq!(walk(&root, "", ""), ["a/file", "in"]);
    }

    #[test]
    fn a_steady_folder_is_read_once_and_a_changed_one_again() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), &["a"]);
        let old = SystemTime::now() - Duration::from_mins(1);
        let set = |at| fs::File::open(dir.path()).unwrap().set_modified(at).unwrap();
        set(old);
        let cache = FolderCache::default();
        let first = cache.read(dir.path(), dir.path()).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.read(dir.path(), dir.path()).unwrap()));
        lay(dir.path(), &["b"]);
        set(old + Duration::from_secs(1));
        assert_eq!(cache.read(dir.path(), dir.path()).unwrap().len(), 2);
        set(SystemTime::now());
        let fresh = cache.read(dir.path(), dir.path()).unwrap();
        assert!(!Arc::ptr_eq(&fresh, &cache.read(dir.path(), dir.path()).unwrap()));
    }

    #[test]
    fn the_text_after_a_prefix() {
        assert_eq!(after_all("a/").as_deref(), Some("a0"));
        assert_eq!(after_all("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_all("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(after_all(""), None);
    }
}
