use super::*;

const GRACE: Millis = 30_000;
const BIG: Capacity = Capacity { milli_vcpus: 2_000, memory_mib: 1_000, gpus: 0 };

fn capacity(milli_vcpus: u64, memory_mib: u64) -> Capacity {
    Capacity { milli_vcpus, memory_mib, gpus: 0 }
}

fn scheduler() -> Scheduler {
    let mut scheduler =
        Scheduler::new(Settings { host: None, stop_grace: GRACE, dispatch: true, reclaims: None });
    scheduler.put_environment("local", BIG, true);
    scheduler.put_queue("default", Queue { priority: 1, environments: vec!["local".to_owned()] });
    scheduler
}

fn job(memory_mib: u64) -> Submission {
    Submission {
        queue: "default".to_owned(),
        demand: capacity(1_000, memory_mib),
        attempts: 1,
        rules: Vec::new(),
        timeout: None,
        depends_on: Vec::new(),
        doomed: None,
        array: None,
    }
}

fn submit(scheduler: &mut Scheduler, key: u64, submission: Submission) -> Vec<Effect> {
    scheduler.apply(0, Event::Submitted(JobKey(key), Box::new(submission)))
}

fn exit(code: i32) -> End {
    End {
        exit_code: Some(code),
        reason: None,
        status_reason: "Essential container in task exited".to_owned(),
    }
}

fn statuses(scheduler: &mut Scheduler, key: u64) -> Vec<Status> {
    let seen = scheduler.take_transitions();
    seen.into_iter().filter(|t| t.job == JobKey(key)).map(|t| t.status).collect()
}

fn state(scheduler: &Scheduler, key: u64) -> &JobState {
    scheduler.state(JobKey(key)).unwrap()
}

#[test]
fn a_job_goes_through_all_states_in_order() {
    let mut s = scheduler();
    assert_eq!(submit(&mut s, 1, job(100)), [Effect::Start(JobKey(1), 1)]);
    assert_eq!(s.apply(5, Event::Started(JobKey(1), 1)), []);
    assert_eq!(s.apply(9, Event::Ended(JobKey(1), 1, exit(0))), []);
    let all = [
        Status::Submitted,
        Status::Pending,
        Status::Runnable,
        Status::Starting,
        Status::Running,
        Status::Succeeded,
    ];
    assert_eq!(statuses(&mut s, 1), all);
    let state = state(&s, 1);
    assert_eq!((state.created_at, state.started_at, state.stopped_at), (0, Some(5), Some(9)));
    assert_eq!(state.attempts.len(), 1);
}

#[test]
fn the_queue_waits_for_room_and_keeps_its_order() {
    let mut s = scheduler();
    assert_eq!(submit(&mut s, 1, job(600)), [Effect::Start(JobKey(1), 1)]);
    assert_eq!(submit(&mut s, 2, job(600)), []);
    assert_eq!(submit(&mut s, 3, job(100)), [], "a small job does not overtake a large one that waits");
    let effects = s.apply(1, Event::Ended(JobKey(1), 1, exit(0)));
    assert_eq!(effects, [Effect::Start(JobKey(2), 1), Effect::Start(JobKey(3), 1)]);
    assert_eq!(s.environment("local").unwrap().pool.used, capacity(2_000, 700));
}

#[test]
fn a_job_that_fits_nowhere_waits_with_its_reason_and_holds_nobody_up() {
    let mut s = scheduler();
    assert_eq!(submit(&mut s, 1, job(1_001)), []);
    assert_eq!(state(&s, 1).status, Status::Runnable);
    assert_eq!(state(&s, 1).status_reason.as_deref(), Some(TOO_LARGE));
    assert_eq!(submit(&mut s, 2, job(100)), [Effect::Start(JobKey(2), 1)]);
    s.put_environment("local", capacity(4_000, 2_000), true);
    assert_eq!(state(&s, 1).status_reason, None);
    assert_eq!(s.apply(1, Event::Tick), [Effect::Start(JobKey(1), 1)]);
}

#[test]
fn the_queue_of_higher_priority_goes_first_and_environments_are_tried_in_order() {
    let mut s = Scheduler::new(Settings { host: None, stop_grace: GRACE, dispatch: false, reclaims: None });
    s.put_environment("first", capacity(1_000, 500), true);
    s.put_environment("second", capacity(1_000, 500), true);
    let both = vec!["first".to_owned(), "second".to_owned()];
    s.put_queue("low", Queue { priority: 1, environments: both.clone() });
    s.put_queue("high", Queue { priority: 7, environments: both });
    for (key, queue) in [(1, "low"), (2, "low"), (3, "high")] {
        let _ = submit(&mut s, key, Submission { queue: queue.to_owned(), ..job(300) });
    }
    s.set_dispatch(true);
    assert_eq!(s.apply(1, Event::Tick), [Effect::Start(JobKey(3), 1), Effect::Start(JobKey(1), 1)]);
    assert_eq!(state(&s, 3).environment.as_deref(), Some("first"));
    assert_eq!(state(&s, 1).environment.as_deref(), Some("second"));
}

