//! What the tests of several modules share: a small backfill, and a scene that facts are told to.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use crate::decide::{AdoptedPlan, Decision, Pace, Plans, decide, is_finished, planned};
use crate::fact::{Cloud, Ended, Fact, Identity, Intended, LiveStatus, Mark, Outcome, Split};
use crate::failure::FailureClass;
use crate::job::JobName;
use crate::ledger::{Ledger, Stamp};
use crate::measure::{Fingerprint, Measure, Object};
use crate::partition::{PartitionId, SliceId};
use crate::plan::{
    History, JobTemplate, Only, PassedOver, PinnedDefinition, Place, Plan, PlanDigest, PlannedJob,
    PlannedSource, RunsOn, SCHEMA_VERSION,
};
use crate::spec::{Idempotent, Limits, MemoryBounds, MemorySigns, Reads, RetryPolicy, Success};
use crate::split::Cut;

mod walk;

pub use walk::Walk;

/// So many seconds into the scene.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_540_000_000 + seconds, 0).unwrap()
}

pub fn stamp(segment: u64) -> Stamp {
    Stamp { segment, written_at: at(segment as i64), stored_at: at(segment as i64) }
}

pub fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2018, 10, day).unwrap()
}

/// `condor/2018-10-{day}`
pub fn slice(of: u32) -> SliceId {
    SliceId::whole(PartitionId::new(vec!["condor".to_owned()], day(of)))
}

/// The fingerprint of a set with one object of this key.
pub fn fingerprint(key: &str) -> Fingerprint {
    let mut measure = Measure::default();
    measure.add(&Object { key, size: 1, etag: "e", modified: at(0) }, None);
    measure.fingerprint
}

pub fn identity() -> Identity {
    Identity {
        source: "s3://example-logs/".to_owned(),
        layout: "{service}/{year}/{month}/{day}/".to_owned(),
        key_zone: "UTC".to_owned(),
        window_zone: "UTC".to_owned(),
        dimensions: vec!["service".to_owned()],
        cloud: Cloud::Local { folder: "/tmp/engine".to_owned() },
    }
}

pub fn place() -> Place {
    let runs_on = RunsOn::Aws { region: None, profile: None, endpoint_url: None };
    Place { state: "s3://example-state/x".to_owned(), runs_on }
}

pub fn job(of: u32, load: u32, tries_before: u32) -> PlannedJob {
    PlannedJob {
        slice: slice(of),
        load,
        tries_before,
        memory_mib: 128,
        prefix: format!("condor/2018/10/{of:02}/"),
        objects: 3,
        bytes: 1000,
        fingerprint: fingerprint(&format!("day {of}")),
    }
}

/// A plan of these jobs: 128 MiB up to 512, a timeout of a minute, everything else at its default.
pub fn plan(jobs: Vec<PlannedJob>) -> Plan {
    Plan {
        schema_version: SCHEMA_VERSION,
        backfill: "sample".to_owned(),
        uuid: None,
        made_at: at(0),
        identity: identity(),
        from: day(1),
        to: day(31),
        only: Only::default(),
        place: place(),
        source: PlannedSource {
            bucket: "example-logs".to_owned(),
            dimensions: vec!["service".to_owned()],
            root: String::new(),
            include: None,
            exclude: None,
        },
        job: JobTemplate {
            definition: PinnedDefinition {
                revision: Some("load:1".to_owned()),
                content: None,
                fargate: false,
            },
            queue: "spot".to_owned(),
            fallback_queue: None,
            share_identifier: None,
            vcpus: 1,
            memory: MemoryBounds { start_mib: 128, max_mib: 512 },
            timeout_s: Some(60),
            idempotent: Idempotent::Partition,
            reads: Reads::Prefix,
            success: Success::Exit,
            command: Vec::new(),
            environment: BTreeMap::new(),
            out_of_memory: MemorySigns::default(),
        },
        retry: RetryPolicy::default(),
        limits: Limits::default(),
        prices: None,
        history: History::default(),
        partitions: Vec::new(),
        passed_over: PassedOver::default(),
        deadline: None,
        length: None,
        memory_why: None,
        split: None,
        splits: Vec::new(),
        unsplit: Vec::new(),
        pilots: 0,
        jobs,
    }
}

