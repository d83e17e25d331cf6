//! A long journal on S3: how many requests it takes to open it, with a snapshot and without.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use chrono::Utc;
use dayfill_core::fact::Fact;
use dayfill_engine::adapters::{FolderJournal, SystemClock};
use dayfill_engine::book::Book;
use dayfill_engine::segment;
use dayfill_tests::sandbox;
use dayfill_tests::wire::{Answer, Bench, Call, Cloud, Fault};
use uuid::Uuid;

fn number(n: u64) -> Fact {
    Fact::Stopped { why: format!("number {n}") }
}

/// A journal of so many segments, straight into its folder.
fn write(cloud: &Cloud, bench: &Bench<'_>, segments: u64) {
    let folder = bench.root.join("journal");
    fs::create_dir_all(&folder).unwrap();
    for n in 1..=segments {
        let opened = Fact::Opened {
            uuid: Uuid::new_v4(),
            name: cloud.plan.backfill.clone(),
            identity: cloud.plan.identity.clone(),
        };
        let fact = if n == 1 { opened } else { number(n) };
        let bytes = segment::write(n, Uuid::new_v4(), Utc::now(), &[fact]).unwrap();
        fs::write(folder.join(format!("{n:016}.jsonl")), bytes).unwrap();
    }
}

/// The requests that came while this was done.
async fn requests<T>(bench: &Bench<'_>, doing: impl Future<Output = T>) -> (T, BTreeMap<Call, u64>) {
    let before = bench.proxy.counts();
    let done = doing.await;
    let mut counts = bench.proxy.counts();
    for (call, n) in &mut counts {
        *n -= before.get(call).copied().unwrap_or_default();
    }
    counts.retain(|_, n| *n > 0);
    (done, counts)
}

/// Appends so many facts; the number that the last has.
async fn append(book: &mut Book, facts: u64) -> u64 {
    for _ in 0..facts {
        book.append(|l, _| vec![number(l.facts() + 1)]).await.unwrap();
    }
    book.ledger().facts()
}

fn newest(book: &Book) -> &str {
    &book.ledger().stopped().unwrap().why
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_segments_are_opened_by_a_hundred_requests() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let bench = Bench::on_s3(&cloud).await;
    write(&cloud, &bench, 10_000);
    // Read whole in the folder, where it costs little.
    let clock = Arc::new(SystemClock::new());
    let mut by_folder = Book::open(Arc::new(FolderJournal::new(&bench.root)), clock).await.unwrap();
    append(&mut by_folder, 1).await;

    let mut writer = bench.book().await;
    for after in [0, 1, 99, 0] {
        let (reader, counts) = requests(&bench, bench.book()).await;
        assert_eq!(newest(&reader), newest(&writer));
        let few = [(Call::ReadSegment, 1 + after), (Call::ListSegments, 1), (Call::ReadSnapshot, 1)];
        assert_eq!(counts, few.into(), "{after} segments after the snapshot");
        append(&mut writer, if after == 1 { 98 } else { 1 }).await;
    }
    assert_eq!((writer.ledger().facts(), bench.proxy.count(Call::WriteSnapshot)), (10_102, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_cannot_be_kept_or_read_is_done_without() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let bench = Bench::on_s3(&cloud).await;
    write(&cloud, &bench, 1010);
    let (mut writer, counts) = requests(&bench, bench.book()).await;
    let whole = [(Call::ReadSegment, 1010), (Call::ListSegments, 2), (Call::ReadSnapshot, 1)];
    assert_eq!(counts, whole.into(), "a request a segment and one a thousand");

    for answer in [Answer::page(403), Answer::Reset] {
        bench.proxy.on_next(Call::WriteSnapshot, 1, Fault::instead(answer.clone()));
        let (_, counts) = requests(&bench, append(&mut writer, 100)).await;
        assert_eq!(counts, [(Call::WriteSegment, 100), (Call::WriteSnapshot, 1)].into(), "{answer:?}");
        assert!(!bench.root.join("snapshot.json").exists());
    }
    assert_eq!(append(&mut writer, 100).await, 1310);
    assert!(bench.root.join("snapshot.json").exists());

    // Half of it is read again; where it may not be read, all segments are.
    for (answer, segments) in [(Answer::CutShort, 100), (Answer::page(403), 1310)] {
        bench.proxy.on_next(Call::ReadSnapshot, 1, Fault::after(answer.clone()));
        let (reader, counts) = requests(&bench, bench.book()).await;
        assert_eq!(newest(&reader), "number 1310");
        assert_eq!(counts[&Call::ReadSegment], segments, "{answer:?}");
    }
}
