use tokio::time::Instant;

use super::*;
use crate::testing::{Life, OnSubmit, World, plan};

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
    assert_eq!(pauses[..11], [15, 22, 34, 50, 76, 114, 120, 120, 120, 120, 120]);
    assert_eq!(pauses[11..15], [120, 15, 23, 33], "it was seen running in between");
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
