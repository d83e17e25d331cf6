//! What a plan adds up to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Choice, Plan, PlannedPartition, SkipReason, SubmitReason};

/// Days by choice, for one value of the first dimension or for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ServiceRow {
    /// All days of the window.
    pub days: u64,
    /// Days by choice and reason.
    pub choices: BTreeMap<String, u64>,
    /// Days that are submitted.
    pub submit: u64,
    /// Jobs that load them: more than one for a day that is cut.
    pub jobs: u64,
    /// Objects of the days that are submitted.
    pub objects: u64,
    /// Bytes of the days that are submitted.
    pub bytes: u64,
    /// Objects of all days.
    pub objects_in_window: u64,
    /// Bytes of all days.
    pub bytes_in_window: u64,
}

/// What a plan adds up to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Per value of the first dimension (one row `all` where the layout has none).
    pub services: BTreeMap<String, ServiceRow>,
    /// Everything.
    pub all: ServiceRow,
    /// Jobs.
    pub jobs: u64,
    /// MiB asked for by the first tries, together.
    pub memory_mib: u64,
    /// vCPUs asked for, together.
    pub vcpus: u64,
    /// Median, 95th percentile and maximum of the bytes of days with objects.
    pub skew: Option<Skew>,
    /// Days over ten times the median of days with objects, largest first.
    pub outliers: Vec<Outlier>,
    /// Runs of days without objects between days with objects, longest first.
    pub gaps: Vec<Gap>,
    /// What the jobs will take; none before the first job has succeeded.
    pub estimate: Option<Estimate>,
}

/// What the jobs of a plan will take, if bytes take as long as they did so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// vCPUs × hours.
    pub vcpu_hours: f64,
    /// GiB × hours.
    pub gib_hours: f64,
    /// Dollars, where the YAML gives prices.
    pub dollars: Option<f64>,
    /// How many finished jobs this rests on.
    pub from_jobs: u64,
}

/// How many times the median makes an outlier.
pub const OUTLIER: u64 = 10;

/// How unequal the days are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Skew {
    /// Median.
    pub p50: u64,
    /// 95th percentile.
    pub p95: u64,
    /// Largest.
    pub max: u64,
}

/// A day far heavier than the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outlier {
    /// Which.
    pub partition: String,
    /// Its bytes.
    pub bytes: u64,
    /// How many times the median, rounded.
    pub times_median: u64,
}

/// Days in a row without objects, while days before and after have some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The dimension values, joined by `/`; empty where there are none.
    pub values: String,
    /// First day without objects.
    pub from: chrono::NaiveDate,
    /// Last day without objects.
    pub to: chrono::NaiveDate,
    /// How many.
    pub days: u64,
}

impl Choice {
    /// In a word or two, as tables head their columns.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Submit(SubmitReason::Missing) => "missing",
            Self::Submit(SubmitReason::Failed) => "failed",
            Self::Submit(SubmitReason::Changed) => "changed",
            Self::Skip(SkipReason::Done) => "done",
            Self::Skip(SkipReason::Running) => "running",
            Self::Skip(SkipReason::NoData) => "no data",
            Self::Skip(SkipReason::Settling) => "settling",
            Self::Skip(SkipReason::Changed) => "changed, not asked for",
            Self::Skip(SkipReason::Gone) => "gone",
            Self::Skip(SkipReason::Unlisted) => "not listed",
            Self::Skip(SkipReason::NeedsPerson) => "needs a person",
            Self::Skip(SkipReason::Failed) => "failed, not asked for",
            Self::Skip(SkipReason::Outside) => "outside",
        }
    }
}

impl ServiceRow {
    fn add(&mut self, p: &PlannedPartition) {
        self.days += 1;
        *self.choices.entry(p.choice.label().to_owned()).or_default() += 1;
        self.objects_in_window += p.objects;
        self.bytes_in_window += p.bytes;
        if let Choice::Submit(_) = p.choice {
            self.submit += 1;
            self.objects += p.objects;
            self.bytes += p.bytes;
        }
    }
}

