//! Keys that may become paths.

use std::path::{Path, PathBuf};

/// A name the store keeps for itself: never listed, never accepted in a key.
pub(super) const RESERVED: &str = ".s3local";

/// The longest file name that common file systems take, in bytes.
const LONGEST_NAME: usize = 255;

/// The longest key that S3 takes, in bytes.
const LONGEST_KEY: usize = 1024;

/// A key that was checked component by component, so that joining it to a folder stays inside that folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(String);

/// Why a text is no key of this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadKey {
    #[error("the key is empty")]
    Empty,
    #[error("the key is longer than 1024 bytes")]
    TooLong,
    #[error("the key contains a NUL character, which no file name can hold")]
    Nul,
    #[error("the key has an empty, `.` or `..` component; keys are kept as files here, so they cannot")]
    Component,
    #[error("the key has a component named `.s3local`, which this store keeps for itself")]
    Reserved,
}

impl Key {
    /// Checks `text`; one slash at the end is allowed (a folder marker).
    pub(super) fn parse(text: &str) -> Result<Self, BadKey> {
        if text.is_empty() {
            return Err(BadKey::Empty);
        }
        if text.len() > LONGEST_KEY {
            return Err(BadKey::TooLong);
        }
        if text.contains('\0') {
            return Err(BadKey::Nul);
        }
        for part in text.strip_suffix('/').unwrap_or(text).split('/') {
            match part {
                "" | "." | ".." => return Err(BadKey::Component),
                RESERVED => return Err(BadKey::Reserved),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The key as it was given.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the key under `root`, or `None` where no file can have that name (a folder marker, a
    /// component of more than 255 bytes).
    pub(super) fn path_under(&self, root: &Path) -> Option<PathBuf> {
        if self.0.ends_with('/') || self.0.split('/').any(|part| part.len() > LONGEST_NAME) {
            return None;
        }
        Some(root.join(&self.0))
    }

    /// The folders between the root and the file, outermost first, as paths under `root`.
    pub(super) fn folders_under<'a>(&'a self, root: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
        self.0.match_indices('/').map(move |(at, _)| root.join(&self.0[..at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_the_folder_is_refused() {
        for text in
            ["..", "../a", "a/../b", "a/..", "/a", "/etc/passwd", "a//b", ".", "./a", "a/.", "/", "//"]
        {
            assert_eq!(Key::parse(text), Err(BadKey::Component), "{text}");
        }
        assert_eq!(Key::parse(""), Err(BadKey::Empty));
        assert_eq!(Key::parse("a\0b"), Err(BadKey::Nul));
        assert_eq!(Key::parse("a/.s3local/b"), Err(BadKey::Reserved));
        assert_eq!(Key::parse(&"k".repeat(1025)), Err(BadKey::TooLong));
    }

    #[test]
    fn odd_but_harmless_names_are_kept() {
        for text in ["..a", "a..", "...", "a b", "a+b", "%2e%2e", "~", "-rf", "ключ/日", "a\\b", "a\nb"]
        {
            let key = Key::parse(text).unwrap();
            assert_eq!(key.path_under(Path::new("/r")), Some(Path::new("/r").join(text)));
        }
    }

    #[test]
    fn markers_and_long_names_have_no_path() {
        assert_eq!(Key::parse("a/").unwrap().path_under(Path::new("/r")), None);
        assert_eq!(Key::parse(&format!("a/{}", "n".repeat(256))).unwrap().path_under(Path::new("/r")), None);
        let folders: Vec<_> = Key::parse("a/b/c").unwrap().folders_under(Path::new("/r")).collect();
        assert_eq!(folders, [Path::new("/r/a"), Path::new("/r/a/b")]);
    }
}
