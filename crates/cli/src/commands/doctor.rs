//! `dayfill doctor`
//!
//! It looks at everything that a backfill rests on before money is spent. It submits and registers nothing; all that
//! it writes is one small object beside the journal, to see whether the store keeps its word.

mod queue;
mod source;
mod state;

use chrono::{TimeDelta, Utc};
use dayfill_aws::{Connection, QueueInfo};
use dayfill_core::doctor::{self, Check};
use dayfill_core::fact::Cloud;
use dayfill_core::plan::RunsOn;
use dayfill_core::spec::{Spec, State};
use dayfill_engine::ports::{ErrorKind, PortError};
use serde_json::Value;

use self::queue::Queue;
use crate::args::{Format, SpecArgs};
use crate::error::{Exit, Failure};
use crate::place::Backfill;
use crate::render;
use crate::site::{self, Jobs};

/// Where nothing better is known to say.
const READ_ABOVE: &str = "see what was answered, and run the doctor again";

/// How far another clock is ahead of this machine's, and whose it is.
struct Clock {
    whose: String,
    ahead: TimeDelta,
}

/// Looks at everything and prints what was found, a line each.
pub async fn run(args: &SpecArgs, format: Format) -> Result<Exit, Failure> {
    let backfill = Backfill::load(args)?;
    let checks = match site::reach(&backfill.place.runs_on, Jobs::Hold).await {
        Ok((connection, engine, _)) => {
            let checks = reached(&backfill, &connection).await;
            if let Some(engine) = engine {
                engine.shutdown().await;
            }
            checks
        }
        Err(failure) => not_reached(&backfill, failure).await,
    };
    render::doctor(backfill.spec.name(), &checks, format)?;
    Ok(if doctor::passed(&checks) { Exit::Ok } else { Exit::Error })
}

/// All that can be said where there is not even a Region, or no local engine.
async fn not_reached(backfill: &Backfill, failure: Failure) -> Vec<Check> {
    let id = match backfill.place.runs_on {
        RunsOn::Aws { .. } => "region",
        RunsOn::Local { .. } => "local_engine",
    };
    let mut checks = vec![failed(id, failure)];
    checks.extend(skipped(&["credentials"], id));
    checks.extend(unreachable(backfill, id).await);
    checks
}

async fn reached(backfill: &Backfill, connection: &Connection) -> Vec<Check> {
    let mut checks = vec![region(backfill, connection)];
    let key = match dayfill_aws::doctor::credentials(connection).await {
        Ok(key) => key,
        Err(error) => {
            checks.push(failed_port("credentials", error));
            checks.extend(unreachable(backfill, "credentials").await);
            return checks;
        }
    };
    let (queue, source, definition, service_clock) = tokio::join!(
        queue::look(backfill, connection),
        source::look(backfill, connection),
        queue::definition(backfill, connection),
        service_clock(connection, &backfill.bucket),
    );
    // Whether a service takes the credentials is not known before one is asked.
    checks.push(match &queue {
        Err(error) if error.kind == ErrorKind::Credentials => {
            checks.push(failed_port("credentials", error.clone()));
            checks.extend(unreachable(backfill, "credentials").await);
            return checks;
        }
        Err(error) if error.kind == ErrorKind::Unreachable => {
            Check::ok("credentials", format!("{key} was found, but nobody is there to take it"))
        }
        _ => Check::ok("credentials", format!("{key} was found, and AWS Batch takes it")),
    });
    let cloud = cloud(backfill, queue.as_ref().ok().and_then(|queue| queue.info.as_ref()));
    let silent = service_clock.is_none() && !doctor::passed(&source);
    checks.extend(source);
    checks.extend(jobs(backfill, queue, definition));
    let mut store_clock = None;
    if silent && is_on_s3(backfill) {
        checks.extend(skipped(&["state", "journal"], "source"));
    } else {
        let state;
        (state, store_clock) = state::look(backfill, Some(connection), cloud).await;
        checks.extend(state);
    }
    checks.push(clock([service_clock, store_clock].into_iter().flatten(), "source"));
    checks
}

fn is_on_s3(backfill: &Backfill) -> bool {
    matches!(backfill.spec.state(), State::S3 { .. })
}

/// What is left where no service can be asked for anything: the state, if it is a folder.
async fn unreachable(backfill: &Backfill, because: &str) -> Vec<Check> {
    let mut checks = skipped(&["source", "layout"], because);
    checks.extend(skipped(&queue::ALL, because));
    checks.push(Check::skipped("definition", because));
    checks.extend(skipped(&["platform", "vcpus", "memory", "retry", "timeout"], because));
    if is_on_s3(backfill) {
        checks.extend(skipped(&["state", "journal", "clock"], because));
    } else {
        let (state, store_clock) = state::look(backfill, None, cloud(backfill, None)).await;
        checks.extend(state);
        checks.push(clock(store_clock, because));
    }
    checks
}

