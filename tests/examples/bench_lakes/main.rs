//! What memory costs over four lakes, with real processes and real kills: by `dayfill run`, and by a loop that doubles
//! a job's memory whenever it was killed for it, through the API of an engine of the same kind and size.
//!
//! Both begin with the same memory, stop at the same most, and have as many jobs in flight. What is counted is told by
//! the engines' own job tables, so it is counted alike: memory asked for times the time that an attempt ran, of every
//! attempt; what of it was wasted is all that a failed attempt asked for, and what a success asked for above its peak.
//!
//! `cargo run --release -p dayfill-tests --example bench_lakes`

use std::error::Error;
use std::process::ExitCode;

use dayfill_core::plan::Plan;
use dayfill_tests::table::engine_jobs;
use dayfill_tests::{Sandbox, Server};

use self::bill::Bill;
use self::lakes::{DAYS, IN_FLIGHT, Lake, MAX_MIB, START_MIB};

mod bill;
mod doubling;
mod lakes;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    // The backfills start this program as the command line, and that starts it as what guards its jobs.
    if std::env::args_os().len() > 1 {
        return dayfill::main();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let own = std::env::current_exe()?;
    let own = own.to_str().ok_or("the path of this program is not UTF-8")?;
    println!("{DAYS} days a lake, {IN_FLIGHT} at once, from {START_MIB} MiB up to {MAX_MIB} MiB");
    println!("{:36}{}", "", Bill::HEAD);
    for lake in Lake::ALL {
        let sandbox = lake.sandbox(own);
        // Before the journal says which days are done.
        sandbox.run(&["plan", "backfill.yaml", "-o", "plan.json"]).ended(0);
        let doubling = doubling(&sandbox)?;
        let dayfill = dayfill(&sandbox);
        println!("{}\n  {:34}{doubling}\n  {:34}{dayfill}", lake.name(), "plain doubling", "dayfill");
        println!("  {:34}{}", "dayfill, of plain doubling", dayfill.ratios(&doubling));
    }
    Ok(())
}

fn dayfill(sandbox: &Sandbox) -> Bill {
    sandbox.run(&["run", "backfill.yaml", "--yes"]);
    let done = sandbox.status()["total"]["done"].as_u64().unwrap_or_default();
    Bill::of(done, &engine_jobs(&sandbox.root().join(".dayfill/engine")))
}

fn doubling(sandbox: &Sandbox) -> Outcome<Bill> {
    let plan = Plan::from_json(&sandbox.read("plan.json"))?;
    let local = &sandbox.spec["local"];
    let (vcpus, memory) = (local["vcpus"].to_string(), local["memory"].as_str().unwrap_or_default());
    let server = Server::start(sandbox, &["--queue", &plan.job.queue, "--vcpus", &vcpus, "--memory", memory]);
    let done = tokio::runtime::Runtime::new()?.block_on(doubling::run(&server, &plan))?;
    Ok(Bill::of(done, &engine_jobs(&sandbox.root().join("server"))))
}
