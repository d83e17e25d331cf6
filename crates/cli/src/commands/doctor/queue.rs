//! The job queue, its hosts, and the job definition.

use dayfill_aws::job_definitions::differs;
use dayfill_aws::{Connection, JobDefinitions, QueueInfo, Queues};
use dayfill_core::doctor::{self, Check, Environment};
use dayfill_core::plan::RunsOn;
use dayfill_core::spec::Definition;
use dayfill_engine::ports::PortError;
use serde_json::Value;

use super::failed_port;
use crate::place::Backfill;
use crate::planning::definition_name;
use crate::spec_file;

/// The checks of a queue.
pub const ALL: [&str; 3] = ["queue", "compute_environment", "share_identifier"];
/// The compute environment that the local engine gives to queues that it makes.
const LOCAL_ENVIRONMENT: &str = "local";
/// How many members of a definition a line names.
const NAMED: usize = 4;

/// A queue and its hosts.
pub struct Queue {
    /// The queue; none where the local engine makes it when it is first used.
    pub info: Option<QueueInfo>,
    /// The fallback queue, where the YAML names one.
    fallback: Option<Result<Option<QueueInfo>, PortError>>,
    environments: Result<Vec<Environment>, PortError>,
}

/// Describes the queue and its compute environments.
pub async fn look(backfill: &Backfill, connection: &Connection) -> Result<Queue, PortError> {
    let queues = Queues::new(connection);
    let name = backfill.spec.job().queue();
    let find = async |name: &str| match backfill.place.runs_on {
        RunsOn::Aws { .. } => queues.check(name).await.map(Some),
        RunsOn::Local { .. } => queues.find(name).await,
    };
    let info = find(name).await?;
    let fallback = match backfill.spec.job().fallback_queue() {
        Some(fallback) => Some(find(fallback).await),
        None => None,
    };
    let own = || vec![LOCAL_ENVIRONMENT.to_owned()];
    let names = info.as_ref().map_or_else(own, |info| info.environments.clone());
    let environments = queues.environments(&names).await;
    Ok(Queue { info, fallback, environments })
}

impl Queue {
    /// The environments that take jobs, or else the check because of which there is nothing to compare with.
    pub fn hosts(&self) -> Result<Vec<Environment>, &'static str> {
        let all = self.environments.iter().flatten();
        let usable: Vec<_> = all.filter(|e| e.is_usable()).cloned().collect();
        if usable.is_empty() { Err("compute_environment") } else { Ok(usable) }
    }

    /// What can be said of it.
    pub fn checks(&self, backfill: &Backfill) -> Vec<Check> {
        let name = backfill.spec.job().queue();
        let mut checks = vec![is_usable("queue", name, self.info.as_ref())];
        let fallback = backfill.spec.job().fallback_queue().zip(self.fallback.as_ref());
        checks.extend(fallback.map(|(name, found)| match found {
            Ok(info) => is_usable("fallback_queue", name, info.as_ref()),
            Err(error) => failed_port("fallback_queue", error.clone()),
        }));
        match &self.environments {
            Ok(environments) => checks.extend(doctor::environments(environments)),
            // A backfill itself never asks for them.
            Err(error) => checks.push(Check::warning(
                "compute_environment",
                &error.what,
                error
                    .hint
                    .as_deref()
                    .unwrap_or("jobs may run all the same; what hosts there are is not known"),
            )),
        }
        let share = backfill.spec.job().share_identifier();
        checks.push(share_of(name, self.info.as_ref(), share));
        if let Some((name, Ok(Some(info)))) = fallback {
            checks.push(share_of(name, Some(info), share));
        }
        checks
    }
}

fn is_usable(id: &'static str, name: &str, info: Option<&QueueInfo>) -> Check {
    match info {
        Some(info) => doctor::queue(id, name, &info.state, &info.status, info.reason.as_deref()),
        None => Check::ok(id, format!("the local engine makes {name} when it is first used")),
    }
}

fn share_of(name: &str, info: Option<&QueueInfo>, share: Option<&str>) -> Check {
    const ID: &str = "share_identifier";
    match (doctor::share(info.is_some_and(|info| info.scheduling_policy), share), share) {
        (Ok(()), Some(share)) => Check::ok(ID, format!("{share}, and {name} has a scheduling policy")),
        (Ok(()), None) => Check::ok(ID, format!("none, and {name} has no scheduling policy")),
        (Err(mismatch), _) => Check::failed(ID, format!("{name} {mismatch}"), mismatch.remedy()),
    }
}

/// The definition that jobs would run, and what it says. Nothing is registered.
pub async fn definition(backfill: &Backfill, connection: &Connection) -> Result<(Check, Value), Check> {
    const ID: &str = "definition";
    let definitions = JobDefinitions::new(connection);
    match backfill.spec.job().definition() {
        Definition::Named(name) => {
            let found = definitions.named(name).await.map_err(|e| failed_port(ID, e))?;
            Ok((Check::ok(ID, format!("{} is active", found.id())), found.content))
        }
        Definition::File(path) => {
            let content = spec_file::load_definition(&backfill.folder.join(path)).map_err(|error| {
                let (what, help) = error.brief();
                Check::failed(ID, what, help)
            })?;
            let name = definition_name(&content);
            let active = definitions.active(name).await.map_err(|e| failed_port(ID, e))?;
            let detail = match active {
                None => format!("{path} is not registered yet: submit would register it as {name}"),
                Some(active) => {
                    let members: Vec<_> =
                        differs(&content, &active.content).into_iter().map(|d| d.path).collect();
                    differences(path, &active.id(), &members)
                }
            };
            Ok((Check::ok(ID, detail), content))
        }
    }
}

fn differences(path: &str, active: &str, members: &[String]) -> String {
    if members.is_empty() {
        return format!("{path} is registered as {active}");
    }
    let named = members.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match members.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{path} differs from {active} in {named}{more}: submit would register a new revision")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_as_far_as_a_line_goes() {
        let members: Vec<String> = ["a.b", "c", "d", "e", "f"].map(ToOwned::to_owned).to_vec();
        assert_eq!(differences("job.yaml", "load:3", &[]), "job.yaml is registered as load:3");
        assert_eq!(
            differences("job.yaml", "load:3", &members[..1]),
            "job.yaml differs from load:3 in a.b: submit would register a new revision"
        );
        assert!(differences("job.yaml", "load:3", &members).contains("in a.b, c, d, e and 1 more:"));
    }
}
