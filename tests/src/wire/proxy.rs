//! A proxy on loopback that counts calls and does to them what it is told.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::fault::{Answer, Fault};
use super::message::Message;
use super::shapes::Calls;

/// The calls that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// SubmitJob.
    SubmitJob,
    /// ListJobs.
    ListJobs,
    /// DescribeJobs.
    DescribeJobs,
    /// TerminateJob.
    TerminateJob,
    /// PutObject of a segment of a journal.
    WriteSegment,
    /// GetObject of a segment.
    ReadSegment,
    /// ListObjectsV2 of the segments.
    ListSegments,
    /// PutObject of a snapshot.
    WriteSnapshot,
    /// GetObject of a snapshot.
    ReadSnapshot,
    /// Any other.
    Other,
}

impl Call {
    fn of(request: &Message) -> Self {
        let target = request.target();
        let in_journal = target.contains("/journal/");
        let of_snapshot = target.contains("/snapshot.json");
        match request.start.split(' ').next() {
            Some("POST") if target == "/v1/submitjob" => Self::SubmitJob,
            Some("POST") if target == "/v1/listjobs" => Self::ListJobs,
            Some("POST") if target == "/v1/describejobs" => Self::DescribeJobs,
            Some("POST") if target == "/v1/terminatejob" => Self::TerminateJob,
            Some("PUT") if of_snapshot => Self::WriteSnapshot,
            Some("GET") if of_snapshot => Self::ReadSnapshot,
            Some("PUT") if in_journal => Self::WriteSegment,
            Some("GET") if target.contains("list-type=2") && target.contains("journal") => Self::ListSegments,
            Some("GET") if in_journal => Self::ReadSegment,
            _ => Self::Other,
        }
    }
}

/// A SubmitJob that came.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Submit {
    name: String,
    signed_at: String,
    reached_engine: bool,
}

struct Rule {
    call: Call,
    which: RangeInclusive<u64>,
    fault: Fault,
}

#[derive(Default)]
struct State {
    counts: BTreeMap<Call, u64>,
    submits: Vec<Submit>,
    rules: Vec<Rule>,
    calls: Calls,
}

struct Shared {
    engine: String,
    state: Mutex<State>,
    closed: AtomicBool,
}

