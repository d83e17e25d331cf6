//! The processes of this machine, read from `/proc`.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process, told apart from a later one of the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The process number.
    pub pid: i32,
    /// Its start, in clock ticks since boot.
    pub start: u64,
}

/// One line of `/proc/<pid>/stat`, as far as it is needed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Who it is.
    pub identity: Identity,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// Whether it has ended and only waits to be reaped.
    pub ended: bool,
}

/// All processes by number.
pub type Snapshot = HashMap<i32, Process>;

/// Reads all processes. Those that end meanwhile are left out.
pub fn snapshot() -> Snapshot {
    pids().filter_map(|pid| Some((pid, read(pid)?))).collect()
}

/// The numbers of all processes.
pub fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Reads one process.
pub fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

// The name, in parentheses, may hold anything, even a parenthesis: the fields begin after the last one.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
    Some(Process {
        identity: Identity { pid, start: fields.get(19)?.parse().ok()? },
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        ended: matches!(fields.first(), Some(&"Z" | &"X")),
    })
}

/// The memory of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Pages of its own.
    pub private: u64,
    /// Pages of files and shared memory, which others may map as well.
    pub shared: u64,
}

/// Reads the memory of a process, in pages. Nothing for a process that has ended.
pub fn memory(pid: i32) -> Option<Memory> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut fields = statm.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, shared) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(Memory { private: resident.saturating_sub(shared), shared })
}

/// The value of a variable in the environment that a process was started with.
pub fn variable(pid: i32, name: &str) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let found = environ.split(|byte| *byte == 0).find_map(|entry| {
        let rest = entry.strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })?;
    Some(String::from_utf8_lossy(found).into_owned())
}

/// The processes whose parent is this one. `None` where the kernel does not list them.
pub fn own_children() -> Option<Vec<i32>> {
    let mut children = Vec::new();
    // An orphan may be given to any thread of the process that adopts it.
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let listed = fs::read_to_string(task.path().join("children")).ok()?;
        children.extend(listed.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Some(children)
}

/// Sends SIGKILL to a process, if it is still the same one.
pub fn kill(identity: Identity) {
    if read(identity.pid).is_some_and(|process| process.identity == identity)
        && let Some(pid) = Pid::from_raw(identity.pid)
    {
        // It may have ended since: then there is nothing to do.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 5 4 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 991 100 7";
        let process = parse(7, stat).unwrap();
        assert_eq!(process.identity, Identity { pid: 7, start: 991 });
        assert_eq!((process.parent, process.group, process.session, process.ended), (1, 5, 4, false));
        assert_eq!(parse(7, "7 (cut"), None);
    }

    #[test]
    fn this_process_is_seen_with_its_memory_and_environment() {
        let own = std::process::id() as i32;
        let seen = snapshot();
        assert!(seen.contains_key(&own) && !seen[&own].ended);
        assert!(memory(own).unwrap().private > 0);
        assert_eq!(variable(own, "PATH"), std::env::var("PATH").ok());
        assert_eq!(variable(own, "NO_SUCH_VARIABLE"), None);
    }
}
