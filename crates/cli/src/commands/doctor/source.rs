//! The source: may it be listed, and do its keys follow the layout?

use std::collections::BTreeMap;

use chrono::{NaiveDate, Utc};
use dayfill_aws::{Connection, S3Source};
use dayfill_core::doctor::Check;
use dayfill_core::partition::PartitionId;
use dayfill_engine::ports::{ListedObject, Page, PageRequest, PortError, Source};

use super::failed_port;
use crate::place::Backfill;

const SOURCE: &str = "source";
const LAYOUT: &str = "layout";
/// How many values, folders and days are looked at where there are more: the first, the middle and the last.
const PICKS: usize = 3;

type Known = BTreeMap<String, String>;

/// What a few pages of a listing show.
struct Sample<'a> {
    backfill: &'a Backfill,
    source: S3Source,
    /// Objects, without the folder markers of consoles.
    objects: usize,
    /// A listing has more than the page that was read.
    more: bool,
    /// A key that counts, and whose day it is.
    good: Option<(String, PartitionId)>,
    /// A key that follows the layout but is left out by `include` or `exclude`.
    filtered: Option<String>,
    /// A key that does not follow the layout.
    stray: Option<String>,
}

/// Lists one page where the layout begins, and a few more as long as no key is seen that follows it.
pub async fn look(backfill: &Backfill, connection: &Connection) -> Vec<Check> {
    let mut sample = Sample {
        backfill,
        source: S3Source::new(connection, &backfill.bucket),
        objects: 0,
        more: false,
        good: None,
        filtered: None,
        stray: None,
    };
    let mut combinations: Vec<Known> = (0..PICKS).map(|pick| named(backfill, pick)).collect();
    combinations.dedup();
    let starts: Vec<String> = combinations.iter().map(|known| sample.start(known)).collect();
    let Some((first, others)) = starts.split_first() else { return Vec::new() };
    if let Err(error) = sample.read(first).await {
        return vec![failed_port(SOURCE, error), Check::skipped(LAYOUT, SOURCE)];
    }
    let listed = Check::ok(SOURCE, format!("{} may be listed", sample.whole(first)));
    match sample.search(others, &combinations).await {
        Ok(()) => vec![listed, sample.check(&starts)],
        Err(error) => vec![listed, failed_port(LAYOUT, error)],
    }
}

/// One value of each dimension that the YAML names.
fn named(backfill: &Backfill, pick: usize) -> Known {
    let all = backfill.spec.source().dimensions().iter();
    all.filter_map(|(name, values)| Some((name.clone(), spread(values, pick)?.clone()))).collect()
}

/// The first, the middle or the last.
fn spread<T>(all: &[T], pick: usize) -> Option<&T> {
    all.get(pick * all.len().saturating_sub(1) / (PICKS - 1))
}

impl Sample<'_> {
    /// Where the keys with these values begin, whatever their day.
    fn start(&self, known: &Known) -> String {
        format!("{}{}", self.backfill.root, self.backfill.spec.source().layout().fixed_prefix(known))
    }

    fn whole(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.backfill.bucket)
    }

    async fn page(&self, prefix: &str, folders: bool) -> Result<Page, PortError> {
        self.source.page(PageRequest { prefix, folders, token: None }).await
    }

    async fn read(&mut self, prefix: &str) -> Result<(), PortError> {
        let page = self.page(prefix, false).await?;
        self.more |= page.next.is_some();
        page.objects.iter().for_each(|object| self.add(object));
        Ok(())
    }

    fn add(&mut self, object: &ListedObject) {
        let source = self.backfill.spec.source();
        let relative = object.key.strip_prefix(&self.backfill.root).unwrap_or(&object.key);
        if relative.ends_with('/') && object.size == 0 {
            return;
        }
        self.objects += 1;
        let key = || object.key.clone();
        match source.layout().match_key(relative) {
            None => _ = self.stray.get_or_insert_with(key),
            Some(_) if !source.wants(&object.key) => _ = self.filtered.get_or_insert_with(key),
            Some(fields) => {
                self.good.get_or_insert_with(|| (key(), PartitionId::new(fields.values, fields.day)));
            }
        }
    }

    /// Looks further, until there is a key that follows the layout.
    async fn search(&mut self, starts: &[String], combinations: &[Known]) -> Result<(), PortError> {
        for start in starts {
            if self.good.is_none() {
                self.read(start).await?;
            }
        }
        // Where pages were full, what was seen of them may all be something else's.
        for pick in 0..PICKS {
            if let Some(known) = spread(combinations, pick).filter(|_| self.good.is_none() && self.more) {
                self.descend(known.clone(), pick).await?;
            }
        }
        Ok(())
    }

    /// Goes down the folders to one combination of values, and looks at some of its days.
    async fn descend(&mut self, mut known: Known, pick: usize) -> Result<(), PortError> {
        let spec = self.backfill.spec.source();
        let layout = spec.layout();
        while let Some(prefix) = layout.next_discovery(&known) {
            let page = self.page(&format!("{}{prefix}", self.backfill.root), true).await?;
            let relative = page.prefixes.iter().filter_map(|p| p.strip_prefix(&self.backfill.root));
            let learned: Vec<_> = relative.filter_map(|folder| layout.discover(&known, folder)).collect();
            match spread(&learned, pick) {
                Some(more) => known = more.clone(),
                None => return Ok(()),
            }
        }
        let days: Vec<NaiveDate> = self.backfill.spec.window().days(Utc::now(), spec.settle()).collect();
        for day in (0..PICKS).filter_map(|pick| spread(&days, pick)) {
            if self.good.is_none() {
                self.read(&format!("{}{}", self.backfill.root, layout.day_prefix(&known, *day))).await?;
            }
        }
        Ok(())
    }

    fn check(&self, starts: &[String]) -> Check {
        let template = self.backfill.spec.source().layout().template();
        if let Some((key, partition)) = &self.good {
            return Check::ok(LAYOUT, format!("{} is of {partition}", self.whole(key)));
        }
        match (&self.filtered, &self.stray) {
            (Some(key), _) => Check::failed(
                LAYOUT,
                format!(
                    "source.include and source.exclude leave out every key that was seen, such as {}",
                    self.whole(key)
                ),
                "correct the patterns: they are looked for anywhere in the whole key",
            ),
            (None, Some(key)) => Check::failed(
                LAYOUT,
                format!(
                    "of {} keys that were seen none follows {template}, such as {}",
                    self.objects,
                    self.whole(key)
                ),
                "write source.layout as the keys read, below source.uri",
            ),
            (None, None) => {
                let starts: Vec<String> = starts.iter().map(|start| self.whole(start)).collect();
                Check::failed(
                    LAYOUT,
                    format!("there is no object below {}", starts.join(", ")),
                    "check source.uri, source.dimensions and what source.layout begins with",
                )
            }
        }
    }
}
