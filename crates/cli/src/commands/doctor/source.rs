//! The source: may it be listed, and do its keys follow the layout?

use std::collections::BTreeMap;

use chrono::Utc;
use dayfill_aws::{Connection, S3Source};
use dayfill_core::doctor::Check;
use dayfill_core::partition::PartitionId;
use dayfill_engine::ports::{ListedObject, Page, PageRequest, PortError, Source};

use super::{failed_port, skipped};
use crate::place::Backfill;

const SOURCE: &str = "source";
const LAYOUT: &str = "layout";

/// What a few pages of a listing show.
#[derive(Debug, Default)]
struct Sample {
    /// Objects, without the folder markers of consoles.
    objects: usize,
    /// A key that counts, and whose day it is.
    good: Option<(String, PartitionId)>,
    /// A key that follows the layout but is left out by `include` or `exclude`.
    filtered: Option<String>,
    /// A key that does not follow the layout.
    stray: Option<String>,
}

/// Lists one page where the layout begins, and a few more where that shows no key that follows it.
pub async fn look(backfill: &Backfill, connection: &Connection) -> Vec<Check> {
    let source = S3Source::new(connection, &backfill.bucket);
    let known = first_values(backfill);
    let start = format!("{}{}", backfill.root, backfill.spec.source().layout().fixed_prefix(&known));
    let whole = |prefix: &str| format!("s3://{}/{prefix}", backfill.bucket);
    let page = match page(&source, &start, false).await {
        Ok(page) => page,
        Err(error) => {
            let mut checks = vec![failed_port(SOURCE, error)];
            checks.extend(skipped(&[LAYOUT], SOURCE));
            return checks;
        }
    };
    let listed = Check::ok(SOURCE, format!("{} may be listed", whole(&start)));
    let mut sample = Sample::default();
    sample.take(backfill, &page);
    if sample.good.is_none() && page.next.is_some() {
        // The first thousand keys may be something else's.
        if let Err(error) = sample.go_on(backfill, &source, known).await {
            return vec![listed, failed_port(LAYOUT, error)];
        }
    }
    vec![listed, sample.check(backfill, &whole(&start))]
}

async fn page(source: &S3Source, prefix: &str, folders: bool) -> Result<Page, PortError> {
    source.page(PageRequest { prefix, folders, token: None }).await
}

/// The first value of each dimension that the YAML names.
fn first_values(backfill: &Backfill) -> BTreeMap<String, String> {
    let named = backfill.spec.source().dimensions().iter();
    named.filter_map(|(name, values)| Some((name.clone(), values.first()?.clone()))).collect()
}

impl Sample {
    fn take(&mut self, backfill: &Backfill, page: &Page) {
        for object in &page.objects {
            self.add(backfill, object);
        }
    }

    fn add(&mut self, backfill: &Backfill, object: &ListedObject) {
        let source = backfill.spec.source();
        let relative = object.key.strip_prefix(&backfill.root).unwrap_or(&object.key);
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

    /// Goes down the folders to one combination of values, and looks at its first, middle and last day.
    async fn go_on(
        &mut self,
        backfill: &Backfill,
        source: &S3Source,
        mut known: BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        let spec = backfill.spec.source();
        let layout = spec.layout();
        while let Some(prefix) = layout.next_discovery(&known) {
            let page = page(source, &format!("{}{prefix}", backfill.root), true).await?;
            let relative = |folder: &'_ String| folder.strip_prefix(&backfill.root).map(ToOwned::to_owned);
            let mut learned = page
                .prefixes
                .iter()
                .filter_map(relative)
                .filter_map(|folder| layout.discover(&known, &folder));
            match learned.next() {
                Some(more) => known = more,
                None => return Ok(()),
            }
        }
        let days: Vec<_> = backfill.spec.window().days(Utc::now(), spec.settle()).collect();
        for at in [0, days.len() / 2, days.len().saturating_sub(1)] {
            let Some(day) = days.get(at) else { break };
            let prefix = format!("{}{}", backfill.root, layout.day_prefix(&known, *day));
            self.take(backfill, &page(source, &prefix, false).await?);
            if self.good.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn check(self, backfill: &Backfill, start: &str) -> Check {
        let template = backfill.spec.source().layout().template();
        let whole = |key: String| format!("s3://{}/{key}", backfill.bucket);
        if let Some((key, partition)) = self.good {
            return Check::ok(LAYOUT, format!("{} is of {partition}", whole(key)));
        }
        match (self.filtered, self.stray) {
            (Some(key), _) => Check::failed(
                LAYOUT,
                format!(
                    "source.include and source.exclude leave out every key that was seen, such as {}",
                    whole(key)
                ),
                "correct the patterns: they are looked for anywhere in the whole key",
            ),
            (None, Some(key)) => Check::failed(
                LAYOUT,
                format!(
                    "none of {} keys that were seen follows {template}, such as {}",
                    self.objects,
                    whole(key)
                ),
                "write source.layout as the keys read, below source.uri",
            ),
            (None, None) => Check::failed(
                LAYOUT,
                format!("there is no object below {start}"),
                "check source.uri and what source.layout begins with",
            ),
        }
    }
}
