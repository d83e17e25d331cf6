//! How large this machine is.

use std::fs;
use std::num::NonZero;
use std::thread;

/// Processors that this process may use; 1 where that cannot be found out.
pub fn vcpus() -> u32 {
    thread::available_parallelism().map_or(1, |count| u32::try_from(NonZero::get(count)).unwrap_or(u32::MAX))
}

/// Memory in MiB that jobs may have: what is available now, less a part that keeps the machine usable. `None` where
/// the system does not tell.
pub fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    available_kib(&text).map(|kib| (kib / 1024) * 9 / 10)
}

fn available_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read() {
        let text = "MemTotal:       100 kB\nMemAvailable:   2097152 kB\n";
        assert_eq!(available_kib(text), Some(2_097_152));
        assert_eq!(available_kib("MemTotal: 1 kB\n"), None);
        assert!(vcpus() > 0);
    }
}
