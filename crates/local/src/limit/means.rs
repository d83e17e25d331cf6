//! Who holds jobs to their memory.

use std::fmt;

/// Who is to hold jobs to their memory, where they run as processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LimitMeans {
    /// The kernel where it can, the supervisor elsewhere.
    #[default]
    Auto,
    /// The kernel, through control groups; an engine that may not make any does not start.
    Cgroup,
    /// The supervisor.
    Supervisor,
}

/// Who holds jobs to their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// The kernel, through a control group of version 2 for each job.
    CgroupV2,
    /// The kernel, through a control group of version 1 for each job.
    CgroupV1,
    /// The guard, which sums what the processes of a job hold every 20 ms. What grows faster is killed late.
    Supervisor,
    /// The container engine.
    Docker,
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV2 => "the kernel (a control group each, version 2)",
            Self::CgroupV1 => "the kernel (a control group each, version 1)",
            Self::Supervisor => "a supervisor that sums the memory of its process tree every 20 ms",
            Self::Docker => "the Docker engine (--memory)",
        })
    }
}
