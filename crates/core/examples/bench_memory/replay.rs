//! Tasks of one type, run anew: many in flight, each with what a policy asks for, killed where that is too little.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::AddAssign;

use dayfill_core::memory::{Platform, pilots};

use crate::policies::{Name, Policy};
use crate::trace::Task;
use crate::{CAP_MIB, ENOUGH, FLOOR_MIB, START_MIB};

/// How it is replayed.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// How much of its time a task ran before it was killed.
    pub phi: f64,
    /// Tasks in flight.
    pub slots: usize,
}

/// What it cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// MiB × minutes that were asked for and not used, those of killed tasks whole.
    pub wasted: f64,
    pub kills: usize,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.wasted += other.wasted;
        self.kills += other.kills;
    }
}

/// A task in flight. The order of its fields is the order in which tasks end.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Running {
    /// Nanoseconds, so that they can be ordered.
    ends: u128,
    started: usize,
    task: usize,
    asked: u64,
}

struct Replay<'a> {
    tasks: &'a [Task],
    setting: Setting,
    policy: Box<dyn Policy>,
    running: BinaryHeap<Reverse<Running>>,
    started: usize,
    succeeded: usize,
    cost: Cost,
}

/// Replays the tasks in `order`, after the pilots.
pub fn replay(tasks: &[Task], order: &[usize], setting: Setting, name: Name) -> Cost {
    let mut replay = Replay {
        tasks,
        setting,
        policy: name.policy(),
        running: BinaryHeap::new(),
        started: 0,
        succeeded: 0,
        cost: Cost::default(),
    };
    let sizes: Vec<u64> = order.iter().map(|i| tasks[*i].bytes).collect();
    let first: Vec<usize> = pilots(&sizes).into_iter().flatten().map(|place| order[place]).collect();
    let rest: Vec<usize> = order.iter().filter(|i| !first.contains(i)).copied().collect();
    replay.run(&first);
    replay.run(&rest);
    replay.cost
}

impl Replay<'_> {
    fn run(&mut self, order: &[usize]) {
        let mut waiting = order.iter();
        let mut now = 0;
        loop {
            while self.running.len() < self.setting.slots
                && let Some(task) = waiting.next()
            {
                let asked =
                    if self.learned() { self.policy.first(&self.tasks[*task]) } else { START_MIB as f64 };
                self.start(now, *task, sold(asked));
            }
            let Some(Reverse(ended)) = self.running.pop() else { return };
            now = ended.ends;
            self.end(&ended);
        }
    }

    fn learned(&self) -> bool {
        self.succeeded >= ENOUGH
    }

    fn start(&mut self, now: u128, task: usize, asked: u64) {
        let Task { peak_mib, minutes, .. } = self.tasks[task];
        let minutes = if peak_mib > asked as f64 { minutes * self.setting.phi } else { minutes };
        self.started += 1;
        let ends = now + (minutes * 60e9) as u128;
        self.running.push(Reverse(Running { ends, started: self.started, task, asked }));
    }

    fn end(&mut self, ended: &Running) {
        let task = &self.tasks[ended.task];
        let asked = ended.asked as f64;
        if task.peak_mib <= asked {
            self.cost.wasted += (asked - task.peak_mib) * task.minutes;
            self.succeeded += 1;
            self.policy.succeeded(ended.task, task, ended.asked);
            return;
        }
        self.cost.wasted += asked * task.minutes * self.setting.phi;
        self.cost.kills += 1;
        self.policy.killed(ended.task, task, ended.asked);
        let doubled = asked * 2.0;
        let next = if self.learned() { self.policy.again(task, ended.asked) } else { doubled };
        let next = if sold(next) > ended.asked { next } else { doubled };
        self.start(ended.ends, ended.task, sold(next));
    }
}

/// What everybody's request becomes.
fn sold(mib: f64) -> u64 {
    let mib = Platform::Ec2.round_up(mib.max(1.0).ceil() as u64).unwrap_or(CAP_MIB);
    mib.clamp(FLOOR_MIB, CAP_MIB)
}
