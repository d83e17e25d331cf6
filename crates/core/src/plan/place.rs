//! Where the journal is and where jobs run.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::spec::Reclaims;

/// Where the journal is and where jobs run: all that `submit` needs beside the plan's jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Where the journal is kept: `s3://bucket/prefix`, or the absolute path of a folder.
    pub state: String,
    /// Where jobs run.
    pub runs_on: RunsOn,
}

/// Where jobs run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "snake_case", deny_unknown_fields)]
pub enum RunsOn {
    /// On AWS Batch; what is left out is found as any AWS tool finds it.
    Aws {
        /// The Region.
        region: Option<String>,
        /// The profile of the shared configuration.
        profile: Option<String>,
        /// Another endpoint for every service.
        endpoint_url: Option<String>,
    },
    /// On this machine.
    Local {
        /// The folder of the local engine, absolute.
        folder: String,
        /// The folder whose subfolders are buckets, absolute.
        lake: String,
        /// Folders that are served as buckets: name and absolute path.
        mounts: Vec<(String, String)>,
        /// vCPUs that jobs may use at once; all of the machine if left out.
        vcpus: Option<u32>,
        /// MiB that jobs may use at once; what the machine has if left out.
        memory_mib: Option<u64>,
        /// Hosts that are taken away while jobs run.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reclaims: Option<Reclaims>,
    },
}

impl RunsOn {
    /// How long a job may wait for a host before that is worth telling, and before what Batch says of it is believed:
    /// while a fleet grows, its reasons come and go. The local engine has no fleet.
    pub fn dwell(&self) -> TimeDelta {
        match self {
            Self::Aws { .. } => TimeDelta::minutes(10),
            Self::Local { .. } => TimeDelta::seconds(5),
        }
    }
}
