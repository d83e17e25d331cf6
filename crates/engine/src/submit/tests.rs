use chrono::TimeDelta;
use dayfill_core::ledger::{Standing, TryState};
use dayfill_core::spec::{Idempotent, RetryPolicy};
use tokio::time::Instant;

use super::*;
use crate::event::Event;
use crate::ports::ErrorKind;
use crate::testing::{OnCreate, OnSubmit, World, identity, plan, slice};

fn later(plan: Plan, seconds: i64) -> Plan {
    let made_at = plan.made_at + TimeDelta::seconds(seconds);
    Plan { made_at, ..plan }
}

/// Where the tries of a day stand.
fn states(ledger: &Ledger, of: u32) -> Vec<TryState> {
    ledger.slice(&slice(of)).map(|r| r.tries.iter().map(|t| t.state.clone()).collect()).unwrap_or_default()
}

mod adopting {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_plan_opens_the_journal() {
        let world = World::new();
        let engine = world.adopted(&plan([1])).await;
        let ledger = engine.book().ledger();
        assert_eq!(ledger.opened().unwrap().identity, identity());
        assert_eq!(ledger.adopted().unwrap().digest, plan([1]).digest());
        assert_eq!((world.journal.len(), world.journal.plans()), (1, 1));
        assert_eq!(world.cloud.sent(), 0, "adopting sends nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_plan_again_changes_nothing() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        let again = adopt(engine.book_mut(), &plan([1]), "load:1").await.unwrap();
        assert_eq!((again, world.journal.len()), (Adoption::Already, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_superseded_plan_is_refused() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        adopt(engine.book_mut(), &later(plan([2]), 1), "load:1").await.unwrap();
        let error = adopt(engine.book_mut(), &plan([1]), "load:1").await.unwrap_err();
        assert!(matches!(error, AdoptError::Superseded));
    }

    #[tokio::test(start_paused = true)]
    async fn other_settings_are_refused_with_the_difference() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        let mut other = later(plan([2]), 1);
        other.identity.key_zone = "Asia/Tokyo".to_owned();
        let error = adopt(engine.book_mut(), &other, "load:1").await.unwrap_err();
        let AdoptError::OtherIdentity(differences) = error else { panic!("{error}") };
        assert_eq!(differences, [("source.zone", "UTC".to_owned(), "Asia/Tokyo".to_owned())]);
        assert_eq!(world.journal.plans(), 1, "a refused plan is not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_of_another_journal_is_refused() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        let mut other = later(plan([2]), 1);
        other.uuid = Some(Uuid::from_u128(1));
        let error = adopt(engine.book_mut(), &other, "load:1").await.unwrap_err();
        assert!(matches!(error, AdoptError::OtherBackfill));
        // The journal that it was made against is gone.
        let fresh = World::new();
        let mut engine = fresh.engine().await;
        let error = adopt(engine.book_mut(), &other, "load:1").await.unwrap_err();
        assert!(matches!(error, AdoptError::OtherBackfill));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_plan_is_refused_by_day() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        let error = adopt(engine.book_mut(), &later(plan([1, 2]), 1), "load:1").await.unwrap_err();
        let AdoptError::Stale(jobs) = error else { panic!("{error}") };
        assert_eq!(jobs.iter().map(|j| &j.slice).collect::<Vec<_>>(), [&slice(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_goes_stale_in_the_race_is_refused() {
        let world = World::new();
        world.cloud.script([OnSubmit::Accepted]);
        let mut first = world.adopted(&plan([1])).await;
        let mut second = world.engine().await;
        // The second has read the journal; now the first submits.
        first.advance().await.unwrap();
        let error = adopt(second.book_mut(), &later(plan([1]), 1), "load:1").await.unwrap_err();
        assert!(matches!(error, AdoptError::Stale(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_open_the_journal_at_once_agree() {
        let world = World::new();
        let (mut first, mut second) = (world.engine().await, world.engine().await);
        adopt(first.book_mut(), &plan([1]), "load:1").await.unwrap();
        adopt(second.book_mut(), &later(plan([2]), 1), "load:1").await.unwrap();
        let ledger = world.ledger().await;
        assert_eq!(ledger.adopted().unwrap().digest, later(plan([2]), 1).digest());
        assert_eq!(ledger.opened(), first.book().ledger().opened());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_no_second_adoption() {
        let world = World::new();
        world.journal.script([OnCreate::AnswerLost]);
        let engine = world.adopted(&plan([1])).await;
        assert_eq!((world.journal.len(), engine.book().ledger().facts()), (1, 2));
    }
}

mod sending {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn intents_come_before_effects() {
        let world = World::new();
        let mut engine = world.adopted(&plan(1..=3)).await;
        engine.advance().await.unwrap();
        // Opened and Adopted, then the intents, then what became of them.
        assert_eq!(world.journal.len(), 3);
        let ledger = world.ledger().await;
        for of in 1..=3 {
            let record = ledger.slice(&slice(of)).unwrap();
            let [t] = &record.tries[..] else { panic!("{record:?}") };
            assert_eq!((t.intent.segment, t.changed.segment), (2, 3));
            assert!(t.job_id.is_some() && !t.found);
        }
        let jobs = world.cloud.jobs();
        assert_eq!(jobs.len(), 3);
        assert_eq!((jobs[0].submission.memory_mib, jobs[0].submission.definition.as_str()), (128, "load:1"));
        assert_eq!(jobs[0].submission.name, ledger.slice(&slice(1)).unwrap().tries[0].intended.name);
    }

    #[tokio::test(start_paused = true)]
    async fn where_intents_cannot_be_stored_nothing_is_sent() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        world.journal.script([OnCreate::StoredButFailed]);
        engine.advance().await.unwrap_err();
        assert_eq!(world.cloud.sent(), 0);
        // The intent was stored all the same: it is looked for, and sent only when it cannot arrive any more.
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 0);
        tokio::time::advance(Duration::from_mins(22)).await;
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_in_flight() {
        let world = World::new();
        let mut days = plan(1..=9);
        days.limits.in_flight = 4;
        let mut engine = world.adopted(&days).await;
        engine.advance().await.unwrap();
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 4);
        world.cloud.succeed(0);
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_what_five_seconds_take() {
        let world = World::new();
        world.cloud.set_bounds(|b| b.submits_per_second = 2.0);
        let mut engine = world.adopted(&plan(1..=31)).await;
        engine.advance().await.unwrap();
        let ledger = world.ledger().await;
        let mut batches = std::collections::BTreeMap::<u64, usize>::new();
        for (_, t) in ledger.live() {
            *batches.entry(t.intent.segment).or_default() += 1;
        }
        let sizes: Vec<usize> = batches.into_values().collect();
        assert_eq!(sizes.iter().sum::<usize>(), 31);
        assert!(sizes.len() > 1 && sizes.iter().all(|s| *s <= 10), "{sizes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn submissions_keep_their_pace_and_do_not_wait_for_answers() {
        let world = World::new();
        world.cloud.set_bounds(|b| b.submits_per_second = 4.0);
        world.cloud.latency(Duration::from_secs(3));
        let mut engine = world.adopted(&plan(1..=8)).await;
        let begin = Instant::now();
        engine.advance().await.unwrap();
        let sent = world.cloud.sent_at();
        assert_eq!(sent.len(), 8);
        for pair in sent.windows(2) {
            let apart = pair[1] - pair[0];
            assert!(apart >= TimeDelta::milliseconds(240), "no burst: {apart}");
            assert!(apart <= TimeDelta::milliseconds(510), "and no pause for an answer: {apart}");
        }
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_sixteen_are_under_way() {
        let world = World::new();
        world.cloud.latency(Duration::from_secs(20));
        let mut engine = world.adopted(&plan(1..=20)).await;
        engine.advance().await.unwrap();
        let sent = world.cloud.sent_at();
        let early = sent.iter().filter(|at| **at - sent[0] < TimeDelta::seconds(20));
        assert_eq!((early.count(), sent.len()), (16, 20));
    }
}

mod answers {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn throttled_ones_go_back_to_the_queue_and_count_for_nothing() {
        let world = World::new();
        world.cloud.script([OnSubmit::Throttled, OnSubmit::Throttled, OnSubmit::Throttled]);
        let mut engine = world.adopted(&plan(1..=2)).await;
        engine.advance().await.unwrap();
        let ledger = world.ledger().await;
        for of in 1..=2 {
            assert!(matches!(states(&ledger, of)[..], [TryState::Live(_)]), "{:?}", states(&ledger, of));
        }
        assert_eq!(world.cloud.sent(), 5);
        assert!(engine.rate.per_second() < STARTING_RATE, "it goes slower");
        let told = world.heard.all().into_iter().filter(|e| matches!(e, Event::Throttled { .. })).count();
        assert_eq!(told, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn throttled_until_the_time_is_up_is_withdrawn_and_tried_by_a_later_step() {
        let world = World::new();
        world.cloud.script(std::iter::repeat_n(OnSubmit::Throttled, 2_000));
        let mut engine = world.adopted(&plan([1])).await;
        let begin = Instant::now();
        engine.advance().await.unwrap();
        assert!(begin.elapsed() >= Duration::from_mins(1));
        assert!(begin.elapsed() < Duration::from_mins(3), "one step does not try for ever");
        let ledger = world.ledger().await;
        assert!(matches!(states(&ledger, 1)[..], [TryState::Withdrawn(_)]));
        assert_eq!(world.cloud.jobs().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_sent_in_time_is_withdrawn_once_a_step() {
        let world = World::new();
        world.cloud.script(std::iter::repeat_n(OnSubmit::NotSent, 100));
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        assert!(matches!(states(&world.ledger().await, 1)[..], [TryState::Withdrawn(_)]));
        assert_eq!(world.journal.len(), 3, "no intent upon intent");
        engine.advance().await.unwrap();
        assert_eq!(states(&world.ledger().await, 1).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_stops_the_batch_and_the_backfill() {
        let world = World::new();
        world.cloud.script([OnSubmit::Accepted, OnSubmit::Refused("no such queue")]);
        let mut engine = world.adopted(&plan(1..=9)).await;
        engine.advance().await.unwrap();
        let ledger = world.ledger().await;
        assert!(matches!(&states(&ledger, 2)[..], [TryState::Refused(why)] if why == "no such queue"));
        let withdrawn = (3..=9).filter(|of| matches!(states(&ledger, *of)[..], [TryState::Withdrawn(_)]));
        assert_eq!(withdrawn.count(), 7);
        assert_eq!(world.cloud.sent(), 2);
        let step = engine.advance().await.unwrap();
        assert!(world.ledger().await.stopped().unwrap().why.contains("no such queue"));
        assert!(!step.finished, "the accepted one is watched to its end");
        world.cloud.succeed(0);
        assert!(engine.advance().await.unwrap().finished, "and then nothing is left to do");
        assert_eq!(world.cloud.sent(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn expired_credentials_end_the_step_and_cost_no_try() {
        let world = World::new();
        world.cloud.script([OnSubmit::Accepted, OnSubmit::SignedOut]);
        let mut days = plan(1..=9);
        days.retry = RetryPolicy { app: 0, spot: 0, start: 0, ..RetryPolicy::default() };
        days.job.idempotent = Idempotent::No;
        let mut engine = world.adopted(&days).await;
        let error = engine.advance().await.unwrap_err();
        assert!(matches!(&error, BookError::Port(e) if e.kind == ErrorKind::Credentials), "{error}");
        let ledger = world.ledger().await;
        assert!(matches!(states(&ledger, 1)[..], [TryState::Live(_)]), "what was accepted is written down");
        assert!((2..=9).all(|of| matches!(states(&ledger, of)[..], [TryState::Withdrawn(_)])));
        assert!(ledger.stopped().is_none());
        assert_eq!(world.cloud.sent(), 2, "the others are not sent");

        world.engine().await.advance().await.unwrap();
        let ledger = world.ledger().await;
        let again =
            |of: &u32| matches!(states(&ledger, *of)[..], [TryState::Withdrawn(_), TryState::Live(_)]);
        assert!((2..=9).all(|of| again(&of)), "as if nothing had happened");
        assert_eq!((world.cloud.sent(), world.cloud.jobs().len()), (10, 9));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unheard_one_is_found_by_its_name_and_not_sent_again() {
        let world = World::new();
        world.cloud.script([OnSubmit::AnswerLost(Duration::from_mins(4))]);
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        assert!(matches!(states(&world.ledger().await, 1)[..], [TryState::Unknown(_)]));
        tokio::time::advance(Duration::from_mins(3)).await;
        engine.advance().await.unwrap();
        assert!(matches!(states(&world.ledger().await, 1)[..], [TryState::Unknown(_)]));
        tokio::time::advance(Duration::from_mins(2)).await;
        engine.advance().await.unwrap();
        let ledger = world.ledger().await;
        let (_, t) = ledger.live().next().unwrap();
        assert!(t.found && t.job_id.as_deref() == Some("id-0"));
        assert_eq!(world.cloud.sent(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_has_never_arrived_only_after_grace() {
        let world = World::new();
        world.cloud.script([OnSubmit::Lost]);
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        let begin = Instant::now();
        while world.cloud.sent() == 1 {
            tokio::time::advance(Duration::from_secs(10)).await;
            engine.advance().await.unwrap();
        }
        let waited = begin.elapsed();
        assert!(waited > Duration::from_mins(21) - Duration::from_secs(1), "{waited:?}");
        assert!(waited < Duration::from_mins(22), "{waited:?}");
        let [TryState::NeverArrived, TryState::Live(_)] = states(&world.ledger().await, 1)[..] else {
            panic!("{:?}", states(&world.ledger().await, 1))
        };
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_whose_clock_is_ahead_is_waited_for_longer() {
        let ahead = TimeDelta::minutes(10);
        let world = World::new();
        world.adopted(&plan([1])).await;
        world.cloud.script([OnSubmit::Lost]);
        let mut ahead = world.engine_with_clock(ahead).await;
        ahead.advance().await.unwrap();
        let mut other = world.engine().await;
        tokio::time::advance(Duration::from_mins(30)).await;
        other.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 1, "its signature is good for ten minutes more");
        tokio::time::advance(Duration::from_mins(2)).await;
        other.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_whose_clock_is_behind_shortens_nothing() {
        let world = World::new();
        world.adopted(&plan([1])).await;
        world.cloud.script([OnSubmit::Lost]);
        let mut behind = world.engine_with_clock(TimeDelta::hours(-3)).await;
        behind.advance().await.unwrap();
        tokio::time::advance(Duration::from_mins(20)).await;
        behind.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 1);
        tokio::time::advance(Duration::from_mins(2)).await;
        behind.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn intents_from_before_the_engine_started_need_no_grace() {
        let world = World::new();
        world.cloud.script([OnSubmit::Lost]);
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let started = world.clock.true_now();
        world.cloud.set_bounds(|b| b.forgotten_before = Some(started));
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.sent(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_after_somebody_else_found_the_job_is_no_news() {
        let world = World::new();
        world.cloud.latency(Duration::from_secs(30));
        let mut slow = world.adopted(&plan([1])).await;
        let mut quick = world.engine().await;
        let sending = tokio::spawn(async move {
            slow.advance().await.unwrap();
        });
        tokio::time::sleep(Duration::from_secs(20)).await;
        quick.advance().await.unwrap();
        world.cloud.run(0);
        quick.advance().await.unwrap();
        let before = world.ledger().await;
        assert!(before.live().next().unwrap().1.found);
        sending.await.unwrap();
        let ledger = world.ledger().await;
        assert_eq!(ledger, before, "the job is not taken back to its beginning");
        assert_eq!(ledger.standing(&slice(1)), Standing::Running);
        assert_eq!(world.cloud.sent(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_is_up_by_either_clock_is_up() {
        let world = World::new();
        let clock: std::sync::Arc<dyn crate::ports::Clock> = world.clock.clone();
        let send_by = SendBy::starting_now(clock, Duration::from_mins(1));
        assert!(!send_by.is_past());
        assert_eq!(send_by.left(), Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!send_by.is_past());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(send_by.is_past());
        assert_eq!(send_by.left(), Duration::ZERO);
    }
}
