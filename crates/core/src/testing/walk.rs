//! A random walk through what can happen.

use chrono::TimeDelta;

use super::{Scene, at, ended, job, plan, slice};
use crate::fact::{Fact, LiveStatus, Mark, Outcome};
use crate::failure::FailureClass;
use crate::job::JobName;
use crate::ledger::{SliceRecord, Standing, Try, TryState};
use crate::plan::{PlannedDeadline, PlannedJob, Staleness};
use crate::spec::{Idempotent, Reads, StopAfter};

/// A random walk through what can happen to a backfill: every choice is a legal step, of the engine, of Batch, of a
/// person or of time. Panics where a decision breaks a promise.
pub struct Walk {
    pub scene: Scene,
    /// A job was accepted that had been taken for never arrived.
    pub late: bool,
    plans: u32,
}

const SLICES: u32 = 5;

impl Walk {
    pub fn new() -> Self {
        let mut walk = Self { scene: Scene::of(plan(Vec::new())), late: false, plans: 0 };
        walk.adopt(0);
        walk
    }

    pub fn of(choices: Vec<u16>) -> Self {
        let mut walk = Self::new();
        for choice in choices {
            walk.step(choice);
        }
        walk
    }

    pub fn step(&mut self, choice: u16) {
        let (what, pick) = (choice % 16, usize::from(choice / 16));
        match what {
            0..=2 => self.intend(),
            3..=4 => self.scene.settle(),
            5 => self.scene.now += TimeDelta::seconds(pick as i64),
            6 if pick.is_multiple_of(3) => self.adopt(pick),
            7 if pick.is_multiple_of(4) => self.person(pick / 4),
            _ => self.happen(pick),
        }
    }

    /// Everything goes well from here on: nothing fails, nothing is late, and time passes.
    pub fn go_well(&mut self) {
        for _ in 0..200 {
            self.scene.settle();
            self.intend();
            let live: Vec<JobName> = self.scene.ledger.live().map(|(_, t)| t.intended.name.clone()).collect();
            for name in live {
                if self.scene.ledger.job(&name).unwrap().1.job_id.is_none() {
                    self.scene.accept(&name);
                } else {
                    self.scene.succeed(&name);
                }
            }
            self.scene.now += TimeDelta::hours(30);
            if self.scene.is_finished() {
                return;
            }
        }
        panic!("it never ends: {:?}", self.scene.decide());
    }