pub fn intended(of: u32, load: u32, r#try: u32, nonce: u32, digest: &PlanDigest) -> Intended {
    Intended {
        name: JobName::new(Uuid::nil(), &slice(of), load, r#try, nonce),
        slice: slice(of),
        load,
        r#try,
        queue: "spot".to_owned(),
        queue_why: None,
        definition: "load:1".to_owned(),
        plan: digest.clone(),
        memory_mib: 128,
        memory_why: None,
        vcpus: 1,
        timeout_s: Some(60),
        objects: 3,
        bytes: 1000,
        fingerprint: fingerprint(&format!("day {of}")),
    }
}

/// An end; a job that failed had started unless its class says otherwise.
pub fn ended(name: &JobName, outcome: Outcome, started: bool) -> Fact {
    Fact::Ended(Box::new(Ended {
        name: name.clone(),
        outcome,
        exit_code: None,
        reasons: std::collections::BTreeSet::new(),
        started_at: started.then(|| at(10)),
        stopped_at: Some(at(70)),
        attempts: 1,
        reclaims: 0,
        reclaimed_ms: 0,
        peak_kib: None,
        result: None,
        result_ignored: None,
        remark: None,
        sign: None,
        log_tail: Vec::new(),
        log_stream: None,
    }))
}

/// A backfill that facts are told to, each in a segment of its own, a second apart.
pub struct Scene {
    pub ledger: Ledger,
    pub plans: Plans,
    pub facts: Vec<Fact>,
    pub now: DateTime<Utc>,
    segment: u64,
    nonce: u32,
}

impl Scene {
    /// An opened backfill that has adopted `plan`.
    pub fn of(plan: Plan) -> Self {
        let (ledger, plans) = (Ledger::default(), Plans::new());
        let mut scene = Self { ledger, plans, facts: Vec::new(), now: at(0), segment: 0, nonce: 0 };
        scene.tell(Fact::Opened { uuid: Uuid::nil(), name: "sample".to_owned(), identity: identity() });
        scene.adopt(plan);
        scene
    }

    pub fn adopt(&mut self, plan: Plan) {
        let (digest, jobs) = (plan.digest(), plan.jobs.len() as u64);
        self.plans.insert(digest.clone(), AdoptedPlan::new(plan));
        self.tell(Fact::Adopted { digest, definition: "load:1".to_owned(), jobs });
    }

    pub fn tell(&mut self, fact: Fact) {
        self.tell_all(vec![fact]);
    }

    /// One segment.
    pub fn tell_all(&mut self, facts: Vec<Fact>) {
        self.segment += 1;
        self.now = at(self.segment as i64);
        for fact in facts {
            self.facts.push(fact.clone());
            self.ledger.apply(fact, stamp(self.segment)).unwrap();
        }
    }

    pub fn pace() -> Pace {
        Pace { start_failure: TimeDelta::seconds(60), dwell: TimeDelta::minutes(10) }
    }

    pub fn decide(&self) -> Vec<(SliceId, Decision)> {
        decide(&self.ledger, &self.plans, Self::pace(), self.now)
    }

    pub fn is_finished(&self) -> bool {
        is_finished(&self.ledger, &self.decide(), Self::pace(), self.now)
    }

    /// The decisions about one slice.
    pub fn about(&self, of: u32) -> Vec<Decision> {
        self.decide().into_iter().filter(|(s, _)| *s == slice(of)).map(|(_, d)| d).collect()
    }

    /// Intends what is decided to be submitted, as the engine does; the intents in order.
    pub fn intend(&mut self) -> Vec<Intended> {
        let mut intents = Vec::new();
        for (slice, decision) in self.decide() {
            let Decision::Submit(next) = decision else { continue };
            self.nonce += 1;
            let adopted = &self.plans[&next.plan];
            let job = planned(adopted, &next.plan, &slice, self.ledger.slice(&slice)).unwrap();
            let template = &adopted.plan().job;
            let fallback = template.fallback_queue.as_ref().filter(|_| next.shape.fallback);
            intents.push(Intended {
                name: JobName::new(Uuid::nil(), &slice, next.load, next.shape.r#try, self.nonce),
                load: next.load,
                r#try: next.shape.r#try,
                queue: fallback.unwrap_or(&template.queue).clone(),
                definition: next.definition,
                plan: next.plan,
                memory_mib: next.shape.memory_mib,
                memory_why: next.why.map(|why| why.to_string()),
                queue_why: next.queue_why,
                vcpus: 1,
                timeout_s: next.shape.timeout_s,
                objects: job.objects,
                bytes: job.bytes,
                fingerprint: job.fingerprint,
                slice,
            });
        }
        if !intents.is_empty() {
            self.tell_all(intents.iter().cloned().map(Fact::Intended).collect());
        }
        intents
    }

    /// Appends what is decided and is a fact by itself, as the engine does.
    pub fn settle(&mut self) {
        let mut facts = Vec::new();
        for (slice, decision) in self.decide() {
            facts.extend(match decision {
                Decision::Wait | Decision::Submit(_) => None,
                Decision::Split { plan, why, .. } => Some(self.split(slice, plan, why)),
                Decision::Terminate { job, why, moves_to } => {
                    let (_, t) = self.ledger.job(&job).unwrap();
                    t.ending.is_none().then_some(Fact::Ending { name: job, why, moves_to })
                }
                Decision::GiveUp { class, why } => Some(Fact::GaveUp { slice, class, why }),
                Decision::StopBackfill { why } => {
                    self.ledger.stopped().is_none().then_some(Fact::Stopped { why })
                }
                Decision::AskPerson { why } => Some(Fact::AskedPerson { slice, why }),
                Decision::Doubled { kept } => Some(Fact::Doubled { slice, kept }),
            });
        }
        if !facts.is_empty() {
            self.tell_all(facts);
        }
    }

    /// Cuts a slice in two, as the engine does, unless it is down to one object.
    fn split(&self, slice: SliceId, plan: PlanDigest, why: String) -> Fact {
        let job = planned(&self.plans[&plan], &plan, &slice, self.ledger.slice(&slice)).unwrap();
        if job.objects < 2 {
            return Fact::NotSplit { slice, why: "it has a single object".to_owned() };
        }
        let cut = Cut::Ranges { starts: vec!["m".to_owned()] };
        let part = |part: SliceId| PlannedJob {
            slice: part,
            tries_before: 0,
            objects: job.objects / 2,
            bytes: job.bytes / 2,
            ..job.clone()
        };
        let parts = cut.parts(&slice).into_iter().map(part).collect();
        Fact::Split(Box::new(Split { slice, cut, why, plan, parts }))
    }

    /// Intends, and Batch takes it all; the names.
    pub fn submit(&mut self) -> Vec<JobName> {
        let names: Vec<JobName> = self.intend().into_iter().map(|i| i.name).collect();
        for name in &names {
            self.accept(name);
        }
        names
    }

    /// Submits what is due, which must be one job.
    pub fn submit_one(&mut self) -> Intended {
        let intents = self.intend();
        assert_eq!(intents.len(), 1, "{intents:?}");
        let one = intents.into_iter().next().unwrap();
        self.accept(&one.name);
        one
    }

    pub fn accept(&mut self, name: &JobName) {
        self.tell(Fact::Accepted { name: name.clone(), job_id: format!("id of {name}"), found: false });
    }

    pub fn run(&mut self, name: &JobName) {
        self.tell(Fact::Seen { name: name.clone(), status: LiveStatus::Running, reason: None, reclaims: 0 });
    }

    pub fn succeed(&mut self, name: &JobName) {
        self.tell(ended(name, Outcome::Succeeded, true));
    }

    /// The job fails after it started; a job that failed to start did not.
    pub fn fail(&mut self, name: &JobName, class: FailureClass) {
        self.tell(ended(name, Outcome::Failed(class), class != FailureClass::StartFailed));
    }

    pub fn mark(&mut self, of: u32, mark: Mark) {
        self.tell(Fact::Marked { slice: slice(of), mark, reason: "by hand".to_owned() });
    }

    pub fn cancel(&mut self, of: u32) {
        let cancelled = |slice| Fact::Cancelled { slice, reason: "no longer wanted".to_owned() };
        let parts = self.ledger.parts(&slice(of));
        self.tell_all(parts.into_iter().map(cancelled).collect());
    }
}
