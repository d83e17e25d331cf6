use dayfill_core::fact::Intended;

use super::*;
use crate::ports::ErrorKind;
use crate::testing::{OnCreate, World, lock, opened, plan};

mod snapshots;

fn stopped(why: &str) -> Fact {
    Fact::Stopped { why: why.to_owned() }
}

async fn book(world: &World) -> Result<Book, BookError> {
    Book::open(world.journal.clone(), world.clock.clone()).await
}

/// The error of opening the journal, which must name the place.
async fn refused(world: &World) -> String {
    let Err(error) = book(world).await else { panic!("it was opened") };
    let text = error.to_string();
    assert!(text.contains("(memory)"), "{text}");
    text
}

mod appending {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn facts_are_one_segment_and_anybody_reads_them() {
        let world = World::new();
        let mut own = book(&world).await.unwrap();
        assert!(own.append(|_, _| vec![opened(), stopped("a")]).await.unwrap());
        assert_eq!((world.journal.len(), own.ledger().facts()), (1, 2));
        assert_eq!(own.ledger().last().unwrap().segment, 1);
        let other = book(&world).await.unwrap();
        assert_eq!(other.ledger(), own.ledger());
    }

    #[tokio::test(start_paused = true)]
    async fn no_facts_are_no_segment() {
        let world = World::new();
        let mut own = book(&world).await.unwrap();
        assert!(!own.append(|_, _| Vec::new()).await.unwrap());
        assert_eq!(world.journal.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_loses_the_race_decides_again_upon_what_won() {
        let world = World::new();
        world.journal.write(&[opened()]);
        let mut own = book(&world).await.unwrap();
        world.journal.script([OnCreate::Beaten(vec![stopped("theirs")])]);
        let mut seen = Vec::new();
        let written = own
            .append(|ledger, _| {
                seen.push(ledger.stopped().map(|s| s.why.clone()));
                vec![stopped("ours")]
            })
            .await;
        assert!(written.unwrap());
        assert_eq!(seen, [None, Some("theirs".to_owned())]);
        assert_eq!((world.journal.len(), own.ledger().facts()), (3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_won_may_leave_nothing_to_say() {
        let world = World::new();
        world.journal.write(&[opened()]);
        let mut own = book(&world).await.unwrap();
        world.journal.script([OnCreate::Beaten(vec![stopped("theirs")])]);
        let written =
            own.append(|l, _| l.stopped().is_none().then(|| stopped("ours")).into_iter().collect()).await;
        assert!(!written.unwrap());
        assert_eq!((world.journal.len(), own.ledger().facts()), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_journal_that_grew_unseen_is_caught_up_with() {
        let world = World::new();
        world.journal.write(&[opened()]);
        let mut own = book(&world).await.unwrap();
        for why in ["a", "b", "c"] {
            world.journal.write(&[stopped(why)]);
        }
        assert!(own.append(|_, _| vec![stopped("ours")]).await.unwrap());
        assert_eq!((world.journal.len(), own.ledger().facts()), (5, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn ones_own_write_is_known_after_a_lost_answer() {
        for followed in [false, true] {
            let world = World::new();
            world.journal.write(&[opened()]);
            let mut own = book(&world).await.unwrap();
            world.journal.script([if followed {
                OnCreate::AnswerLostAndFollowed(vec![stopped("theirs")])
            } else {
                OnCreate::AnswerLost
            }]);
            let mut asked = 0;
            let written = own
                .append(|_, _| {
                    asked += 1;
                    vec![stopped("ours")]
                })
                .await;
            assert!(written.unwrap());
            assert_eq!(asked, 1, "it is written, not to be written again");
            assert_eq!(own.ledger().facts(), 2 + u64::from(followed));
            assert_eq!(world.journal.len(), 2 + u64::from(followed));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_leaves_the_book_as_the_journal_is() {
        let world = World::new();
        world.journal.write(&[opened()]);
        let mut own = book(&world).await.unwrap();
        world.journal.script([OnCreate::Failed, OnCreate::StoredButFailed]);
        for _ in 0..2 {
            let error = own.append(|_, _| vec![stopped("ours")]).await.unwrap_err();
            assert!(matches!(error, BookError::Port(e) if e.kind == ErrorKind::Unreachable));
        }
        assert_eq!(own.ledger().facts(), 1);
        own.refresh().await.unwrap();
        assert_eq!(own.ledger().facts(), 2, "the second was stored after all");
    }
}

mod refusals {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_named() {
        let world = World::new();
        world.journal.write(&[opened()]);
        for why in ["a", "b", "c"] {
            world.journal.write(&[stopped(why)]);
        }
        world.journal.remove(3);
        assert_eq!(
            refused(&world).await,
            "journal segment 3 is missing, although segment 4 is there (memory)"
        );
        world.journal.remove(1);
        assert!(refused(&world).await.contains("segment 1 is missing, although segment 2"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_that_a_listing_overlooked_is_no_gap() {
        let world = World::new();
        world.journal.write(&[opened()]);
        let mut own = book(&world).await.unwrap();
        world.journal.write(&[stopped("a")]);
        world.journal.write(&[stopped("b")]);
        // It came while the folder was read, as the one after it did.
        *lock(&world.journal.overlooks) = Some(2);
        own.refresh().await.unwrap();
        assert_eq!(own.ledger().facts(), 3);
        *lock(&world.journal.overlooks) = Some(1);
        assert_eq!(book(&world).await.unwrap().ledger().facts(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_that_comes_up_later_is_seen_too() {
        let world = World::new();
        world.journal.write(&[opened()]);
        let mut own = book(&world).await.unwrap();
        world.journal.write(&[stopped("a")]);
        world.journal.write(&[stopped("b")]);
        world.journal.remove(2);
        assert!(matches!(own.refresh().await, Err(BookError::Gap { missing: 2, next: 3, .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_segment_that_was_cut_or_edited_is_named() {
        let world = World::new();
        world.journal.write(&[opened()]);
        world.journal.write(&[stopped("abc")]);
        let whole = world.journal.bytes(2);
        for damaged in [whole[..whole.len() / 2].to_vec(), whole[..whole.len() - 1].to_vec(), Vec::new()] {
            world.journal.put(2, damaged);
            assert!(refused(&world).await.contains("journal segment 2 is damaged"));
        }
        let edited = String::from_utf8(whole).unwrap().replace("abc", "abd");
        world.journal.put(2, edited.into_bytes());
        assert!(refused(&world).await.contains("does not match its checksum"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_segment_is_named_not_half_read() {
        let world = World::new();
        world.journal.write(&[opened()]);
        let newer = b"{\"schema_version\":3,\"segment\":2}\n{\"fact\":\"stopped\",\"why\":\"x\"}\n";
        world.journal.put(2, newer.to_vec());
        assert_eq!(
            refused(&world).await,
            "journal segment 2 has schema version 3, and this program knows 2 (memory)"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn facts_that_do_not_add_up_are_named() {
        let world = World::new();
        world.journal.write(&[stopped("a")]);
        let said = "the journal does not add up: segment 1 comes before the journal was opened (memory)";
        assert_eq!(refused(&world).await, said);
    }
}

mod adopted_plans {
    use super::*;

    fn adopted(world: &World, plan: &Plan) {
        world.journal.put_plan(plan.digest().as_str(), plan.to_json().as_bytes());
        let digest = plan.digest();
        let jobs = plan.jobs.len() as u64;
        world.journal.write(&[opened(), Fact::Adopted { digest, definition: "load:1".to_owned(), jobs }]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_is_loaded() {
        let world = World::new();
        let plan = plan([1, 2]);
        adopted(&world, &plan);
        let own = book(&world).await.unwrap();
        assert_eq!(own.newest_plan().unwrap().plan(), &plan);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_one_is_named() {
        let world = World::new();
        let plan = plan([1]);
        adopted(&world, &plan);
        world.journal.remove_plans();
        let said = format!("the adopted plan {} is missing (memory)", plan.digest().short());
        assert_eq!(refused(&world).await, said);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edited_or_foreign_one_is_refused() {
        let world = World::new();
        let plan = plan([1]);
        adopted(&world, &plan);
        let edited = plan.to_json().replace("\"queue\": \"spot\"", "\"queue\": \"gold\"");
        world.journal.put_plan(plan.digest().as_str(), edited.as_bytes());
        assert!(refused(&world).await.contains("was edited"));
        // Another plan, whole in itself, under this one's name.
        world.journal.put_plan(plan.digest().as_str(), super::plan([2]).to_json().as_bytes());
        assert!(refused(&world).await.contains("cannot be used"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_one_is_loaded_while_a_slice_of_it_is_under_way() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        let mut newer = plan([2]);
        newer.made_at += chrono::TimeDelta::seconds(1);
        let newer_digest = newer.digest();
        crate::submit::adopt(engine.book_mut(), &newer, "load:1").await.unwrap();
        let own = book(&world).await.unwrap();
        assert_eq!(own.plans().len(), 2);
        assert_eq!(own.newest_plan().unwrap().plan().digest(), newer_digest);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stamp_has_the_clocks_of_the_writer_and_of_the_store() {
    let world = World::new();
    world.journal.skew(chrono::TimeDelta::minutes(7));
    let mut own = book(&world).await.unwrap();
    own.append(|_, _| vec![opened()]).await.unwrap();
    let stamp = own.ledger().last().unwrap();
    assert_eq!(stamp.stored_at - stamp.written_at, chrono::TimeDelta::minutes(7));
}

#[tokio::test(start_paused = true)]
async fn what_is_read_back_is_what_was_written() {
    let world = World::new();
    let mut engine = world.adopted(&plan([1])).await;
    engine.advance().await.unwrap();
    let intents = |ledger: &Ledger| -> Vec<Intended> {
        ledger.slices().flat_map(|(_, r)| &r.tries).map(|t| t.intended.clone()).collect()
    };
    assert_eq!(intents(engine.book().ledger()), intents(&world.ledger().await));
    assert_eq!(intents(engine.book().ledger()).len(), 1);
}
