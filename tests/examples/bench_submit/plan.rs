//! A plan of many days, a job each.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta};
use dayfill_core::fact::{Cloud, Identity};
use dayfill_core::job::{JobName, Shape, Submission};
use dayfill_core::measure::{Measure, Object};
use dayfill_core::partition::{PartitionId, SliceId};
use dayfill_core::plan::{
    History, JobTemplate, Only, PassedOver, PinnedDefinition, Place, Plan, PlannedJob, PlannedSource, RunsOn,
    SCHEMA_VERSION,
};
use dayfill_core::spec::{Idempotent, Limits, MemoryBounds, MemorySigns, Reads, RetryPolicy, Success};
use uuid::Uuid;

/// What the jobs run.
pub const DEFINITION: &str = "load:1";

/// A plan of so many days, all of which may be in flight at once.
pub fn of(days: u32) -> Plan {
    let first = NaiveDate::default();
    let mut measure = Measure::default();
    measure.add(&Object { key: "day", size: 1000, etag: "e", modified: DateTime::UNIX_EPOCH }, None);
    let job = |n: u32| PlannedJob {
        slice: SliceId::whole(PartitionId::new(vec!["condor".to_owned()], first + TimeDelta::days(n.into()))),
        load: 1,
        tries_before: 0,
        memory_mib: 128,
        prefix: "condor/".to_owned(),
        objects: 1,
        bytes: 1000,
        fingerprint: measure.fingerprint,
    };
    Plan {
        schema_version: SCHEMA_VERSION,
        backfill: "bench".to_owned(),
        uuid: None,
        made_at: DateTime::UNIX_EPOCH,
        identity: Identity {
            source: "s3://example-logs/".to_owned(),
            layout: "{service}/{year}/{month}/{day}/".to_owned(),
            key_zone: "UTC".to_owned(),
            window_zone: "UTC".to_owned(),
            dimensions: vec!["service".to_owned()],
            cloud: Cloud::Aws { account: "123456789012".to_owned(), region: "us-east-1".to_owned() },
        },
        from: first,
        to: first + TimeDelta::days(days.into()),
        only: Only::default(),
        place: Place {
            state: "s3://example-state/bench".to_owned(),
            runs_on: RunsOn::Aws { region: None, profile: None, endpoint_url: None },
        },
        source: PlannedSource {
            bucket: "example-logs".to_owned(),
            dimensions: vec!["service".to_owned()],
            root: String::new(),
            include: None,
            exclude: None,
        },
        job: JobTemplate {
            definition: PinnedDefinition {
                revision: Some(DEFINITION.to_owned()),
                content: None,
                fargate: false,
            },
            queue: "spot".to_owned(),
            fallback_queue: None,
            share_identifier: None,
            vcpus: 1,
            memory: MemoryBounds { start_mib: 128, max_mib: 512 },
            timeout_s: Some(3600),
            idempotent: Idempotent::Partition,
            reads: Reads::Prefix,
            success: Success::Exit,
            command: Vec::new(),
            environment: BTreeMap::new(),
            out_of_memory: MemorySigns::default(),
        },
        retry: RetryPolicy::default(),
        limits: Limits { in_flight: days, ..Limits::default() },
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
        jobs: (0..days).map(job).collect(),
    }
}

/// The same jobs for clients that have no journal.
pub fn submissions(days: u32) -> Vec<Submission> {
    let plan = of(days);
    let submission = |job: &PlannedJob| {
        let shape =
            Shape { r#try: 1, memory_mib: job.memory_mib, timeout_s: plan.job.timeout_s, fallback: false };
        let name = JobName::new(Uuid::nil(), &job.slice, job.load, 1, 0);
        Submission::of(&plan, job, shape, name, DEFINITION.to_owned())
    };
    plan.jobs.iter().map(submission).collect()
}