#[test]
fn environments_share_the_host() {
    let mut s = Scheduler::new(Settings {
        host: Some(capacity(2_000, 1_000)),
        stop_grace: GRACE,
        dispatch: true,
        reclaims: None,
    });
    for name in ["a", "b"] {
        s.put_environment(name, capacity(256_000, 900_000), true);
        s.put_queue(name, Queue { priority: 1, environments: vec![name.to_owned()] });
    }
    let on = |queue: &str, memory| Submission { queue: queue.to_owned(), ..job(memory) };
    assert_eq!(submit(&mut s, 1, on("a", 700)).len(), 1);
    assert_eq!(submit(&mut s, 2, on("b", 700)), []);
    assert_eq!(submit(&mut s, 3, on("b", 5_000)), []);
    assert_eq!(state(&s, 3).status_reason.as_deref(), Some(TOO_LARGE));
    assert_eq!(s.apply(1, Event::Ended(JobKey(1), 1, exit(0))), [Effect::Start(JobKey(2), 1)]);
}

#[test]
fn a_failed_attempt_is_retried_while_attempts_and_rules_allow() {
    let mut s = scheduler();
    let _ = submit(&mut s, 1, Submission { attempts: 2, ..job(100) });
    s.take_transitions();
    assert_eq!(s.apply(2, Event::Ended(JobKey(1), 1, exit(3))), [Effect::Start(JobKey(1), 2)]);
    assert_eq!(statuses(&mut s, 1), [Status::Runnable, Status::Starting]);
    assert_eq!(s.apply(3, Event::Ended(JobKey(1), 1, exit(0))), [], "the first attempt cannot end twice");
    let _ = s.apply(4, Event::Ended(JobKey(1), 2, exit(4)));
    assert_eq!(state(&s, 1).status, Status::Failed);
    let codes: Vec<_> = state(&s, 1).attempts.iter().map(|a| a.end.exit_code).collect();
    assert_eq!(codes, [Some(3), Some(4)]);

    let rules = vec![Rule {
        on_status_reason: None,
        on_reason: None,
        on_exit_code: Pattern::digits("3"),
        action: Action::Exit,
    }];
    let _ = submit(&mut s, 2, Submission { attempts: 9, rules, ..job(100) });
    let _ = s.apply(5, Event::Ended(JobKey(2), 1, exit(3)));
    assert_eq!(state(&s, 2).status, Status::Failed);
}

#[test]
fn a_timeout_asks_then_kills_and_is_never_retried() {
    let mut s = scheduler();
    let _ = submit(&mut s, 1, Submission { attempts: 5, timeout: Some(60_000), ..job(100) });
    let _ = s.apply(1_000, Event::Started(JobKey(1), 1));
    assert_eq!(s.next_deadline(), Some(61_000));
    assert_eq!(s.apply(60_999, Event::Tick), []);
    assert_eq!(s.apply(61_000, Event::Tick), [Effect::Ask(JobKey(1), 1)]);
    assert_eq!(s.apply(90_999, Event::Tick), []);
    assert_eq!(s.apply(91_000, Event::Tick), [Effect::Kill(JobKey(1), 1)]);
    let _ = s.apply(91_001, Event::Ended(JobKey(1), 1, exit(137)));
    assert_eq!(state(&s, 1).status, Status::Failed);
    assert_eq!(state(&s, 1).status_reason.as_deref(), Some(TIMED_OUT));
    assert_eq!(state(&s, 1).attempts[0].end.exit_code, Some(137));
    assert_eq!(s.next_deadline(), None);
}

#[test]
fn terminate_ends_a_job_in_any_state_with_the_callers_reason() {
    let mut s = scheduler();
    let _ = submit(&mut s, 1, Submission { attempts: 5, ..job(900) });
    let _ = submit(&mut s, 2, job(900));
    let _ = s.apply(1, Event::Started(JobKey(1), 1));
    let terminated = |key| Event::Terminated(JobKey(key), "enough".to_owned());
    assert_eq!(s.apply(2, terminated(2)), []);
    assert_eq!(state(&s, 2).status, Status::Failed);
    assert_eq!(s.apply(3, terminated(1)), [Effect::Ask(JobKey(1), 1)]);
    assert_eq!(s.apply(4, terminated(1)), [], "asked once");
    assert_eq!(s.apply(3 + GRACE, Event::Tick), [Effect::Kill(JobKey(1), 1)]);
    let _ = s.apply(40_000, Event::Ended(JobKey(1), 1, exit(0)));
    for key in [1, 2] {
        assert_eq!(state(&s, key).status, Status::Failed);
        assert_eq!(state(&s, key).status_reason.as_deref(), Some("enough"));
        assert!(state(&s, key).terminated);
    }
}

