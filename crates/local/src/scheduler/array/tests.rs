use super::super::*;

const ROOM: Capacity = Capacity { milli_vcpus: 3_000, memory_mib: 1_000, gpus: 0 };

fn scheduler() -> Scheduler {
    let mut scheduler =
        Scheduler::new(Settings { host: None, stop_grace: 10, dispatch: true, reclaims: None });
    scheduler.put_environment("local", ROOM, true);
    scheduler.put_queue("default", Queue { priority: 1, environments: vec!["local".to_owned()] });
    scheduler
}

fn array(size: u32) -> Submission {
    Submission {
        queue: "default".to_owned(),
        demand: Capacity { milli_vcpus: 1_000, memory_mib: 10, gpus: 0 },
        attempts: 1,
        rules: Vec::new(),
        timeout: None,
        depends_on: Vec::new(),
        doomed: None,
        array: Some(Array { size, sequential: false, n_to_n: Vec::new() }),
    }
}

fn with(mut submission: Submission, change: impl FnOnce(&mut Array)) -> Submission {
    change(submission.array.as_mut().unwrap());
    submission
}

// The keys that are started.
fn submit(s: &mut Scheduler, key: u64, submission: Submission) -> Vec<u64> {
    started(&s.apply(0, Event::Submitted(JobKey(key), Box::new(submission))))
}

fn started(effects: &[Effect]) -> Vec<u64> {
    let start = |effect: &Effect| if let Effect::Start(key, _) = effect { Some(key.0) } else { None };
    effects.iter().filter_map(start).collect()
}

fn end(s: &mut Scheduler, key: u64, code: i32) -> Vec<u64> {
    let attempt = s.state(JobKey(key)).unwrap().attempt();
    let end = End { exit_code: Some(code), reason: None, status_reason: "exited".to_owned() };
    started(&s.apply(5, Event::Ended(JobKey(key), attempt, end)))
}

fn status(s: &Scheduler, key: u64) -> Status {
    s.state(JobKey(key)).unwrap().status
}

fn counts(s: &Scheduler, key: u64) -> [u32; 7] {
    Status::ALL.map(|status| s.summary(JobKey(key)).unwrap().count(status))
}

#[test]
fn children_run_as_room_allows_and_the_parent_is_what_they_are() {
    let mut s = scheduler();
    assert_eq!(submit(&mut s, 1, array(4)), [2, 3, 4]);
    assert_eq!((status(&s, 1), counts(&s, 1)), (Status::Pending, [0, 0, 1, 3, 0, 0, 0]));
    assert!(s.summary(JobKey(2)).is_none());
    let _ = s.apply(1, Event::Started(JobKey(2), 1));
    assert_eq!(end(&mut s, 2, 0), [5]);
    for key in [3, 4, 5] {
        assert_eq!(status(&s, 1), Status::Pending);
        end(&mut s, key, 0);
    }
    assert_eq!((status(&s, 1), counts(&s, 1)), (Status::Succeeded, [0, 0, 0, 0, 0, 4, 0]));
    let parent = s.state(JobKey(1)).unwrap();
    assert_eq!((parent.stopped_at, parent.attempts.len()), (Some(5), 0));
}

#[test]
fn one_failed_child_fails_the_parent_when_all_have_ended() {
    let mut s = scheduler();
    submit(&mut s, 1, Submission { attempts: 2, ..array(3) });
    assert_eq!(end(&mut s, 3, 9), [3], "each child has its own attempts");
    end(&mut s, 3, 9);
    assert_eq!((status(&s, 3), status(&s, 1)), (Status::Failed, Status::Pending));
    end(&mut s, 2, 0);
    end(&mut s, 4, 0);
    assert_eq!(status(&s, 1), Status::Failed);
    assert_eq!(s.state(JobKey(1)).unwrap().status_reason.as_deref(), Some(CHILD_FAILED));
}

