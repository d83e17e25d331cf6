//! What a job costs beside its own work: many jobs of `/bin/true` through the engine, held to their memory by the
//! supervisor and where possible by the kernel, and through `xargs -P`; and how they compare.
//!
//! `cargo run --release -p dayfill-local --example bench_jobs [JOBS]`

use std::error::Error;
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dayfill_local::{Batch, BatchConfig, LimitMeans, Runner, guard_main, machine};
use serde_json::{Value, json};

const JOBS: usize = 1_000;
const GUARD: &str = "guard";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some(GUARD) {
        return guard_main();
    }
    let jobs = argument.and_then(|jobs| jobs.parse().ok()).unwrap_or(JOBS);
    match run(jobs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(jobs: usize) -> Result<(), Box<dyn Error>> {
    let vcpus = machine::vcpus();
    let engine = |limit| tokio::runtime::Runtime::new()?.block_on(through_the_engine(jobs, vcpus, limit));
    let xargs = through_xargs(jobs, vcpus)?;
    println!("{jobs} jobs of /bin/true, {vcpus} at once");
    let show = |name: &str, took: Duration| {
        let each = took.as_secs_f64() * 1000.0 / jobs.max(1) as f64;
        let ratio = took.as_secs_f64() / xargs.as_secs_f64();
        println!("{name:20} {:7.2} s {each:7.2} ms each {ratio:7.2}", took.as_secs_f64());
    };
    show("engine, supervisor", engine(LimitMeans::Supervisor)?);
    match engine(LimitMeans::Cgroup) {
        Ok(took) => show("engine, kernel", took),
        Err(why) => println!("engine, kernel       {why}"),
    }
    show("xargs", xargs);
    Ok(())
}

async fn through_the_engine(jobs: usize, vcpus: u32, limit: LimitMeans) -> Result<Duration, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let batch = Batch::open(BatchConfig {
        dir: dir.path().to_owned(),
        vcpus,
        memory_mib: 1024,
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
        guard: vec![std::env::current_exe()?.into(), GUARD.into()],
        dispatch: true,
        runner: Runner::Process,
        limit,
        record: None,
        second: Duration::from_secs(1),
        reclaims: None,
    })?;
    batch.start(Vec::new()).await?;
    let container = json!({ "command": ["/bin/true"], "vcpus": 1, "memory": 16 });
    let definition =
        json!({ "jobDefinitionName": "true", "type": "container", "containerProperties": container });
    call(&batch, "/v1/registerjobdefinition", definition).await?;
    let began = Instant::now();
    for _ in 0..jobs {
        let job = json!({ "jobName": "bench", "jobQueue": "default", "jobDefinition": "true" });
        call(&batch, "/v1/submitjob", job).await?;
    }
    while !all_ended(&batch).await? {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = began.elapsed();
    batch.shutdown().await;
    Ok(took)
}

async fn all_ended(batch: &Arc<Batch>) -> Result<bool, Box<dyn Error>> {
    for status in ["RUNNABLE", "STARTING", "RUNNING"] {
        let request = json!({ "jobQueue": "default", "jobStatus": status, "maxResults": 1 });
        let answer = call(batch, "/v1/listjobs", request).await?;
        if answer["jobSummaryList"].as_array().is_none_or(|jobs| !jobs.is_empty()) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn call(batch: &Arc<Batch>, path: &str, request: Value) -> Result<Value, Box<dyn Error>> {
    let (status, _, body) = batch.call("POST", path, request.to_string().as_bytes()).await;
    if status == 200 { Ok(serde_json::from_slice(&body)?) } else { Err(String::from_utf8(body)?.into()) }
}

fn through_xargs(jobs: usize, vcpus: u32) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    let mut xargs = Command::new("xargs")
        .args(["-P", &vcpus.to_string(), "-n", "1", "/bin/true"])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = xargs.stdin.take() {
        stdin.write_all("x\n".repeat(jobs).as_bytes())?;
    }
    if !xargs.wait()?.success() {
        return Err("xargs failed".into());
    }
    Ok(began.elapsed())
}
