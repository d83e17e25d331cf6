//! Any sequence of events keeps the promises that clients rely on.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Submit {
        memory: u64,
        attempts: u32,
        timeout: Option<Millis>,
        on: Option<usize>,
        array: Option<(u32, bool)>,
    },
    // An array beside another one.
    Beside(usize),
    Start(usize),
    End(usize, i32),
    Cancel(usize),
    Terminate(usize),
    LoseHost,
    Wait(Millis),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (
            1..1_200_u64,
            1..4_u32,
            proptest::option::of(1..50_i64),
            proptest::option::of(0..20_usize),
            proptest::option::weighted(0.3, (2..5_u32, any::<bool>())),
        )
            .prop_map(|(memory, attempts, timeout, on, array)| Step::Submit { memory, attempts, timeout, on, array }),
        1 => (0..20_usize).prop_map(Step::Beside),
        4 => (0..20_usize).prop_map(Step::Start),
        4 => (0..20_usize, 0..3).prop_map(|(job, code)| Step::End(job, code)),
        1 => (0..20_usize).prop_map(Step::Cancel),
        1 => (0..20_usize).prop_map(Step::Terminate),
        1 => Just(Step::LoseHost),
        2 => (1..60_i64).prop_map(Step::Wait),
        1 => (1..4_000_i64).prop_map(Step::Wait),
    ]
}

fn may_follow(before: Status, after: Status) -> bool {
    use Status::{Failed, Pending, Runnable, Running, Starting, Submitted, Succeeded};
    before == after && !before.is_terminal()
        || matches!(
            (before, after),
            (Submitted, Pending | Failed)
                // From PENDING to SUCCEEDED only arrays, which is checked with their children.
                | (Pending | Running, Runnable | Succeeded | Failed)
                | (Runnable, Starting | Failed)
                | (Starting, Running | Runnable | Succeeded | Failed)
        )
}

struct World {
    scheduler: Scheduler,
    now: Millis,
    jobs: Vec<JobKey>,
    seen: HashMap<JobKey, Status>,
    started: HashMap<JobKey, u32>,
}

impl World {
    fn new() -> Self {
        // So many that their mean time is 2 seconds.
        let reclaims = Reclaims::new(1.0 - 1e-13, 1).map(|reclaims| reclaims.only_on(["a".to_owned()]));
        let host = Some(Capacity { milli_vcpus: 3_000, memory_mib: 1_500, gpus: 0 });
        let mut scheduler = Scheduler::new(Settings { host, stop_grace: 10, dispatch: true, reclaims });
        for (name, priority) in [("a", 1), ("b", 2)] {
            let total = Capacity { milli_vcpus: 2_000, memory_mib: 1_000, gpus: 0 };
            scheduler.put_environment(name, total, true);
            scheduler.put_queue(name, Queue { priority, environments: vec![name.to_owned()] });
        }
        Self { scheduler, now: 0, jobs: Vec::new(), seen: HashMap::new(), started: HashMap::new() }
    }

    fn pick(&self, index: usize) -> Option<JobKey> {
        (!self.jobs.is_empty()).then(|| self.jobs[index % self.jobs.len()])
    }

    fn add(&mut self, key: JobKey, submission: Submission) -> Event {
        let size = submission.array.as_ref().map_or(0, |array| array.size);
        self.jobs.push(key);
        self.jobs.extend((0..size).map(|index| key.child(index)));
        Event::Submitted(key, Box::new(submission))
    }