#[test]
fn cancel_acts_only_before_the_start() {
    let mut s = scheduler();
    let _ = submit(&mut s, 1, job(900));
    let _ = submit(&mut s, 2, job(900));
    for key in [1, 2] {
        let _ = s.apply(1, Event::Cancelled(JobKey(key), "not needed".to_owned()));
    }
    assert_eq!(state(&s, 1).status, Status::Starting);
    assert!(!state(&s, 1).cancelled);
    assert_eq!(state(&s, 2).status, Status::Failed);
    assert!(state(&s, 2).cancelled && !state(&s, 2).terminated);
    assert_eq!(state(&s, 2).status_reason.as_deref(), Some("not needed"));
}

#[test]
fn dependents_wait_for_success_and_fail_with_a_failure() {
    let mut s = scheduler();
    let after = |on: &[u64]| Submission { depends_on: on.iter().copied().map(JobKey).collect(), ..job(10) };
    let _ = submit(&mut s, 1, job(10));
    let _ = submit(&mut s, 2, job(10));
    let _ = submit(&mut s, 3, after(&[1, 2]));
    let _ = submit(&mut s, 4, after(&[3]));
    let _ = submit(&mut s, 5, after(&[1]));
    let _ = s.apply(1, Event::Cancelled(JobKey(5), "changed my mind".to_owned()));
    assert_eq!(state(&s, 5).status, Status::Pending, "a cancel waits for the dependencies");
    let _ = s.apply(2, Event::Ended(JobKey(1), 1, exit(0)));
    assert_eq!(state(&s, 3).status, Status::Pending);
    assert_eq!(state(&s, 5).status_reason.as_deref(), Some("changed my mind"));
    let _ = s.apply(3, Event::Ended(JobKey(2), 1, exit(1)));
    for key in [3, 4] {
        assert_eq!(state(&s, key).status, Status::Failed);
        assert_eq!(state(&s, key).status_reason.as_deref(), Some(DEPENDENCY_FAILED));
    }
    assert_eq!(submit(&mut s, 6, after(&[1])), [Effect::Start(JobKey(6), 1)]);
}

#[test]
fn a_lost_host_ends_attempts_by_the_rules() {
    let mut s = scheduler();
    let lost = "Host EC2 (instance i-0123456789abcdef0) terminated.";
    let _ = submit(&mut s, 1, Submission { attempts: 2, ..job(100) });
    let _ = submit(&mut s, 2, job(100));
    let effects = s.apply(1, Event::HostLost(lost.to_owned()));
    assert_eq!(effects, [Effect::Start(JobKey(1), 2)]);
    assert_eq!(state(&s, 1).attempts[0].end.exit_code, None);
    assert_eq!(state(&s, 2).status, Status::Failed);
    assert_eq!(state(&s, 2).status_reason.as_deref(), Some(lost));
}

#[test]
fn a_doomed_job_is_accepted_and_fails() {
    let mut s = scheduler();
    let doomed = Some("Container Overrides length must be at most 8192".to_owned());
    assert_eq!(submit(&mut s, 1, Submission { doomed: doomed.clone(), ..job(10) }), []);
    assert_eq!(statuses(&mut s, 1), [Status::Submitted, Status::Failed]);
    assert_eq!(state(&s, 1).status_reason, doomed);
}

#[test]
fn a_restored_job_goes_on_where_it_was() {
    let mut s = scheduler();
    for (key, status) in [(1, Status::Running), (2, Status::Runnable), (3, Status::Submitted)] {
        let environment = (key == 1).then(|| "local".to_owned());
        s.restore(JobKey(key), job(400), JobState { status, environment, ..JobState::new(0) });
    }
    assert_eq!(s.environment("local").unwrap().pool.used, capacity(1_000, 400));
    let effects = s.apply(9, Event::HostLost("gone".to_owned()));
    assert_eq!(effects, [Effect::Start(JobKey(2), 1), Effect::Start(JobKey(3), 1)]);
    assert_eq!(state(&s, 1).status, Status::Failed);
}

fn with_reclaims(reclaims: Reclaims) -> Scheduler {
    let mut s =
        Scheduler::new(Settings { host: None, stop_grace: GRACE, dispatch: true, reclaims: Some(reclaims) });
    s.put_environment("local", BIG, true);
    for name in ["default", "kept"] {
        s.put_queue(name, Queue { priority: 1, environments: vec!["local".to_owned()] });
    }
    s
}

