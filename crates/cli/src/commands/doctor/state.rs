//! The state: may it be written, does it hold to conditional puts, and does the journal in it agree with the YAML?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use dayfill_aws::{Connection, S3Journal};
use dayfill_core::doctor::Check;
use dayfill_core::fact::Cloud;
use dayfill_core::spec::State;
use dayfill_engine::adapters::{FolderJournal, SystemClock};
use dayfill_engine::book::Book;
use dayfill_engine::ports::{Created, ErrorKind, Journal, PortError};
use dayfill_engine::submit::check_identity;
use uuid::Uuid;

use super::{Clock, failed, failed_port};
use crate::error::Failure;
use crate::place::Backfill;
use crate::{planning, site};

const STATE: &str = "state";
const JOURNAL: &str = "journal";

/// Writes a probe, reads the journal, and says what the store's clock shows, where a write told it. Without
/// `cloud` it is not compared where jobs run.
pub async fn look(
    backfill: &Backfill,
    connection: Option<&Connection>,
    cloud: Option<Cloud>,
) -> (Vec<Check>, Option<Clock>) {
    match probe(backfill, connection).await {
        Ok((check, clock)) => (vec![check, journal(backfill, connection, cloud).await], clock),
        Err(error) => {
            let elsewhere = [ErrorKind::NotFound, ErrorKind::Unreachable, ErrorKind::Credentials];
            let journal = if elsewhere.contains(&error.kind) {
                Check::skipped(JOURNAL, STATE)
            } else {
                journal(backfill, connection, cloud).await
            };
            (vec![failed_port(STATE, error), journal], None)
        }
    }
}

/// Where a probe is written: beside the journal, where nobody looks for segments.
enum Probe {
    S3(S3Journal),
    Folder { journal: FolderJournal, folder: PathBuf, there_before: PathBuf },
}

impl Probe {
    fn new(backfill: &Backfill, connection: Option<&Connection>) -> Option<Self> {
        let below = format!("{}/doctor/{}", backfill.spec.name(), Uuid::new_v4());
        match (backfill.spec.state(), connection) {
            (State::S3 { bucket, prefix }, Some(connection)) => {
                Some(Self::S3(S3Journal::new(connection, bucket, &format!("{prefix}{below}"))))
            }
            (State::S3 { .. }, None) => None,
            (State::Folder(_), _) => {
                let folder = Path::new(&backfill.place.state).join(below);
                let there_before =
                    folder.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/")).to_owned();
                Some(Self::Folder { journal: FolderJournal::new(&folder), folder, there_before })
            }
        }
    }

    fn journal(&self) -> &dyn Journal {
        match self {
            Self::S3(journal) => journal,
            Self::Folder { journal, .. } => journal,
        }
    }

    /// Removes what was written, and returns why not, where that is not allowed.
    async fn remove(&self) -> Option<String> {
        match self {
            Self::S3(journal) => journal.remove_probe(1).await.err().map(|e| e.what),
            Self::Folder { folder, there_before, .. } => {
                let removed = std::fs::remove_dir_all(folder);
                // Also the folders that were made on the way; one that somebody else writes to by now stays.
                let made = folder.ancestors().skip(1).take_while(|p| *p != there_before);
                for parent in made {
                    if std::fs::remove_dir(parent).is_err() {
                        break;
                    }
                }
                removed.err().map(|e| format!("cannot remove {}: {e}", folder.display()))
            }
        }
    }
}

async fn probe(
    backfill: &Backfill,
    connection: Option<&Connection>,
) -> Result<(Check, Option<Clock>), PortError> {
    let Some(probe) = Probe::new(backfill, connection) else {
        return Ok((Check::skipped(STATE, "region"), None));
    };
    let place = &backfill.place.state;
    let tried = twice(probe.journal()).await;
    let removed = probe.remove().await;
    let (honoured, clock) = tried?;
    let check = if !honoured {
        Check::failed(
            STATE,
            format!("{place} does not hold to conditional puts: a second write took the place of the first"),
            "keep the state on S3 itself or in a folder: without them two writers could submit a day twice",
        )
    } else if let Some(why) = removed {
        Check::ok(
            STATE,
            format!("{place} may be written, each number once; a small probe stays there ({why})"),
        )
    } else {
        Check::ok(STATE, format!("{place} may be written, each number once"))
    };
    Ok((check, clock.map(|ahead| Clock { whose: place.clone(), ahead })))
}

