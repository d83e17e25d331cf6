//! A queue that does what its script says.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use dayfill_core::fact::LiveStatus;
use dayfill_core::failure::{AttemptEnd, JobEnd};
use dayfill_core::job::{JobName, Submission};

use super::{Bucket, Chance, Crash, PausedClock, lock};
use crate::ports::{Bounds, Clock, ErrorKind, FoundJob, PortError, Queue, SeenJob, SeenState, SendBy, Sent};

/// What becomes of a SubmitJob.
#[derive(Debug, Clone)]
pub(crate) enum OnSubmit {
    Accepted,
    Refused(&'static str),
    Throttled,
    NotSent,
    SignedOut,
    /// It arrives and can be seen after this time, but the answer is lost.
    AnswerLost(Duration),
    /// It is lost on the way.
    Lost,
}

/// How a job goes on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// As the test says.
    ByHand,
    /// It runs so long and succeeds.
    Succeeds(Duration),
    /// It runs so long and its host is lost.
    HostLost(Duration),
}

#[derive(Debug, Clone)]
pub(crate) struct FakeJob {
    pub(crate) id: String,
    pub(crate) name: JobName,
    pub(crate) submission: Submission,
    pub(crate) state: SeenState,
    pub(crate) log_stream: Option<String>,
    /// DescribeJobs and ListJobs do not know it before.
    visible_at: DateTime<Utc>,
    sent_at: DateTime<Utc>,
    life: Life,
    /// DescribeJobs leaves it out.
    hidden: bool,
}

impl FakeJob {
    pub(crate) fn succeeded(&self) -> bool {
        matches!(self.state, SeenState::Succeeded(_))
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, SeenState::Live { .. })
    }

    fn live_on(&mut self, now: DateTime<Utc>) {
        let (Life::Succeeds(span) | Life::HostLost(span)) = self.life else { return };
        if !self.is_live() || now < self.sent_at + TimeDelta::from_std(span).unwrap() {
            return;
        }
        let end = self.end_of(now, None);
        self.state = match self.life {
            Life::Succeeds(_) => SeenState::Succeeded(end),
            _ => SeenState::Failed(self.end_of(now, Some("Host EC2 (instance i-0abc) terminated."))),
        };
    }

    fn end_of(&self, now: DateTime<Utc>, status_reason: Option<&str>) -> JobEnd {
        let last = AttemptEnd {
            exit_code: status_reason.is_none().then_some(0),
            reason: None,
            status_reason: status_reason.map(str::to_owned),
            started_at: Some(self.sent_at),
            stopped_at: Some(now),
        };
        JobEnd { last: last.clone(), attempts: vec![last], cancelled: false, terminated: false }
    }
}

#[derive(Default)]
struct State {
    jobs: Vec<FakeJob>,
    script: VecDeque<OnSubmit>,
    lives: VecDeque<Life>,
    logs: BTreeMap<String, Vec<String>>,
    logs_fail: Option<ErrorKind>,
    terminated: Vec<(String, String)>,
    described: Vec<usize>,
    found: u32,
    sent: u32,
    doubles: u32,
    sent_at: Vec<DateTime<Utc>>,
    silent: u32,
}

/// A queue in memory.
pub(crate) struct FakeCloud {
    clock: Arc<PausedClock>,
    crash: Arc<Crash>,
    chance: Arc<Chance>,
    state: Mutex<State>,
    life: Mutex<Life>,
    bounds: Mutex<Bounds>,
    /// How long a SubmitJob takes: half of it on the way there, half on the way back.
    latency: Mutex<Duration>,
    /// What it allows; none: everything.
    bucket: Mutex<Option<Bucket>>,
}

impl FakeCloud {
    pub(super) fn new(clock: Arc<PausedClock>, crash: Arc<Crash>, chance: Arc<Chance>) -> Self {
        let bounds = Bounds {
            send_within: Duration::from_mins(1),
            grace: Duration::from_mins(21),
            forgotten_before: None,
            lost_after: Duration::from_hours(1),
            start_failure: Duration::from_mins(1),
            poll: (Duration::from_secs(15), Duration::from_mins(2)),
            submits_per_second: 50.0,
        };
        Self {
            clock,
            crash,
            chance,
            state: Mutex::default(),
            life: Mutex::new(Life::ByHand),
            bounds: Mutex::new(bounds),
            latency: Mutex::default(),
            bucket: Mutex::default(),
        }
    }

    /// What becomes of the next SubmitJobs; those after them are accepted.
    pub(crate) fn script(&self, script: impl IntoIterator<Item = OnSubmit>) {
        lock(&self.state).script.extend(script);
    }

