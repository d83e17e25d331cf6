//! How much memory a job asks for.

use crate::spec::MemoryBounds;

/// The request after a job that asked for `failed_mib` was killed for its memory: twice as much, up to the cap;
/// nothing where the cap itself was not enough, since the same shape would only die again.
pub fn after_oom(failed_mib: u64, bounds: MemoryBounds) -> Option<u64> {
    (failed_mib < bounds.max_mib).then(|| failed_mib.saturating_mul(2).min(bounds.max_mib))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_cap_and_no_further() {
        let bounds = MemoryBounds { start_mib: 128, max_mib: 300 };
        assert_eq!(after_oom(128, bounds), Some(256));
        assert_eq!(after_oom(256, bounds), Some(300));
        assert_eq!(after_oom(300, bounds), None);
        // A cap that was lowered since: what failed above it is not repeated below it.
        assert_eq!(after_oom(512, bounds), None);
    }
}
