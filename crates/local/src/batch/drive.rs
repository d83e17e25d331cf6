//! What happens between calls: news from the guard, deadlines, and the guard's own end.

use std::fs;
use std::future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Batch, State, now};
use crate::docker;
use crate::guard::protocol::{News, Request};
use crate::limit::cgroup;
use crate::names::run_id;
use crate::process::{self, GuardLink, Surroundings};
use crate::scheduler::{Effect, Event, JobKey};

// What a power failure may take; a mere death of the process takes nothing.
const SYNC_EVERY: Duration = Duration::from_secs(1);
const GUARD_AGAIN: Duration = Duration::from_secs(1);

/// Runs until the engine is shut down. `news`: from the guard; none where no job is started.
pub(super) async fn drive(batch: Arc<Batch>, mut news: Option<UnboundedReceiver<News>>) {
    let mut sync = interval(SYNC_EVERY);
    sync.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if news.is_none() && batch.lock().closing {
            return;
        }
        tokio::select! {
            heard = next(&mut news) => match heard {
                Some(heard) => batch.hear(heard),
                None if batch.lock().closing => return,
                None => news = batch.replace_guard().await,
            },
            () = until_deadline(&batch) => batch.tick(),
            () = batch.wake.notified() => {}
            _ = sync.tick() => batch.sync().await,
        }
    }
}

async fn next(news: &mut Option<UnboundedReceiver<News>>) -> Option<News> {
    match news {
        Some(news) => news.recv().await,
        None => future::pending().await,
    }
}

async fn until_deadline(batch: &Batch) {
    let deadline = batch.lock().engine.next_deadline();
    match deadline {
        Some(at) => sleep(Duration::from_millis(at.saturating_sub(now()).max(0) as u64)).await,
        None => future::pending().await,
    }
}

// What cannot be written stays in the engine and is tried again with the next change or the next sync, and until then
// nothing is done on its account. So errors need no other answer here.
fn apply(state: &mut State, event: Event) {
    let _ = state.engine.apply(now(), event);
}

impl Batch {
    fn tick(&self) {
        let mut state = self.lock();
        apply(&mut state, Event::Tick);
        self.deliver(&mut state);
    }

    async fn sync(&self) {
        let unsynced = {
            let mut state = self.lock();
            if state.engine.is_behind() {
                apply(&mut state, Event::Tick);
                self.deliver(&mut state);
            }
            state.engine.unsynced()
        };
        if let Some(file) = unsynced {
            let _ = tokio::task::spawn_blocking(move || file.sync_data()).await;
        }
    }

    fn hear(&self, news: News) {
        let mut state = self.lock();
        let (News::Started { run } | News::Refused { run, .. } | News::Exited { run, .. }) = &news;
        let Some((key, attempt)) = state.engine.run(run) else { return };
        let scratch = self.scratch.join(run);
        let event = match news {
            News::Started { .. } => Event::Started(key, attempt),
            News::Refused { message, .. } => Event::Ended(key, attempt, process::not_started(&message)),
            News::Exited { code, peak_kib, oom, .. } => {
                state.engine.note_peak(key, attempt, peak_kib);
                Event::Ended(key, attempt, process::exited(code, oom))
            }
        };
        if matches!(event, Event::Ended(..)) {
            remove(scratch);
        }
        apply(&mut state, event);
        self.deliver(&mut state);
    }

    /// Hands to the guard what the engine wants done. Without a guard it waits.
    pub(super) fn deliver(&self, state: &mut State) {
        while state.guard.is_some() {
            let effects = state.engine.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Start(key, attempt) => self.launch(state, key, attempt),
                    Effect::Ask(key, attempt) => send(state, key, attempt, Request::Term),
                    Effect::Kill(key, attempt) => send(state, key, attempt, Request::Kill),
                }
            }
        }
    }

    fn launch(&self, state: &mut State, key: JobKey, attempt: u32) {
        let Some(job) = state.engine.jobs.get(&key) else { return };
        let run = run_id(&job.id(), attempt);
        let around = Surroundings {
            run: &run,
            attempt,
            environment: state.engine.placed_in(key).unwrap_or_default(),
            job_env: &state.job_env,
            scratch: &self.scratch.join(&run),
            log: &self.logs.file(&job.record.definition.0, &run),
            cgroup: self.home.as_ref().map(|home| home.leaf(&run)),
            owner: self.owner.as_ref(),
        };
        match (process::spawn(job, &around), &state.guard) {
            (Ok(spawn), Some(guard)) => guard.send(Request::Spawn(Box::new(spawn))),
            (Ok(_), None) => {}
            (Err(end), _) => apply(state, Event::Ended(key, attempt, end)),
        }
    }

    // The guard is gone, killed by somebody. Its jobs have lost their parent and their limits: they are ended.
    async fn replace_guard(self: &Arc<Self>) -> Option<UnboundedReceiver<News>> {
        let running = {
            let mut state = self.lock();
            state.guard = None;
            state.engine.active_ids()
        };
        let (home, owner) = (self.home.as_ref().map(|home| home.path().to_owned()), self.owner.clone());
        let swept = tokio::task::spawn_blocking(move || {
            process::sweep(&running);
            // A process that is stuck in the kernel keeps its group, and nobody else wants that one.
            let _ = home.map(|home| cgroup::clear(&home));
            // A container that cannot be removed now is at the next start.
            let _ = owner.map(|owner| docker::remove_all(&owner.engine));
        });
        let _ = swept.await;
        loop {
            let started = self.start_guard().ok();
            if let Some(news) = self.take_up(started)? {
                return Some(news);
            }
            sleep(GUARD_AGAIN).await;
        }
    }

    // None when the engine is being shut down, and None within when there is no new guard yet.
    #[allow(clippy::option_option, reason = "there is no end to wait for, or there is nothing yet")]
    fn take_up(
        &self,
        started: Option<(GuardLink, UnboundedReceiver<News>)>,
    ) -> Option<Option<UnboundedReceiver<News>>> {
        let mut state = self.lock();
        if state.closing {
            return None;
        }
        let Some((guard, news)) = started else { return Some(None) };
        // As in `apply`: what cannot be written now is written later, and nothing is started before.
        let _ = state.engine.lose_host(now());
        state.guard = Some(guard);
        self.deliver(&mut state);
        Some(Some(news))
    }
}

fn send(state: &State, key: JobKey, attempt: u32, request: fn(String) -> Request) {
    if let (Some(job), Some(guard)) = (state.engine.jobs.get(&key), &state.guard) {
        guard.send(request(run_id(&job.id(), attempt)));
    }
}

fn remove(scratch: PathBuf) {
    // What cannot be removed now is at the next open.
    tokio::task::spawn_blocking(move || fs::remove_dir_all(scratch));
}