// The time of the next reclaim, and nothing else is due.
fn due(s: &Scheduler) -> Millis {
    s.next_deadline().unwrap()
}

#[test]
fn a_taken_host_ends_its_attempt_by_the_rules_once_the_process_is_gone() {
    let mut s = with_reclaims(Reclaims::new(0.5, 1).unwrap());
    let _ = submit(&mut s, 1, Submission { attempts: 2, ..job(900) });
    let _ = submit(&mut s, 2, job(900));
    let taken = due(&s);
    let _ = s.apply(taken - 1, Event::Started(JobKey(1), 1));
    assert_eq!(s.apply(taken - 1, Event::Tick), []);
    assert_eq!(s.apply(taken, Event::Tick), [Effect::Kill(JobKey(1), 1)], "at once, without a warning");
    assert_eq!(s.next_deadline(), None);
    assert_eq!(s.environment("local").unwrap().pool.used, capacity(1_000, 900), "it still holds its memory");

    // It was just about to succeed.
    let effects = s.apply(taken + 1, Event::Ended(JobKey(1), 1, exit(0)));
    assert_eq!(effects, [Effect::Start(JobKey(1), 2)], "an earlier job goes first");
    let end = &state(&s, 1).attempts[0].end;
    assert_eq!((end.exit_code, &end.reason), (None, &None));
    let instance = end.status_reason.strip_prefix("Host EC2 (instance i-").unwrap();
    assert_eq!(instance.strip_suffix(") terminated.").unwrap().len(), 17);

    let before = state(&s, 1).clone();
    let _ = s.apply(taken + 2, Event::Started(JobKey(1), 1));
    let _ = s.apply(taken + 2, Event::Ended(JobKey(1), 1, exit(0)));
    assert_eq!(*state(&s, 1), before, "late news of the attempt that was killed change nothing");

    let again = due(&s);
    assert!(again > taken);
    assert_eq!(s.apply(again, Event::Tick), [Effect::Kill(JobKey(1), 2)], "while it is STARTING as well");
    assert_eq!(s.apply(again, Event::Ended(JobKey(1), 2, exit(137))), [Effect::Start(JobKey(2), 1)]);
    assert_eq!(state(&s, 1).status, Status::Failed, "two attempts were all that it had");
}

#[test]
fn an_attempt_that_ends_in_time_keeps_its_host() {
    let mut s = with_reclaims(Reclaims::new(0.5, 1).unwrap());
    let _ = submit(&mut s, 1, job(100));
    let taken = due(&s);
    let _ = s.apply(taken - 1, Event::Ended(JobKey(1), 1, exit(0)));
    assert_eq!(state(&s, 1).status, Status::Succeeded);
    assert_eq!(s.next_deadline(), None);
    assert_eq!(s.apply(taken, Event::Tick), []);
}

#[test]
fn hosts_are_taken_only_on_the_queues_that_were_named() {
    let mut s = with_reclaims(Reclaims::new(1.0, 1).unwrap().only_on(["default".to_owned()]));
    let _ = submit(&mut s, 1, Submission { queue: "kept".to_owned(), ..job(100) });
    assert_eq!(s.next_deadline(), None);
    let _ = submit(&mut s, 2, job(100));
    assert_eq!(s.next_deadline(), Some(0));
}

#[test]
fn a_taken_host_neither_undoes_nor_delays_another_end() {
    let mut s = with_reclaims(Reclaims::new(0.5, 1).unwrap());
    let terminated = |key| Event::Terminated(JobKey(key), "enough".to_owned());
    let _ = submit(&mut s, 1, Submission { attempts: 5, ..job(600) });
    let taken = due(&s);
    // Asked to end, and the host goes before it has.
    assert_eq!(s.apply(taken - 1, terminated(1)), [Effect::Ask(JobKey(1), 1)]);
    assert_eq!(s.apply(taken, Event::Tick), [Effect::Kill(JobKey(1), 1)]);
    assert_eq!(s.next_deadline(), None);
    let _ = s.apply(taken, Event::Ended(JobKey(1), 1, exit(137)));

    // The host goes, and it is asked to end before that was told.
    let _ = submit(&mut s, 2, Submission { attempts: 5, ..job(600) });
    let taken = due(&s);
    assert_eq!(s.apply(taken, Event::Tick), [Effect::Kill(JobKey(2), 1)]);
    assert_eq!(s.apply(taken, terminated(2)), []);
    let _ = s.apply(taken, Event::Ended(JobKey(2), 1, exit(137)));
    for key in [1, 2] {
        assert_eq!(state(&s, key).status, Status::Failed);
        assert_eq!(state(&s, key).attempts.len(), 1, "what was terminated is not retried");
        assert_eq!(state(&s, key).status_reason.as_deref(), Some("enough"));
    }
}
