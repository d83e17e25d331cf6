//! A source in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use chrono::DateTime;

use super::lock;
use crate::ports::{ErrorKind, ListedObject, Page, PageRequest, PortError, Source};

/// Objects by key, served in pages.
pub(crate) struct FakeSource {
    keys: BTreeMap<String, u64>,
    page: usize,
    /// Prefixes that cannot be listed, and why.
    broken: Vec<(String, ErrorKind)>,
    /// Every listing that was asked for: prefix, and whether by folder.
    asked: Mutex<Vec<(String, bool)>>,
}

impl FakeSource {
    /// Objects of these keys, 10 bytes each.
    pub(crate) fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let keys = keys.into_iter().map(|k| (k.to_owned(), 10)).collect();
        Self { keys, page: 2, broken: Vec::new(), asked: Mutex::default() }
    }

    pub(crate) fn size(mut self, key: &str, size: u64) -> Self {
        self.keys.insert(key.to_owned(), size);
        self
    }

    /// Listings of prefixes that begin so fail.
    pub(crate) fn broken(mut self, prefix: &str, kind: ErrorKind) -> Self {
        self.broken.push((prefix.to_owned(), kind));
        self
    }

    /// The first pages of listings by object.
    pub(crate) fn listed(&self) -> Vec<String> {
        let mut listed: Vec<String> =
            lock(&self.asked).iter().filter(|(_, folders)| !folders).map(|(p, _)| p.clone()).collect();
        listed.sort();
        listed
    }
}

#[async_trait]
impl Source for FakeSource {
    async fn page(&self, request: PageRequest<'_>) -> Result<Page, PortError> {
        if request.token.is_none() {
            lock(&self.asked).push((request.prefix.to_owned(), request.folders));
        }
        if let Some((_, kind)) = self.broken.iter().find(|(p, _)| request.prefix.starts_with(p.as_str())) {
            return Err(PortError::new(*kind, format!("cannot list {}", request.prefix)));
        }
        let below = self.keys.iter().filter(|(k, _)| k.starts_with(request.prefix));
        let mut entries: BTreeSet<(String, bool)> = BTreeSet::new();
        for (key, _) in below {
            let rest = &key[request.prefix.len()..];
            match rest.find('/') {
                Some(at) if request.folders => {
                    entries.insert((key[..=request.prefix.len() + at].to_owned(), true));
                }
                _ => {
                    entries.insert((key.clone(), false));
                }
            }
        }
        let entries: Vec<(String, bool)> =
            entries.into_iter().filter(|(e, _)| request.token.is_none_or(|t| e.as_str() > t)).collect();
        let mut page = Page::default();
        for (entry, is_prefix) in entries.iter().take(self.page) {
            if *is_prefix {
                page.prefixes.push(entry.clone());
            } else {
                page.objects.push(ListedObject {
                    key: entry.clone(),
                    size: self.keys[entry],
                    etag: format!("\"{entry}\""),
                    modified: DateTime::UNIX_EPOCH,
                });
            }
        }
        let more = entries.len() > self.page;
        page.next = entries.get(self.page - 1).filter(|_| more).map(|(e, _)| e.clone());
        Ok(page)
    }
}
