use std::time::Duration;

use dayfill_core::fact::Mark;
use dayfill_core::ledger::Standing;
use dayfill_core::plan::Plan;
use dayfill_core::spec::Idempotent;

use super::*;
use crate::submit::adopt;
use crate::testing::{Chance, Life, OnCreate, OnSubmit, World, plan, slice};
use crate::watch::Watched;

const MINUTE: Duration = Duration::from_mins(1);

async fn cancel(engine: &mut Engine, of: u32) {
    let fact = Fact::Cancelled { slice: slice(of), reason: "no longer wanted".to_owned() };
    engine.book_mut().append(|_, _| vec![fact.clone()]).await.unwrap();
}

mod steps {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_empty_journal_is_finished() {
        let world = World::new();
        let step = world.engine().await.advance().await.unwrap();
        assert_eq!(step, Step { finished: true, facts: 0 });
        assert_eq!(world.journal.len(), 0, "looking writes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_job_is_ended_before_anything_else_happens_to_its_day() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        cancel(&mut engine, 1).await;
        for asked in 1..=2 {
            assert!(!engine.advance().await.unwrap().finished);
            assert_eq!(world.cloud.terminated().len(), asked, "asked again until its end is seen");
        }
        world.cloud.fail(0, "dayfill: no longer wanted");
        assert!(engine.advance().await.unwrap().finished);
        assert_eq!(world.ledger().await.standing(&slice(1)), Standing::Failed);
        assert_eq!(world.cloud.jobs().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancellation_that_meets_a_success_loses() {
        let world = World::new();
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        cancel(&mut engine, 1).await;
        engine.advance().await.unwrap();
        world.cloud.succeed(0);
        assert!(engine.advance().await.unwrap().finished);
        world.assert_each_day_loaded_once(&plan([1])).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancellation_during_a_submission_finds_the_job() {
        let world = World::new();
        world.cloud.latency(Duration::from_secs(20));
        let mut engine = world.adopted(&plan([1])).await;
        let mut person = world.engine().await;
        let sending = tokio::spawn(async move {
            engine.advance().await.unwrap();
            engine
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        person.book_mut().refresh().await.unwrap();
        cancel(&mut person, 1).await;
        let mut engine = sending.await.unwrap();
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.terminated().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_that_may_not_run_twice_does() {
        let world = World::new();
        let mut strict = plan([1]);
        strict.job.idempotent = Idempotent::No;
        let mut engine = world.adopted(&strict).await;
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.jobs()[0].submission.retry.attempts, 1);
        world.cloud.fail(0, "Host EC2 (instance i-0abc) terminated.");
        assert!(engine.advance().await.unwrap().finished);
        assert_eq!(world.ledger().await.standing(&slice(1)), Standing::NeedsPerson);
        let done = Fact::Marked { slice: slice(1), mark: Mark::Done, reason: "looked".to_owned() };
        engine.book_mut().append(|_, _| vec![done.clone()]).await.unwrap();
        assert!(engine.advance().await.unwrap().finished);
        assert_eq!((world.ledger().await.standing(&slice(1)), world.cloud.jobs().len()), (Standing::Done, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_plan_takes_over_what_was_not_sent() {
        let world = World::new();
        let mut days = plan([1, 2]);
        days.limits.in_flight = 1;
        let mut engine = world.adopted(&days).await;
        engine.advance().await.unwrap();
        let mut newer = plan([3]);
        newer.made_at += TimeDelta::seconds(1);
        adopt(engine.book_mut(), &newer, "load:2").await.unwrap();
        world.cloud.succeed(0);
        engine.advance().await.unwrap();
        let sent: Vec<(String, String)> = world
            .cloud
            .jobs()
            .iter()
            .map(|j| {
                let name = j.name.as_str();
                (name[20..37].to_owned(), j.submission.definition.clone())
            })
            .collect();
        let job = |day: &str, definition: &str| (format!("condor-{day}"), definition.to_owned());
        assert_eq!(sent, [job("2018-10-01", "load:1"), job("2018-10-03", "load:2")]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_breaker_opens_and_says_so() {
        let world = World::new();
        let mut days = plan(1..=4);
        days.limits.stop_after = Some(dayfill_core::spec::StopAfter::Count(1));
        days.limits.in_flight = 1;
        days.retry.app = 0;
        let mut engine = world.adopted(&days).await;
        engine.advance().await.unwrap();
        world.cloud.fail(0, "Essential container in task exited");
        assert!(engine.advance().await.unwrap().finished);
        assert_eq!(world.cloud.jobs().len(), 1);
        let warned = world
            .heard
            .all()
            .into_iter()
            .any(|e| matches!(e, Event::Warning { what } if what.contains("1 of 4 days were given up")));
        assert!(warned, "{:?}", world.heard.all());
    }
}

/// `kill -9` at every point at which the outside is touched, and the same command again.
mod crashes {
    use super::*;

    /// Adopts, where that has not happened yet, and watches to the end; or is killed on the way.
    async fn run(world: &World, days: &Plan) -> Option<Watched> {
        let whole = async {
            let mut engine = world.engine().await;
            adopt(engine.book_mut(), days, "load:1").await.unwrap();
            engine.watch(None, |_| ()).await.unwrap()
        };
        world.crash.survived(whole).await
    }

    /// Kills at the n-th point for every n until a run is not killed any more; returns how many there were.
    async fn everywhere(days: &Plan, prepare: impl Fn(&World)) -> u32 {
        for points in 0.. {
            let world = World::new();
            world.cloud.life(Life::Succeeds(3 * MINUTE));
            prepare(&world);
            world.crash.after(points);
            let first = run(&world, days).await;
            world.crash.disarm();
            assert_eq!(run(&world, days).await, Some(Watched::Finished), "killed at point {points}");
            world.assert_each_day_loaded_once(days).await;
            if first.is_some() {
                return points;
            }
        }
        unreachable!()
    }

    #[tokio::test(start_paused = true)]
    async fn a_smooth_run_is_finished_from_any_point() {
        let mut days = plan(1..=4);
        days.limits.in_flight = 3;
        let points = everywhere(&days, |_| ()).await;
        assert!(points > 30, "{points}");
    }

    #[tokio::test(start_paused = true)]
    async fn so_is_one_with_lost_answers_and_lost_hosts() {
        let days = plan(1..=3);
        everywhere(&days, |world| {
            world.cloud.script([
                OnSubmit::AnswerLost(15 * MINUTE),
                OnSubmit::Throttled,
                OnSubmit::Lost,
                OnSubmit::AnswerLost(Duration::ZERO),
            ]);
            world.cloud.lives([Life::HostLost(2 * MINUTE)]);
            world.journal.script([OnCreate::AnswerLost]);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn killed_again_and_again_it_still_finishes() {
        let days = plan(1..=3);
        for seed in 0..60 {
            let world = World::new();
            world.cloud.life(Life::Succeeds(3 * MINUTE));
            let chance = Chance::seeded(seed);
            let mut kills = 0;
            loop {
                world.crash.after(chance.below(25) as u32);
                let ended = if kills < 8 { run(&world, &days).await } else { None };
                let disarmed = world.crash.disarm();
                if ended.is_some() || kills >= 8 {
                    assert!(disarmed || ended.is_none() || kills >= 8);
                    break;
                }
                kills += 1;
            }
            assert_eq!(run(&world, &days).await, Some(Watched::Finished), "seed {seed}");
            world.assert_each_day_loaded_once(&days).await;
        }
    }
}

/// Several processes on one journal, interleaved by seeded chance, with answers lost and late.
mod races {
    use super::*;

    async fn race(seed: u64, engines: usize) -> World {
        let world = World::with(Chance::seeded(seed));
        world.cloud.life(Life::Succeeds(7 * MINUTE));
        world.cloud.lives([Life::HostLost(MINUTE), Life::Succeeds(20 * MINUTE), Life::HostLost(9 * MINUTE)]);
        let mut days = plan(1..=6);
        days.limits.in_flight = 4;
        let first = world.adopted(&days).await;
        let mut all = vec![first];
        for n in 1..engines {
            // Their clocks differ, too.
            all.push(world.engine_with_clock(TimeDelta::seconds(20 * n as i64)).await);
        }
        let watching = all.iter_mut().map(|e| e.watch(None, |_| ()));
        for (n, watched) in futures::future::join_all(watching).await.into_iter().enumerate() {
            assert_eq!(watched.unwrap(), Watched::Finished, "seed {seed}, engine {n}");
        }
        world.assert_each_day_loaded_once(&days).await;
        world
    }

    #[tokio::test(start_paused = true)]
    async fn two_engines_submit_every_slice_once() {
        for seed in 0..150 {
            println!("seed {seed}");
            race(seed, 2).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_do_four() {
        for seed in 1_000..1_040 {
            println!("seed {seed}");
            race(seed, 4).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn engines_that_are_killed_and_started_again_do_too() {
        for seed in 2_000..2_060 {
            println!("seed {seed}");
            let world = World::with(Chance::seeded(seed));
            world.cloud.life(Life::Succeeds(7 * MINUTE));
            let days = plan(1..=4);
            world.adopted(&days).await;
            let killed_and_again = |n: u64| {
                let world = &world;
                async move {
                    let mut kills = 0;
                    loop {
                        let mut engine = world.engine().await;
                        let patience = Duration::from_millis(500 + world.chance.below(400_000));
                        let watching = engine.watch(None, |_| ());
                        let watched = tokio::time::timeout(patience, watching).await;
                        match watched {
                            Ok(watched) => return assert_eq!(watched.unwrap(), Watched::Finished, "{n}"),
                            Err(_) => kills += 1,
                        }
                        assert!(kills < 1_000, "it never ends");
                    }
                }
            };
            tokio::join!(killed_and_again(1), killed_and_again(2));
            world.assert_each_day_loaded_once(&days).await;
        }
    }
}
