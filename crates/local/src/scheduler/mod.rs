//! AWS Batch's scheduling as a pure state machine: events and the time go in, effects come out. No I/O, no clock.

mod array;
mod capacity;
mod event;
mod job;
mod place;
#[cfg(test)]
mod properties;
mod reclaims;
mod retry;
mod stop;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use array::Part;
pub use array::{Array, CHILD_FAILED, Summary};
pub use capacity::{Capacity, Environment, Pool, Queue};
pub use event::{Effect, Event, Transition};
pub use job::{Attempt, End, Ending, JobKey, JobState, Status, Submission};
pub use reclaims::Reclaims;
pub use retry::{Action, PATTERN_CHARS, Pattern, Rule, decide};

/// Milliseconds since the epoch, or a span of them.
pub type Millis = i64;

/// `statusReason` of a job that no environment of its queue could ever hold.
pub const TOO_LARGE: &str = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement \
    (vCPU/memory/GPU) is higher than that can be met by the CE(s) attached to the job queue.";
/// `statusReason` of a job that outlived its timeout.
pub const TIMED_OUT: &str = "Job attempt duration exceeded timeout";
/// `statusReason` of a job one of whose dependencies failed.
pub const DEPENDENCY_FAILED: &str = "Dependent Job failed";

/// What does not change while the scheduler lives.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The machine that all environments share, if they share one.
    pub host: Option<Capacity>,
    /// Milliseconds between SIGTERM and SIGKILL.
    pub stop_grace: Millis,
    /// Whether jobs are started at all.
    pub dispatch: bool,
    /// Which hosts are taken away.
    pub reclaims: Option<Reclaims>,
}

#[derive(Debug)]
struct Job {
    // One for all children of an array.
    submission: Arc<Submission>,
    part: Part,
    state: JobState,
    // When the next thing must be done to the current attempt: its timeout, or the kill after it was asked to end.
    deadline: Option<Millis>,
    // When the host of the current attempt is taken.
    reclaim: Option<Millis>,
}

impl Job {
    fn new(submission: Arc<Submission>, part: Part, state: JobState) -> Self {
        Self { submission, part, state, deadline: None, reclaim: None }
    }
}

/// Queues, environments and jobs.
#[derive(Debug)]
pub struct Scheduler {
    settings: Settings,
    host: Option<Pool>,
    environments: BTreeMap<String, Environment>,
    queues: BTreeMap<String, Queue>,
    jobs: HashMap<JobKey, Job>,
    runnable: BTreeMap<String, BTreeSet<JobKey>>,
    // RUNNABLE jobs that no environment could ever hold. Kept apart, or every placement would walk over them.
    misfits: BTreeSet<JobKey>,
    dependents: HashMap<JobKey, Vec<JobKey>>,
    deadlines: BTreeSet<(Millis, JobKey)>,
    reclaims: BTreeSet<(Millis, JobKey)>,
    active: BTreeSet<JobKey>,
    // Jobs whose dependencies have moved. A list and not recursion: a chain of jobs may be of any length.
    woken: VecDeque<JobKey>,
    transitions: Vec<Transition>,
}

impl Scheduler {
    /// A scheduler without queues, environments and jobs.
    pub fn new(settings: Settings) -> Self {
        Self {
            host: settings.host.map(Pool::new),
            settings,
            environments: BTreeMap::new(),
            queues: BTreeMap::new(),
            jobs: HashMap::new(),
            runnable: BTreeMap::new(),
            misfits: BTreeSet::new(),
            dependents: HashMap::new(),
            deadlines: BTreeSet::new(),
            reclaims: BTreeSet::new(),
            active: BTreeSet::new(),
            woken: VecDeque::new(),
            transitions: Vec::new(),
        }
    }

    /// Whether jobs are started; takes effect with the next event.
    pub fn set_dispatch(&mut self, dispatch: bool) {
        self.settings.dispatch = dispatch;
    }

    /// Adds an environment, or changes what one has.
    pub fn put_environment(&mut self, name: &str, total: Capacity, enabled: bool) {
        let used = self.environments.get(name).map_or_else(Capacity::default, |e| e.pool.used);
        self.environments.insert(name.to_owned(), Environment { pool: Pool { total, used }, enabled });
        self.reconsider_misfits();
    }

    /// Adds a queue, or changes one.
    pub fn put_queue(&mut self, name: &str, queue: Queue) {
        self.queues.insert(name.to_owned(), queue);
        self.runnable.entry(name.to_owned()).or_default();
        self.reconsider_misfits();
    }

    /// Takes up a job from an earlier life as it was; it moves on with the next event. Queues and environments must be
    /// there already.
    pub fn restore(&mut self, key: JobKey, submission: Submission, state: JobState) {
        let part = if submission.array.is_some() { Part::Parent(Summary::default()) } else { Part::Alone };
        self.take_up(key, Arc::new(submission), part, state);
    }

