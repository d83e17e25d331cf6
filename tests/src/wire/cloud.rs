//! A local engine that stands for AWS, with a lake and a plan for it.

use std::collections::BTreeMap;
use std::fs;

use dayfill_aws::{BatchQueue, Connection, JobDefinitions, LocalEndpoint, Settings, connect};
use dayfill_core::job::JobName;
use dayfill_core::plan::Plan;
use dayfill_engine::ports::{FoundJob, Queue};
use serde_json::json;
use uuid::Uuid;

use super::bench::bounds;
use super::proxy::Proxy;
use crate::sandbox::Sandbox;
use crate::server::Server;

/// `dayfill local` as a process, a lake of one service, and a plan of its days: a job a day.
pub struct Cloud {
    server: Server,
    direct: Connection,
    /// The backfill reaches the server as if it were AWS.
    pub sandbox: Sandbox,
    /// `condor/2018-10-01` and so on.
    pub partitions: Vec<String>,
    /// One job for each of them.
    pub plan: Plan,
    /// What the jobs run, as `name:revision`.
    pub definition: String,
}

impl Cloud {
    /// Starts it, with these further arguments for `dayfill local`. The backfill of the sandbox may have been changed
    /// before.
    pub async fn start(mut sandbox: Sandbox, days: u32, args: &[&str]) -> Self {
        let partitions = sandbox.fill(&["condor"], days);
        fs::create_dir_all(sandbox.lake().join("state")).unwrap();
        let server = Server::start(&sandbox, &[&["--queue", "small"], args].concat());
        for (name, value) in &server.exports {
            if name.contains("KEY") {
                sandbox.set(name, value);
            }
        }
        sandbox.spec["engine"] = json!("aws");
        sandbox.spec["window"]["to"] = json!(format!("2018-10-{days:02}"));
        sandbox.spec["aws"] = json!({ "region": server.exports["AWS_REGION"], "endpoint_url": server.url() });
        sandbox.save();
        sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
        let plan = Plan::from_json(&sandbox.read("plan.json")).unwrap();
        let direct = connection(&server, server.url()).await;
        let content = plan.job.definition.content.as_ref().unwrap();
        let definition = JobDefinitions::new(&direct).register(content).await.unwrap();
        Self { server, direct, sandbox, partitions, plan, definition }
    }

    /// Puts a proxy between the backfill of the sandbox and the cloud, and plans it anew in `plan.json`.
    pub fn put_behind_proxy(&mut self) -> Proxy {
        let proxy = Proxy::start(self.url());
        self.sandbox.spec["aws"]["endpoint_url"] = json!(proxy.url());
        self.sandbox.save();
        self.sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
        proxy
    }

    /// Where the engine itself listens.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// A connection to the engine by another way.
    pub(super) async fn connection_by(&self, url: &str) -> Connection {
        connection(&self.server, url).await
    }

    /// All jobs that the engine has for the first load of the plan's days in the backfill of this uuid, told by the
    /// engine itself.
    pub async fn jobs(&self, backfill: Uuid) -> BTreeMap<String, Vec<FoundJob>> {
        let queue = BatchQueue::new(&self.direct, bounds());
        let mut jobs = BTreeMap::new();
        for job in &self.plan.jobs {
            let prefix = JobName::search_prefix(backfill, &job.slice, job.load);
            jobs.insert(job.slice.to_string(), queue.find(&self.plan.job.queue, &prefix).await.unwrap());
        }
        jobs
    }
}

async fn connection(server: &Server, url: &str) -> Connection {
    let local = LocalEndpoint {
        url: url.to_owned(),
        region: server.exports["AWS_REGION"].clone(),
        access_key_id: server.exports["AWS_ACCESS_KEY_ID"].clone(),
        secret_access_key: server.exports["AWS_SECRET_ACCESS_KEY"].clone(),
    };
    connect(Settings { local: Some(local), ..Settings::default() }).await.unwrap()
}
