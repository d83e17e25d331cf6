//! Whether a job of this size can be placed.

use super::hosts::most_mib;
use super::{Check, Environment};
use crate::memory::{after_oom, fargate_pairs};
use crate::spec::MemoryBounds;
use crate::units::show_mib;

/// Whether the vCPUs of one job are within `maxvCpus` of the environments.
pub fn vcpus(vcpus: u32, environments: &[Environment]) -> Check {
    const ID: &str = "vcpus";
    let fits = |e: &&Environment| e.max_vcpus.is_none_or(|most| vcpus <= most);
    let too_small: Vec<String> = environments
        .iter()
        .filter(|e| !fits(e))
        .map(|e| format!("{} (maxvCpus {})", e.name, e.max_vcpus.unwrap_or_default()))
        .collect();
    let fargate = environments.iter().any(|e| e.kind.is_fargate());
    if fargate && fargate_pairs(vcpus.saturating_mul(1000)).is_none() {
        return Check::failed(
            ID,
            format!("Fargate has no tasks of {vcpus} vCPUs"),
            "write job.vcpus: 1, 2, 4, 8 or 16",
        );
    }
    if too_small.is_empty() {
        return Check::ok(ID, format!("{} within maxvCpus", units(vcpus)));
    }
    let detail = format!("a job of {} does not fit {}", units(vcpus), too_small.join(", "));
    let remedy = "lower job.vcpus, or raise maxvCpus of the compute environment";
    if too_small.len() == environments.len() {
        Check::failed(ID, format!("{detail}: it would wait for ever"), remedy)
    } else {
        Check::warning(ID, detail, remedy)
    }
}

fn units(vcpus: u32) -> String {
    if vcpus == 1 { "1 vCPU".to_owned() } else { format!("{vcpus} vCPUs") }
}

/// Whether every amount of memory that a job may come to ask for can be had. `machine_mib` is what jobs may use at
/// once where they run on this machine.
pub fn memory(
    vcpus: u32,
    bounds: MemoryBounds,
    environments: &[Environment],
    machine_mib: Option<u64>,
) -> Check {
    const ID: &str = "memory";
    let range = format!("{} to {}", show_mib(bounds.start_mib), show_mib(bounds.max_mib));
    if let Some(most) = machine_mib {
        let remedy = "lower job.memory, or raise local.memory";
        return match requests(bounds).into_iter().find(|mib| *mib > most) {
            Some(mib) => {
                let (mib, most) = (show_mib(mib), show_mib(most));
                let detail =
                    format!("a job of {mib} would wait for ever: jobs may use {most} of this machine");
                Check::failed(ID, detail, remedy)
            }
            None => Check::ok(ID, format!("{range}, within the {} that jobs may use", show_mib(most))),
        };
    }
    if environments.iter().any(|e| e.kind.is_fargate()) {
        return fargate(ID, vcpus, bounds, &range);
    }
    let mut types: Vec<&str> =
        environments.iter().flat_map(|e| &e.instance_types).map(String::as_str).collect();
    types.sort_unstable();
    types.dedup();
    let of = if types.is_empty() { "the hosts".to_owned() } else { types.join(", ") };
    let all_named = environments.iter().all(|e| !e.instance_types.is_empty());
    let known: Option<Vec<u64>> = types.iter().map(|name| most_mib(name).filter(|_| all_named)).collect();
    if let Some(most) = known.and_then(|known| known.into_iter().max()).filter(|most| *most < bounds.max_mib)
    {
        let (wanted, most) = (show_mib(bounds.max_mib), show_mib(most));
        let detail = format!("a job may come to ask for {wanted}, and no host of {of} has more than {most}");
        return Check::failed(ID, detail, "lower job.memory.max, or add larger instance types");
    }
    let detail = format!("{range}: how much memory one host of {of} has cannot be told from here");
    let most = show_mib(bounds.max_mib);
    let remedy = format!(
        "make sure that one host has more than {most} (some is the system's): a larger job waits for ever"
    );
    Check::warning(ID, detail, remedy)
}

fn fargate(id: &'static str, vcpus: u32, bounds: MemoryBounds, range: &str) -> Check {
    let Some((least, most, step)) = fargate_pairs(vcpus.saturating_mul(1000)) else {
        return Check::skipped(id, "vcpus");
    };
    let possible = |mib: u64| (least..=most).contains(&mib) && mib.is_multiple_of(step);
    match requests(bounds).into_iter().find(|mib| !possible(*mib)) {
        None => Check::ok(id, format!("{range}, all of which Fargate has with {}", units(vcpus))),
        Some(mib) => Check::failed(
            id,
            format!("Fargate has no tasks of {} with {}", units(vcpus), show_mib(mib)),
            format!(
                "write memory.start and memory.max from {} to {} in steps of {} (memory doubles up to max)",
                show_mib(least),
                show_mib(most),
                show_mib(step)
            ),
        ),
    }
}

/// What a job asks for: at first, and after each kill for memory.
fn requests(bounds: MemoryBounds) -> Vec<u64> {
    std::iter::successors(Some(bounds.start_mib), |mib| after_oom(*mib, bounds)).collect()
}

/// Whether the definition may run on the hosts of the queue. `capabilities` are its `platformCapabilities`, which
/// are EC2 where it names none.
pub fn platform(capabilities: &[String], environments: &[Environment]) -> Check {
    const ID: &str = "platform";
    let fargate = environments.iter().any(|e| e.kind.is_fargate());
    let wanted = if fargate { "FARGATE" } else { "EC2" };
    let has = capabilities.iter().any(|c| c == wanted) || (capabilities.is_empty() && !fargate);
    if has {
        return Check::ok(ID, format!("the job definition may run on {wanted}"));
    }
    Check::failed(
        ID,
        format!("the hosts of the queue are {wanted}, and the job definition is not for them"),
        format!("write platformCapabilities: [{wanted}] in the job definition, or name another queue"),
    )
}
