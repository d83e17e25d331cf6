//! What one would write in an afternoon: all days in order, and twice the memory for whatever was killed for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use dayfill_aws::{BatchQueue, JobDefinitions, LocalEndpoint, Settings, connect, local_bounds};
use dayfill_core::failure::{FailureClass, classify};
use dayfill_core::job::{JobName, Shape, Submission};
use dayfill_core::plan::{Plan, PlannedJob};
use dayfill_engine::adapters::SystemClock;
use dayfill_engine::ports::{Queue, SeenState, SendBy, Sent};
use dayfill_tests::Server;
use uuid::Uuid;

use crate::Outcome;
use crate::lakes::{IN_FLIGHT, MAX_MIB, START_MIB};

const PAUSE: Duration = Duration::from_millis(100);

/// A day, and what it asks for.
#[derive(Clone, Copy)]
struct Try<'a> {
    job: &'a PlannedJob,
    number: u32,
    memory_mib: u64,
}

/// Sees all days of the plan through on this engine; returns how many are done. The others are given up.
pub async fn run(server: &Server, plan: &Plan) -> Outcome<u64> {
    let of = |name: &str| server.exports[name].clone();
    let local = LocalEndpoint {
        url: server.url().to_owned(),
        region: of("AWS_REGION"),
        access_key_id: of("AWS_ACCESS_KEY_ID"),
        secret_access_key: of("AWS_SECRET_ACCESS_KEY"),
    };
    let connection = connect(Settings { local: Some(local), ..Settings::default() }).await?;
    let content = plan.job.definition.content.as_ref().ok_or("the plan has no definition")?;
    let definition = JobDefinitions::new(&connection).register(content).await?;
    let queue = BatchQueue::new(&connection, local_bounds(Utc::now(), Duration::from_mins(15)));

    let mut days: Vec<&PlannedJob> = plan.jobs.iter().collect();
    days.sort_by(|a, b| a.slice.cmp(&b.slice));
    let mut waiting: VecDeque<Try<'_>> =
        days.into_iter().map(|job| Try { job, number: 1, memory_mib: START_MIB }).collect();
    let mut running = HashMap::new();
    let mut done = 0;
    while !waiting.is_empty() || !running.is_empty() {
        while running.len() < IN_FLIGHT as usize
            && let Some(next) = waiting.pop_front()
        {
            running.insert(submit(&queue, plan, next, &definition).await?, next);
        }
        tokio::time::sleep(PAUSE).await;
        let ids: Vec<String> = running.keys().cloned().collect();
        for seen in queue.describe(&ids).await? {
            let end = match seen.state {
                SeenState::Live { .. } => continue,
                SeenState::Succeeded(_) => None,
                SeenState::Failed(end) => Some(end),
            };
            let Some(tried) = running.remove(&seen.job_id) else { continue };
            match end.map(|end| classify(&end)) {
                None => done += 1,
                Some(FailureClass::OutOfMemory) if tried.memory_mib < MAX_MIB => {
                    let memory_mib = (tried.memory_mib * 2).min(MAX_MIB);
                    waiting.push_front(Try { number: tried.number + 1, memory_mib, ..tried });
                }
                Some(FailureClass::OutOfMemory) => {}
                Some(class) => return Err(format!("{}: {class}", tried.job.slice).into()),
            }
        }
    }
    Ok(done)
}

async fn submit(queue: &BatchQueue, plan: &Plan, next: Try<'_>, definition: &str) -> Outcome<String> {
    let Try { job, number, memory_mib } = next;
    let shape = Shape { r#try: number, memory_mib, timeout_s: plan.job.timeout_s, fallback: false };
    let name = JobName::new(Uuid::nil(), &job.slice, job.load, number, 0);
    let submission = Submission::of(plan, job, shape, name, definition.to_owned());
    let send_by = SendBy::starting_now(Arc::new(SystemClock::new()), Duration::from_mins(1));
    match queue.submit(&submission, &send_by).await {
        Sent::Accepted { job_id } => Ok(job_id),
        other => Err(format!("{}: {other:?}", job.slice).into()),
    }
}