fn region(backfill: &Backfill, connection: &Connection) -> Check {
    let url = connection.batch_url();
    match (&backfill.place.runs_on, url) {
        (RunsOn::Local { .. }, url) => {
            Check::ok("local_engine", format!("it answers at {}", url.unwrap_or_default()))
        }
        (RunsOn::Aws { .. }, None) => Check::ok("region", connection.region()),
        (RunsOn::Aws { .. }, Some(url)) => {
            Check::ok("region", format!("{}, at {url} instead of AWS", connection.region()))
        }
    }
}

/// Where the jobs run, as far as it is known.
fn cloud(backfill: &Backfill, queue: Option<&QueueInfo>) -> Option<Cloud> {
    let runs_on = &backfill.place.runs_on;
    match (runs_on, queue) {
        (RunsOn::Local { folder, .. }, _) => Some(Cloud::Local { folder: folder.clone() }),
        (RunsOn::Aws { .. }, queue) => queue.map(|queue| site::cloud(runs_on, queue)),
    }
}

/// The queue, the definition, and whether they go together.
fn jobs(
    backfill: &Backfill,
    queue: Result<Queue, PortError>,
    definition: Result<(Check, Value), Check>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    // What the hosts of the queue are, or the check because of which nobody knows.
    let mut silent = false;
    let hosts = match queue {
        Ok(queue) => {
            let hosts = queue.hosts();
            checks.extend(queue.checks(backfill));
            hosts
        }
        Err(error) => {
            silent = error.kind == ErrorKind::Unreachable;
            checks.push(failed_port("queue", error));
            checks.extend(skipped(&queue::ALL[1..], "queue"));
            Err("queue")
        }
    };
    let content = match definition {
        Ok((check, content)) => {
            checks.push(check);
            Some(content)
        }
        Err(check) => {
            // The same service would say the same again.
            checks.push(if silent { Check::skipped("definition", "queue") } else { check });
            None
        }
    };
    let (spec, job) = (&backfill.spec, backfill.spec.job());
    match (&hosts, &content) {
        (Err(because), _) => checks.extend(skipped(&["platform", "vcpus", "memory", "retry"], because)),
        (Ok(hosts), content) => {
            checks.push(match content {
                Some(content) => doctor::platform(&capabilities(content), hosts),
                None => Check::skipped("platform", "definition"),
            });
            checks.push(doctor::vcpus(job.vcpus(), hosts));
            checks.push(doctor::memory(job.vcpus(), job.memory(), hosts, machine_mib(backfill)));
            checks.push(doctor::retry(spec.retry(), job.idempotent(), hosts));
        }
    }
    checks.push(timeout(spec, content.as_ref()));
    checks
}

fn capabilities(definition: &Value) -> Vec<String> {
    let all = definition.get("platformCapabilities").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

fn timeout(spec: &Spec, definition: Option<&Value>) -> Check {
    let own = spec.job().timeout();
    if own.is_none() && definition.is_none() {
        return Check::skipped("timeout", "definition");
    }
    let seconds =
        definition.and_then(|d| d.pointer("/timeout/attemptDurationSeconds")).and_then(Value::as_u64);
    doctor::timeout(own, seconds)
}

/// The memory that jobs may use at once, where they run on this machine.
fn machine_mib(backfill: &Backfill) -> Option<u64> {
    match &backfill.place.runs_on {
        RunsOn::Aws { .. } => None,
        RunsOn::Local { memory_mib, .. } => Some(memory_mib.unwrap_or_else(site::machine_mib)),
    }
}

async fn service_clock(connection: &Connection, bucket: &str) -> Option<Clock> {
    let shown = dayfill_aws::doctor::service_time(connection, bucket).await?;
    // Its clock shows whole seconds; on average half a second more had passed.
    let ahead = shown + TimeDelta::milliseconds(500) - Utc::now();
    Some(Clock { whose: "S3".to_owned(), ahead })
}

/// The clock that is the farthest off decides.
fn clock(clocks: impl IntoIterator<Item = Clock>, because: &str) -> Check {
    match clocks.into_iter().max_by_key(|clock| clock.ahead.abs()) {
        Some(clock) => doctor::clock(&clock.whose, clock.ahead),
        None => Check::skipped("clock", because),
    }
}

fn skipped(ids: &[&'static str], because: &str) -> Vec<Check> {
    ids.iter().map(|id| Check::skipped(id, because)).collect()
}

fn failed_port(id: &'static str, error: PortError) -> Check {
    Check::failed(id, error.what, error.hint.unwrap_or_else(|| READ_ABOVE.to_owned()))
}

fn failed(id: &'static str, failure: Failure) -> Check {
    let mut detail = failure.what;
    if !failure.details.is_empty() {
        detail = format!("{detail}: {}", failure.details.join("; "));
    }
    Check::failed(id, detail, failure.hint.unwrap_or_else(|| READ_ABOVE.to_owned()))
}