    fn intend(&mut self) {
        let ledger = self.scene.ledger.clone();
        let live = ledger.live().count();
        let intents = self.scene.intend();
        let newest = &self.scene.plans[&ledger.adopted().unwrap().digest];
        if !intents.is_empty() {
            assert!(live + intents.len() <= newest.plan().limits.in_flight as usize, "too many at once");
            assert_eq!(ledger.stopped(), None, "nothing is submitted after a stop");
        }
        for intent in &intents {
            for (other, record) in
                ledger.within(&slice(chrono::Datelike::day(&intent.slice.partition().day())))
            {
                let overlaps = other.is_within(&intent.slice) || intent.slice.is_within(other);
                let beside = other != &intent.slice && overlaps && record.live().next().is_some();
                assert!(!beside || self.late, "{} is intended while {other} may run", intent.slice);
                assert!(other != &intent.slice || record.divided.is_none(), "{other} was cut");
            }
            let Some(record) = ledger.slice(&intent.slice) else { continue };
            assert_eq!(record.live().count(), 0, "{} has a live try", intent.slice);
            let loaded = record.loaded.as_ref().map_or(0, |l| l.load);
            assert!(intent.load > loaded, "{} load {} is loaded already", intent.slice, intent.load);
            let earlier = record.tries.iter().filter(|t| t.intended.load == intent.load);
            assert_eq!(earlier.clone().count() as u32 + 1, intent.r#try, "tries are numbered without a gap");
            let job = &self.scene.plans[&intent.plan].plan().job;
            for t in earlier.filter(|t| t.intended.plan == intent.plan) {
                if t.failure() == Some(FailureClass::OutOfMemory) {
                    assert!(intent.memory_mib > t.intended.memory_mib, "the same shape again after a kill");
                }
                let went = t.moves_to.is_some() || job.fallback_queue.as_ref() == Some(&t.intended.queue);
                assert!(
                    !went || job.fallback_queue.as_ref() == Some(&intent.queue),
                    "{} came back",
                    intent.slice
                );
                let ran = t.has_started() && t.failure().is_some();
                assert!(!(ran && job.idempotent == Idempotent::No), "{} runs twice", intent.slice);
            }
            assert!(intent.memory_mib <= job.memory.max_mib);
        }
    }

    /// A new plan, of all that a planner may take up now; which, and how strict it is, is up to the choice.
    fn adopt(&mut self, pick: usize) {
        let mut jobs = Vec::new();
        for of in 1..=SLICES {
            for part in self.scene.ledger.parts(&slice(of)) {
                let record = self.scene.ledger.slice(&part);
                let load = record.map_or(1, SliceRecord::next_load);
                let wanted = match self.scene.ledger.standing(&part) {
                    Standing::New | Standing::Failed => true,
                    Standing::Done => pick.is_multiple_of(5),
                    Standing::Waiting | Standing::Running | Standing::NeedsPerson => false,
                };
                if wanted {
                    let tries = record.map_or(0, |r| r.next_try(load) - 1);
                    jobs.push(PlannedJob { slice: part, ..job(of, load, tries) });
                }
            }
        }
        self.plans += 1;
        let mut plan = plan(jobs);
        plan.made_at = at(i64::from(self.plans));
        plan.limits.in_flight = 1 + (pick % 4) as u32;
        if pick % 7 == 1 {
            plan.job.idempotent = Idempotent::No;
        }
        if pick % 5 < 2 {
            (plan.job.idempotent, plan.job.reads) = (Idempotent::Slice, Reads::Manifest);
        }
        if pick % 4 == 1 {
            plan.job.fallback_queue = Some("on-demand".to_owned());
            // Passed, about to be missed, or far away.
            let at = at([-1, 60, 100_000_000][pick / 4 % 3]);
            plan.deadline = (!pick.is_multiple_of(3)).then_some(PlannedDeadline { at, done_by: None });
        }
        if pick % 3 == 1 {
            plan.limits.stop_after = Some(StopAfter::Count(2));
        }
        assert_eq!(plan.staleness(&self.scene.ledger), Staleness::Fresh);
        self.scene.adopt(plan);
    }

    fn person(&mut self, pick: usize) {
        let of = 1 + (pick as u32 % SLICES);
        match pick / SLICES as usize % 3 {
            0 => self.scene.cancel(of),
            1 => self.scene.mark(of, Mark::Done),
            _ => self.scene.mark(of, Mark::Failed),
        }
    }

    /// Something happens to one of the jobs that something can still happen to.
    fn happen(&mut self, pick: usize) {
        let tries: Vec<_> = self.scene.ledger.slices().flat_map(|(_, r)| &r.tries).collect();
        // Late arrivals are rare.
        let late = pick.is_multiple_of(13);
        let open = |t: &&&Try| t.is_live() || (late && t.state == TryState::NeverArrived);
        let open: Vec<_> = tries.iter().filter(open).collect();
        let Some(t) = open.get(pick % open.len().max(1)) else { return };
        let (name, state) = (t.intended.name.clone(), t.state.clone());
        let why = || "why".to_owned();
        let accepted = |name| Fact::Accepted { name, job_id: why(), found: pick.is_multiple_of(2) };
        let fact = match (state, pick / 5 % 8) {
            (TryState::Intended | TryState::Unknown(_), 0..=3) => accepted(name),
            (TryState::Intended | TryState::Unknown(_), 4) => Fact::NeverArrived { name },
            (TryState::Intended, 5) => Fact::Withdrawn { name, why: why() },
            (TryState::Intended, 6) if pick.is_multiple_of(3) => Fact::Refused { name, why: why() },
            (TryState::Intended | TryState::Unknown(_), _) => Fact::Unknown { name, why: why() },
            (TryState::NeverArrived, _) => {
                self.late = true;
                accepted(name)
            }
            (_, 0) => Fact::Seen {
                name,
                status: LiveStatus::Runnable,
                reason: Some(why()),
                reclaims: (pick / 40 % 5) as u32,
            },
            (_, 1) => Fact::Seen { name, status: LiveStatus::Running, reason: None, reclaims: 0 },
            (_, 2) if pick.is_multiple_of(3) => Fact::Lost { name },
            (_, 2 | 3) => ended(&name, Outcome::Succeeded, true),
            (_, _) => {
                let class = FailureClass::ALL[pick % 7 + pick / 7 % 2];
                ended(&name, Outcome::Failed(class), class != FailureClass::StartFailed)
            }
        };
        self.scene.tell(fact);
    }
}
