//! How much of what a service allows is used, and how much of what is asked of it is refused: by dayfill, by a loop
//! that sends as fast as answers come, by one that halves its rate when it is refused, and by one of a fixed rate.
//!
//! Every client has a service of its own on loopback that answers SubmitJob after 30 ms with a job or, where its token
//! bucket is empty, with a 429 in the words of Batch. All have as many requests under way as dayfill, and send them
//! with the same SDK. Each has more jobs than are allowed in the time, and goes on until all of them are accepted.
//!
//! `cargo run --release -p dayfill-tests --example bench_submit [SECONDS]`

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dayfill_aws::{BatchQueue, Connection, LocalEndpoint, S3Source, Settings, aws_bounds, connect};
use dayfill_engine::adapters::{FolderJournal, SystemClock};
use dayfill_engine::advance::Engine;
use dayfill_engine::book::Book;
use dayfill_engine::event::Silent;
use dayfill_engine::submit::adopt;
use dayfill_tests::Facts;

use self::peers::{Fixed, Halving, Naive, Pace};
use self::service::{Counts, Rates, Service};

mod peers;
mod plan;
mod service;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Jobs that remain when the time is over, so that there is always one to send.
const LEFT: u32 = 30;

#[derive(Debug, Clone, Copy)]
enum Client {
    Dayfill,
    Naive,
    Halving,
    Fixed,
}

const CLIENTS: [(&str, Client); 4] = [
    ("dayfill", Client::Dayfill),
    ("naive loop", Client::Naive),
    ("halving", Client::Halving),
    ("fixed, 25 a second", Client::Fixed),
];

fn main() -> ExitCode {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(60);
    let run = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|r| r.block_on(run(seconds)));
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(seconds: u32) -> Outcome<()> {
    let third = f64::from(seconds) / 3.0;
    let services: [(&str, Rates, f64); 3] = [
        ("50 a second", vec![(0.0, 50.0)], 50.0),
        ("10 a second", vec![(0.0, 10.0)], 10.0),
        ("50, 10, 50 a second", vec![(0.0, 50.0), (third, 10.0), (2.0 * third, 50.0)], 50.0),
    ];
    let mut lines: Vec<String> = CLIENTS.iter().map(|(name, _)| format!("{name:18}")).collect();
    let (mut head, mut names) = (format!("{:18}", ""), format!("{:18}", ""));
    for (name, rates, burst) in services {
        head += &format!(" | {name:^31}");
        names += &format!(" | {:>7} {:>7} {:>7} {:>7}", "taken/s", "share", "refused", "lost");
        let clients = CLIENTS.map(|(_, client)| tokio::spawn(measure(client, rates.clone(), burst, seconds)));
        for (line, client) in lines.iter_mut().zip(clients) {
            let (counts, lost) = client.await??;
            let taken = f64::from(counts.taken) / f64::from(seconds);
            let share = 100.0 * f64::from(counts.taken) / counts.allowed;
            let refused = 100.0 * f64::from(counts.refused) / f64::from(counts.taken + counts.refused);
            *line += &format!(" | {taken:7.1} {share:6.1}% {refused:6.1}% {lost:7}");
        }
    }
    println!("{seconds} s each; share: of what the bucket allows in that time, with what it held at first");
    println!("{head}\n{names}\n{}", lines.join("\n"));
    Ok(())
}

/// What the service counted in the time, and how many jobs did not come to be exactly once, at the first try.
async fn measure(client: Client, rates: Rates, burst: f64, seconds: u32) -> Outcome<(Counts, usize)> {
    let service = Service::start(rates, burst, Duration::from_secs(seconds.into()))?;
    let jobs = service.allowed() as u32 + LEFT;
    let connection = connect(Settings {
        local: Some(LocalEndpoint {
            url: service.url(),
            region: "us-east-1".to_owned(),
            access_key_id: "key".to_owned(),
            secret_access_key: "secret".to_owned(),
        }),
        ..Settings::default()
    })
    .await?;
    service.begin();
    let wrong = match client {
        Client::Dayfill => dayfill(&connection, jobs).await?,
        Client::Naive => peer(&connection, jobs, Naive).await,
        Client::Halving => peer(&connection, jobs, Halving::new()).await,
        Client::Fixed => peer(&connection, jobs, Fixed(25.0)).await,
    };
    let (counts, names) = service.end();
    Ok((counts, wrong + names.abs_diff(jobs as usize)))
}

/// Submits all with the engine, its journal in a folder; returns how many intents came to nothing.
async fn dayfill(connection: &Connection, jobs: u32) -> Outcome<usize> {
    let dir = tempfile::tempdir()?;
    let journal = Arc::new(FolderJournal::new(dir.path().to_owned()));
    let mut book = Book::open(journal, Arc::new(SystemClock::new())).await?;
    adopt(&mut book, &plan::of(jobs), plan::DEFINITION).await?;
    let queue = Arc::new(BatchQueue::new(connection, aws_bounds()));
    let source = Arc::new(S3Source::new(connection, "example-logs"));
    Engine::new(book, queue, source, Arc::new(Silent)).advance().await?;
    let facts = Facts::read(dir.path());
    Ok(facts.of("intended").len() - facts.of("accepted").len())
}

/// Submits all at the pace of a peer; returns how many were not accepted.
async fn peer(connection: &Connection, jobs: u32, pace: impl Pace) -> usize {
    let queue = BatchQueue::new(connection, aws_bounds());
    peers::submit_all(&queue, plan::submissions(jobs), pace, Instant::now()).await
}
