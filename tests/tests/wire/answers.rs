//! What is answered to SubmitJob, or not.

use std::time::Duration;

use chrono::TimeDelta;
use dayfill_engine::advance::Engine;
use dayfill_tests::processes::BOUND;
use dayfill_tests::sandbox;
use dayfill_tests::wire::{Answer, Bench, Call, Cloud, Fault, Gate, Message, short_bounds};
use futures::future::{join, join_all};

/// What may be heard whether or not the work was done.
fn says_nothing() -> Vec<Answer> {
    vec![
        Answer::error(500, "ServerException", "internal error"),
        Answer::page(500),
        Answer::page(502),
        Answer::error(503, "ServiceUnavailable", "try later"),
        Answer::page(504),
        // In a proxy's words, not in the service's.
        Answer::page(403),
        Answer::page(429),
        Answer::Said(Message::answer(200, "application/json", "{}")),
        Answer::Dropped,
        Answer::Reset,
        Answer::Never,
    ]
}

fn day_of(cloud: &Cloud) -> &str {
    &cloud.partitions[0]
}

/// How long after its intent was stored the first try was taken for never arrived, on the store's clock.
fn waited(engine: &Engine) -> TimeDelta {
    let (_, record) = engine.book().ledger().slices().next().unwrap();
    record.tries[0].changed.stored_at - record.tries[0].intent.stored_at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_done_is_sent_anew_only_once_it_can_no_longer_arrive() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let each = says_nothing().into_iter().map(async |answer| {
        let mut bench = Bench::new(&cloud).await;
        bench.bounds = short_bounds();
        bench.proxy.on(Call::SubmitJob, 1..=1, Fault::instead(answer.clone()));
        let mut engine = bench.engine().await;
        bench.finish(&mut engine).await;
        assert_eq!(
            bench.story(day_of(&cloud)),
            ["1 intended", "1 unknown", "1 never arrived", "2 intended", "2 accepted", "2 succeeded"],
            "{answer:?}"
        );
        assert!(waited(&engine) > TimeDelta::from_std(bench.bounds.grace).unwrap(), "{answer:?}");
        assert_eq!(bench.submits(), 2, "one for each intent: {answer:?}");
        assert_eq!(bench.proxy.submits_that_arrived().len(), 1, "{answer:?}");
        bench.each_day_has_one_job().await;
    });
    join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_found_by_its_name() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let mut answers = says_nothing();
    answers.push(Answer::CutShort);
    let each = answers.into_iter().map(async |answer| {
        let bench = Bench::new(&cloud).await;
        bench.proxy.on(Call::SubmitJob, 1..=1, Fault::after(answer.clone()));
        let mut engine = bench.engine().await;
        bench.finish(&mut engine).await;
        assert_eq!(
            bench.story(day_of(&cloud)),
            ["1 intended", "1 unknown", "1 found", "1 succeeded"],
            "{answer:?}"
        );
        assert_eq!(bench.submits(), 1, "{answer:?}");
        bench.each_day_has_one_job().await;
    });
    join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_counts_while_somebody_waits_for_it() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let mut bench = Bench::new(&cloud).await;
    bench.submit_timeout = BOUND;
    let gate = Gate::default();
    bench.proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Real).held_after(&gate));
    let mut engine = bench.engine().await;
    let late = async {
        gate.is_reached().await;
        assert_eq!(bench.jobs(day_of(&cloud)).await, 1, "the work is done");
        assert_eq!(bench.story(day_of(&cloud)), ["1 intended"], "and nobody has heard of it");
        gate.open();
    };
    join(bench.finish(&mut engine), late).await;
    assert_eq!(bench.story(day_of(&cloud)), ["1 intended", "1 accepted", "1 succeeded"]);
    assert_eq!(bench.submits(), 1);
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_late_for_anybody_is_no_loss() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let bench = Bench::new(&cloud).await;
    let gate = Gate::default();
    bench.proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Real).held_after(&gate));
    let mut engine = bench.engine().await;
    bench.finish(&mut engine).await;
    gate.open();
    assert_eq!(bench.story(day_of(&cloud)), ["1 intended", "1 unknown", "1 found", "1 succeeded"]);
    assert_eq!(bench.submits(), 1);
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_service_says_it_throttled_is_sent_again_under_the_same_name() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    for throttled in [
        Answer::error(429, "TooManyRequestsException", "Too Many Requests"),
        Answer::error(400, "ThrottlingException", "Rate exceeded"),
    ] {
        let bench = Bench::new(&cloud).await;
        bench.proxy.on(Call::SubmitJob, 1..=3, Fault::instead(throttled.clone()));
        let mut engine = bench.engine().await;
        bench.finish(&mut engine).await;
        assert_eq!(
            bench.story(day_of(&cloud)),
            ["1 intended", "1 accepted", "1 succeeded"],
            "{throttled:?}: it counts for nothing"
        );
        let submits: Vec<u64> = bench.proxy.submits().into_values().collect();
        let arrived: Vec<u64> = bench.proxy.submits_that_arrived().into_values().collect();
        assert_eq!((submits, arrived), (vec![4], vec![1]), "{throttled:?}");
        assert_eq!(bench.jobs(day_of(&cloud)).await, 1);
        bench.facts().each_succeeded_once(&cloud.partitions);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_throttled_until_its_time_is_up_is_withdrawn() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let mut bench = Bench::new(&cloud).await;
    bench.bounds.send_within = Duration::from_secs(2);
    let throttled = Answer::error(429, "TooManyRequestsException", "Too Many Requests");
    bench.proxy.on(Call::SubmitJob, 1..=u64::MAX, Fault::instead(throttled));
    let mut engine = bench.engine().await;
    engine.advance().await.unwrap();
    assert_eq!(bench.story(day_of(&cloud)), ["1 intended", "1 withdrawn"]);
    let took = waited(&engine);
    assert!(took >= TimeDelta::from_std(bench.bounds.send_within).unwrap(), "withdrawn after {took}");
    bench.proxy.heal();
    bench.finish(&mut engine).await;
    assert_eq!(
        bench.story(day_of(&cloud)),
        ["1 intended", "1 withdrawn", "2 intended", "2 accepted", "2 succeeded"]
    );
    assert_eq!(bench.proxy.submits_that_arrived().len(), 1);
    assert_eq!(bench.jobs(day_of(&cloud)).await, 1);
    bench.facts().each_succeeded_once(&cloud.partitions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_refuses_stops_the_backfill_and_is_not_looked_for() {
    let cloud = Cloud::start(sandbox!(), 3, &[]).await;
    for refused in [
        Answer::error(400, "ClientException", "JobQueue small is not in ENABLED state"),
        Answer::error(403, "AccessDeniedException", "not authorized to perform batch:SubmitJob"),
        Answer::error(403, "InvalidSignatureException", "Signature expired"),
    ] {
        let bench = Bench::new(&cloud).await;
        bench.proxy.on(Call::SubmitJob, 1..=u64::MAX, Fault::instead(refused.clone()));
        let mut engine = bench.engine().await;
        bench.finish(&mut engine).await;
        let facts = bench.facts();
        let ended = facts.of("refused").len() + facts.of("withdrawn").len();
        assert_eq!((facts.of("intended").len(), ended), (3, 3), "{refused:?}: {:#?}", facts.all);
        assert_eq!(facts.of("stopped").len(), 1, "{refused:?}");
        assert!(bench.proxy.submits().values().all(|n| *n == 1), "{refused:?}: {:?}", bench.proxy.submits());
        assert_eq!(bench.submits(), facts.of("refused").len() as u64, "{refused:?}");
        assert_eq!(bench.proxy.count(Call::ListJobs), 0, "{refused:?}");
        for partition in &cloud.partitions {
            assert_eq!(bench.jobs(partition).await, 0, "{refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_its_time_a_submission_is_never_transmitted() {
    let cloud = Cloud::start(sandbox!(), 2, &[]).await;
    let mut bench = Bench::on_s3(&cloud).await;
    bench.bounds.send_within = Duration::from_secs(2);
    let mut engine = bench.engine().await;
    // The intents are stored, and whoever wrote them hears of it only when the time to send them is over.
    let gate = Gate::default();
    bench.proxy.on_next(Call::WriteSegment, 1, Fault::after(Answer::Real).held_after(&gate));
    let late = async {
        gate.is_reached().await;
        tokio::time::sleep(bench.bounds.send_within).await;
        gate.open();
    };
    let (advanced, ()) = join(engine.advance(), late).await;
    advanced.unwrap();
    assert_eq!(bench.submits(), 0);
    for partition in &cloud.partitions {
        assert_eq!(bench.story(partition), ["1 intended", "1 withdrawn"]);
    }
    bench.finish(&mut engine).await;
    assert_eq!(bench.submits(), 2);
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_close_after_every_answer_repeat_nothing() {
    let cloud = Cloud::start(sandbox!(), 12, &[]).await;
    let mut bench = Bench::new(&cloud).await;
    // One after the other, so that each finds the connection of the one before it, which is closed or closing.
    bench.plan.limits.in_flight = 1;
    for call in [Call::SubmitJob, Call::ListJobs, Call::DescribeJobs] {
        bench.proxy.on(call, 1..=u64::MAX, Fault::after(Answer::RealThenClosed));
    }
    let mut engine = bench.engine().await;
    bench.finish(&mut engine).await;
    for partition in &cloud.partitions {
        let arrived =
            bench.story(partition).iter().filter(|s| s.ends_with("accepted") || s.ends_with("found")).count();
        assert_eq!(arrived, 1, "{:?}", bench.story(partition));
    }
    bench.each_day_has_one_job().await;
}
