//! Random numbers from a seed that can be given again.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// Numbers from this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Numbers from the seed in the variable `DAYFILL_SEED`, else from the time. Prints the seed.
    pub fn from_environment() -> Self {
        let given =
            std::env::var("DAYFILL_SEED").ok().map(|text| text.parse().expect("DAYFILL_SEED is a number"));
        let seed = given.unwrap_or_else(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos() as u64
        });
        eprintln!("DAYFILL_SEED={seed}");
        Self::new(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }
}