/// A proxy in front of a local engine, until it is dropped. What went through it to Batch and its logs, and came back, is
/// then compared with the services' own models, and anything wrong with it is a panic.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Proxy {
    /// A proxy in front of the engine at this URL.
    pub fn start(engine: &str) -> Self {
        let engine = engine.strip_prefix("http://").expect("a URL of http").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { engine, state: Mutex::default(), closed: AtomicBool::new(false) });
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
        Self { shared, port }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Does this to the calls of this kind whose numbers, counted from 1, are among `which`. Of several rules for one
    /// call the newest holds.
    pub fn on(&self, call: Call, which: RangeInclusive<u64>, fault: Fault) {
        self.shared.state.lock().unwrap().rules.push(Rule { call, which, fault });
    }

    /// Does this to the calls of this kind from here on, as many as `most`.
    pub fn on_next(&self, call: Call, most: u64, fault: Fault) {
        let next = self.count(call) + 1;
        self.on(call, next..=next.saturating_add(most - 1), fault);
    }

    /// Does nothing to calls any more; those that are held stay held.
    pub fn heal(&self) {
        self.shared.state.lock().unwrap().rules.clear();
    }

    /// How many calls of this kind have come.
    pub fn count(&self, call: Call) -> u64 {
        self.shared.state.lock().unwrap().counts.get(&call).copied().unwrap_or_default()
    }

    /// How many calls of each kind have come.
    pub fn counts(&self) -> BTreeMap<Call, u64> {
        self.shared.state.lock().unwrap().counts.clone()
    }

    /// How many SubmitJob requests came, by the name of the job.
    pub fn submits(&self) -> BTreeMap<String, u64> {
        self.counted(|_| true)
    }

    /// How many SubmitJob requests the engine heard of, by the name of the job.
    pub fn submits_that_arrived(&self) -> BTreeMap<String, u64> {
        self.counted(|s| s.reached_engine)
    }

    /// All calls to Batch and its logs that the engine answered.
    pub fn calls(&self) -> Calls {
        self.shared.state.lock().unwrap().calls.clone()
    }

    /// The dates of the signatures of the SubmitJob requests, in the order in which they came.
    pub fn dates_of_submits(&self) -> Vec<DateTime<Utc>> {
        let state = self.shared.state.lock().unwrap();
        let date =
            |s: &Submit| NaiveDateTime::parse_from_str(&s.signed_at, "%Y%m%dT%H%M%SZ").unwrap().and_utc();
        state.submits.iter().map(date).collect()
    }

    fn counted(&self, which: impl Fn(&Submit) -> bool) -> BTreeMap<String, u64> {
        let mut counted = BTreeMap::new();
        for submit in self.shared.state.lock().unwrap().submits.iter().filter(|s| which(s)) {
            *counted.entry(submit.name.clone()).or_default() += 1;
        }
        counted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // The listener looks when somebody connects.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        // A test that has failed already has better things to say.
        if !thread::panicking() {
            let findings = self.calls().findings();
            assert!(findings.is_empty(), "calls that are not what the service's model says: {findings:#?}");
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(request) = Message::read_request(&mut reader)? {
            let fault = self.note(&request);
            if let Some(gate) = &fault.before {
                gate.pass();
            }
            let real = if fault.reaches_engine { Some(self.ask(&request)?) } else { None };
            if let Some(gate) = &fault.after {
                gate.pass();
            }
            if !answer(&mut stream, &request, real, &fault.answer)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Counts the call and says what is to be done to it.
    fn note(&self, request: &Message) -> Fault {
        let call = Call::of(request);
        let mut state = self.state.lock().unwrap();
        let count = state.counts.entry(call).or_default();
        *count += 1;
        let number = *count;
        if call == Call::SubmitJob {
            let name = request.json()["jobName"].as_str().unwrap_or_default().to_owned();
            let signed_at = request.header("x-amz-date").unwrap_or_default().to_owned();
            state.submits.push(Submit { name, signed_at, reached_engine: false });
        }
        let rule = state.rules.iter().rfind(|r| r.call == call && r.which.contains(&number));
        rule.map_or(Fault::after(Answer::Real), |r| r.fault.clone())
    }

    fn ask(&self, request: &Message) -> io::Result<Message> {
        let mut stream = TcpStream::connect(&self.engine)?;
        stream.set_nodelay(true)?;
        if Call::of(request) == Call::SubmitJob {
            let name = request.json()["jobName"].clone();
            let mut state = self.state.lock().unwrap();
            let submit = state.submits.iter_mut().find(|s| !s.reached_engine && name == s.name.as_str());
            submit.expect("a submission is counted when it comes").reached_engine = true;
        }
        stream.write_all(&request.bytes().0)?;
        let answer = Message::read_answer(&mut BufReader::new(stream), request)?;
        self.state.lock().unwrap().calls.note(request, &answer);
        Ok(answer)
    }
}

/// Lets the client hear an answer; says whether the connection goes on.
fn answer(
    stream: &mut TcpStream,
    request: &Message,
    real: Option<Message>,
    answer: &Answer,
) -> io::Result<bool> {
    let real = || real.ok_or_else(|| io::Error::other("there is no answer to something never asked"));
    match answer {
        Answer::Real => stream.write_all(&real()?.bytes().0)?,
        Answer::RealThenClosed => {
            stream.write_all(&real()?.bytes().0)?;
            return Ok(false);
        }
        Answer::Said(message) => stream.write_all(&message.bytes().0)?,
        Answer::Changed(change) => {
            let mut message = real()?;
            change(request, &mut message);
            stream.write_all(&message.bytes().0)?;
        }
        Answer::CutShort => {
            let (bytes, head) = real()?.bytes();
            stream.write_all(&bytes[..head + (bytes.len() - head) / 2])?;
            return Ok(false);
        }
        Answer::Dropped => return Ok(false),
        Answer::Reset => {
            rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO))?;
            return Ok(false);
        }
        Answer::Never => {
            // Until the client gives up.
            stream.read_to_end(&mut Vec::new())?;
            return Ok(false);
        }
    }
    Ok(true)
}
