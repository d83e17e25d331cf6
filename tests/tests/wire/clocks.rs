//! Clocks that are off. Ages are measured on the store's clock; a writer whose own is ahead is waited for longer, because
//! what it signs is valid for longer.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use dayfill_engine::adapters::SystemClock;
use dayfill_engine::advance::Engine;
use dayfill_engine::ports::Clock;
use dayfill_tests::sandbox;
use dayfill_tests::wire::{Answer, Bench, Call, Cloud, Fault, Offset, short_bounds};

const TEN_MINUTES: TimeDelta = TimeDelta::minutes(10);

/// Every answer of this kind is dated so much later: the store's clock, moved on.
fn dated_later(by: TimeDelta) -> Fault {
    Fault::after(Answer::changed(move |_, answer| {
        let date = DateTime::parse_from_rfc2822(answer.header("date").expect("a date")).unwrap() + by;
        answer.set("Date", &date.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    }))
}

/// How far the first try's writer was ahead of the store.
fn ahead(engine: &Engine) -> TimeDelta {
    let (_, record) = engine.book().ledger().slices().next().unwrap();
    record.tries[0].intent.written_at - record.tries[0].intent.stored_at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_loads_every_day_once() {
    let cloud = Cloud::start(sandbox!(), 3, &[]).await;
    for by in [TEN_MINUTES, -TEN_MINUTES] {
        let bench = Bench::on_s3(&cloud).await;
        // The first job is unheard of, and found.
        bench.proxy.on(Call::SubmitJob, 1..=1, Fault::after(Answer::Dropped));
        let mut engine = bench.engine_by(Arc::new(Offset::by(by))).await;
        bench.finish(&mut engine).await;
        assert!((ahead(&engine) - by).abs() < TimeDelta::seconds(30), "{}", ahead(&engine));
        let facts = bench.facts();
        assert_eq!((facts.of("unknown").len(), facts.of("never_arrived").len()), (1, 0), "{by}");
        assert_eq!(bench.submits(), 3, "{by}");
        bench.each_day_has_one_job().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_writer_ahead_of_the_store_signed_is_waited_for_longer() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let bench = Bench::on_s3(&cloud).await;
    bench.proxy.on(Call::SubmitJob, 1..=1, Fault::instead(Answer::Dropped));
    let mut engine = bench.engine_by(Arc::new(Offset::by(TEN_MINUTES))).await;
    engine.advance().await.unwrap();
    let unheard = ["1 intended", "1 unknown"];
    assert_eq!(bench.story(&cloud.partitions[0]), unheard);

    // Whoever looks, and whatever their own clock says: by the store's, grace is over, and more is due.
    let grace = TimeDelta::from_std(bench.bounds.grace).unwrap();
    bench.proxy.on(Call::ListSegments, 1..=u64::MAX, dated_later(grace + TimeDelta::minutes(9)));
    let clocks: [Arc<dyn Clock>; 3] = [
        Arc::new(Offset::by(TEN_MINUTES)),
        Arc::new(Offset::by(TimeDelta::hours(1))),
        Arc::new(SystemClock::new()),
    ];
    for clock in clocks {
        bench.engine_by(clock).await.advance().await.unwrap();
        assert_eq!(bench.story(&cloud.partitions[0]), unheard);
    }

    bench.proxy.on(Call::ListSegments, 1..=u64::MAX, dated_later(grace + TimeDelta::minutes(11)));
    bench.steps_until(&mut engine, "it never arrived", |b| b.story(&cloud.partitions[0]).len() > 2).await;
    assert_eq!(bench.story(&cloud.partitions[0])[2], "1 never arrived");
    bench.proxy.heal();
    bench.finish(&mut engine).await;
    assert_eq!(bench.submits(), 2);
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobodys_own_clock_ends_the_wait_for_a_submission() {
    let cloud = Cloud::start(sandbox!(), 1, &[]).await;
    let mut bench = Bench::new(&cloud).await;
    bench.bounds = short_bounds();
    bench.proxy.on(Call::SubmitJob, 1..=1, Fault::instead(Answer::Dropped));
    let mut behind = bench.engine_by(Arc::new(Offset::by(-TEN_MINUTES))).await;
    behind.advance().await.unwrap();
    let mut ahead = bench.engine_by(Arc::new(Offset::by(TEN_MINUTES))).await;
    bench.finish(&mut ahead).await;
    let (_, record) = ahead.book().ledger().slices().next().unwrap();
    let waited = record.tries[0].changed.stored_at - record.tries[0].intent.stored_at;
    assert!(waited > TimeDelta::from_std(bench.bounds.grace).unwrap(), "{waited}");
    // The clock of the file system, on which this was measured, is that of the machine.
    assert!((Utc::now() - record.tries[0].changed.stored_at).abs() < TimeDelta::minutes(2));
    let story = bench.story(&cloud.partitions[0]);
    assert_eq!(story[..3], ["1 intended", "1 unknown", "1 never arrived"]);
    assert_eq!(bench.submits(), 2);
    bench.each_day_has_one_job().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_moves_the_date_that_submissions_are_signed_with() {
    let mut cloud = Cloud::start(sandbox!(), 12, &[]).await;
    let proxy = cloud.put_behind_proxy();
    // A signature from the future would live for longer than its intent allows for.
    proxy.on(Call::SubmitJob, 1..=u64::MAX, dated_later(TEN_MINUTES));
    cloud.sandbox.run(&["submit", "plan.json", "--yes"]).ended(0);
    let dates = proxy.dates_of_submits();
    assert_eq!(dates.len(), 12);
    assert!(dates.iter().all(|date| *date <= Utc::now()), "{dates:?}");
}
