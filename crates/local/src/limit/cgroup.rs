//! Memory limits by control groups: one group for each run, below one for each engine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process};

use super::Limits;
use super::place::{self, Place};

const PROCESSES: &str = "cgroup.procs";
const PROBE: &str = "probe";
// How long processes may take to die, and a group without processes to be let go.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// Why no control groups can be used.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No memory controller is to be found, or none may be used.
    #[error("this machine lets no process of this user make control groups that limit memory")]
    None,
    /// A group that was there before is still in use.
    #[error("cannot clear the control group {}", path.display())]
    Busy {
        /// The group.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The group of an engine, in which it makes one for each run. It is removed when this is dropped, or later by others
/// if it is still in use then.
#[derive(Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
    limits: Limits,
}

impl Home {
    /// Makes the group of this name below the group of this process, or as near to it as the kernel allows.
    pub fn open(name: &str) -> Result<Self, CgroupError> {
        place::own().iter().find_map(|place| Self::open_in(place, name)).ok_or(CgroupError::None)
    }

    fn open_in(place: &Place, name: &str) -> Option<Self> {
        let path = place.folder.join(name);
        // Whoever moves a process needs the right to do so where both groups meet.
        access(place.folder.join(PROCESSES), Access::WRITE_OK).ok()?;
        make(&path).ok()?;
        let home = Self { limits: place.limits, path };
        home.try_out().is_ok().then_some(home)
    }

    // What a run needs, all but the run.
    fn try_out(&self) -> io::Result<()> {
        if self.limits == Limits::CgroupV2 {
            fs::write(self.path.join("cgroup.subtree_control"), "+memory")?;
        }
        let probe = Leaf::create(&self.leaf(PROBE), 1 << 20)?;
        let tried = access(probe.processes(), Access::WRITE_OK);
        probe.remove();
        Ok(tried?)
    }

    /// The version of these groups.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the group of a run.
    pub fn leaf(&self, run: &str) -> PathBuf {
        self.path.join(run)
    }

    /// Removes the group, if nothing is left in it.
    pub fn remove(&self) -> bool {
        gone(&self.path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Kills whatever runs in the groups below `home`, and removes them; gives up after some seconds, should a process be
/// stuck in the kernel.
pub fn clear(home: &Path) -> Result<(), CgroupError> {
    let until = Instant::now() + PATIENCE;
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let leaf = Leaf { path: entry.path() };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        while !leaf.remove() {
            if Instant::now() > until {
                let source = io::Error::other("a process in it does not end");
                return Err(CgroupError::Busy { path: leaf.path, source });
            }
            leaf.kill();
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// The group of one run.
#[derive(Debug)]
pub struct Leaf {
    path: PathBuf,
}

impl Leaf {
    /// Makes the group, and lets it hold this much memory and nothing on top of it in swap.
    pub fn create(path: &Path, limit_kib: u64) -> io::Result<Self> {
        make(path)?;
        let leaf = Self { path: path.to_owned() };
        if let Err(source) = leaf.set(limit_kib.saturating_mul(1024)) {
            leaf.remove();
            return Err(source);
        }
        Ok(leaf)
    }

    fn set(&self, bytes: u64) -> io::Result<()> {
        let file = |name: &str| self.path.join(name);
        if file("memory.max").exists() {
            fs::write(file("memory.max"), bytes.to_string())?;
            // Absent where the machine has no swap, or the kernel is older than the member.
            optional(fs::write(file("memory.swap.max"), "0"))?;
            return optional(fs::write(file("memory.oom.group"), "1"));
        }
        fs::write(file("memory.limit_in_bytes"), bytes.to_string())?;
        match fs::write(file("memory.memsw.limit_in_bytes"), bytes.to_string()) {
            Err(source) if is_absent(&source) => fs::write(file("memory.swappiness"), "0"),
            done => done,
        }
    }

    /// The file by which a process enters.
    pub fn processes(&self) -> PathBuf {
        self.path.join(PROCESSES)
    }

    /// Who is in it.
    pub fn pids(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.processes()).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Whether the kernel has killed a process of it because the group held too much.
    pub fn oom_killed(&self) -> bool {
        ["memory.events", "memory.oom_control"]
            .iter()
            .any(|name| fs::read_to_string(self.path.join(name)).is_ok_and(|text| oom_kills(&text) > 0))
    }

    /// Sends SIGKILL to whoever is in it.
    pub fn kill(&self) {
        for pid in self.pids() {
            if let Some(pid) = Pid::from_raw(pid) {
                // It may have ended since.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Removes the group. False while somebody is in it.
    pub fn remove(&self) -> bool {
        gone(&self.path)
    }
}

fn oom_kills(text: &str) -> u64 {
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(source),
        _ => Ok(()),
    }
}

fn gone(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(source) => source.kind() == io::ErrorKind::NotFound,
    }
}

// The kernel lets nobody make a file there, so one that is not there is refused in either way.
fn is_absent(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

fn optional(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(source) if !is_absent(&source) => Err(source),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kills_of_the_kernel_count() {
        assert_eq!(oom_kills("low 0\nhigh 3\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n"), 2);
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        assert_eq!(oom_kills("oom_kill_disable 1\nunder_oom 1\n"), 0, "a kernel that does not count");
    }

    #[test]
    fn a_home_can_be_made_used_cleared_and_removed() {
        let name = format!("dayfill-local-test-{}", std::process::id());
        let home = match Home::open(&name) {
            Ok(home) => home,
            Err(why) => {
                use std::io::Write as _;
                // Past the harness, which keeps what `eprintln!` says to itself.
                let _ = writeln!(io::stderr(), "skipped: {why}");
                return;
            }
        };
        let leaf = Leaf::create(&home.leaf("run"), 64 << 10).unwrap();
        let mut sleeper = std::process::Command::new("sleep").arg("700").spawn().unwrap();
        fs::write(leaf.processes(), sleeper.id().to_string()).unwrap();
        assert_eq!(leaf.pids(), [sleeper.id() as i32]);
        assert!(!leaf.oom_killed() && !leaf.remove() && !home.remove());
        // A process that has ended stays in its group until it is reaped, so somebody must do that meanwhile.
        let reaper = thread::spawn(move || sleeper.wait().unwrap());
        clear(home.path()).unwrap();
        assert!(!reaper.join().unwrap().success());
        assert!(leaf.pids().is_empty() && home.remove() && !home.path().exists());
    }
}
