//! What people see while work goes on, on standard error: a bar on a terminal, lines elsewhere.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use console::{Term, style};
use dayfill_core::escape;
use dayfill_core::fact::LiveStatus;
use dayfill_core::report::{Row, View};
use dayfill_core::units;
use dayfill_engine::advance::Engine;
use dayfill_engine::event::{Event, Reporter};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows events.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Tenths of the listing that were told, where there is no bar.
    tenths: AtomicU64,
    last: Mutex<Option<Row>>,
}

impl Progress {
    /// A bar if standard error is a terminal, lines if not.
    pub fn new() -> Self {
        let bar = Term::stderr().features().is_attended().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, tenths: AtomicU64::new(0), last: Mutex::new(None) }
    }

    /// A line of its own, above the bar.
    pub fn line(&self, text: impl fmt::Display) {
        match &self.bar {
            Some(bar) => bar.println(text.to_string()),
            None => eprintln!("{text}"),
        }
    }

    /// The bar goes away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// How the backfill stands after a step.
    pub fn step(&self, engine: &Engine) {
        let book = engine.book();
        let view = View { ledger: book.ledger(), plan: book.newest_plan(), now: book.clock().now() };
        let total = view.total();
        if let Some(bar) = &self.bar {
            let of = total.done
                + total.running
                + total.waiting
                + total.planned
                + total.failed
                + total.needs_person;
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} days  {msg}  {elapsed}") {
                bar.set_style(style);
            }
            bar.set_length(of);
            bar.set_position(total.done);
            bar.set_message(summary(&total));
        } else if let Ok(mut last) = self.last.lock() {
            let told = last.as_ref().is_some_and(|l| (l.done, l.failed) == (total.done, total.failed));
            if !told {
                eprintln!("{} done, {}", total.done, summary(&total));
            }
            *last = Some(total);
        }
    }

    fn listed(&self, done: u64, of: u64, objects: u64) {
        if let Some(bar) = &self.bar {
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} listings  {msg}") {
                bar.set_style(style);
            }
            bar.set_length(of);
            bar.set_position(done);
            bar.set_message(format!("{objects} objects"));
        } else {
            let tenth = done * 10 / of.max(1);
            let before = self.tenths.fetch_max(tenth, Ordering::Relaxed);
            if tenth > before && of >= 100 {
                eprintln!("listed {done} of {of}, {objects} objects");
            }
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

fn summary(total: &Row) -> String {
    let parts = [
        (total.running, "running"),
        (total.waiting, "waiting"),
        (total.planned, "not yet submitted"),
        (total.failed, "failed"),
        (total.needs_person, "need a person"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if told.is_empty() { "nothing left".to_owned() } else { told.join(", ") }
}

impl Reporter for Progress {
    fn hear(&self, event: Event) {
        match event {
            Event::Listed { done, of, objects } => self.listed(done, of, objects),
            Event::Submitted { slice, r#try, memory_mib, found } => {
                let how = if found { ", found by its name" } else { "" };
                let memory = units::show_mib(memory_mib);
                let line = format!(
                    "{}: submitted try {try} with {memory}{how}",
                    escape::terminal(&slice.to_string())
                );
                // On a terminal the bar counts; only what is out of the ordinary is a line.
                if self.bar.is_none() || r#try > 1 || found {
                    self.line(line);
                }
            }
            Event::Moved { slice, status: LiveStatus::Runnable, reason: Some(reason) } => {
                let (slice, reason) = (slice.to_string(), escape::terminal(&reason));
                self.line(format!("{}: waits for a host: {reason}", escape::terminal(&slice)));
            }
            Event::Moved { .. } => {}
            Event::Succeeded { slice, ran } => {
                if self.bar.is_none() {
                    let ran = ran.map_or_else(String::new, |r| format!(" in {}", units::show_duration(r)));
                    self.line(format!("{}: done{ran}", escape::terminal(&slice.to_string())));
                }
            }
            Event::Failed { slice, what } => {
                let text = format!("{}: {}", escape::terminal(&slice.to_string()), escape::terminal(&what));
                self.line(style(text).for_stderr().yellow());
            }
            Event::Note { slice, what } => {
                self.line(format!("{}: {}", escape::terminal(&slice.to_string()), escape::terminal(&what)));
            }
            Event::Throttled { per_second } => {
                self.line(format!("AWS Batch is asked too often; going on with {per_second} jobs a second"));
            }
            Event::Warning { what } => {
                self.line(style(format!("warning: {}", escape::terminal(&what))).for_stderr().yellow());
            }
        }
    }
}
