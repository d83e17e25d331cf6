use tokio::time::Instant;

use super::*;
use dayfill_core::partition::{PartitionId, SliceId};

use crate::testing::{Life, OnSubmit, World, day, job, plan};

#[tokio::test(start_paused = true)]
async fn it_ends_when_every_day_is_done() {
    let world = World::new();
    world.cloud.life(Life::Succeeds(Duration::from_mins(40)));
    let mut days = plan(1..=7);
    days.limits.in_flight = 3;
    let mut engine = world.adopted(&days).await;
    let mut steps = 0;
    assert_eq!(engine.watch(None, |_| steps += 1).await.unwrap(), Watched::Finished);
    world.assert_each_day_loaded_once(&days).await;
    assert!(steps > 3);
    let hours = world.clock.true_now() - world.ledger().await.adopted().unwrap().stamp.stored_at;
    assert!(hours.num_minutes() >= 120 && hours.num_minutes() < 135, "three rounds: {hours}");
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do_is_one_step() {
    let world = World::new();
    let mut engine = world.adopted(&plan([])).await;
    let begin = Instant::now();
    let mut steps = 0;
    assert_eq!(engine.watch(None, |_| steps += 1).await.unwrap(), Watched::Finished);
    assert_eq!((steps, begin.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn its_time_is_kept_and_jobs_go_on() {
    let world = World::new();
    let mut engine = world.adopted(&plan([1])).await;
    let begin = Instant::now();
    let watched = engine.watch(Some(Duration::from_mins(10)), |_| ()).await.unwrap();
    assert_eq!((watched, begin.elapsed()), (Watched::TimedOut, Duration::from_mins(10)));
    assert_eq!(world.cloud.terminated(), []);
    assert_eq!(world.ledger().await.live().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_time_is_still_one_step() {
    let world = World::new();
    let mut engine = world.adopted(&plan([1])).await;
    assert_eq!(engine.watch(Some(Duration::ZERO), |_| ()).await.unwrap(), Watched::TimedOut);
    assert_eq!(world.cloud.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_looks_less_often_while_nothing_changes_and_often_again_when_something_does() {
    let world = World::new();
    let mut engine = world.adopted(&plan([1])).await;
    let begin = Instant::now();
    let mut looks: Vec<u64> = Vec::new();
    let cloud = world.cloud.clone();
    engine
        .watch(Some(Duration::from_hours(1)), |_| {
            looks.push(begin.elapsed().as_secs());
            if looks.len() == 12 {
                cloud.run(0);
            }
        })
        .await
        .unwrap();
    let pauses: Vec<u64> = looks.windows(2).map(|w| w[1] - w[0]).collect();
    // Each a tenth longer or shorter by chance; times are cut to seconds.
    let is_about = |seen: u64, meant: f64| (meant * 0.9 - 1.0..=meant * 1.1 + 1.0).contains(&(seen as f64));
    let meant =
        [15.0, 22.5, 33.8, 50.6, 75.9, 113.9, 120.0, 120.0, 120.0, 120.0, 120.0, 120.0, 15.0, 22.5, 33.8];
    for (seen, meant) in pauses.iter().zip(meant) {
        assert!(is_about(*seen, meant), "{pauses:?}; it was seen running after the twelfth look");
    }
}

#[test]
fn those_who_began_together_do_not_stay_together() {
    let pauses: Vec<Duration> = (0..100).map(|_| spread(Duration::from_mins(2))).collect();
    assert!(pauses.iter().all(|p| (108..=132).contains(&p.as_secs())), "{pauses:?}");
    let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
    // That a hundred of them lie within half of the range has a chance of about 2^-93.
    assert!(most.as_secs_f64() - least.as_secs_f64() > 12.0, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_watching_is_told_once() {
    let world = World::new();
    let mut engine = world.adopted(&plan([1])).await;
    let warnings = || {
        let is_gap = |e: &Event| matches!(e, Event::Warning { what } if what.contains("heard of 1 jobs"));
        world.heard.all().iter().filter(|e| is_gap(e)).count()
    };
    engine.advance().await.unwrap();
    tokio::time::sleep(Duration::from_hours(11)).await;
    engine.advance().await.unwrap();
    assert_eq!(warnings(), 0);
    tokio::time::sleep(Duration::from_hours(13)).await;
    engine.advance().await.unwrap();
    engine.advance().await.unwrap();
    assert_eq!(warnings(), 1);
    // Another process knows only the journal.
    world.engine().await.advance().await.unwrap();
    assert_eq!(warnings(), 2);
}

/// Ten thousand jobs of which nothing is new cost a hundred calls a look, and leave nothing behind.
#[tokio::test(start_paused = true)]
async fn ten_thousand_jobs_are_watched_at_no_growing_cost() {
    let world = World::new();
    world.cloud.set_bounds(|b| b.submits_per_second = 1000.0);
    let mut many = plan([]);
    many.limits.in_flight = 10_000;
    let service = |n: u32| {
        let mut job = job(1 + n % 31);
        let of = PartitionId::new(vec![format!("service-{}", n / 31)], day(1 + n % 31));
        job.slice = SliceId::whole(of);
        job
    };
    many.jobs = (0..10_000).map(service).collect();
    let mut engine = world.adopted(&many).await;
    engine.advance().await.unwrap();
    let (before, segments) = (engine.book().ledger().clone(), world.journal.len());
    assert_eq!(before.live().count(), 10_000);
    for look in 1..=3 {
        let calls = world.cloud.described().len();
        let searches = world.cloud.searches();
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.described().len() - calls, 100, "calls of look {look}");
        assert_eq!(world.cloud.searches(), searches);
        assert_eq!(world.journal.len(), segments, "nothing is written where nothing is new");
        assert!(*engine.book().ledger() == before, "nothing is kept of a look");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unheard_job_is_waited_for_to_the_end_of_its_grace() {
    let world = World::new();
    world.cloud.script([OnSubmit::Lost]);
    world.cloud.life(Life::Succeeds(Duration::from_mins(1)));
    let mut engine = world.adopted(&plan([1])).await;
    assert_eq!(engine.watch(None, |_| ()).await.unwrap(), Watched::Finished);
    world.assert_each_day_loaded_once(&plan([1])).await;
    assert_eq!(world.cloud.sent(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_it_once_nothing_runs() {
    let world = World::new();
    world.cloud.script([OnSubmit::Accepted, OnSubmit::Refused("no such queue")]);
    world.cloud.life(Life::Succeeds(Duration::from_mins(5)));
    let mut engine = world.adopted(&plan(1..=5)).await;
    assert_eq!(engine.watch(None, |_| ()).await.unwrap(), Watched::Finished);
    let ledger = world.ledger().await;
    assert!(ledger.stopped().is_some());
    assert_eq!((ledger.live().count(), world.cloud.sent()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stays_out_for_a_while_is_waited_for() {
    let world = World::new();
    world.cloud.life(Life::Succeeds(Duration::from_mins(40)));
    let mut engine = world.adopted(&plan([1, 2])).await;
    let cloud = world.cloud.clone();
    let mut steps = 0;
    let after = |_: &Engine| {
        steps += 1;
        if steps == 2 {
            cloud.fall_silent(MISSES);
        }
    };
    assert_eq!(engine.watch(None, after).await.unwrap(), Watched::Finished);
    world.assert_each_day_loaded_once(&plan([1, 2])).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_out_for_good_is_an_error() {
    let world = World::new();
    let mut engine = world.adopted(&plan([1])).await;
    let cloud = world.cloud.clone();
    let error = engine.watch(None, |_| cloud.fall_silent(u32::MAX)).await.unwrap_err();
    assert!(error.to_string().contains("nobody answers"), "{error}");
    // Before the first step has gone well nothing is waited for.
    let begin = Instant::now();
    engine.watch(None, |_| ()).await.unwrap_err();
    assert_eq!(begin.elapsed(), Duration::ZERO);
}
