//! The queue and its compute environments.

use super::Check;

const ENABLED: &str = "ENABLED";
const VALID: &str = "VALID";
/// Being changed; it goes on working meanwhile.
const UPDATING: &str = "UPDATING";

/// What hosts a compute environment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentKind {
    /// Instances on demand.
    Ec2,
    /// Instances that may be taken away.
    Spot,
    /// Fargate.
    Fargate,
    /// Fargate that may be taken away.
    FargateSpot,
    /// Instances that somebody else manages, or a kind that this version does not know.
    Other,
}

impl EnvironmentKind {
    /// The kind by the name that the service has for it.
    pub fn of(name: &str) -> Self {
        match name {
            "EC2" => Self::Ec2,
            "SPOT" => Self::Spot,
            "FARGATE" => Self::Fargate,
            "FARGATE_SPOT" => Self::FargateSpot,
            _ => Self::Other,
        }
    }

    /// Its hosts may be taken away.
    pub fn is_spot(self) -> bool {
        matches!(self, Self::Spot | Self::FargateSpot)
    }

    /// It is Fargate.
    pub fn is_fargate(self) -> bool {
        matches!(self, Self::Fargate | Self::FargateSpot)
    }

    fn label(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Spot => "EC2 Spot",
            Self::Fargate => "Fargate",
            Self::FargateSpot => "Fargate Spot",
            Self::Other => "hosts of another kind",
        }
    }
}

/// A compute environment of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// What hosts it has.
    pub kind: EnvironmentKind,
    /// `ENABLED` or `DISABLED`.
    pub state: String,
    /// Such as `VALID`.
    pub status: String,
    /// Why it has this status, where the service says so.
    pub reason: Option<String>,
    /// The most vCPUs in use at once, where it has such a bound.
    pub max_vcpus: Option<u32>,
    /// Such as `optimal` or `m5.large`; none with Fargate.
    pub instance_types: Vec<String>,
}

impl Environment {
    /// It takes jobs.
    pub fn is_usable(&self) -> bool {
        self.state == ENABLED && works(&self.status)
    }
}

fn works(status: &str) -> bool {
    [VALID, UPDATING].contains(&status)
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

/// Whether a queue takes jobs and runs them. `id` is `queue` or `fallback_queue`, as the YAML names it.
pub fn queue(id: &'static str, name: &str, state: &str, status: &str, reason: Option<&str>) -> Check {
    if state != ENABLED {
        let remedy = format!("enable the queue, or name another one as job.{id}");
        return Check::failed(id, format!("{name} is {state}, so it takes no jobs"), remedy);
    }
    match status {
        VALID => Check::ok(id, format!("{name} is {VALID} and {ENABLED}")),
        UPDATING => Check::warning(
            id,
            format!("{name} is {ENABLED} and just being changed"),
            "ask again in a minute, when it is VALID",
        ),
        _ => Check::failed(
            id,
            format!("{name} is {status}, not {VALID}{}", because(reason)),
            format!("repair the queue, or name another one as job.{id}"),
        ),
    }
}

/// Whether the environments of a queue take jobs: one check each. That one of several does not is a warning, since
/// jobs still have somewhere to run.
pub fn environments(all: &[Environment]) -> Vec<Check> {
    const ID: &str = "compute_environment";
    if all.is_empty() {
        let remedy = "connect a compute environment to the queue";
        return vec![Check::failed(ID, "the queue has no compute environment that is there", remedy)];
    }
    let somewhere = all.iter().any(Environment::is_usable);
    let check = |e: &Environment| {
        if e.is_usable() {
            let most = e.max_vcpus.map(|n| format!(", at most {n} vCPUs")).unwrap_or_default();
            let types = if e.instance_types.is_empty() {
                String::new()
            } else {
                format!(" ({})", e.instance_types.join(", "))
            };
            let (name, label) = (&e.name, e.kind.label());
            return Check::ok(ID, format!("{name} is {} and {}: {label}{types}{most}", e.status, e.state));
        }
        let detail = format!("{} is {} and {}{}", e.name, e.status, e.state, because(e.reason.as_deref()));
        let remedy = if e.state == ENABLED {
            "repair the compute environment: jobs wait there for ever"
        } else {
            "enable the compute environment"
        };
        let of = if somewhere { Check::warning } else { Check::failed };
        of(ID, detail, remedy)
    };
    all.iter().map(check).collect()
}

/// A share identifier where the queue forbids it, or none where it asks for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareMismatch {
    /// The queue has a scheduling policy, and Batch refuses jobs without a share identifier there.
    #[error("has a scheduling policy, and the YAML has no job.share_identifier")]
    Missing,
    /// The queue has no scheduling policy, and Batch refuses jobs with a share identifier there.
    #[error("has no scheduling policy, and the YAML has a job.share_identifier")]
    Forbidden,
}

impl ShareMismatch {
    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Missing => {
                "write the share that these jobs belong to, such as job.share_identifier: backfill"
            }
            Self::Forbidden => "leave job.share_identifier out, or name a queue with a scheduling policy",
        }
    }
}

/// Whether the share identifier is what the queue wants: Batch refuses every job where it is not.
pub fn share(scheduling_policy: bool, share: Option<&str>) -> Result<(), ShareMismatch> {
    match (scheduling_policy, share) {
        (true, None) => Err(ShareMismatch::Missing),
        (false, Some(_)) => Err(ShareMismatch::Forbidden),
        (true, Some(_)) | (false, None) => Ok(()),
    }
}
