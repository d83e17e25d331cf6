use dayfill_core::result::JobResult;
use dayfill_core::spec::Success;

use super::*;
use crate::testing::lock;

/// Writes this as the result of the first job.
fn say(world: &World, text: &str) {
    let name = world.cloud.jobs()[0].name.to_string();
    let said = world.cloud.jobs()[0].submission.environment["DAYFILL_RESULT"].clone();
    assert_eq!(said, format!("s3://example-state/sample/sample/results/{name}.json"));
    lock(&world.journal.results).insert(name, text.as_bytes().to_vec());
}

async fn ended(world: &World) -> Ended {
    last(world, 1).await.ended.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_a_job_says_of_itself_is_kept() {
    let (world, mut engine) = one_job().await;
    say(&world, r#"{"slice": "condor/2018-10-01", "peak_mib": 100, "rows_read": 7, "note": "fine"}"#);
    world.cloud.succeed(0);
    engine.advance().await.unwrap();
    let ended = ended(&world).await;
    assert_eq!(ended.peak_kib, Some(100 * 1024));
    let result = ended.result.unwrap();
    assert_eq!((result.rows_read, result.note.as_deref()), (Some(7), Some("fine")));
    assert_eq!(ended.result_ignored, None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_believed_is_noted_and_ignored_and_the_job_has_succeeded() {
    for (text, why) in [
        ("no JSON".to_owned(), "cannot be read"),
        (r#"{"slice": "condor/2018-10-02"}"#.to_owned(), "of the slice"),
        (format!("{{\"note\": \"{}\"", "x".repeat(1 << 20)), "more than 64.0 KiB"),
        (
            r#"{"slice": "condor/2018-10-01", "peak_mib": 102400}"#.to_owned(),
            "cannot be: the job had 128 MiB",
        ),
    ] {
        let (world, mut engine) = one_job().await;
        say(&world, &text);
        world.cloud.succeed(0);
        assert!(engine.advance().await.unwrap().finished);
        let ended = ended(&world).await;
        assert_eq!((ended.outcome, ended.peak_kib), (Outcome::Succeeded, None), "{why}");
        assert!(ended.result_ignored.as_deref().unwrap().contains(why), "{:?}", ended.result_ignored);
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_read_just_now_is_waited_for() {
    let (world, mut engine) = one_job().await;
    say(&world, r#"{"slice": "condor/2018-10-01", "rows_read": 7}"#);
    world.cloud.succeed(0);
    for kind in [ErrorKind::Throttled, ErrorKind::Other] {
        *lock(&world.journal.results_fail) = Some(kind);
        engine.observe().await.unwrap();
        assert!(last(&world, 1).await.is_live(), "nothing is said of it yet");
        assert!(format!("{:?}", world.heard.all()).contains("looking again"));
    }
    *lock(&world.journal.results_fail) = Some(ErrorKind::Denied);
    engine.observe().await.unwrap();
    let ended = ended(&world).await;
    assert_eq!(
        (ended.outcome, ended.result),
        (Outcome::Succeeded, None),
        "nobody lets us read it, and it is not needed"
    );
    assert!(ended.result_ignored.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_promises_a_result_has_succeeded_only_with_it() {
    let mut plan = plan([1]);
    plan.job.success = Success::Result;
    let world = World::new();
    let mut engine = world.adopted(&plan).await;
    engine.advance().await.unwrap();
    world.cloud.succeed(0);
    // What the store says is no verdict on the job.
    *lock(&world.journal.results_fail) = Some(ErrorKind::Denied);
    engine.advance().await.unwrap_err();
    *lock(&world.journal.results_fail) = Some(ErrorKind::Other);
    engine.advance().await.unwrap();
    assert!(last(&world, 1).await.is_live());
    *lock(&world.journal.results_fail) = None;
    engine.advance().await.unwrap();
    let tries = record(&world, 1).await.tries;
    assert_eq!((tries[0].failure(), tries.len()), (Some(FailureClass::Suspect), 2));
    let remark = tries[0].ended.as_ref().unwrap().remark.as_deref();
    assert_eq!(remark, Some("SUCCEEDED without its result: there is none"));
    let second = world.cloud.jobs()[1].name.to_string();
    let text = br#"{"slice": "condor/2018-10-01"}"#;
    lock(&world.journal.results).insert(second, text.to_vec());
    world.cloud.succeed(1);
    assert!(engine.advance().await.unwrap().finished);
    assert_eq!(ended(&world).await.result, Some(JobResult::default()));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_vanished_and_left_its_result_has_succeeded() {
    let (world, mut engine) = one_job().await;
    world.cloud.run(0);
    engine.advance().await.unwrap();
    say(&world, r#"{"slice": "condor/2018-10-01", "rows_read": 7}"#);
    world.cloud.hide(0, true);
    tokio::time::sleep(Duration::from_hours(72)).await;
    assert!(engine.advance().await.unwrap().finished);
    let ended = ended(&world).await;
    assert_eq!(ended.outcome, Outcome::Succeeded);
    assert!(ended.remark.as_deref().is_some_and(|r| r.contains("its result is there")), "{:?}", ended.remark);
}
