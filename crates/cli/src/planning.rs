//! From a YAML file to a plan: what `plan` and `run` share.

use chrono::{DateTime, SubsecRound, Utc};
use dayfill_aws::{JobDefinitions, Queues};
use dayfill_core::doctor;
use dayfill_core::fact::{Cloud, Identity};
use dayfill_core::job::{JobName, Shape, Submission};
use dayfill_core::memory::Platform;
use dayfill_core::plan::{Inputs, Only, PinnedDefinition, Plan, make};
use dayfill_core::spec::{Definition, Spec};
use dayfill_core::units::show_mib;
use dayfill_engine::book::Book;
use dayfill_engine::divide::{Division, divide};
use dayfill_engine::enumerate::enumerate;
use dayfill_engine::event::Reporter;
use dayfill_engine::ports::ErrorKind;
use dayfill_engine::submit::check_identity;

use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::site::Site;
use crate::spec_file;

/// `containerOverrides` over 8,192 characters fail a job after Batch has accepted it; a plan stays a kilobyte under. What
/// else is in a request are names of bounded length, so none comes near the 30 KiB that Batch takes.
const MOST_OVERRIDES: usize = 8192 - 1024;

/// Lists the source, reads the journal and makes the plan. Writes nothing.
pub async fn plan(
    backfill: &Backfill,
    site: &Site,
    book: &Book,
    only: Only,
    now: DateTime<Utc>,
    reporter: &dyn Reporter,
) -> Result<Plan, Failure> {
    let spec = &backfill.spec;
    let identity = identity(spec, site.cloud.clone());
    check_identity(book.ledger(), &identity)?;
    check_share(spec, site).await?;
    let definition = pin(backfill, site).await?;
    if definition.fargate {
        check_fargate(spec)?;
    }
    let source = site.source(&backfill.bucket);
    let now = now.trunc_subsecs(0);
    let ledger = book.ledger();
    let mut measured = enumerate(spec, &backfill.root, &ledger.cuts(), &source, reporter, now).await?;
    let mut division = Division::default();
    loop {
        let plan = make(&Inputs {
            spec,
            identity: identity.clone(),
            place: backfill.place.clone(),
            bucket: backfill.bucket.clone(),
            root: backfill.root.clone(),
            definition: definition.clone(),
            ledger,
            measured: &measured,
            cuts: &division.cuts,
            unsplit: &division.unsplit,
            only: only.clone(),
            now,
        });
        if !divide(&plan, ledger, &source, &mut measured, &mut division).await? {
            check_overrides(&plan)?;
            return Ok(plan);
        }
    }
}

/// What can never change about a backfill, as its YAML says it.
pub fn identity(spec: &Spec, cloud: Cloud) -> Identity {
    Identity {
        source: spec.source().uri().to_string(),
        layout: spec.source().layout().template().to_owned(),
        key_zone: spec.source().zone().name().to_owned(),
        window_zone: spec.window().zone().name().to_owned(),
        dimensions: spec.source().layout().dimensions().to_vec(),
        cloud,
    }
}

/// Batch refuses every job of a backfill whose share identifier is not what its queues want.
async fn check_share(spec: &Spec, site: &Site) -> Result<(), Failure> {
    let job = spec.job();
    let mut queues = vec![(job.queue(), site.scheduling_policy)];
    if let Some(fallback) = job.fallback_queue() {
        queues.push((fallback, Queues::new(&site.connection).check(fallback).await?.scheduling_policy));
    }
    for (queue, policy) in queues {
        doctor::share(policy, job.share_identifier()).map_err(|mismatch| {
            let what = format!("the job queue {queue} {mismatch}");
            Failure::new(Exit::Usage, what).hint(mismatch.remedy())
        })?;
    }
    Ok(())
}