    /// How the next jobs go on; those after them as `life` says.
    pub(crate) fn lives(&self, lives: impl IntoIterator<Item = Life>) {
        lock(&self.state).lives.extend(lives);
    }

    pub(crate) fn life(&self, life: Life) {
        *lock(&self.life) = life;
    }

    pub(crate) fn set_bounds(&self, change: impl FnOnce(&mut Bounds)) {
        change(&mut lock(&self.bounds));
    }

    pub(crate) fn latency(&self, latency: Duration) {
        *lock(&self.latency) = latency;
    }

    /// It throttles what `bucket` does not allow.
    pub(crate) fn allow(&self, bucket: Bucket) {
        *lock(&self.bucket) = Some(bucket);
    }

    pub(crate) fn bucket(&self) -> MutexGuard<'_, Option<Bucket>> {
        lock(&self.bucket)
    }

    pub(crate) fn jobs(&self) -> Vec<FakeJob> {
        let now = self.clock.true_now();
        let mut state = lock(&self.state);
        state.jobs.iter_mut().for_each(|j| j.live_on(now));
        state.jobs.clone()
    }

    /// How many SubmitJobs left a machine.
    pub(crate) fn sent(&self) -> u32 {
        lock(&self.state).sent
    }

    pub(crate) fn sent_at(&self) -> Vec<DateTime<Utc>> {
        lock(&self.state).sent_at.clone()
    }

    /// How often a job arrived beside a live one of its slice, or after one that succeeded.
    pub(crate) fn doubles(&self) -> u32 {
        lock(&self.state).doubles
    }

    pub(crate) fn terminated(&self) -> Vec<(String, String)> {
        lock(&self.state).terminated.clone()
    }

    /// How many ids each DescribeJobs asked for.
    pub(crate) fn described(&self) -> Vec<usize> {
        lock(&self.state).described.clone()
    }

    /// The next `looks` DescribeJobs find nobody who answers.
    pub(crate) fn fall_silent(&self, looks: u32) {
        self.state.lock().unwrap().silent = looks;
    }

    pub(crate) fn searches(&self) -> u32 {
        lock(&self.state).found
    }

    pub(crate) fn log(&self, stream: &str, lines: Vec<String>) {
        lock(&self.state).logs.insert(stream.to_owned(), lines);
    }

    /// Reading logs fails like this.
    pub(crate) fn logs_fail(&self, kind: Option<ErrorKind>) {
        lock(&self.state).logs_fail = kind;
    }

    /// Changes the job at this place.
    pub(crate) fn change(&self, at: usize, change: impl FnOnce(&mut FakeJob)) {
        change(&mut lock(&self.state).jobs[at]);
    }

    pub(crate) fn run(&self, at: usize) {
        self.change(at, |j| {
            j.state = SeenState::Live { status: LiveStatus::Running, reason: None, reclaims: 0 }
        });
    }

    pub(crate) fn succeed(&self, at: usize) {
        let now = self.clock.true_now();
        self.change(at, |j| j.state = SeenState::Succeeded(j.end_of(now, None)));
    }

    /// The job fails with this `statusReason`.
    pub(crate) fn fail(&self, at: usize, status_reason: &str) {
        let now = self.clock.true_now();
        self.change(at, |j| j.state = SeenState::Failed(j.end_of(now, Some(status_reason))));
    }

    /// DescribeJobs leaves the job out; ListJobs too where it is forgotten.
    pub(crate) fn hide(&self, at: usize, forgotten: bool) {
        self.change(at, |j| {
            j.hidden = true;
            if forgotten {
                j.visible_at = DateTime::<Utc>::MAX_UTC;
            }
        });
    }

    fn arrive(&self, submission: &Submission, visible_after: Duration) -> String {
        let now = self.clock.true_now();
        let mut state = lock(&self.state);
        // The hash of slice and load that every name begins with.
        let prefix: String = submission.name.as_str().chars().take(20).collect();
        let mut beside = state.jobs.iter_mut().filter(|j| j.name.as_str().starts_with(&prefix));
        let doubles = u32::from(beside.any(|j| {
            j.live_on(now);
            j.is_live() || j.succeeded()
        }));
        state.doubles += doubles;
        let id = format!("id-{}", state.jobs.len());
        let life = state.lives.pop_front().unwrap_or(*lock(&self.life));
        state.jobs.push(FakeJob {
            id: id.clone(),
            name: submission.name.clone(),
            submission: submission.clone(),
            state: SeenState::Live { status: LiveStatus::Submitted, reason: None, reclaims: 0 },
            log_stream: None,
            visible_at: now + TimeDelta::from_std(visible_after).unwrap(),
            sent_at: now,
            life,
            hidden: false,
        });
        id
    }

    /// What the script says, or chance.
    fn next(&self) -> OnSubmit {
        if let Some(scripted) = lock(&self.state).script.pop_front() {
            return scripted;
        }
        let lag = Duration::from_secs(self.chance.below(20 * 60));
        match self.chance.below(20) {
            1 | 2 => OnSubmit::AnswerLost(lag),
            3 => OnSubmit::Lost,
            4 | 5 => OnSubmit::Throttled,
            6 => OnSubmit::NotSent,
            _ => OnSubmit::Accepted,
        }
    }
}