#[test]
fn children_wait_in_a_row_or_side_by_side() {
    let mut s = scheduler();
    assert_eq!(submit(&mut s, 1, with(array(3), |a| a.sequential = true)), [2]);
    assert_eq!(submit(&mut s, 5, with(array(3), |a| a.n_to_n = vec![JobKey(1)])), [0; 0]);
    assert_eq!(submit(&mut s, 9, Submission { depends_on: vec![JobKey(1)], ..array(2) }), [0; 0]);
    assert_eq!(end(&mut s, 2, 0), [3, 6]);
    assert_eq!(end(&mut s, 3, 1), [0; 0], "the third child of either has lost what it waited for");
    for key in [4, 7, 8, 10, 11, 9] {
        let state = s.state(JobKey(key)).unwrap();
        assert_eq!(state.status, Status::Failed, "{key}");
        assert!(key == 9 || state.status_reason.as_deref() == Some(DEPENDENCY_FAILED), "{key}");
    }
    assert_eq!((status(&s, 1), status(&s, 5)), (Status::Failed, Status::Pending));
    end(&mut s, 6, 0);
    assert_eq!(status(&s, 5), Status::Failed);
}

#[test]
fn what_is_asked_of_the_parent_reaches_the_children() {
    let mut s = scheduler();
    submit(&mut s, 1, array(5));
    let _ = s.apply(1, Event::Cancelled(JobKey(1), "not needed".to_owned()));
    assert_eq!(counts(&s, 1), [0, 0, 0, 3, 0, 0, 2]);
    let effects = s.apply(2, Event::Terminated(JobKey(1), "enough".to_owned()));
    assert_eq!(effects, [2, 3, 4].map(|key| Effect::Ask(JobKey(key), 1)));
    assert_eq!(status(&s, 1), Status::Pending);
    for key in [2, 3, 4] {
        end(&mut s, key, 0);
    }
    let parent = s.state(JobKey(1)).unwrap();
    assert_eq!((parent.status, parent.status_reason.as_deref()), (Status::Failed, Some("enough")));
    assert!(parent.terminated && parent.cancelled);
    assert_eq!(s.state(JobKey(6)).unwrap().status_reason.as_deref(), Some("not needed"));

    submit(&mut s, 10, array(2));
    let _ = s.apply(6, Event::Cancelled(JobKey(10), "too late".to_owned()));
    end(&mut s, 11, 0);
    end(&mut s, 12, 3);
    let parent = s.state(JobKey(10)).unwrap();
    assert_eq!((parent.cancelled, parent.status_reason.as_deref()), (false, Some(CHILD_FAILED)));
}

#[test]
fn a_child_can_be_stopped_alone_and_a_doomed_array_fails_whole() {
    let mut s = scheduler();
    submit(&mut s, 1, array(2));
    let _ = s.apply(1, Event::Terminated(JobKey(3), "this one".to_owned()));
    end(&mut s, 3, 143);
    end(&mut s, 2, 0);
    assert_eq!(s.state(JobKey(1)).unwrap().status_reason.as_deref(), Some(CHILD_FAILED));
    assert!(!s.state(JobKey(1)).unwrap().terminated);

    submit(&mut s, 10, Submission { doomed: Some("too long".to_owned()), ..array(2) });
    for key in [10, 11, 12] {
        let state = s.state(JobKey(key)).unwrap();
        assert_eq!((state.status, state.status_reason.as_deref()), (Status::Failed, Some("too long")));
    }
}

#[test]
fn an_array_goes_on_where_it_was() {
    let mut s = scheduler();
    let at = |status, environment: Option<&str>| JobState {
        status,
        environment: environment.map(str::to_owned),
        ..JobState::new(0)
    };
    let submission = with(array(4), |a| a.sequential = true);
    s.restore(JobKey(1), submission, at(Status::Pending, None));
    s.restore_child(JobKey(1), 0, at(Status::Succeeded, None));
    s.restore_child(JobKey(1), 1, at(Status::Running, Some("local")));
    s.restore_child(JobKey(1), 2, at(Status::Pending, None));
    // Never written, as its engine died before.
    s.restore_child(JobKey(1), 3, JobState::new(0));
    let _ = s.apply(1, Event::Tick);
    assert_eq!(counts(&s, 1), [0, 2, 0, 0, 1, 1, 0]);
    assert_eq!(end(&mut s, 3, 0), [4]);
    assert_eq!(end(&mut s, 4, 0), [5]);
    end(&mut s, 5, 0);
    assert_eq!(status(&s, 1), Status::Succeeded);

    let mut s = scheduler();
    s.restore(JobKey(1), array(2), at(Status::Pending, None));
    s.restore_child(JobKey(1), 0, at(Status::Succeeded, None));
    s.restore_child(JobKey(1), 1, at(Status::Failed, None));
    let _ = s.apply(1, Event::Tick);
    assert_eq!(status(&s, 1), Status::Failed, "the last child was written, and the parent was not");
}
