//! A start from a snapshot, and from none where it is not to be used.

use super::*;

const FEW: u64 = 4;

async fn open(world: &World) -> Result<Book, BookError> {
    Book::open_every(world.journal.clone(), world.clock.clone(), FEW).await
}

/// A journal of so many segments, one append each, and its snapshots.
async fn written(segments: u64) -> World {
    let world = World::new();
    let mut own = open(&world).await.unwrap();
    own.append(|_, _| vec![opened()]).await.unwrap();
    for n in 2..=segments {
        own.append(|_, _| vec![stopped(&format!("number {n}"))]).await.unwrap();
    }
    world
}

fn of_segment(world: &World) -> Option<u64> {
    Some(snapshot::read(&world.journal.kept_snapshot()?)?.last.segment)
}

/// Makes the first segment one that nobody can read.
fn damage_the_first(world: &World) {
    world.journal.put(1, b"damaged".to_vec());
}

#[tokio::test(start_paused = true)]
async fn a_start_reads_only_what_came_after() {
    for (segments, kept) in [(3, None), (4, Some(4)), (7, Some(4)), (8, Some(8)), (9, Some(8))] {
        let world = written(segments).await;
        assert_eq!(of_segment(&world), kept, "after {segments}");
        let ledger = world.ledger().await;
        damage_the_first(&world);
        match open(&world).await {
            Ok(book) => assert_eq!(Some(book.ledger()), kept.map(|_| &ledger), "after {segments}"),
            Err(e) => assert_eq!((kept, e.to_string().contains("segment 1 is damaged")), (None, true)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_from_a_snapshot_on_is_appended_to() {
    let world = written(6).await;
    let mut own = open(&world).await.unwrap();
    assert!(own.append(|l, _| vec![stopped(&format!("after {}", l.facts()))]).await.unwrap());
    assert_eq!(own.ledger().stopped().unwrap().why, "after 6");
    assert_eq!((world.journal.len(), world.ledger().await.facts()), (7, 7));
    assert_eq!(own.ledger(), &world.ledger().await);
}

#[tokio::test(start_paused = true)]
async fn reading_keeps_none_and_the_first_append_to_a_long_journal_does() {
    let world = written(9).await;
    world.journal.put_snapshot(None);
    let mut own = open(&world).await.unwrap();
    own.refresh().await.unwrap();
    assert!(!own.append(|_, _| Vec::new()).await.unwrap());
    assert_eq!(of_segment(&world), None);
    own.append(|_, _| vec![stopped("more")]).await.unwrap();
    assert_eq!(of_segment(&world), Some(10));
}

#[tokio::test(start_paused = true)]
async fn facts_that_are_waited_for_leave_it_to_the_next_append() {
    let world = written(3).await;
    let mut own = open(&world).await.unwrap();
    assert!(own.append_in_haste(|_, _| vec![stopped("soon")]).await.unwrap());
    assert_eq!((world.journal.len(), of_segment(&world)), (4, None));
    own.append(|_, _| vec![stopped("later")]).await.unwrap();
    assert_eq!(of_segment(&world), Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_none_is_asked_seldom_and_does_no_harm() {
    let world = World::new();
    world.journal.refuse_snapshots();
    let mut own = open(&world).await.unwrap();
    own.append(|_, _| vec![opened()]).await.unwrap();
    for n in 2..=10 {
        assert!(own.append(|_, _| vec![stopped(&format!("number {n}"))]).await.unwrap());
    }
    assert_eq!((world.journal.snapshots_tried(), of_segment(&world)), (2, None));
    assert_eq!(open(&world).await.unwrap().ledger(), own.ledger());
}

mod not_used {
    use super::*;

    /// Opening reads every segment, and does not keep a right snapshot from being kept.
    async fn is_ignored(world: &World, why: &str) {
        let first = world.journal.bytes(1);
        damage_the_first(world);
        let error = open(world).await.err().map(|e| e.to_string());
        assert!(error.is_some_and(|e| e.contains("segment 1 is damaged")), "{why}");

        world.journal.put(1, first);
        let mut own = open(world).await.unwrap();
        assert_eq!(own.ledger(), &world.ledger().await, "{why}");
        own.append(|_, _| vec![stopped("more")]).await.unwrap();
        assert_eq!(of_segment(world), Some(world.journal.len()), "{why}");
        assert_eq!(own.ledger(), &world.ledger().await, "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_damaged_or_of_another_version() {
        let whole = String::from_utf8(written(6).await.journal.kept_snapshot().unwrap()).unwrap();
        let program = format!("\"program\":\"{}\"", env!("CARGO_PKG_VERSION"));
        for (from, to) in [
            ("\"schema_version\":2", "\"schema_version\":3"),
            ("\"fold_version\":", "\"fold_version\":1"),
            (program.as_str(), "\"program\":\"0.0.1\""),
            ("number 4", "number 5"),
            ("}\n{", "} {"),
            (whole.as_str(), ""),
            (whole.as_str(), "{}\n{}\n"),
        ] {
            let world = written(6).await;
            let edited = whole.replacen(from, to, 1);
            assert_ne!(edited, whole);
            world.journal.put_snapshot(Some(edited.into_bytes()));
            is_ignored(&world, &format!("{from} became {to}")).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_another_journal() {
        let (world, other) = (written(6).await, written(6).await);
        assert_eq!(of_segment(&other), Some(4));
        world.journal.put_snapshot(other.journal.kept_snapshot());
        is_ignored(&world, "the other journal has other segments").await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_last_segment_is_another_by_now() {
        let world = written(6).await;
        let same = [stopped("number 4")];
        world.journal.put(4, segment::write(4, Uuid::new_v4(), world.clock.now(), &same).unwrap());
        is_ignored(&world, "segment 4 has the same facts by another writer").await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_ahead_of_the_segments() {
        let world = written(4).await;
        assert_eq!(of_segment(&world), Some(4));
        world.journal.remove(4);
        is_ignored(&world, "segment 4 is not there").await;
    }
}

mod refusals {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_or_damaged_from_its_last_segment_on_is_named() {
        for number in 4..=6 {
            let world = written(7).await;
            let bytes = world.journal.bytes(number);
            world.journal.put(number, bytes[..bytes.len() - 1].to_vec());
            assert!(refused(&world).await.contains(&format!("journal segment {number} is damaged")));
            world.journal.remove(number);
            assert!(refused(&world).await.contains(&format!("journal segment {number} is missing")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_segment_that_came_back_changed_is_named() {
        let world = written(7).await;
        let edited = String::from_utf8(world.journal.bytes(4)).unwrap().replace("number 4", "number 5");
        world.journal.put(4, edited.into_bytes());
        assert!(
            refused(&world).await.contains("segment 4 is damaged: its content does not match its checksum")
        );
    }
}