    /// Takes up a child of an array that was taken up before.
    pub fn restore_child(&mut self, parent: JobKey, index: u32, state: JobState) {
        let Some(submission) = self.jobs.get(&parent).map(|job| Arc::clone(&job.submission)) else { return };
        self.count(parent, None, state.status);
        self.take_up(parent.child(index), submission, Part::Child(parent, index), state);
    }

    fn take_up(&mut self, key: JobKey, submission: Arc<Submission>, part: Part, state: JobState) {
        let status = state.status;
        let job = Job::new(submission, part, state);
        let (submission, state) = (&job.submission, &job.state);
        if status.is_active() {
            self.active.insert(key);
            if let Some(environment) = &state.environment {
                self.take(&environment.clone(), submission.demand);
            }
        }
        if status == Status::Runnable {
            if self.could_fit(&submission.queue, submission.demand) {
                self.runnable.entry(submission.queue.clone()).or_default().insert(key);
            } else {
                self.misfits.insert(key);
            }
        }
        if status <= Status::Pending {
            self.depend(key, &job);
            // It may have died between two of its first states, which follow one another at once.
            self.woken.push_back(key);
        }
        self.jobs.insert(key, job);
    }

    fn depend(&mut self, key: JobKey, job: &Job) {
        if !matches!(job.part, Part::Parent(_)) {
            for on in job.waits_for() {
                self.dependents.entry(on).or_default().push(key);
            }
        }
    }

    /// The state of a job.
    pub fn state(&self, key: JobKey) -> Option<&JobState> {
        self.jobs.get(&key).map(|job| &job.state)
    }

    /// What a job asked for.
    pub fn submission(&self, key: JobKey) -> Option<&Submission> {
        self.jobs.get(&key).map(|job| &*job.submission)
    }

