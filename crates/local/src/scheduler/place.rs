//! Which RUNNABLE job starts next, and where.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::{Capacity, Effect, JobKey, Millis, Scheduler, Status, TOO_LARGE, Transition};

enum Room {
    // In this environment, now.
    Now(String),
    // Not before something in these environments has ended.
    Later(Vec<String>),
    // Not before something on the host has ended.
    HostFull,
}

impl Scheduler {
    pub(super) fn make_runnable(&mut self, key: JobKey) {
        self.enter(key, Status::Runnable);
        let Some(job) = self.jobs.get(&key) else { return };
        if self.could_fit(&job.submission.queue, job.submission.demand) {
            let queue = job.submission.queue.clone();
            self.runnable.entry(queue).or_default().insert(key);
        } else {
            self.misfits.insert(key);
            self.set_reason(key, Some(TOO_LARGE.to_owned()));
        }
    }

    pub(super) fn reconsider_misfits(&mut self) {
        for key in self.misfits.clone() {
            let Some(job) = self.jobs.get(&key) else { continue };
            if self.could_fit(&job.submission.queue, job.submission.demand) {
                let queue = job.submission.queue.clone();
                self.misfits.remove(&key);
                self.runnable.entry(queue).or_default().insert(key);
                self.set_reason(key, None);
            }
        }
    }

    fn set_reason(&mut self, key: JobKey, why: Option<String>) {
        if let Some(job) = self.jobs.get_mut(&key) {
            job.state.status_reason = why;
            self.transitions.push(Transition { job: key, status: job.state.status });
        }
    }

    pub(super) fn could_fit(&self, queue: &str, demand: Capacity) -> bool {
        let on_host = self.host.is_none_or(|host| host.total.holds(demand));
        on_host
            && self.queues.get(queue).is_some_and(|queue| {
                queue
                    .environments
                    .iter()
                    .filter_map(|name| self.environments.get(name))
                    .any(|environment| environment.pool.total.holds(demand))
            })
    }

    // Strictly in order: a job that must wait for an environment keeps later and lesser jobs out of it, or a
    // stream of small jobs would starve a large one.
    pub(super) fn place(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let mut order: Vec<(Reverse<i32>, String)> =
            self.queues.iter().map(|(name, queue)| (Reverse(queue.priority), name.clone())).collect();
        order.sort();
        let mut blocked = BTreeSet::new();
        for (_, queue) in order {
            let mut after = Bound::Unbounded;
            loop {
                let next =
                    self.runnable.get(&queue).and_then(|jobs| jobs.range((after, Bound::Unbounded)).next());
                let Some(key) = next.copied() else { break };
                after = Bound::Excluded(key);
                match self.room(&queue, key, &blocked) {
                    Room::Now(environment) => effects.push(self.begin(now, &queue, key, &environment)),
                    Room::Later(environments) => blocked.extend(environments),
                    Room::HostFull => return,
                }
                if self.queues.get(&queue).is_some_and(|q| q.environments.iter().all(|e| blocked.contains(e)))
                {
                    break;
                }
            }
        }
    }

    fn room(&self, queue: &str, key: JobKey, blocked: &BTreeSet<String>) -> Room {
        let demand = self.jobs.get(&key).map_or_else(Capacity::default, |job| job.submission.demand);
        let mut later = Vec::new();
        for name in self.queues.get(queue).into_iter().flat_map(|queue| &queue.environments) {
            let Some(environment) = self.environments.get(name).filter(|e| e.enabled) else { continue };
            if !environment.pool.total.holds(demand) {
                continue;
            }
            if blocked.contains(name) || !environment.pool.has_room(demand) {
                later.push(name.clone());
            } else if self.host.is_none_or(|host| host.has_room(demand)) {
                return Room::Now(name.clone());
            } else {
                return Room::HostFull;
            }
        }
        Room::Later(later)
    }

    fn begin(&mut self, now: Millis, queue: &str, key: JobKey, environment: &str) -> Effect {
        if let Some(waiting) = self.runnable.get_mut(queue) {
            waiting.remove(&key);
        }
        self.active.insert(key);
        let mut attempt = 1;
        if let Some(job) = self.jobs.get_mut(&key) {
            job.state.environment = Some(environment.to_owned());
            job.state.status_reason = None;
            attempt = job.state.attempt();
            let demand = job.submission.demand;
            self.take(environment, demand);
        }
        self.expect_reclaim(now, key);
        self.enter(key, Status::Starting);
        Effect::Start(key, attempt)
    }

    pub(super) fn take(&mut self, environment: &str, demand: Capacity) {
        if let Some(environment) = self.environments.get_mut(environment) {
            environment.pool.take(demand);
        }
        if let Some(host) = &mut self.host {
            host.take(demand);
        }
    }

    pub(super) fn give_back(&mut self, environment: &str, demand: Capacity) {
        if let Some(environment) = self.environments.get_mut(environment) {
            environment.pool.give_back(demand);
        }
        if let Some(host) = &mut self.host {
            host.give_back(demand);
        }
    }
}
