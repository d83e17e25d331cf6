//! What this machine has, for the local engine's capacity.

use std::num::NonZero;

/// vCPUs: the processors that this process may use.
pub fn vcpus() -> u32 {
    std::thread::available_parallelism().map_or(1, NonZero::get) as u32
}

/// MiB: four fifths of the memory, so that the engine and whatever else runs here keep some.
pub fn memory_mib() -> u64 {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_kib(&text));
    // A machine that does not tell gets what the smallest have.
    total.map_or(2048, |kib| kib / 1024 * 4 / 5)
}

fn total_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_meminfo() {
        assert_eq!(total_kib("MemTotal:       24624576 kB\nMemFree: 1 kB\n"), Some(24_624_576));
        assert_eq!(total_kib("nothing"), None);
    }
}
