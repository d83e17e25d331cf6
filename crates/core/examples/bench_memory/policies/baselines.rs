//! What others do, as they describe it. None of them is told of kills.

use super::Policy;
use crate::CAP_MIB;
use crate::trace::Task;

/// 2 GiB, and twice that, and twice that again.
pub struct Doubling;

impl Policy for Doubling {
    fn first(&mut self, _task: &Task) -> f64 {
        crate::START_MIB as f64
    }

    fn succeeded(&mut self, _place: usize, _task: &Task, _asked: u64) {}
}

/// The peak that 95 of a hundred stayed below.
#[derive(Default)]
pub struct P95 {
    sorted: Vec<f64>,
}

impl Policy for P95 {
    fn first(&mut self, _task: &Task) -> f64 {
        let place = 0.95 * self.sorted.len().saturating_sub(1) as f64;
        let (below, above) = (self.sorted[place as usize], self.sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }

    fn succeeded(&mut self, _place: usize, task: &Task, _asked: u64) {
        let place = self.sorted.partition_point(|peak| *peak < task.peak_mib);
        self.sorted.insert(place, task.peak_mib);
    }
}

/// A tenth more than the largest peak.
#[derive(Default)]
pub struct Largest {
    largest: f64,
}

impl Policy for Largest {
    fn first(&mut self, _task: &Task) -> f64 {
        1.1 * self.largest
    }

    fn succeeded(&mut self, _place: usize, task: &Task, _asked: u64) {
        self.largest = self.largest.max(task.peak_mib);
    }
}

/// The first allocation that would have wasted the least at the tasks seen, were each that it fails to run again with
/// the largest peak seen; what fails with that gets the node (Tovar et al., a job sizing strategy for high-throughput
/// scientific workflows).
#[derive(Default)]
pub struct Tovar {
    /// Peak and minutes, by peak.
    sorted: Vec<(f64, f64)>,
    best: Option<f64>,
}

impl Tovar {
    fn largest(&self) -> f64 {
        self.sorted.last().map_or(0.0, |(peak, _)| *peak)
    }

    fn fit(&self) -> f64 {
        let largest = self.largest();
        // Whatever the first allocation, what is used is used: only what is allocated differs.
        let mut above: f64 = self.sorted.iter().map(|(_, minutes)| minutes).sum();
        let all = above;
        let mut best = (f64::MAX, largest);
        for (peak, minutes) in &self.sorted {
            above -= minutes;
            let allocated = peak * all + largest * above;
            if allocated < best.0 {
                best = (allocated, *peak);
            }
        }
        best.1
    }
}

impl Policy for Tovar {
    fn first(&mut self, _task: &Task) -> f64 {
        let best = self.best.unwrap_or_else(|| self.fit());
        self.best = Some(best);
        best
    }

    fn again(&mut self, _task: &Task, failed: u64) -> f64 {
        let largest = self.largest();
        if largest > failed as f64 { largest } else { CAP_MIB as f64 }
    }

    fn succeeded(&mut self, _place: usize, task: &Task, _asked: u64) {
        let place = self.sorted.partition_point(|(peak, _)| *peak < task.peak_mib);
        self.sorted.insert(place, (task.peak_mib, task.minutes));
        self.best = None;
    }
}

/// A line through all that was seen.
#[derive(Default)]
struct Line {
    seen: Vec<(f64, f64)>,
    /// Intercept, slope, correlation; until the next one is seen.
    fitted: Option<(f64, f64, f64)>,
}

impl Line {
    fn see(&mut self, task: &Task) {
        self.seen.push((task.bytes as f64, task.peak_mib));
        self.fitted = None;
    }

    fn fit(&mut self) -> (f64, f64, f64) {
        if let Some(fitted) = self.fitted {
            return fitted;
        }
        let n = self.seen.len() as f64;
        let mean_x = self.seen.iter().map(|(x, _)| x).sum::<f64>() / n;
        let mean_y = self.seen.iter().map(|(_, y)| y).sum::<f64>() / n;
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in &self.seen {
            let (dx, dy) = (x - mean_x, y - mean_y);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        let slope = if xx > 0.0 { xy / xx } else { 0.0 };
        let correlation = if xx > 0.0 && yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 };
        let fitted = (mean_y - slope * mean_x, slope, correlation);
        self.fitted = Some(fitted);
        fitted
    }
}

/// The line, and the most that it was ever short of (Witt et al., feedback-based resource allocation).
#[derive(Default)]
pub struct Witt {
    line: Line,
}

impl Policy for Witt {
    fn first(&mut self, task: &Task) -> f64 {
        let (intercept, slope, _) = self.line.fit();
        let short = self.line.seen.iter().map(|(x, y)| y - (intercept + slope * x));
        intercept + slope * task.bytes as f64 + short.fold(0.0, f64::max)
    }

    fn succeeded(&mut self, _place: usize, task: &Task, _asked: u64) {
        self.line.see(task);
    }
}

/// The line and twice the deviation from it, tasks of about the same size counting most; where peaks hardly follow
/// bytes, the largest peak and 128 MiB (Lehmann et al., Ponder).
#[derive(Default)]
pub struct Ponder {
    line: Line,
}

impl Policy for Ponder {
    fn first(&mut self, task: &Task) -> f64 {
        let (intercept, slope, correlation) = self.line.fit();
        if correlation <= 0.3 {
            return self.line.seen.iter().map(|(_, y)| *y).fold(0.0, f64::max) + 128.0;
        }
        let bytes = task.bytes as f64;
        let farthest = self.line.seen.iter().map(|(x, _)| (x - bytes).abs()).fold(0.0, f64::max);
        let (mut weights, mut squares) = (0.0, 0.0);
        for (x, y) in &self.line.seen {
            let weight = 1.0 - (x - bytes).abs() / farthest;
            weights += weight;
            squares += weight * (y - (intercept + slope * x)).powi(2);
        }
        let deviation = if weights > 0.0 { (squares / weights).sqrt() } else { 0.0 };
        intercept + slope * bytes + 2.0 * deviation
    }

    fn succeeded(&mut self, _place: usize, task: &Task, _asked: u64) {
        self.line.see(task);
    }
}
