//! A journal on S3 whose requests and answers are lost: conditional puts make every segment exist once, and one's own is
//! told from another's.

use dayfill_tests::sandbox;
use dayfill_tests::wire::{Answer, Bench, Call, Cloud, Fault};
use futures::future::join_all;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_whose_answer_is_lost_is_known_for_ones_own() {
    let cloud = Cloud::start(sandbox!(), 3, &[]).await;
    let lost = [Answer::Dropped, Answer::Reset, Answer::page(503), Answer::page(500)];
    let each = lost.into_iter().map(async |answer| {
        let bench = Bench::on_s3(&cloud).await;
        // Every write is done and its answer lost; the repeated one is told that the number is taken.
        for odd in (1..1000).step_by(2) {
            bench.proxy.on(Call::WriteSegment, odd..=odd, Fault::after(answer.clone()));
        }
        let mut engine = bench.engine().await;
        bench.finish(&mut engine).await;
        let (facts, writes) = (bench.facts(), bench.proxy.count(Call::WriteSegment));
        assert_eq!(writes, 2 * facts.segments as u64, "{answer:?}");
        assert_eq!((facts.of("opened").len(), facts.of("adopted").len()), (1, 1), "{answer:?}");
        assert_eq!(facts.of("intended").len(), 3, "{answer:?}: nothing is decided twice");
        assert_eq!(bench.submits(), 3, "{answer:?}");
        bench.each_day_has_one_job().await;
    });
    join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_was_not_stored_is_written_again() {
    let cloud = Cloud::start(sandbox!(), 3, &[]).await;
    let conflict = "<Error><Code>ConditionalRequestConflict</Code><Message>a race</Message></Error>";
    let mut said = dayfill_tests::wire::Message::answer(409, "application/xml", conflict);
    said.set("x-amz-request-id", "1");
    let faults = [Answer::Said(said), Answer::Dropped, Answer::Reset, Answer::page(503)];
    let each = faults.into_iter().map(async |answer| {
        let bench = Bench::on_s3(&cloud).await;
        for odd in (1..1000).step_by(2) {
            bench.proxy.on(Call::WriteSegment, odd..=odd, Fault::instead(answer.clone()));
        }
        let mut engine = bench.engine().await;
        bench.finish(&mut engine).await;
        assert_eq!(bench.proxy.count(Call::WriteSegment), 2 * bench.facts().segments as u64, "{answer:?}");
        assert_eq!(bench.submits(), 3, "{answer:?}");
        bench.each_day_has_one_job().await;
    });
    join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_whose_reading_breaks_off_is_read_whole() {
    let cloud = Cloud::start(sandbox!(), 3, &[]).await;
    let bench = Bench::on_s3(&cloud).await;
    bench.finish(&mut bench.engine().await).await;
    let whole = bench.engine().await;
    for answer in [Answer::CutShort, Answer::Dropped, Answer::page(503)] {
        bench.proxy.on_next(Call::ReadSegment, 2, Fault::after(answer.clone()));
        bench.proxy.on_next(Call::ListSegments, 1, Fault::after(answer.clone()));
        let second = bench.engine().await;
        assert_eq!(second.book().ledger(), whole.book().ledger(), "{answer:?}");
    }
    assert_eq!(bench.submits(), 3);
    bench.each_day_has_one_job().await;
}
