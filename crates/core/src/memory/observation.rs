//! What one finished job tells of memory.

use serde::{Deserialize, Serialize};

/// A peak beyond this multiple of what was asked for cannot be, or the job would not have lived.
const MOST: f64 = 1.1;
/// A peak below this share of what was asked for is taken for a mistaken unit, as one beyond [`MOST`] is: whatever a
/// true peak is, a thousand times it and a thousandth of it fall outside.
const LEAST: f64 = MOST / 1000.0;

/// Whether a job that had `asked_mib` may have held `peak_mib` at once.
pub fn is_believable(peak_mib: f64, asked_mib: u64) -> bool {
    let asked = asked_mib as f64;
    peak_mib >= LEAST * asked && peak_mib <= MOST * asked && peak_mib > 0.0
}

/// What is known of the most memory that a job held at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peak {
    /// It was measured: MiB.
    Exact(f64),
    /// It succeeded with this many MiB.
    AtMost(u64),
    /// It was killed at this many MiB, and has not succeeded since.
    AtLeast(u64),
    /// It was killed at the first and succeeded with the second.
    Between(u64, u64),
}

/// One slice whose job has ended, by success or by a kill for memory. Of other ends nothing is learned.
///
/// A slice that was killed and then succeeded is *one* observation, see [`Observation::after_kill_at`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Bytes of the slice.
    pub bytes: u64,
    /// Objects of the slice; 0 where they are not known.
    pub objects: u64,
    /// MiB that its last job asked for.
    pub asked_mib: u64,
    /// What is known of its peak. What cannot be believed is none.
    pub peak: Peak,
    /// How long its last job ran.
    pub minutes: f64,
}

impl Observation {
    /// A job that succeeded. A reported peak that cannot be (none, over what was asked for, or off by a factor of a
    /// thousand) is left aside: the success itself is still an upper bound.
    pub fn succeeded(bytes: u64, objects: u64, asked_mib: u64, peak_mib: Option<f64>, minutes: f64) -> Self {
        let peak = peak_mib.map_or(Peak::AtMost(asked_mib), Peak::Exact);
        Self { bytes, objects, asked_mib, peak, minutes }.believed()
    }

    /// A job that was killed for its memory.
    pub fn killed(bytes: u64, objects: u64, asked_mib: u64, minutes: f64) -> Self {
        Self { bytes, objects, asked_mib, peak: Peak::AtLeast(asked_mib), minutes }.believed()
    }

    /// The same slice, of which an earlier job was killed at `mib`.
    #[must_use]
    pub fn after_kill_at(mut self, mib: u64) -> Self {
        self.peak = match self.peak {
            Peak::Exact(peak) => Peak::Exact(peak.max(mib as f64)),
            Peak::AtMost(most) if mib < most => Peak::Between(mib, most),
            Peak::Between(least, most) if mib < most => Peak::Between(least.max(mib), most),
            Peak::AtLeast(least) => Peak::AtLeast(least.max(mib)),
            // It succeeded with less than it was killed at once: the success says less than the kill.
            Peak::AtMost(_) | Peak::Between(..) => Peak::AtLeast(mib),
        };
        self
    }

    /// The same, with a peak or a time that cannot be set aside.
    #[must_use]
    pub fn believed(mut self) -> Self {
        if let Peak::Exact(peak) = self.peak
            && !is_believable(peak, self.asked_mib)
        {
            self.peak = Peak::AtMost(self.asked_mib);
        }
        if !(self.minutes.is_finite() && self.minutes > 0.0) {
            self.minutes = 0.0;
        }
        self
    }
}
