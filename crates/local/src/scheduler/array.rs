//! Array jobs: one submission, many children, and a parent that is what they are.

use serde::{Deserialize, Serialize};

use super::{Ending, Job, JobKey, Millis, Scheduler, Status};

/// `statusReason` of an array job one of whose children failed.
pub const CHILD_FAILED: &str = "Array Child Job failed";

/// What makes a job an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// How many children it has.
    pub size: u32,
    /// Whether each child waits for the one before it.
    pub sequential: bool,
    /// Arrays of the same size, whose children are each waited for by the child of the same index.
    pub n_to_n: Vec<JobKey>,
}

/// How many children of an array are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary([u32; Status::ALL.len()]);

impl Summary {
    /// The children in this state.
    pub fn count(&self, status: Status) -> u32 {
        self.0.get(status as usize).copied().unwrap_or(0)
    }

    fn ended(&self) -> u32 {
        self.count(Status::Succeeded) + self.count(Status::Failed)
    }

    fn shift(&mut self, status: Status, by: i32) {
        if let Some(count) = self.0.get_mut(status as usize) {
            *count = count.saturating_add_signed(by);
        }
    }
}

/// What a job is of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing.
    Alone,
    /// The whole.
    Parent(Summary),
    /// One child of it.
    Child(JobKey, u32),
}

impl Job {
    /// The jobs that must have succeeded before this one may start.
    pub(super) fn waits_for(&self) -> impl Iterator<Item = JobKey> + '_ {
        let child = match self.part {
            Part::Child(parent, index) => Some((parent, index)),
            _ => None,
        };
        let of_array =
            child.zip(self.submission.array.as_ref()).into_iter().flat_map(|((parent, index), array)| {
                let before = index.checked_sub(1).filter(|_| array.sequential);
                let before = before.map(|before| parent.child(before));
                before.into_iter().chain(array.n_to_n.iter().map(move |other| other.child(index)))
            });
        self.submission.depends_on.iter().copied().chain(of_array)
    }
}

impl Scheduler {
    /// How the children of an array fare; nothing for any other job.
    pub fn summary(&self, key: JobKey) -> Option<Summary> {
        match self.jobs.get(&key)?.part {
            Part::Parent(summary) => Some(summary),
            _ => None,
        }
    }

    pub(super) fn children(&self, key: JobKey) -> Option<impl Iterator<Item = JobKey> + use<>> {
        let job = self.jobs.get(&key).filter(|job| matches!(job.part, Part::Parent(_)))?;
        let size = job.submission.array.as_ref()?.size;
        Some((0..size).map(move |index| key.child(index)))
    }

    /// Counts a child of `parent` out of one state and into another.
    pub(super) fn count(&mut self, parent: JobKey, from: Option<Status>, to: Status) {
        let Some(Part::Parent(summary)) = self.jobs.get_mut(&parent).map(|job| &mut job.part) else { return };
        if let Some(from) = from {
            summary.shift(from, -1);
        }
        summary.shift(to, 1);
        if to.is_terminal() {
            self.woken.push_back(parent);
        }
    }

    /// PENDING as long as a child has not ended, and then what they came to.
    pub(super) fn settle(&mut self, now: Millis, key: JobKey) {
        if self.jobs.get(&key).is_some_and(|job| job.state.status == Status::Submitted) {
            self.enter(key, Status::Pending);
        }
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let (Part::Parent(summary), Some(array)) = (job.part, &job.submission.array) else { return };
        if job.state.status.is_terminal() || summary.ended() < array.size {
            return;
        }
        let ending = job.state.ending.take();
        if summary.count(Status::Failed) == 0 {
            return self.finish(now, key, Status::Succeeded, None);
        }
        let why = match (ending, &job.state.cancelling, &job.submission.doomed) {
            (Some(Ending::Terminated(why)), _, _) => why,
            (_, Some(why), _) | (_, _, Some(why)) => why.clone(),
            _ => CHILD_FAILED.to_owned(),
        };
        self.finish(now, key, Status::Failed, Some(why));
    }
}

#[cfg(test)]
mod tests;