#[async_trait]
impl Queue for FakeCloud {
    async fn submit(&self, submission: &Submission, send_by: &SendBy) -> Sent {
        self.crash.point().await;
        self.chance.delay().await;
        if send_by.is_past() {
            return Sent::NotSent { why: "its time was up".to_owned() };
        }
        let next = self.next();
        {
            let mut state = lock(&self.state);
            state.sent += u32::from(!matches!(next, OnSubmit::NotSent));
            state.sent_at.push(self.clock.true_now());
        }
        let latency = *lock(&self.latency);
        tokio::time::sleep(latency / 2).await;
        let allowed = lock(&self.bucket).as_mut().is_none_or(|b| b.take(self.clock.monotonic()));
        let sent = match next {
            _ if !allowed => Sent::Throttled,
            OnSubmit::Accepted => Sent::Accepted { job_id: self.arrive(submission, Duration::ZERO) },
            OnSubmit::Refused(why) => Sent::Refused { why: why.to_owned() },
            OnSubmit::Throttled => Sent::Throttled,
            OnSubmit::NotSent => Sent::NotSent { why: "the clock jumped".to_owned() },
            OnSubmit::SignedOut => {
                Sent::SignedOut { error: PortError::new(ErrorKind::Credentials, "the token is expired") }
            }
            OnSubmit::AnswerLost(visible_after) => {
                self.arrive(submission, visible_after);
                Sent::Unknown { why: "connection reset".to_owned() }
            }
            OnSubmit::Lost => Sent::Unknown { why: "connection reset".to_owned() },
        };
        tokio::time::sleep(latency / 2).await;
        self.crash.point().await;
        self.chance.delay().await;
        sent
    }

    async fn find(&self, queue: &str, prefix: &str) -> Result<Vec<FoundJob>, PortError> {
        self.crash.point().await;
        self.chance.delay().await;
        let now = self.clock.true_now();
        let mut state = lock(&self.state);
        state.found += 1;
        let is_there = |j: &&FakeJob| {
            j.submission.queue == queue && j.name.as_str().starts_with(prefix) && j.visible_at <= now
        };
        let found = state.jobs.iter().filter(is_there);
        Ok(found.map(|j| FoundJob { name: j.name.clone(), job_id: j.id.clone() }).collect())
    }

    async fn describe(&self, ids: &[String]) -> Result<Vec<SeenJob>, PortError> {
        {
            let mut state = self.state.lock().unwrap();
            if state.silent > 0 {
                state.silent -= 1;
                return Err(PortError::new(ErrorKind::Unreachable, "nobody answers"));
            }
        }
        self.crash.point().await;
        self.chance.delay().await;
        assert!(ids.len() <= 100, "DescribeJobs takes 100 ids");
        let now = self.clock.true_now();
        let mut state = lock(&self.state);
        state.described.push(ids.len());
        state.jobs.iter_mut().for_each(|j| j.live_on(now));
        let ids: HashSet<&String> = ids.iter().collect();
        let is_there = |j: &&FakeJob| ids.contains(&j.id) && !j.hidden && j.visible_at <= now;
        let seen = |j: &FakeJob| SeenJob {
            job_id: j.id.clone(),
            name: j.name.clone(),
            state: j.state.clone(),
            log_stream: j.log_stream.clone(),
            peak_kib: None,
        };
        Ok(state.jobs.iter().filter(is_there).map(seen).collect())
    }

    async fn terminate(&self, job_id: &str, why: &str) -> Result<(), PortError> {
        self.crash.point().await;
        let mut state = lock(&self.state);
        state.terminated.push((job_id.to_owned(), why.to_owned()));
        Ok(())
    }

    async fn log_tail(&self, stream: &str, lines: usize) -> Result<Vec<String>, PortError> {
        let state = lock(&self.state);
        if let Some(kind) = state.logs_fail {
            return Err(PortError::new(kind, "the logs cannot be read"));
        }
        let Some(log) = state.logs.get(stream) else {
            return Err(PortError::new(ErrorKind::Denied, "no permission to read logs"));
        };
        Ok(log[log.len().saturating_sub(lines)..].to_vec())
    }

    fn bounds(&self) -> Bounds {
        *lock(&self.bounds)
    }
}
