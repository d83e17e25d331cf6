//! Which rule with which slack would have cost the least at the jobs that have finished.

use super::candidate::{Candidate, GROWTH, Known, Sample, fit};
use super::why::{Rule, Slack};

/// The slacks that compete, in hundredths of the finished jobs.
const QUANTILES: [u8; 8] = [30, 40, 50, 60, 70, 80, 90, 95];
/// Below so many jobs a quantile says nothing, and the largest shortfall is the slack.
const FOR_QUANTILES: usize = 10;
/// Hours that a job takes to start again.
const RESTART_HOURS: f64 = 0.05;

/// A rule with its slack, as it won.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Winner {
    pub candidate: Candidate,
    pub slack: Slack,
    /// MiB added to what the rule says.
    pub k: f64,
    /// The most that the rule was ever short of.
    pub most: f64,
    pub headroom: f64,
}

impl Winner {
    /// MiB to ask for.
    pub(super) fn first(&self, bytes: f64, objects: f64) -> f64 {
        self.headroom * (self.candidate.at(bytes, objects) + self.k)
    }

    /// MiB to ask for after a kill.
    pub(super) fn second(&self, bytes: f64, objects: f64) -> f64 {
        let covers_all = self.headroom * (self.candidate.at(bytes, objects) + self.most);
        covers_all.max(GROWTH * self.first(bytes, objects))
    }
}

/// The cheapest. `least` is the least that any request will be.
pub(super) fn cheapest(known: &[Known], least: f64, headroom: f64) -> Option<Winner> {
    let mut best: Option<(f64, Winner)> = None;
    for rule in Rule::ALL {
        let Some((candidate, samples)) = fit(rule, known) else { continue };
        let mut short: Vec<f64> = samples.iter().map(|s| s.need - candidate.of(s)).collect();
        short.sort_unstable_by(f64::total_cmp);
        let Some(most) = short.last().copied() else { continue };
        let quantiles = if samples.len() < FOR_QUANTILES { &[][..] } else { &QUANTILES };
        let slacks = quantiles.iter().map(|q| (Slack::Quantile(*q), quantile(&short, *q)));
        for (slack, k) in slacks.chain([(Slack::Most, most)]) {
            let winner = Winner { candidate, slack, k, most, headroom };
            let cost = replay(&winner, &samples, least);
            if best.as_ref().is_none_or(|(lowest, _)| cost < *lowest) {
                best = Some((cost, winner));
            }
        }
    }
    best.map(|(_, winner)| winner)
}

/// MiB-hours that these jobs would have cost.
fn replay(winner: &Winner, samples: &[Sample], least: f64) -> f64 {
    let cost = |s: &Sample| {
        let first = winner.first(s.bytes, s.objects).max(least);
        if first >= s.need {
            return s.hours * first;
        }
        let second = winner.second(s.bytes, s.objects).max(GROWTH * first);
        (s.hours + RESTART_HOURS) * (first + second)
    };
    samples.iter().map(cost).sum()
}

/// Between the two nearest, of what is sorted.
fn quantile(sorted: &[f64], hundredths: u8) -> f64 {
    let place = f64::from(hundredths) / 100.0 * sorted.len().saturating_sub(1) as f64;
    let at = |i: usize| sorted.get(i).or(sorted.last()).copied().unwrap_or_default();
    let below = at(place as usize);
    below + (at(place as usize + 1) - below) * place.fract()
}
