//! CancelJob and TerminateJob.

use super::{Effect, Ending, JobKey, Millis, Scheduler, Status, Transition};

impl Scheduler {
    /// Cancels a job, or all children of an array that have not started.
    pub(super) fn cancel(&mut self, now: Millis, key: JobKey, reason: &str) {
        let Some(children) = self.children(key) else {
            self.cancel_one(now, key, reason);
            return;
        };
        let mut any = false;
        for child in children {
            any |= self.cancel_one(now, child, reason);
        }
        if let Some(job) = self.jobs.get_mut(&key).filter(|_| any) {
            job.state.cancelled = true;
            job.state.cancelling = Some(reason.to_owned());
            self.transitions.push(Transition { job: key, status: job.state.status });
        }
    }

    /// Terminates a job, or all children of an array.
    pub(super) fn terminate(&mut self, now: Millis, key: JobKey, reason: &str, effects: &mut Vec<Effect>) {
        let Some(children) = self.children(key) else {
            return self.terminate_one(now, key, reason, effects);
        };
        if let Some(job) = self.jobs.get_mut(&key).filter(|job| !job.state.status.is_terminal()) {
            job.state.terminated = true;
            job.state.ending = Some(Ending::Terminated(reason.to_owned()));
            self.transitions.push(Transition { job: key, status: job.state.status });
        }
        for child in children {
            self.terminate_one(now, child, reason, effects);
        }
    }

    // Whether there was anything to cancel.
    fn cancel_one(&mut self, now: Millis, key: JobKey, reason: &str) -> bool {
        let Some(job) = self.jobs.get_mut(&key) else { return false };
        match job.state.status {
            // As the service does: a job that waits for others is cancelled when they are through.
            Status::Submitted | Status::Pending => {
                job.state.cancelled = true;
                job.state.cancelling = Some(reason.to_owned());
                let status = job.state.status;
                self.transitions.push(Transition { job: key, status });
                self.woken.push_back(key);
            }
            Status::Runnable => {
                job.state.cancelled = true;
                self.finish(now, key, Status::Failed, Some(reason.to_owned()));
            }
            _ => return false,
        }
        true
    }

    fn terminate_one(&mut self, now: Millis, key: JobKey, reason: &str, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        if job.state.status.is_terminal() {
            return;
        }
        job.state.terminated = true;
        if !job.state.status.is_active() {
            job.state.cancelled = true;
            self.finish(now, key, Status::Failed, Some(reason.to_owned()));
            return;
        }
        let already = job.state.ending.replace(Ending::Terminated(reason.to_owned())).is_some();
        let (attempt, status) = (job.state.attempt(), job.state.status);
        self.transitions.push(Transition { job: key, status });
        if !already {
            effects.push(Effect::Ask(key, attempt));
            self.set_deadline(key, Some(now.saturating_add(self.settings.stop_grace)));
        }
    }
}