impl Plan {
    /// Adds the plan up.
    pub fn totals(&self) -> Totals {
        let mut services: BTreeMap<String, ServiceRow> = BTreeMap::new();
        let mut all = ServiceRow::default();
        for p in &self.partitions {
            let service = p.partition.values().first().cloned().unwrap_or_else(|| "all".to_owned());
            services.entry(service).or_default().add(p);
            all.add(p);
        }
        for job in &self.jobs {
            let service = job.slice.partition().values().first().map_or("all", String::as_str);
            if let Some(row) = services.get_mut(service) {
                row.jobs += 1;
            }
            all.jobs += 1;
        }
        let mut sizes: Vec<u64> = self.partitions.iter().filter(|p| p.objects > 0).map(|p| p.bytes).collect();
        sizes.sort_unstable();
        let skew =
            sizes.last().map(|max| Skew { p50: quantile(&sizes, 50), p95: quantile(&sizes, 95), max: *max });
        Totals {
            services,
            all,
            jobs: self.jobs.len() as u64,
            memory_mib: self.jobs.iter().map(|j| j.memory_mib).sum(),
            vcpus: self.jobs.len() as u64 * u64::from(self.job.vcpus),
            outliers: skew.map_or_else(Vec::new, |s| self.outliers(s.p50)),
            gaps: self.gaps(),
            estimate: self.estimate(),
            skew,
        }
    }

    fn estimate(&self) -> Option<Estimate> {
        let history = self.history;
        if history.jobs == 0 {
            return None;
        }
        let per_byte = history.seconds as f64 / history.bytes.max(1) as f64;
        let (mut vcpu_hours, mut gib_hours) = (0.0, 0.0);
        for job in &self.jobs {
            let hours = per_byte * job.bytes as f64 / 3600.0;
            vcpu_hours += hours * f64::from(self.job.vcpus);
            gib_hours += hours * job.memory_mib as f64 / 1024.0;
        }
        let dollars = self.prices.map(|p| vcpu_hours * p.vcpu_hour + gib_hours * p.gib_hour);
        Some(Estimate { vcpu_hours, gib_hours, dollars, from_jobs: history.jobs })
    }

    fn outliers(&self, median: u64) -> Vec<Outlier> {
        let heavy = |p: &&PlannedPartition| median > 0 && p.bytes >= median.saturating_mul(OUTLIER);
        let mut found: Vec<Outlier> = self
            .partitions
            .iter()
            .filter(heavy)
            .map(|p| Outlier {
                partition: p.partition.to_string(),
                bytes: p.bytes,
                times_median: (p.bytes + median / 2) / median,
            })
            .collect();
        found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.partition.cmp(&b.partition)));
        found
    }

    fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        // The last day that had objects, of the combination at hand.
        let mut last: Option<&PlannedPartition> = None;
        for p in &self.partitions {
            if p.choice == Choice::Skip(SkipReason::Unlisted) {
                // Nobody knows whether it has objects, so it bounds what is known to be empty.
                last = None;
            }
            if p.objects == 0 {
                continue;
            }
            if let Some(before) = last
                && before.partition.values() == p.partition.values()
            {
                let days = (p.partition.day() - before.partition.day()).num_days() - 1;
                if let (true, Some(from), Some(to)) =
                    (days > 0, before.partition.day().succ_opt(), p.partition.day().pred_opt())
                {
                    gaps.push(Gap { values: p.partition.values().join("/"), from, to, days: days as u64 });
                }
            }
            last = Some(p);
        }
        gaps.sort_by(|a, b| b.days.cmp(&a.days).then_with(|| (&a.values, a.from).cmp(&(&b.values, b.from))));
        gaps
    }
}

/// The nearest-rank quantile of sorted values.
fn quantile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}