/// Writes the same number twice: whether the first write stayed, and how far the store's clock is ahead.
async fn twice(journal: &dyn Journal) -> Result<(bool, Option<chrono::TimeDelta>), PortError> {
    const FIRST: &[u8] = b"dayfill doctor: the first write\n";
    const SECOND: &[u8] = b"dayfill doctor: the second write, which must be refused\n";
    let first = journal.create(1, FIRST).await?;
    let ahead = match first {
        Created::Stored(at) => Some(at - Utc::now()),
        Created::Taken => None,
    };
    let second = journal.create(1, SECOND).await?;
    // What is stored decides: a store may refuse with one hand and write with the other.
    let kept = journal.segments(1).await?.into_iter().any(|s| s.number == 1 && s.bytes == FIRST);
    Ok((second == Created::Taken && kept, ahead))
}

async fn journal(backfill: &Backfill, connection: Option<&Connection>, cloud: Option<Cloud>) -> Check {
    match read(backfill, connection, cloud).await {
        Ok(detail) => Check::ok(JOURNAL, detail),
        Err(failure) => failed(JOURNAL, failure),
    }
}

async fn read(
    backfill: &Backfill,
    connection: Option<&Connection>,
    cloud: Option<Cloud>,
) -> Result<String, Failure> {
    let journal = site::journal(&backfill.place, backfill.spec.name(), connection)?;
    let place = journal.place();
    let book = Book::open(journal, Arc::new(SystemClock::new())).await?;
    let Some(opened) = book.ledger().opened() else {
        return Ok(format!("{place} has no journal yet: the first submit begins it"));
    };
    let (cloud, but) = match cloud {
        Some(cloud) => (cloud, ""),
        None => (opened.identity.cloud.clone(), " (as far as can be told without the queue)"),
    };
    check_identity(book.ledger(), &planning::identity(&backfill.spec, cloud))?;
    let slices = book.ledger().slices().count();
    Ok(format!("{place} agrees with the YAML{but}; it tells of {slices} slices so far"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use chrono::DateTime;
    use dayfill_engine::ports::StoredSegment;

    use super::*;

    /// A store that overwrites, and may say that it did not.
    struct Careless {
        refuses: bool,
        stored: Mutex<Vec<u8>>,
    }

    #[async_trait]
    impl Journal for Careless {
        async fn segments(&self, _: u64) -> Result<Vec<StoredSegment>, PortError> {
            let bytes = self.stored.lock().unwrap().clone();
            Ok(vec![StoredSegment { number: 1, bytes, stored_at: DateTime::UNIX_EPOCH }])
        }

        async fn create(&self, _: u64, bytes: &[u8]) -> Result<Created, PortError> {
            let before = std::mem::replace(&mut *self.stored.lock().unwrap(), bytes.to_vec());
            let refuses = self.refuses && !before.is_empty();
            Ok(if refuses { Created::Taken } else { Created::Stored(DateTime::UNIX_EPOCH) })
        }

        async fn keep_plan(&self, _: &str, _: &[u8]) -> Result<(), PortError> {
            Ok(())
        }

        async fn plan(&self, _: &str) -> Result<Option<Vec<u8>>, PortError> {
            Ok(None)
        }

        async fn keep_manifest(&self, _: &str, _: &[u8]) -> Result<(), PortError> {
            Ok(())
        }

        async fn result(&self, _: &str, _: u64) -> Result<Option<Vec<u8>>, PortError> {
            Ok(None)
        }

        async fn keep_snapshot(&self, _: &[u8]) -> Result<(), PortError> {
            Ok(())
        }

        async fn snapshot(&self) -> Result<Option<Vec<u8>>, PortError> {
            Ok(None)
        }

        async fn now(&self) -> Result<DateTime<Utc>, PortError> {
            Ok(DateTime::UNIX_EPOCH)
        }

        fn place(&self) -> String {
            "careless".to_owned()
        }
    }

    #[tokio::test]
    async fn a_store_that_overwrites_is_found_out_whatever_it_says() {
        for refuses in [false, true] {
            let store = Careless { refuses, stored: Mutex::default() };
            let (honoured, ahead) = twice(&store).await.unwrap();
            assert!(!honoured);
            assert!(ahead.unwrap() < chrono::TimeDelta::days(-10_000), "its clock is half a century behind");
        }
        let folder = tempfile::tempdir().unwrap();
        let (honoured, ahead) = twice(&FolderJournal::new(folder.path())).await.unwrap();
        assert!(honoured && ahead.unwrap().abs() < chrono::TimeDelta::minutes(1));
    }
}
