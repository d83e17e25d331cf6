//! One page of a listing: keys rolled up by a delimiter, from a marker on, in the order of S3.

use std::io;
use std::iter::Peekable;
use std::vec;

use super::tree::{Cursor, after_all};

/// What is asked of one page.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    pub(super) prefix: String,
    /// Keys that agree up to its first occurrence after the prefix become one common prefix.
    pub(super) delimiter: Option<String>,
    /// Only items greater than this.
    pub(super) after: Option<String>,
    /// At most this many items.
    pub(super) max: usize,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Key(String),
    CommonPrefix(String),
}

impl Item {
    /// The key or the common prefix: where the next page goes on.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::CommonPrefix(text) => text,
        }
    }
}

/// The items of one page, and whether there are more after them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) more: bool,
}

impl Query {
    fn delimiter(&self) -> Option<&str> {
        self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())
    }

    /// The common prefix that `key` is rolled up into.
    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter()?;
        let found = key.strip_prefix(&*self.prefix)?.find(delimiter)?;
        Some(&key[..self.prefix.len() + found + delimiter.len()])
    }

    /// The least key that this page may begin with; `None`: there cannot be one.
    pub(super) fn bound(&self) -> Option<String> {
        let Some(after) = &self.after else { return Some(self.prefix.clone()) };
        match self.common_prefix(after) {
            // The common prefix is not greater than the marker, so none of its keys shows.
            Some(rolled) => after_all(rolled),
            None => Some(format!("{after}\0")),
        }
    }
}

/// The keys of the tree and those kept beside it, as one sequence.
pub(super) struct Keys<'a> {
    tree: Cursor<'a>,
    /// The next key of the tree.
    head: Option<String>,
    odd: Peekable<vec::IntoIter<String>>,
}

impl<'a> Keys<'a> {
    /// `odd`: in order, and from the bound of `tree` on.
    pub(super) fn new(mut tree: Cursor<'a>, odd: Vec<String>) -> io::Result<Self> {
        let head = tree.next()?;
        Ok(Self { tree, head, odd: odd.into_iter().peekable() })
    }

    fn next(&mut self) -> io::Result<Option<String>> {
        let odd_first = match (&self.head, self.odd.peek()) {
            (Some(head), Some(odd)) => odd < head,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if odd_first {
            return Ok(self.odd.next());
        }
        let Some(key) = self.head.take() else { return Ok(None) };
        // Somebody put a file where the store had to keep the key elsewhere: the file is what is read.
        self.odd.next_if(|odd| *odd == key);
        self.head = self.tree.next()?;
        Ok(Some(key))
    }

    fn seek(&mut self, bound: &str) -> io::Result<()> {
        while self.odd.next_if(|odd| odd.as_str() < bound).is_some() {}
        if self.head.as_deref().is_some_and(|head| head < bound) {
            self.tree.seek(bound)?;
            self.head = self.tree.next()?;
        }
        Ok(())
    }
}

/// Takes one page from `keys`, which begin at the bound of `query`.
pub(super) fn page(keys: &mut Keys<'_>, query: &Query) -> io::Result<Page> {
    let mut page = Page::default();
    while page.items.len() < query.max {
        let Some(key) = keys.next()? else { return Ok(page) };
        let Some(rolled) = query.common_prefix(&key) else {
            page.items.push(Item::Key(key));
            continue;
        };
        page.items.push(Item::CommonPrefix(rolled.to_owned()));
        let Some(bound) = after_all(rolled) else { return Ok(page) };
        keys.seek(&bound)?;
    }
    page.more = query.max > 0 && keys.next()?.is_some();
    Ok(page)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::tree::FolderCache;
    use super::*;

    /// What S3's documentation says, over a sorted set.
    fn model(keys: &BTreeSet<String>, query: &Query) -> Page {
        let mut items: Vec<Item> = Vec::new();
        for key in keys.iter().filter(|key| key.starts_with(&query.prefix)) {
            let rest = &key[query.prefix.len()..];
            let delimiter = query.delimiter.as_deref().unwrap_or_default();
            let item = match rest.split_once(delimiter) {
                Some((head, _)) if !delimiter.is_empty() => {
                    Item::CommonPrefix(format!("{}{head}{delimiter}", query.prefix))
                }
                _ => Item::Key(key.clone()),
            };
            if items.last() != Some(&item) {
                items.push(item);
            }
        }
        items.retain(|item| query.after.as_deref().is_none_or(|after| item.text() > after));
        let more = query.max > 0 && items.len() > query.max;
        items.truncate(query.max);
        Page { items, more }
    }

    /// Lays the keys out as the store does: those that cannot be files are given back.
    fn lay(root: &Path, keys: &BTreeSet<String>) -> Vec<String> {
        let mut odd = Vec::new();
        for key in keys {
            let path = root.join(key);
            let parent = path.parent().unwrap();
            if key.ends_with('/') || path.is_dir() || fs::create_dir_all(parent).is_err() {
                odd.push(key.clone());
            } else {
                fs::write(path, b"").unwrap();
            }
        }
        odd
    }

    fn ours(root: &Path, odd: &[String], query: &Query) -> Page {
        let cache = FolderCache::default();
        let Some(bound) = query.bound() else { return Page::default() };
        let tree = Cursor::new(root, &query.prefix, &bound, &cache).unwrap();
        let odd = odd.iter().filter(|key| **key >= bound && key.starts_with(&query.prefix)).cloned();
        page(&mut Keys::new(tree, odd.collect()).unwrap(), query).unwrap()
    }

    fn name() -> impl Strategy<Value = String> {
        // Few letters, so that names collide and are prefixes of each other; and all that sorts around `/`.
        proptest::collection::vec(
            prop_oneof![
                4 => prop::sample::select(vec!["a", "b", "1"]),
                3 => prop::sample::select(vec!["-", ".", "0", " ", "+", "%", "&", "<", ",", "~"]),
                1 => prop::sample::select(vec!["é", "日", "\u{10FFFF}", "\u{1}", "\\", "\u{D7FF}", "%2F"]),
            ],
            1..4,
        )
        .prop_map(|parts| parts.concat())
        .prop_filter("a name", |name| name != "." && name != "..")
    }

    fn key() -> impl Strategy<Value = String> {
        (proptest::collection::vec(name(), 1..4), prop::bool::weighted(0.1))
            .prop_map(|(parts, marker)| parts.join("/") + if marker { "/" } else { "" })
    }

    fn cut() -> impl Strategy<Value = String> {
        (key(), 0..12usize).prop_map(|(key, at)| key.chars().take(at).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn pages_are_those_of_a_sorted_set(
            keys in proptest::collection::btree_set(key(), 0..40),
            prefix in prop_oneof![3 => Just(String::new()), 3 => cut()],
            delimiter in prop_oneof![
                Just(None), Just(Some("/".to_owned())), Just(Some("-".to_owned())),
                Just(Some("a/".to_owned())), Just(Some(String::new())),
            ],
            after in proptest::option::of(cut()),
            max in 0..9usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let odd = lay(dir.path(), &keys);
            let mut query = Query { prefix, delimiter, after, max };
            // The given page, then all of them, each going on where the last one ended.
            loop {
                let page = ours(dir.path(), &odd, &query);
                prop_assert_eq!(&page, &model(&keys, &query), "{:?} over {:?}", query, keys);
                let Some(last) = page.items.last().filter(|_| page.more) else { break };
                query.after = Some(last.text().to_owned());
            }
        }
    }
}
