//! What speaks like SubmitJob, and allows what its token bucket holds.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dayfill_tests::wire::Message;
use serde_json::json;

/// How long an answer takes.
const LATENCY: Duration = Duration::from_millis(30);

/// Since when, in seconds, how many a second are allowed.
pub type Rates = Vec<(f64, f64)>;

/// What was counted until the time was over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub taken: u32,
    pub refused: u32,
    pub allowed: f64,
}

struct State {
    began: Instant,
    tokens: f64,
    filled: f64,
    counts: Counts,
    /// How often a job of this name was taken, until the end.
    names: BTreeMap<String, u32>,
}

struct Shared {
    rates: Rates,
    burst: f64,
    time: f64,
    state: Mutex<State>,
    closed: AtomicBool,
}

/// A service, until it is ended.
pub struct Service {
    shared: Arc<Shared>,
    port: u16,
}

impl Service {
    /// One whose bucket is full, and that counts for so long.
    pub fn start(rates: Rates, burst: f64, time: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = State {
            began: Instant::now(),
            tokens: burst,
            filled: 0.0,
            counts: Counts::default(),
            names: BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            rates,
            burst,
            time: time.as_secs_f64(),
            state: Mutex::new(state),
            closed: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                // A connection that breaks is the client's to notice.
                thread::spawn(move || stream.and_then(|s| shared.serve(s)));
            }
        });
        Ok(Self { shared, port })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What is allowed in the time.
    pub fn allowed(&self) -> f64 {
        self.shared.burst + self.shared.came(self.shared.time)
    }

    /// The time begins.
    pub fn begin(&self) {
        self.shared.state().began = Instant::now();
    }

    /// What was counted in the time, and how many jobs there are now, one that was taken twice counted as none.
    pub fn end(self) -> (Counts, usize) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // The listener looks when somebody connects.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let state = self.shared.state();
        let once = state.names.values().filter(|n| **n == 1).count();
        (Counts { allowed: self.allowed(), ..state.counts }, once)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tokens that came until this second.
    fn came(&self, until: f64) -> f64 {
        let ends = self.rates.iter().skip(1).map(|(from, _)| *from).chain([f64::INFINITY]);
        self.rates.iter().zip(ends).map(|((from, rate), end)| rate * (until.min(end) - from).max(0.0)).sum()
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(request) = Message::read_request(&mut reader)? {
            thread::sleep(LATENCY / 2);
            let answer = self.answer(&request);
            thread::sleep(LATENCY / 2);
            stream.write_all(&answer.bytes().0)?;
        }
        Ok(())
    }

    fn answer(&self, request: &Message) -> Message {
        if request.target() != "/v1/submitjob" {
            return Message::answer(404, "application/json", "{}");
        }
        let name = request.json()["jobName"].as_str().unwrap_or_default().to_owned();
        if self.take(&name) {
            let job = json!({ "jobId": format!("id-{name}"), "jobName": name });
            return Message::answer(200, "application/json", job.to_string());
        }
        let said = json!({ "message": "Too Many Requests" });
        let mut refusal = Message::answer(429, "application/json", said.to_string());
        refusal.set("x-amzn-ErrorType", "TooManyRequestsException");
        refusal
    }

    fn take(&self, name: &str) -> bool {
        let mut state = self.state();
        let now = state.began.elapsed().as_secs_f64();
        state.tokens = (state.tokens + self.came(now) - self.came(state.filled)).min(self.burst);
        state.filled = now;
        let taken = state.tokens >= 1.0;
        if taken {
            state.tokens -= 1.0;
            *state.names.entry(name.to_owned()).or_default() += 1;
        }
        if now < self.time {
            state.counts.taken += u32::from(taken);
            state.counts.refused += u32::from(!taken);
        }
        taken
    }
}