/// Looks the job definition up. A file that differs from what is registered is kept in the plan, and registered when
/// the plan is submitted.
async fn pin(backfill: &Backfill, site: &Site) -> Result<PinnedDefinition, Failure> {
    let definitions = JobDefinitions::new(&site.connection);
    match backfill.spec.job().definition() {
        Definition::Named(name) => {
            let registered = definitions.named(name).await?;
            let fargate = is_fargate(&registered.content);
            Ok(PinnedDefinition { revision: Some(registered.id()), fargate, content: None })
        }
        Definition::File(path) => {
            let content = spec_file::load_definition(&backfill.folder.join(path))?;
            let active = definitions.active(definition_name(&content)).await?;
            let same =
                active.filter(|a| dayfill_aws::job_definitions::differs(&content, &a.content).is_empty());
            let (revision, fargate) = (same.map(|a| a.id()), is_fargate(&content));
            Ok(PinnedDefinition { revision, fargate, content: Some(content) })
        }
    }
}

/// Whether the jobs of a definition run on Fargate.
fn is_fargate(content: &serde_json::Value) -> bool {
    content.pointer("/platformCapabilities/0").and_then(serde_json::Value::as_str) == Some("FARGATE")
}

/// The name that a job definition file gives itself.
pub fn definition_name(content: &serde_json::Value) -> &str {
    content.get("jobDefinitionName").and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// The `name:revision` that the plan's jobs run; registers the plan's definition where it is not registered (any more).
/// A revision that the YAML names may have been deregistered since: then nothing is begun.
pub async fn resolve_definition(plan: &Plan, site: &Site) -> Result<String, Failure> {
    let definitions = JobDefinitions::new(&site.connection);
    let pinned = &plan.job.definition;
    if let Some(revision) = &pinned.revision {
        match (definitions.named(revision).await, &pinned.content) {
            (Ok(registered), _) => return Ok(registered.id()),
            (Err(error), Some(_)) if error.kind == ErrorKind::NotFound => {}
            (Err(error), _) => return Err(error.into()),
        }
    }
    let Some(content) = &pinned.content else {
        return Err(Failure::new(Exit::Usage, "the plan names no job definition"));
    };
    let active = definitions.active(definition_name(content)).await?;
    // Somebody may have registered it since, for instance the same submit before it was interrupted.
    match active.filter(|a| dayfill_aws::job_definitions::differs(content, &a.content).is_empty()) {
        Some(same) => Ok(same.id()),
        None => Ok(definitions.register(content).await?),
    }
}

/// Fargate sells only some amounts of memory with so many vCPUs, and what it does not sell would wait for ever.
fn check_fargate(spec: &Spec) -> Result<(), Failure> {
    let (vcpus, memory) = (spec.job().vcpus(), spec.job().memory());
    let Some((least, most)) = Platform::fargate(vcpus).range() else {
        let what = format!("job.vcpus: Fargate has no tasks of {vcpus} vCPUs");
        return Err(Failure::new(Exit::Usage, what).hint("write job.vcpus: 1, 2, 4, 8 or 16"));
    };
    let (field, mib) = match memory {
        _ if memory.max_mib < least => ("max", memory.max_mib),
        _ if memory.start_mib > most => ("start", memory.start_mib),
        _ => return Ok(()),
    };
    let mib = show_mib(mib);
    let what = format!("job.memory.{field}: Fargate has no task of {mib} with job.vcpus: {vcpus}");
    let hint = format!("write from {} to {}, or other vCPUs", show_mib(least), show_mib(most));
    Err(Failure::new(Exit::Usage, what).hint(hint))
}

fn check_overrides(plan: &Plan) -> Result<(), Failure> {
    for job in &plan.jobs {
        // The longest numbers that a later try can have.
        let shape = Shape {
            r#try: 10_000,
            memory_mib: plan.job.memory.max_mib,
            timeout_s: plan.job.timeout_s,
            fallback: false,
        };
        let name = JobName::longest();
        let length = Submission::of(plan, job, shape, name, String::new()).override_length();
        if length > MOST_OVERRIDES {
            let what = format!(
                "{}: the command and environment have about {length} characters, and AWS Batch fails jobs with more \
                 than 8,192 after accepting them",
                job.slice
            );
            let hint = "move what is the same for all days into the job definition";
            return Err(Failure::new(Exit::Usage, what).hint(hint));
        }
    }
    Ok(())
}
