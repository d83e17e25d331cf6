//! What the proxy does to a call.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::message::Message;
use crate::processes::BOUND;

/// What the client hears.
#[derive(Clone)]
pub enum Answer {
    /// The engine's own answer.
    Real,
    /// The engine's own answer, after which the connection is closed, although nobody said that it would be.
    RealThenClosed,
    /// This one.
    Said(Message),
    /// The engine's, changed.
    Changed(Change),
    /// The engine's, whose connection breaks half-way through the body.
    CutShort,
    /// The connection is closed without a word.
    Dropped,
    /// The connection is reset.
    Reset,
    /// Nothing at all, for as long as the client waits.
    Never,
}

/// From the request and the engine's answer to the answer that the client hears.
pub type Change = Arc<dyn Fn(&Message, &mut Message) + Send + Sync>;

impl Answer {
    /// The engine's, changed so.
    pub fn changed(change: impl Fn(&Message, &mut Message) + Send + Sync + 'static) -> Self {
        Self::Changed(Arc::new(change))
    }

    /// An error in the words of Batch.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "message": message }).to_string();
        let mut answer = Message::answer(status, "application/json", body);
        answer.set("x-amzn-ErrorType", code);
        Self::Said(answer)
    }

    /// A page of HTML, as gateways and proxies have them.
    pub fn page(status: u16) -> Self {
        Self::Said(Message::answer(status, "text/html", "<html><body>something is wrong</body></html>"))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("the real answer"),
            Self::RealThenClosed => f.write_str("the real answer on a connection that closes"),
            Self::Said(message) => write!(f, "{}", message.status()),
            Self::Changed(_) => f.write_str("a changed answer"),
            Self::CutShort => f.write_str("half an answer"),
            Self::Dropped => f.write_str("a closed connection"),
            Self::Reset => f.write_str("a reset connection"),
            Self::Never => f.write_str("no answer"),
        }
    }
}

/// What happens to one call: may the engine do it, when, and what does the client hear?
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) before: Option<Gate>,
    pub(super) reaches_engine: bool,
    pub(super) after: Option<Gate>,
    pub(super) answer: Answer,
}

impl Fault {
    /// The engine never hears of it, and the client hears this.
    pub fn instead(answer: Answer) -> Self {
        Self { before: None, reaches_engine: false, after: None, answer }
    }

    /// The engine does it, and the client hears this.
    pub fn after(answer: Answer) -> Self {
        Self { before: None, reaches_engine: true, after: None, answer }
    }

    /// It is held before the engine hears of it, until the gate is opened.
    #[must_use]
    pub fn held_before(mut self, gate: &Gate) -> Self {
        self.before = Some(gate.clone());
        self
    }

    /// It is held once the engine has done it, until the gate is opened.
    #[must_use]
    pub fn held_after(mut self, gate: &Gate) -> Self {
        self.after = Some(gate.clone());
        self
    }
}

/// Where calls wait until a test lets them go.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Debug, Default)]
struct Waiting {
    reached: u64,
    open: bool,
}

impl Gate {
    /// How many calls have come to it.
    pub fn reached(&self) -> u64 {
        self.0.0.lock().unwrap().reached
    }

    /// Waits until a call has come to it; panics at [`BOUND`].
    pub async fn is_reached(&self) {
        let start = Instant::now();
        while self.reached() == 0 {
            assert!(start.elapsed() < BOUND, "never: a call comes to the gate");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets all calls go, those that come later too.
    pub fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    pub(super) fn pass(&self) {
        let mut waiting = self.0.0.lock().unwrap();
        waiting.reached += 1;
        // A test that has failed opens no gate.
        let _ = self.0.1.wait_timeout_while(waiting, BOUND, |w| !w.open).unwrap();
    }
}
