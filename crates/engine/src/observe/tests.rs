use dayfill_core::fact::LiveStatus;
use dayfill_core::failure::AttemptEnd;
use dayfill_core::ledger::{SliceRecord, Standing};
use dayfill_core::spec::MemorySigns;

use super::*;
use crate::testing::{FakeJob, OnSubmit, World, plan, slice};

async fn record(world: &World, of: u32) -> SliceRecord {
    world.ledger().await.slice(&slice(of)).unwrap().clone()
}

async fn last(world: &World, of: u32) -> Try {
    record(world, of).await.tries.pop().unwrap()
}

/// A world in which one job was accepted.
async fn one_job() -> (World, Engine) {
    let world = World::new();
    let mut engine = world.adopted(&plan([1])).await;
    engine.advance().await.unwrap();
    assert_eq!(world.cloud.jobs().len(), 1);
    (world, engine)
}

fn live(status: LiveStatus, reason: Option<&str>) -> SeenState {
    SeenState::Live { status, reason: reason.map(str::to_owned), reclaims: 0 }
}

mod results;

mod seen {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_a_fact_and_no_change_is_none() {
        let (world, mut engine) = one_job().await;
        for (status, reason) in [
            (LiveStatus::Runnable, None),
            (LiveStatus::Runnable, Some("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")),
            (LiveStatus::Runnable, None),
            (LiveStatus::Starting, None),
            (LiveStatus::Running, None),
        ] {
            world.cloud.change(0, |j| j.state = live(status, reason));
            let before = world.journal.len();
            engine.advance().await.unwrap();
            assert_eq!(world.journal.len(), before + 1, "{status:?} {reason:?}");
            engine.advance().await.unwrap();
            assert_eq!(world.journal.len(), before + 1, "nothing new");
            let t = last(&world, 1).await;
            assert_eq!((t.state, t.reason.as_deref()), (TryState::Live(status), reason));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_are_described_by_hundreds() {
        let world = World::new();
        let mut many = plan(1..=31);
        let services = ["condor", "eagle", "heron", "kite", "owl", "rook", "wren"];
        let job = many.jobs.clone();
        many.jobs = services
            .iter()
            .flat_map(|service| {
                job.iter().cloned().map(|mut j| {
                    let values = vec![(*service).to_owned()];
                    let day = j.slice.partition().day();
                    j.slice = SliceId::whole(dayfill_core::partition::PartitionId::new(values, day));
                    j
                })
            })
            .collect();
        many.limits.in_flight = 1000;
        let mut engine = world.adopted(&many).await;
        engine.advance().await.unwrap();
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.described(), [100, 100, 17]);
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_watch_write_it_once() {
        let (world, mut engine) = one_job().await;
        let mut other = world.engine().await;
        world.cloud.run(0);
        engine.advance().await.unwrap();
        other.observe().await.unwrap();
        let before = world.journal.len();
        other.advance().await.unwrap();
        assert_eq!(world.journal.len(), before);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_is_live_nobody_is_asked() {
        let (world, mut engine) = one_job().await;
        world.cloud.succeed(0);
        engine.advance().await.unwrap();
        let (described, searched) = (world.cloud.described(), world.cloud.searches());
        engine.advance().await.unwrap();
        assert_eq!((world.cloud.described(), world.cloud.searches()), (described, searched));
    }
}

mod ends {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_success_is_done() {
        let (world, mut engine) = one_job().await;
        world.cloud.succeed(0);
        assert!(engine.advance().await.unwrap().finished);
        world.assert_each_day_loaded_once(&plan([1])).await;
        let ended = last(&world, 1).await.ended.unwrap();
        assert_eq!((ended.exit_code, ended.attempts, ended.reclaims), (Some(0), 1, 0));
        assert!(ended.reasons.is_empty() && ended.log_tail.is_empty());
        assert!(world.heard.all().iter().any(|e| matches!(e, Event::Succeeded { .. })));
    }

    /// A failed job with these attempts.
    fn fail(job: &mut FakeJob, attempts: Vec<AttemptEnd>, last: AttemptEnd) {
        job.state = SeenState::Failed(JobEnd { last, attempts, cancelled: false, terminated: false });
    }

    fn attempt(exit: Option<i32>, reason: Option<&str>, status: &str, second: i64) -> AttemptEnd {
        AttemptEnd {
            exit_code: exit,
            reason: reason.map(str::to_owned),
            status_reason: Some(status.to_owned()),
            started_at: DateTime::from_timestamp(second, 0),
            stopped_at: DateTime::from_timestamp(second + 30, 0),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_batch_will_forget_is_kept() {
        let (world, mut engine) = one_job().await;
        let oom = "OutOfMemoryError: Container killed due to memory usage";
        world.cloud.change(0, |j| {
            j.log_stream = Some("job/default/1".to_owned());
            let lost = attempt(None, None, "Host EC2 (instance i-0abc) terminated.", 100);
            let killed = attempt(Some(137), Some(oom), "Essential container in task exited", 200);
            fail(j, vec![lost.clone(), lost, killed.clone()], killed);
        });
        world.cloud.log("job/default/1", vec!["reading".to_owned(), "killed".to_owned()]);
        engine.observe().await.unwrap();
        let t = last(&world, 1).await;
        assert_eq!(t.state, TryState::Ended(Outcome::Failed(FailureClass::OutOfMemory)));
        let ended = t.ended.unwrap();
        assert_eq!((ended.attempts, ended.reclaims, ended.exit_code), (3, 2, Some(137)));
        assert_eq!(ended.reclaimed_ms, 60_000);
        let expected = [oom, "Essential container in task exited"];
        assert_eq!(ended.reasons.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected.into());
        assert_eq!(ended.started_at, DateTime::from_timestamp(200, 0));
        assert_eq!(ended.stopped_at, DateTime::from_timestamp(230, 0));
        assert_eq!(ended.log_tail, ["reading", "killed"]);
        assert_eq!(ended.log_stream.as_deref(), Some("job/default/1"));
    }

    /// What a job that exits with `code` and has logged this comes to, and what its next try asks for.
    async fn after(plan: &dayfill_core::plan::Plan, code: i32, log: Vec<String>) -> (Ended, Option<u64>) {
        let world = World::new();
        let mut engine = world.adopted(plan).await;
        engine.advance().await.unwrap();
        world.cloud.change(0, |j| {
            j.log_stream = Some("job/default/1".to_owned());
            let end = attempt(Some(code), None, "Essential container in task exited", 100);
            fail(j, vec![end.clone()], end);
        });
        world.cloud.log("job/default/1", log);
        engine.advance().await.unwrap();
        let record = record(&world, 1).await;
        let next = record.tries.get(1).map(|t| t.intended.memory_mib);
        (record.tries[0].ended.clone().unwrap(), next)
    }

    #[tokio::test(start_paused = true)]
    async fn a_heap_that_is_full_is_out_of_memory() {
        let heap = "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space";
        // What tells stands far above the end of the trace.
        let trace = (0..100).map(|n| format!("\tat org.embulk.Frame{n}"));
        let log: Vec<String> = std::iter::once(heap.to_owned()).chain(trace).collect();
        let (ended, next) = after(&plan([1]), 1, log.clone()).await;
        assert_eq!(ended.outcome, Outcome::Failed(FailureClass::OutOfMemory));
        assert_eq!((ended.sign.as_deref(), next), (Some(heap), Some(256)));
        assert_eq!(ended.log_tail.len(), TAIL_LINES, "the end of the log is kept, not all that was searched");
        let (ended, next) = after(&plan([1]), 3, Vec::new()).await;
        assert_eq!((ended.sign.as_deref(), next), (Some("exit code 3"), Some(256)));
        let mut own = plan([1]);
        own.job.out_of_memory = MemorySigns { exit_codes: vec![], log: vec!["^MemoryError".to_owned()] };
        for (code, log, class) in [
            (3, log, FailureClass::App),
            (1, vec!["MemoryError".to_owned()], FailureClass::OutOfMemory),
            (1, vec!["no MemoryError".to_owned()], FailureClass::App),
        ] {
            let (ended, _) = after(&own, code, log).await;
            assert_eq!(ended.outcome, Outcome::Failed(class), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_could_decide_is_waited_for() {
        let (world, mut engine) = one_job().await;
        world.cloud.change(0, |j| {
            j.log_stream = Some("job/default/1".to_owned());
            let end = attempt(Some(1), None, "Essential container in task exited", 100);
            fail(j, vec![end.clone()], end);
        });
        world.cloud.log("job/default/1", vec!["java.lang.OutOfMemoryError: Java heap space".to_owned()]);
        world.cloud.logs_fail(Some(ErrorKind::Throttled));
        engine.observe().await.unwrap();
        assert!(last(&world, 1).await.is_live(), "nothing is said of it yet");
        world.cloud.logs_fail(None);
        engine.observe().await.unwrap();
        assert_eq!(last(&world, 1).await.failure(), Some(FailureClass::OutOfMemory));
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_while_its_host_was_taken_is_loaded_once_more() {
        let (world, mut engine) = one_job().await;
        let lost = attempt(Some(0), None, "Host EC2 (instance i-0abc) terminated.", 100);
        world.cloud.change(0, |j| {
            j.state = SeenState::Succeeded(JobEnd {
                last: lost.clone(),
                attempts: vec![lost.clone()],
                cancelled: false,
                terminated: false,
            });
        });
        engine.advance().await.unwrap();
        let record = record(&world, 1).await;
        assert_eq!(record.tries[0].failure(), Some(FailureClass::Suspect));
        assert_eq!((record.standing(), record.tries.len()), (Standing::Waiting, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_whose_hosts_are_taken_is_ended_and_its_slice_goes_to_the_fallback_queue() {
        let world = World::new();
        let mut plan = plan([1]);
        plan.job.fallback_queue = Some("on-demand".to_owned());
        let mut engine = world.adopted(&plan).await;
        engine.advance().await.unwrap();
        for reclaims in 1..=3 {
            let status = LiveStatus::Runnable;
            world.cloud.change(0, |j| j.state = SeenState::Live { status, reason: None, reclaims });
            engine.advance().await.unwrap();
        }
        let asked = world.cloud.terminated();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].1.contains("on-demand"), "{asked:?}");
        assert_eq!(world.cloud.jobs().len(), 1, "nothing beside a job that may still run");
        world.cloud.change(0, |j| {
            let end = AttemptEnd { status_reason: Some(asked[0].1.clone()), ..AttemptEnd::default() };
            j.state =
                SeenState::Failed(JobEnd { last: end, attempts: vec![], cancelled: false, terminated: true });
        });
        engine.advance().await.unwrap();
        let jobs = world.cloud.jobs();
        assert_eq!(jobs.len(), 2);
        assert_eq!(
            (jobs[0].submission.queue.as_str(), jobs[1].submission.queue.as_str()),
            ("spot", "on-demand")
        );
        world.cloud.succeed(1);
        assert!(engine.advance().await.unwrap().finished);
        world.assert_each_day_loaded_once(&plan).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_cannot_be_read_is_an_empty_one() {
        let (world, mut engine) = one_job().await;
        world.cloud.change(0, |j| j.log_stream = Some("no such stream".to_owned()));
        world.cloud.fail(0, "Essential container in task exited");
        engine.observe().await.unwrap();
        let ended = last(&world, 1).await.ended.unwrap();
        assert_eq!((ended.log_tail.len(), ended.outcome), (0, Outcome::Failed(FailureClass::App)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_followed_by_its_decision_in_the_same_step() {
        let (world, mut engine) = one_job().await;
        world.cloud.fail(0, "Host EC2 (instance i-0abc) terminated.");
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.jobs().len(), 2);
        world.cloud.succeed(1);
        engine.advance().await.unwrap();
        world.assert_each_day_loaded_once(&plan([1])).await;
    }

    #[tokio::test(start_paused = true)]
    async fn memory_doubles_to_the_cap_and_then_the_day_is_given_up() {
        let (world, mut engine) = one_job().await;
        for at in 0..3 {
            world.cloud.fail(at, "OutOfMemoryError: Container killed due to memory usage");
            engine.advance().await.unwrap();
        }
        let asked: Vec<u64> = world.cloud.jobs().iter().map(|j| j.submission.memory_mib).collect();
        assert_eq!(asked, [128, 256, 512]);
        assert!(engine.advance().await.unwrap().finished);
        assert_eq!(record(&world, 1).await.standing(), Standing::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_does_not_start_is_sent_again_a_minute_later() {
        let (world, mut engine) = one_job().await;
        world.cloud.fail(0, "Task failed to start");
        let step = engine.advance().await.unwrap();
        assert_eq!((world.cloud.jobs().len(), step.finished), (1, false));
        tokio::time::advance(Duration::from_secs(61)).await;
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.jobs().len(), 2);
    }
}

mod lost {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_job_is_lost_after_its_bound_and_if_no_listing_knows_it() {
        let (world, mut engine) = one_job().await;
        world.cloud.hide(0, true);
        tokio::time::advance(Duration::from_mins(59)).await;
        engine.advance().await.unwrap();
        assert_eq!(last(&world, 1).await.state, TryState::Live(LiveStatus::Submitted));
        tokio::time::advance(Duration::from_mins(2)).await;
        engine.observe().await.unwrap();
        assert_eq!(last(&world, 1).await.state, TryState::Lost);
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.jobs().len(), 2, "once more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_is_listed_is_not_lost() {
        let (world, mut engine) = one_job().await;
        world.cloud.hide(0, false);
        tokio::time::advance(Duration::from_hours(5)).await;
        engine.advance().await.unwrap();
        assert_eq!(last(&world, 1).await.state, TryState::Live(LiveStatus::Submitted));
    }
}

mod late {
    use super::*;

    /// The first job was taken for never arrived; it arrived all the same, and shows from now on.
    async fn two_jobs() -> (World, Engine) {
        let world = World::new();
        let hours = Duration::from_hours(2);
        world.cloud.script([OnSubmit::AnswerLost(hours)]);
        let mut engine = world.adopted(&plan([1])).await;
        engine.advance().await.unwrap();
        tokio::time::advance(Duration::from_mins(22)).await;
        engine.advance().await.unwrap();
        assert_eq!(record(&world, 1).await.tries[0].state, TryState::NeverArrived);
        assert_eq!(world.cloud.jobs().len(), 2);
        tokio::time::advance(hours).await;
        (world, engine)
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_found_when_the_other_ends_and_terminated_if_it_has_not_started() {
        let (world, mut engine) = two_jobs().await;
        world.cloud.run(1);
        engine.advance().await.unwrap();
        assert_eq!(record(&world, 1).await.doubled, 0, "nobody has looked");
        world.cloud.succeed(1);
        let step = engine.advance().await.unwrap();
        assert_eq!(record(&world, 1).await.doubled, 1);
        assert!(!step.finished, "the late one is watched to its end");
        let terminated: Vec<String> = world.cloud.terminated().into_iter().map(|(id, _)| id).collect();
        assert_eq!(terminated, ["id-0"]);
        world.cloud.change(0, |j| {
            j.state = SeenState::Failed(JobEnd { terminated: true, ..JobEnd::default() });
        });
        assert!(engine.advance().await.unwrap().finished);
        let record = record(&world, 1).await;
        assert_eq!((record.standing(), record.doubled), (Standing::Done, 1));
        assert_eq!(world.ledger().await.stopped(), None, "we ended it ourselves");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_runs_already_is_not_taken_for_one_that_waits() {
        let (world, mut engine) = two_jobs().await;
        world.cloud.run(0);
        world.cloud.succeed(1);
        engine.advance().await.unwrap();
        assert_eq!(world.cloud.terminated(), [], "it has started: that is a person's matter");
        assert_eq!(record(&world, 1).await.standing(), Standing::NeedsPerson);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_succeeded_too_is_not_hidden() {
        let (world, mut engine) = two_jobs().await;
        world.cloud.succeed(0);
        world.cloud.succeed(1);
        let step = engine.advance().await.unwrap();
        let record = record(&world, 1).await;
        assert_eq!((record.standing(), record.doubled), (Standing::NeedsPerson, 1));
        assert!(step.finished);
    }

    #[tokio::test(start_paused = true)]
    async fn its_success_counts_where_the_other_failed() {
        let (world, mut engine) = two_jobs().await;
        world.cloud.succeed(0);
        world.cloud.fail(1, "Essential container in task exited");
        engine.advance().await.unwrap();
        let record = record(&world, 1).await;
        assert_eq!((record.standing(), record.doubled), (Standing::Done, 1));
        assert_eq!(world.cloud.jobs().len(), 2, "no third job");
    }
}

mod tails {
    use super::*;

    fn lines(of: impl IntoIterator<Item = usize>, c: char) -> Vec<String> {
        of.into_iter().map(|n| c.to_string().repeat(n)).collect()
    }

    #[test]
    fn short_logs_are_kept_whole() {
        assert_eq!(cut(Vec::new()), [""; 0]);
        assert_eq!(cut(lines([3, 0, 5], 'x')), lines([3, 0, 5], 'x'));
        assert_eq!(cut(lines([1; 400], 'x')).len(), TAIL_LINES);
    }

    #[test]
    fn of_long_ones_the_last_lines_are_kept() {
        let mut long = lines([200; 60], 'x');
        long.push("the end".to_owned());
        let kept = cut(long.clone());
        assert_eq!(kept.last().unwrap(), "the end");
        assert!(long.ends_with(&kept));
        let bytes: usize = kept.iter().map(String::len).sum();
        assert!(bytes <= TAIL_BYTES && bytes > TAIL_BYTES - 201, "{bytes}");
    }

    #[test]
    fn one_long_line_does_not_take_all() {
        let kept = cut(lines([10, 1_000_000, 10], 'x'));
        assert_eq!(kept.iter().map(String::len).collect::<Vec<_>>(), [10, 1024, 10]);
    }

    #[test]
    fn characters_are_not_cut_in_two() {
        for c in ['é', '日', '🙂'] {
            let kept = cut(lines([5_000, 20], c));
            assert!(kept.iter().map(String::len).sum::<usize>() <= TAIL_BYTES);
            assert!(kept.iter().flat_map(|l| l.chars()).all(|k| k == c));
            assert_eq!(kept.last().unwrap().chars().count(), 20);
        }
    }
}

mod arrival {
    use super::*;
    use crate::ports::Queue;

    fn asked(intent_at: DateTime<Utc>) -> Asked {
        Asked {
            name: JobName::from_text("df-1"),
            queue: String::new(),
            prefix: String::new(),
            job_id: None,
            intent_at,
            ahead: TimeDelta::zero(),
            changed_at: intent_at,
        }
    }

    fn bounds() -> Bounds {
        World::new().cloud.bounds()
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_in_whole_seconds_may_mean_the_end_of_its_second() {
        let ms = |ms: i64| DateTime::from_timestamp_millis(1_540_000_000_000 + ms).unwrap();
        let started_at = |at| Bounds { forgotten_before: Some(ms(at)), ..bounds() };
        // Stored at 0.7 s and told as 0 s, while the engine that could have taken it started at 0.5 s.
        assert!(!cannot_arrive(&asked(ms(0)), started_at(500), ms(800)));
        assert!(cannot_arrive(&asked(ms(0)), started_at(1000), ms(1100)));
        assert!(cannot_arrive(&asked(ms(400)), started_at(500), ms(800)), "a file's time is exact");
        let grace = bounds().grace.as_millis() as i64;
        assert!(!cannot_arrive(&asked(ms(0)), bounds(), ms(grace + 1000)));
        assert!(cannot_arrive(&asked(ms(0)), bounds(), ms(grace + 1001)));
    }
}
