//! ARNs, and the other names that the service makes up.

use std::fmt::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

/// The Region and account that ARNs name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The Region.
    pub region: String,
    /// The account.
    pub account: String,
}

impl Names {
    /// The ARN of a job.
    pub fn job(&self, id: &str) -> String {
        self.batch("job", id)
    }

    /// The ARN of a queue.
    pub fn queue(&self, name: &str) -> String {
        self.batch("job-queue", name)
    }

    /// The ARN of a compute environment.
    pub fn environment(&self, name: &str) -> String {
        self.batch("compute-environment", name)
    }

    /// The ARN of a revision of a definition.
    pub fn definition(&self, name: &str, revision: u32) -> String {
        self.batch("job-definition", &format!("{name}:{revision}"))
    }

    /// The ARN of the cluster behind a compute environment.
    pub fn cluster(&self, environment: &str, uuid: &str) -> String {
        self.ecs("cluster", &format!("AWSBatch-{environment}-{uuid}"))
    }

    /// The ARN of the made-up task of an attempt.
    pub fn task(&self, run: &str) -> String {
        self.ecs("task", &format!("AWSBatch/{run}"))
    }

    /// The ARN of the made-up host of an attempt.
    pub fn container_instance(&self, host: &str) -> String {
        self.ecs("container-instance", &format!("AWSBatch/{host}"))
    }

    /// The ARN of the log group of all jobs.
    pub fn log_group(&self, group: &str) -> String {
        format!("arn:aws:logs:{}:{}:log-group:{group}", self.region, self.account)
    }

    /// What stands behind the type in an ARN of ours, or the text itself when it is no ARN.
    pub fn short<'a>(&self, kind: &str, text: &'a str) -> &'a str {
        text.strip_prefix(&self.batch(kind, "")).unwrap_or(text)
    }

    fn batch(&self, kind: &str, name: &str) -> String {
        format!("arn:aws:batch:{}:{}:{kind}/{name}", self.region, self.account)
    }

    fn ecs(&self, kind: &str, name: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{kind}/{name}", self.region, self.account)
    }
}

/// The name of one attempt of a job: 32 hexadecimal digits, as tasks have them, always the same for the same attempt.
pub fn run_id(job: &str, attempt: u32) -> String {
    hex(&Sha256::digest(format!("{job}#{attempt}")), 32)
}

/// The name of a made-up host, as instances have them.
pub fn instance_id() -> String {
    let random: String = uuid::Uuid::new_v4().simple().to_string().chars().take(17).collect();
    format!("i-{random}")
}

/// The name of the made-up host that these bytes stand for, at least nine.
pub fn instance_id_of(bytes: &[u8]) -> String {
    format!("i-{:.17}", hex(bytes, 18))
}

/// `statusReason` of an attempt whose host is gone.
pub fn host_terminated(host: &str) -> String {
    format!("Host EC2 (instance {host}) terminated.")
}

/// The name by which an engine that keeps its things in this folder is known to the kernel and to container engines.
pub fn engine_id(dir: &Path) -> String {
    format!("dayfill-local-{}", hex(&Sha256::digest(dir.as_os_str().as_encoded_bytes()), 16))
}

/// The log stream of an attempt.
pub fn log_stream(definition: &str, run: &str) -> String {
    format!("{definition}/default/{run}")
}

fn hex(bytes: &[u8], digits: usize) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(digits.div_ceil(2)) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_ours_is_shortened_and_anything_else_left_alone() {
        let names = Names { region: "eu-west-1".to_owned(), account: "000000000000".to_owned() };
        assert_eq!(names.short("job-queue", &names.queue("q")), "q");
        assert_eq!(names.short("job-queue", "q"), "q");
        let other = "arn:aws:batch:us-east-1:000000000000:job-queue/q";
        assert_eq!(names.short("job-queue", other), other);
    }

    #[test]
    fn made_up_names_have_the_form_of_real_ones() {
        assert_eq!(run_id("a", 1).len(), 32);
        assert_eq!(run_id("a", 1), run_id("a", 1));
        assert_ne!(run_id("a", 1), run_id("a", 2));
        for id in [instance_id(), instance_id_of(&[7; 24])] {
            assert!(id.len() == 19 && id[2..].chars().all(|c| c.is_ascii_hexdigit()), "{id}");
        }
    }
}
