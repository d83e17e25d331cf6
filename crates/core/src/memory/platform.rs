//! Which amounts of memory a job can ask for.

/// EC2 sells any amount; a grid lets jobs share hosts, and requests that differ by nothing be the same.
const EC2_STEP_MIB: u64 = 64;

/// What Fargate sells: thousandths of a vCPU, and memory in MiB from, to, and in steps of. A spec cannot ask for the
/// first two.
const FARGATE: [(u32, u64, u64, u64); 7] = [
    (250, 512, 2048, 512),
    (500, 1024, 4096, 1024),
    (1000, 2048, 8192, 1024),
    (2000, 4096, 16_384, 1024),
    (4000, 8192, 30_720, 1024),
    (8000, 16_384, 61_440, 4096),
    (16_000, 32_768, 122_880, 8192),
];

/// Where jobs run, which decides the amounts of memory that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// EC2, or the local engine.
    Ec2,
    /// Fargate with so many thousandths of a vCPU.
    Fargate {
        /// 250, 500, 1000, 2000, 4000, 8000 or 16000; with any other nothing can be had.
        milli_vcpus: u32,
    },
}

impl Platform {
    /// Fargate with whole vCPUs.
    pub fn fargate(vcpus: u32) -> Self {
        Self::Fargate { milli_vcpus: vcpus.saturating_mul(1000) }
    }

    /// The least and the most that can be had, MiB; nothing where there is no such task, or no bound.
    pub fn range(self) -> Option<(u64, u64)> {
        match self {
            Self::Ec2 => None,
            Self::Fargate { milli_vcpus } => fargate_pairs(milli_vcpus).map(|(least, most, _)| (least, most)),
        }
    }

    /// The least amount sold that is no less than `mib`; none where that is more than is sold with these vCPUs.
    pub fn round_up(self, mib: u64) -> Option<u64> {
        match self {
            Self::Ec2 => mib.max(1).checked_next_multiple_of(EC2_STEP_MIB),
            Self::Fargate { milli_vcpus } => sold(milli_vcpus).find(|sold| *sold >= mib),
        }
    }

    /// The largest amount sold that is no more than `mib`: what a job gets whose cap is `mib`. EC2 gives any cap as
    /// it was written. None where even the least is more.
    pub fn round_down(self, mib: u64) -> Option<u64> {
        match self {
            Self::Ec2 => (mib > 0).then_some(mib),
            Self::Fargate { milli_vcpus } => sold(milli_vcpus).take_while(|sold| *sold <= mib).last(),
        }
    }
}

/// What Fargate sells with so many thousandths of a vCPU: MiB from, to, and in steps of.
pub(crate) fn fargate_pairs(milli_vcpus: u32) -> Option<(u64, u64, u64)> {
    FARGATE.iter().find(|(m, ..)| *m == milli_vcpus).map(|&(_, least, most, step)| (least, most, step))
}

/// The same from the least, but a quarter of a vCPU has 1 and 2 GiB and nothing between.
fn sold(milli_vcpus: u32) -> impl Iterator<Item = u64> {
    let pairs = fargate_pairs(milli_vcpus).into_iter();
    let steps = pairs.flat_map(|(least, most, step)| (least..=most).step_by(step as usize));
    steps.filter(move |mib| milli_vcpus != 250 || *mib != 1536)
}
