//! Two writers of one journal, each with a thousand appends, and readers all along.

use std::collections::BTreeSet;
use std::sync::Arc;

use dayfill_core::fact::{Fact, Identity};
use dayfill_core::ledger::{Ledger, Verdict};
use dayfill_core::partition::{PartitionId, SliceId};
use dayfill_engine::adapters::{FolderJournal, SystemClock};
use dayfill_engine::book::Book;
use dayfill_tests::sandbox;
use dayfill_tests::wire::{Answer, Bench, Call, Cloud, Fault};
use futures::future::join_all;
use serde_json::Value;
use tokio::sync::watch::Sender;
use uuid::Uuid;

const APPENDS: u64 = 1000;
const READERS: u64 = 3;
/// How many segments a reader waits for before it opens the journal again.
const OPENED_EVERY: usize = 300;

/// The journal is opened by whoever comes first; then every append is about a slice of its own. Returns how often there
/// was something to decide: once an append, and once more for every race that was lost.
async fn write(mut book: Book, writer: &str, identity: Identity, length: Arc<Sender<u64>>) -> (Book, u64) {
    let mut decided = 0;
    for n in 1..=APPENDS {
        let partition = PartitionId::new(vec![format!("{writer}-{n}")], "2018-10-01".parse().unwrap());
        let (slice, reason) = (SliceId::whole(partition), format!("{writer} {n}"));
        let written = book.append(|ledger, _| {
            decided += 1;
            let (name, identity) = ("small".to_owned(), identity.clone());
            let open = Fact::Opened { uuid: Uuid::new_v4(), name, identity };
            let opened = ledger.opened().is_none().then_some(open);
            let one = Fact::Cancelled { slice: slice.clone(), reason: reason.clone() };
            opened.into_iter().chain([one]).collect()
        });
        assert!(written.await.unwrap());
        length.send_modify(|l| *l = book.ledger().last().unwrap().segment.max(*l));
    }
    (book, decided)
}

/// What was appended, in the order of the journal, as a ledger knows it.
fn history(ledger: &Ledger) -> Vec<String> {
    let mut told: Vec<(u64, String)> = ledger
        .slices()
        .map(|(_, record)| match &record.verdict {
            Some(Verdict::Cancelled { reason, stamp }) => (stamp.segment, reason.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_unstable();
    let numbers: Vec<u64> = told.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (1..=told.len() as u64).collect::<Vec<_>>());
    told.into_iter().map(|(_, reason)| reason).collect()
}

/// A ledger without the times of the store: on S3 a writer knows those of its own segments by the answers' dates.
fn timeless(ledger: &Ledger) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("stored_at");
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(ledger).unwrap();
    strip(&mut value);
    value
}

async fn two_write_and_many_read(cloud: &Cloud, bench: &Bench<'_>) {
    let length = Arc::new(Sender::new(0));
    let read = async |offset: u64| {
        let (mut grown, mut seen) = (length.subscribe(), Vec::new());
        for at in (offset..=2 * APPENDS).step_by(OPENED_EVERY) {
            grown.wait_for(|l| *l >= at).await.unwrap();
            seen.push(history(bench.book().await.ledger()));
        }
        seen
    };
    let write = async |writer| {
        let identity = cloud.plan.identity.clone();
        tokio::spawn(write(bench.book().await, writer, identity, length.clone())).await.unwrap()
    };
    let ((mut condor, of_condor), (mut eagle, of_eagle), readers) =
        tokio::join!(write("condor"), write("eagle"), join_all((0..READERS).map(|n| read(80 * n))));
    assert!(of_condor + of_eagle > 2 * APPENDS, "neither was ever in the other's way");

    // By the files: a number a segment, a segment an append, each of them once, and each writer's in its order.
    let facts = bench.facts();
    assert_eq!((facts.segments as u64, facts.of("opened").len()), (2 * APPENDS, 1));
    let told: Vec<String> =
        facts.of("cancelled").iter().map(|c| c["reason"].as_str().unwrap().to_owned()).collect();
    for writer in ["condor", "eagle"] {
        let own: Vec<&String> = told.iter().filter(|r| r.starts_with(writer)).collect();
        let all: Vec<String> = (1..=APPENDS).map(|n| format!("{writer} {n}")).collect();
        assert_eq!(own, all.iter().collect::<Vec<_>>());
    }

    condor.refresh().await.unwrap();
    eagle.refresh().await.unwrap();
    assert_eq!(history(condor.ledger()), told);
    let last = bench.book().await;
    // Without the snapshot, and in the folder: there it costs little to read all.
    std::fs::remove_file(bench.root.join("snapshot.json")).unwrap();
    let folder = Arc::new(FolderJournal::new(&bench.root));
    let whole = Book::open(folder, Arc::new(SystemClock::new())).await.unwrap();
    for book in [&eagle, &last, &whole] {
        assert_eq!(timeless(book.ledger()), timeless(condor.ledger()));
    }

    let mut lengths = BTreeSet::new();
    for seen in &readers {
        assert!(seen.is_sorted_by_key(Vec::len), "what was there stays there");
        for one in seen {
            assert!(told.starts_with(one), "{one:?} is no beginning of {told:?}");
            lengths.insert(one.len());
        }
    }
    assert!(lengths.len() > 5, "{lengths:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_append_a_thousand_times_each_in_a_folder() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let bench = Bench::new(&cloud).await;
    two_write_and_many_read(&cloud, &bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_append_a_thousand_times_each_on_s3() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let bench = Bench::on_s3(&cloud).await;
    // Now and then an answer is lost, and the write that is repeated finds a segment in the way: one's own, or not.
    for n in (40..10_000).step_by(40) {
        bench.proxy.on(Call::WriteSegment, n..=n, Fault::after(Answer::Dropped));
    }
    two_write_and_many_read(&cloud, &bench).await;
}