    /// What an environment has and what is in use there.
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.get(name)
    }

    /// The jobs that a runner has.
    pub fn active(&self) -> impl Iterator<Item = JobKey> + '_ {
        self.active.iter().copied()
    }

    /// When [`Event::Tick`] is due next.
    pub fn next_deadline(&self) -> Option<Millis> {
        [&self.deadlines, &self.reclaims].into_iter().filter_map(|due| Some(due.first()?.0)).min()
    }

    /// The transitions since the last call, in order.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Takes in what happened at `now`, and says what to do. An event about an attempt that is not the current one
    /// changes nothing: it was overtaken.
    pub fn apply(&mut self, now: Millis, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Submitted(key, submission) => self.submit(now, key, *submission),
            Event::Started(key, attempt) => self.started(now, key, attempt),
            Event::Ended(key, attempt, end) => {
                if self.is_current(key, attempt) {
                    self.ended(now, key, end);
                }
            }
            Event::Cancelled(key, reason) => self.cancel(now, key, &reason),
            Event::Terminated(key, reason) => self.terminate(now, key, &reason, &mut effects),
            Event::HostLost(status_reason) => {
                for key in self.active.clone() {
                    let end = End { exit_code: None, reason: None, status_reason: status_reason.clone() };
                    self.ended(now, key, end);
                }
            }
            Event::Tick => {}
        }
        while let Some(key) = self.woken.pop_front() {
            self.admit(now, key);
        }
        self.pass_reclaims(now, &mut effects);
        self.pass_deadlines(now, &mut effects);
        if self.settings.dispatch {
            self.place(now, &mut effects);
        }
        effects
    }

    fn is_current(&self, key: JobKey, attempt: u32) -> bool {
        self.jobs.get(&key).is_some_and(|job| job.state.status.is_active() && job.state.attempt() == attempt)
    }

    fn submit(&mut self, now: Millis, key: JobKey, submission: Submission) {
        let submission = Arc::new(submission);
        let Some(array) = &submission.array else { return self.add(now, key, &submission, Part::Alone) };
        self.add(now, key, &submission, Part::Parent(Summary::default()));
        for index in 0..array.size {
            self.count(key, None, Status::Submitted);
            self.add(now, key.child(index), &submission, Part::Child(key, index));
        }
    }

    fn add(&mut self, now: Millis, key: JobKey, submission: &Arc<Submission>, part: Part) {
        let job = Job::new(Arc::clone(submission), part, JobState::new(now));
        self.depend(key, &job);
        self.jobs.insert(key, job);
        self.transitions.push(Transition { job: key, status: Status::Submitted });
        match &submission.doomed {
            // An array fails when its children have.
            Some(why) if !matches!(part, Part::Parent(_)) => {
                self.finish(now, key, Status::Failed, Some(why.clone()));
            }
            _ => self.woken.push_back(key),
        }
    }

    // SUBMITTED or PENDING: onward as far as the dependencies allow.
    fn admit(&mut self, now: Millis, key: JobKey) {
        let Some(job) = self.jobs.get(&key) else { return };
        if job.state.status > Status::Pending {
            return;
        }
        if matches!(job.part, Part::Parent(_)) {
            return self.settle(now, key);
        }
        let on: Vec<Status> =
            job.waits_for().filter_map(|on| self.jobs.get(&on).map(|job| job.state.status)).collect();
        let cancelling = job.state.cancelling.clone();
        if job.state.status == Status::Submitted {
            self.enter(key, Status::Pending);
        }
        if on.contains(&Status::Failed) {
            self.finish(now, key, Status::Failed, Some(DEPENDENCY_FAILED.to_owned()));
        } else if on.iter().all(|status| *status == Status::Succeeded) {
            match cancelling {
                Some(reason) => self.finish(now, key, Status::Failed, Some(reason)),
                None => self.make_runnable(key),
            }
        }
    }

    fn started(&mut self, now: Millis, key: JobKey, attempt: u32) {
        if !self.is_current(key, attempt) {
            return;
        }
        let Some(job) = self.jobs.get_mut(&key) else { return };
        if job.state.status != Status::Starting {
            return;
        }
        job.state.started_at = Some(now);
        let timeout = job.submission.timeout.filter(|_| job.state.ending.is_none());
        self.enter(key, Status::Running);
        if let Some(timeout) = timeout {
            self.set_deadline(key, Some(now.saturating_add(timeout)));
        }
    }

    fn ended(&mut self, now: Millis, key: JobKey, end: End) {
        self.set_deadline(key, None);
        self.set_reclaim(key, None);
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let state = &mut job.state;
        let ending = state.ending.take();
        let asked = matches!(ending, Some(Ending::TimedOut | Ending::Terminated(_)));
        let end = match ending {
            None => end,
            Some(Ending::TimedOut) => End { status_reason: TIMED_OUT.to_owned(), ..end },
            Some(Ending::Terminated(why)) => End { status_reason: why, ..end },
            // Whatever it was about to say, no host was left to pass it on.
            Some(Ending::HostLost(why)) => End { exit_code: None, reason: None, status_reason: why },
        };
        let succeeded = end.exit_code == Some(0) && !asked;
        let left = state.attempt() < job.submission.attempts;
        let again = !succeeded && !asked && left && decide(&job.submission.rules, &end) == Action::Retry;
        let why = end.status_reason.clone();
        state.attempts.push(Attempt { started_at: state.started_at, stopped_at: now, end });
        let environment = state.environment.clone();
        let demand = job.submission.demand;
        self.active.remove(&key);
        if let Some(environment) = environment {
            self.give_back(&environment, demand);
        }
        if again {
            if let Some(job) = self.jobs.get_mut(&key) {
                job.state.started_at = None;
                job.state.status_reason = Some(why);
            }
            self.make_runnable(key);
        } else {
            let status = if succeeded { Status::Succeeded } else { Status::Failed };
            self.finish(now, key, status, Some(why));
        }
    }

    fn pass_deadlines(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        while let Some((at, key)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.set_deadline(key, None);
            let Some(job) = self.jobs.get_mut(&key) else { continue };
            let (attempt, status) = (job.state.attempt(), job.state.status);
            if job.state.ending.is_some() {
                effects.push(Effect::Kill(key, attempt));
            } else {
                job.state.ending = Some(Ending::TimedOut);
                self.transitions.push(Transition { job: key, status });
                effects.push(Effect::Ask(key, attempt));
                self.set_deadline(key, Some(at.saturating_add(self.settings.stop_grace)));
            }
        }
    }

    fn set_deadline(&mut self, key: JobKey, at: Option<Millis>) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        if let Some(old) = std::mem::replace(&mut job.deadline, at) {
            self.deadlines.remove(&(old, key));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, key));
        }
    }

    fn enter(&mut self, key: JobKey, status: Status) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let before = std::mem::replace(&mut job.state.status, status);
        let part = job.part;
        self.transitions.push(Transition { job: key, status });
        if let Part::Child(parent, _) = part {
            self.count(parent, Some(before), status);
        }
    }

    fn finish(&mut self, now: Millis, key: JobKey, status: Status, why: Option<String>) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.state.stopped_at = Some(now);
        job.state.status_reason = why;
        job.state.cancelling = None;
        if let Some(waiting) = self.runnable.get_mut(&job.submission.queue) {
            waiting.remove(&key);
        }
        self.misfits.remove(&key);
        self.enter(key, status);
        self.woken.extend(self.dependents.remove(&key).unwrap_or_default());
    }
}
