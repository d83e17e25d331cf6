//! What a job will need, by one of three rules, and what is known that they are fitted to.

use std::cmp::Ordering;

use super::observation::{Observation, Peak};
use super::why::Rule;

/// What was killed is believed to have needed so much of what it had: not known, but the least that is worth a try.
const AFTER_KILL: f64 = 1.2;
/// After a kill a request grows to so much of what failed, at least.
pub(super) const GROWTH: f64 = 1.5;
/// Fewer finished jobs than this teach nothing.
pub(super) const ENOUGH: usize = 3;

/// A request is so much of what is believed to be needed. The more jobs were seen, the less will the next one exceed
/// what they needed: 5 % after three jobs, 3 % after ten, 2 % after many.
pub(super) fn headroom(jobs: usize) -> f64 {
    1.02 + 0.1 / jobs.max(1) as f64
}

/// A finished job as the rules see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub bytes: f64,
    pub objects: f64,
    /// MiB that it is believed to have needed.
    pub need: f64,
    pub hours: f64,
}

/// One finished job with what is known of its need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    sample: Sample,
    peak: Peak,
}

impl Known {
    /// `headroom` is what a request will have.
    pub(super) fn of(observation: &Observation, headroom: f64) -> Self {
        let Observation { bytes, objects, peak, minutes, .. } = observation.believed();
        // What sufficed without headroom suffices.
        let need = match peak {
            Peak::Exact(peak) => peak,
            Peak::AtMost(most) | Peak::Between(_, most) => most as f64 / headroom,
            Peak::AtLeast(least) => least as f64 * AFTER_KILL / headroom,
        };
        let sample = Sample { bytes: bytes as f64, objects: objects as f64, need, hours: minutes / 60.0 };
        Self { sample, peak }
    }

    /// An order in which equal ones are the same in all that counts.
    pub(super) fn in_order(&self, other: &Self) -> Ordering {
        let key = |k: &Self| {
            let Sample { bytes, objects, need, hours } = k.sample;
            [bytes, objects, need, hours, if k.is_exact() { 0.0 } else { k.floor() }]
        };
        let (one, other) = (key(self), key(other));
        let differing = one.iter().zip(&other).map(|(a, b)| a.total_cmp(b));
        differing.into_iter().find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self.peak, Peak::Exact(_))
    }

    /// MiB below which nothing is known to suffice.
    fn floor(&self) -> f64 {
        match self.peak {
            Peak::Exact(peak) => peak,
            Peak::AtLeast(mib) | Peak::AtMost(mib) | Peak::Between(_, mib) => mib as f64,
        }
    }

    /// The bound, where it contradicts that `said` MiB are needed.
    fn against(&self, said: f64) -> Option<Sample> {
        match self.peak {
            Peak::AtMost(most) if (most as f64) < said => Some(self.sample),
            Peak::Between(_, most) if (most as f64) < said => Some(self.sample),
            Peak::AtLeast(least) | Peak::Between(least, _) if least as f64 > said => Some(self.sample),
            _ => None,
        }
    }
}

/// `a + b·x`, x being bytes, objects or nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub rule: Rule,
    pub a: f64,
    pub b: f64,
}

impl Candidate {
    pub(super) const FLAT: Self = Self { rule: Rule::Flat, a: 0.0, b: 0.0 };

    pub(super) fn at(&self, bytes: f64, objects: f64) -> f64 {
        match self.rule {
            Rule::Flat => self.a,
            Rule::Line => self.a + self.b * bytes,
            Rule::Objects => self.a + self.b * objects,
        }
    }

    pub(super) fn of(&self, sample: &Sample) -> f64 {
        self.at(sample.bytes, sample.objects)
    }
}

/// The smallest peak; with too few of them, the smallest amount that sufficed or did not.
pub(super) fn smallest(known: &[Known]) -> f64 {
    let exact = known.iter().filter(|k| k.is_exact()).count();
    let counts = known.iter().filter(|k| k.is_exact() || exact < ENOUGH);
    counts.map(Known::floor).min_by(f64::total_cmp).unwrap_or_default()
}

/// The rule fitted to what is known, and the samples it was fitted to; none where it cannot be, or would say that
/// more input needs less memory.
pub(super) fn fit(rule: Rule, known: &[Known]) -> Option<(Candidate, Vec<Sample>)> {
    let exact: Vec<Sample> = known.iter().filter(|k| k.is_exact()).map(|k| k.sample).collect();
    if exact.len() < ENOUGH {
        let all: Vec<Sample> = known.iter().map(|k| k.sample).collect();
        return Some((through(rule, &all)?, all));
    }
    let first = through(rule, &exact)?;
    // Flat says nothing of its own: what it believes is in its slack, and a bound is measured against the middle.
    let middle = if rule == Rule::Flat { median(&exact) } else { 0.0 };
    let bounds = known.iter().filter(|k| !k.is_exact());
    let mut samples = exact;
    samples.extend(bounds.filter_map(|k| k.against(first.of(&k.sample) + middle)));
    Some((through(rule, &samples)?, samples))
}

fn median(samples: &[Sample]) -> f64 {
    let mut needs: Vec<f64> = samples.iter().map(|s| s.need).collect();
    let middle = needs.len() / 2;
    *needs.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Least squares, in two passes: bytes squared would eat the digits of a difference.
fn through(rule: Rule, samples: &[Sample]) -> Option<Candidate> {
    let x = |s: &Sample| match rule {
        Rule::Flat => 0.0,
        Rule::Line => s.bytes,
        Rule::Objects => s.objects,
    };
    if rule == Rule::Flat {
        return Some(Candidate::FLAT);
    }
    // Where objects were not counted, nothing can follow them.
    if rule == Rule::Objects && samples.iter().any(|s| s.objects == 0.0) {
        return None;
    }
    let n = samples.len() as f64;
    let mean_x = samples.iter().map(x).sum::<f64>() / n;
    let mean_y = samples.iter().map(|s| s.need).sum::<f64>() / n;
    let (mut xx, mut xy) = (0.0, 0.0);
    for sample in samples {
        let dx = x(sample) - mean_x;
        xx += dx * dx;
        xy += dx * (sample.need - mean_y);
    }
    let b = xy / xx;
    (xx > 0.0 && b > 0.0 && b.is_finite()).then_some(Candidate { rule, a: mean_y - b * mean_x, b })
}
