//! How jobs are run, and what a job that runs as a container is made of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::batch::BatchConfig;
use crate::docker::{self, Container};
use crate::engine::Job;
use crate::names::engine_id;
use crate::process::not_started;
use crate::scheduler::End;
use crate::wire::shapes::Container as Properties;

/// How jobs are run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Runner {
    /// As processes of the engine's user, whatever image they name.
    #[default]
    Process,
    /// As containers of their image, on the network of this machine, by the Docker engine that the `docker` command
    /// reaches. Images that are not here are pulled.
    Docker,
}

/// The engine that containers belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub engine: String,
    folder: PathBuf,
}

impl Owner {
    /// The engine of this folder.
    pub fn of(folder: &Path) -> Self {
        Self { engine: engine_id(folder), folder: folder.to_owned() }
    }

    // There since containers were first started for this folder.
    fn mark(&self) -> PathBuf {
        self.folder.join("containers")
    }

    /// Removes the containers that the last engine of the folder left, and sees to it that new ones can be made if
    /// they are to be. The error says what is wrong with the Docker engine.
    pub fn clear(&self, config: &BatchConfig) -> Result<(), String> {
        let wanted = config.dispatch && config.runner == Runner::Docker;
        if wanted {
            docker::answers()?;
        }
        if self.mark().exists() {
            let removed = docker::remove_all(&self.engine);
            if wanted {
                removed?;
            }
        }
        if wanted {
            let marked = fs::write(self.mark(), &self.engine);
            marked
                .map_err(|source: io::Error| format!("cannot write {}: {source}", self.mark().display()))?;
        }
        Ok(())
    }

    /// The container for an attempt of a job; the error is the attempt's end.
    pub fn container(&self, job: &Job, attempt: u32) -> Result<Container, End> {
        let Some(image) = job.record.container.image.clone().filter(|image| !image.is_empty()) else {
            return Err(not_started("CannotPullContainerError: the job definition names no image"));
        };
        Ok(Container {
            name: format!("dayfill-{}-{attempt}", job.id().replace(':', ".")),
            image,
            engine: self.engine.clone(),
            folder: self.folder.to_string_lossy().into_owned(),
            job: job.id(),
            // Fewer than two the kernel does not know.
            cpu_shares: (job.record.submission.demand.milli_vcpus.saturating_mul(1024) / 1000).max(2),
            options: options(&job.record.container),
        })
    }
}

// What the definition says beyond the image and its command, as far as it means anything on one machine.
fn options(container: &Properties) -> Vec<String> {
    let member = |name: &str| container.rest.get(name);
    let is_true = |value: Option<&Value>| value.and_then(Value::as_bool) == Some(true);
    let linux = |name: &str| member("linuxParameters").and_then(|parameters| parameters.get(name));
    let mut all = Vec::new();
    if let Some(user) = member("user").and_then(Value::as_str) {
        all.push(format!("--user={user}"));
    }
    for (wanted, option) in [
        (member("privileged"), "--privileged"),
        (member("readonlyRootFilesystem"), "--read-only"),
        (linux("initProcessEnabled"), "--init"),
    ] {
        if is_true(wanted) {
            all.push(option.to_owned());
        }
    }
    if let Some(mib) = linux("sharedMemorySize").and_then(Value::as_u64) {
        all.push(format!("--shm-size={mib}m"));
    }
    for limit in &container.ulimits {
        if let (Some(name), Some(soft), Some(hard)) =
            (limit["name"].as_str(), limit["softLimit"].as_i64(), limit["hardLimit"].as_i64())
        {
            all.push(format!("--ulimit={name}={soft}:{hard}"));
        }
    }
    all.extend(container.mount_points.iter().filter_map(|point| volume(container, point)));
    all
}

fn volume(container: &Properties, point: &Value) -> Option<String> {
    let target = point["containerPath"].as_str()?;
    let source = container.volumes.iter().find(|volume| volume["name"] == point["sourceVolume"]);
    let end = if point["readOnly"] == true { ":ro" } else { "" };
    Some(match source.and_then(|volume| volume["host"]["sourcePath"].as_str()) {
        Some(folder) => format!("--volume={folder}:{target}{end}"),
        // A volume without a place is a new one that goes with the container.
        None => format!("--volume={target}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_becomes_options() {
        let container = json!({
            "image": "i", "user": "1000:1000", "privileged": false, "readonlyRootFilesystem": true,
            "linuxParameters": { "initProcessEnabled": true, "sharedMemorySize": 64 },
            "ulimits": [{ "name": "nofile", "softLimit": 1024, "hardLimit": 2048 }],
            "volumes": [{ "name": "lake", "host": { "sourcePath": "/lake" } }, { "name": "tmp" }],
            "mountPoints": [{ "sourceVolume": "lake", "containerPath": "/in", "readOnly": true },
                { "sourceVolume": "tmp", "containerPath": "/scratch" }],
        });
        let all = options(&serde_json::from_value(container).unwrap());
        assert_eq!(
            all,
            [
                "--user=1000:1000",
                "--read-only",
                "--init",
                "--shm-size=64m",
                "--ulimit=nofile=1024:2048",
                "--volume=/lake:/in:ro",
                "--volume=/scratch",
            ]
        );
        assert!(options(&Properties::default()).is_empty());
    }
}