    fn event(&mut self, step: Step) -> Option<Event> {
        Some(match step {
            Step::Submit { memory, attempts, timeout, on, array } => {
                let key = JobKey(self.jobs.len() as u64);
                let array = array.map(|(size, sequential)| Array { size, sequential, n_to_n: Vec::new() });
                let submission = Submission {
                    queue: if memory % 2 == 0 { "a" } else { "b" }.to_owned(),
                    demand: Capacity { milli_vcpus: 1_000, memory_mib: memory, gpus: 0 },
                    attempts,
                    rules: Vec::new(),
                    timeout,
                    depends_on: on.and_then(|on| self.pick(on)).into_iter().collect(),
                    doomed: None,
                    array,
                };
                self.add(key, submission)
            }
            Step::Beside(job) => {
                let other = self.pick(job)?;
                self.scheduler.summary(other)?;
                let mut submission = self.scheduler.submission(other)?.clone();
                submission.array.as_mut()?.n_to_n = vec![other];
                self.add(JobKey(self.jobs.len() as u64), submission)
            }
            Step::Start(job) => {
                let key = self.pick(job)?;
                Event::Started(key, *self.started.get(&key)?)
            }
            Step::End(job, code) => {
                let key = self.pick(job)?;
                let end = End { exit_code: Some(code), reason: None, status_reason: "exited".to_owned() };
                Event::Ended(key, *self.started.get(&key)?, end)
            }
            Step::Cancel(job) => Event::Cancelled(self.pick(job)?, "cancelled".to_owned()),
            Step::Terminate(job) => Event::Terminated(self.pick(job)?, "terminated".to_owned()),
            Step::LoseHost => Event::HostLost("lost".to_owned()),
            Step::Wait(span) => {
                self.now += span;
                Event::Tick
            }
        })
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        let Some(event) = self.event(step) else { return Ok(()) };
        for effect in self.scheduler.apply(self.now, event) {
            let (Effect::Start(key, attempt) | Effect::Ask(key, attempt) | Effect::Kill(key, attempt)) =
                effect;
            if matches!(effect, Effect::Start(..)) {
                let before = self.started.insert(key, attempt).unwrap_or(0);
                prop_assert_eq!(attempt, before + 1, "attempts start once each, in order");
                let job = &self.scheduler.jobs[&key];
                prop_assert!(!matches!(job.part, Part::Parent(_)), "only children run");
                for on in job.waits_for() {
                    let status = self.scheduler.state(on).unwrap().status;
                    prop_assert_eq!(status, Status::Succeeded, "what it waited for");
                }
            } else {
                prop_assert_eq!(self.started.get(&key), Some(&attempt), "only what started is stopped");
            }
        }
        for transition in self.scheduler.take_transitions() {
            let before = self.seen.insert(transition.job, transition.status);
            match before {
                None => prop_assert_eq!(transition.status, Status::Submitted),
                Some(before) => prop_assert!(
                    may_follow(before, transition.status),
                    "{before:?} to {:?}",
                    transition.status
                ),
            }
        }
        self.check()
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let mut held: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for key in &self.jobs {
            let (job, state) =
                (self.scheduler.submission(*key).unwrap(), self.scheduler.state(*key).unwrap());
            prop_assert_eq!(self.seen.get(key), Some(&state.status), "every change is told");
            prop_assert!(state.attempts.len() <= job.attempts as usize);
            prop_assert_eq!(state.stopped_at.is_some(), state.status.is_terminal());
            self.check_array(*key)?;
            if state.status.is_active() {
                let sum = held.entry(state.environment.as_deref().unwrap()).or_default();
                *sum = (sum.0 + job.demand.milli_vcpus, sum.1 + job.demand.memory_mib);
            }
        }
        let (mut vcpus, mut memory) = (0, 0);
        for name in ["a", "b"] {
            let used = self.scheduler.environment(name).unwrap().pool.used;
            prop_assert_eq!((used.milli_vcpus, used.memory_mib), held.get(name).copied().unwrap_or_default());
            prop_assert!(used.milli_vcpus <= 2_000 && used.memory_mib <= 1_000);
            vcpus += used.milli_vcpus;
            memory += used.memory_mib;
        }
        prop_assert!(vcpus <= 3_000 && memory <= 1_500);
        Ok(())
    }

    fn check_array(&self, key: JobKey) -> Result<(), TestCaseError> {
        let Some(summary) = self.scheduler.summary(key) else { return Ok(()) };
        let children = self.scheduler.children(key).unwrap();
        let statuses: Vec<Status> =
            children.map(|child| self.scheduler.state(child).unwrap().status).collect();
        for status in Status::ALL {
            let count = statuses.iter().filter(|other| **other == status).count();
            prop_assert_eq!(summary.count(status) as usize, count);
        }
        let wanted = if !statuses.iter().all(|status| status.is_terminal()) {
            Status::Pending
        } else if statuses.contains(&Status::Failed) {
            Status::Failed
        } else {
            Status::Succeeded
        };
        prop_assert_eq!(self.scheduler.state(key).unwrap().status, wanted);
        Ok(())
    }

    // Whatever runs is let end: then nothing may be left but what fits nowhere and what depends on it.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        loop {
            let first = self.scheduler.active().next();
            let Some(key) = first else { break };
            let index = self.jobs.iter().position(|job| *job == key).unwrap();
            self.run(Step::End(index, 0))?;
        }
        for key in &self.jobs {
            let state = self.scheduler.state(*key).unwrap();
            let stuck = match state.status {
                Status::Runnable => state.status_reason.as_deref() == Some(TOO_LARGE),
                Status::Pending => true,
                status => status.is_terminal(),
            };
            prop_assert!(stuck, "{key:?} is {:?}", state.status);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_after_every_event(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.run(step)?;
        }
        world.drain()?;
    }
}
