//! Where in the hierarchies of control groups this process is.

use std::fs;
use std::path::{Path, PathBuf};

use super::Limits;

/// A group in which others may perhaps be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its folder.
    pub folder: PathBuf,
    /// The version of its hierarchy.
    pub limits: Limits,
}

/// The groups of this process that limit memory, the most promising first.
pub fn own() -> Vec<Place> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (groups, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
    let mut places = Vec::new();
    // A group of version 2 that has processes cannot limit those below it: the next one above that does is the place.
    if let Some((folder, mount)) = find(&groups, &mounts, Hierarchy::V2) {
        let above = folder.ancestors().take_while(|path| path.starts_with(&mount));
        let limiting = above.filter(|path| {
            let passed_on = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
            passed_on.split_ascii_whitespace().any(|controller| controller == "memory")
        });
        places.extend(limiting.map(|path| Place { folder: path.to_owned(), limits: Limits::CgroupV2 }));
    }
    if let Some((folder, _)) = find(&groups, &mounts, Hierarchy::V1) {
        places.push(Place { folder, limits: Limits::CgroupV1 });
    }
    places
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hierarchy {
    V1,
    V2,
}

// The folder of the group of a process, and the mount point above it. `groups`: its `/proc/<pid>/cgroup`; `mounts`: its
// `/proc/<pid>/mountinfo`.
fn find(groups: &str, mounts: &str, hierarchy: Hierarchy) -> Option<(PathBuf, PathBuf)> {
    let group = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = match hierarchy {
            Hierarchy::V1 => controllers.split(',').any(|name| name == "memory"),
            Hierarchy::V2 => number == "0" && controllers.is_empty(),
        };
        ours.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (mounted, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (kind, options) = (kind.next()?, kind.nth(1).unwrap_or_default());
        let ours = match hierarchy {
            Hierarchy::V1 => kind == "cgroup" && options.split(',').any(|name| name == "memory"),
            Hierarchy::V2 => kind == "cgroup2",
        };
        let mut fields = mounted.split(' ').skip(3);
        let (root, point) = (fields.next()?, PathBuf::from(fields.next()?));
        // In a container the hierarchy may be mounted from the container's own group on.
        let below = Path::new(group).strip_prefix(root).ok().filter(|_| ours)?;
        let inside = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        inside.then(|| (point.join(below), point))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/cpu rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn folder(groups: &str, mounts: &str, hierarchy: Hierarchy) -> Option<String> {
        find(groups, mounts, hierarchy).map(|(folder, _)| folder.to_string_lossy().into_owned())
    }

    #[test]
    fn a_group_is_found_below_its_mount() {
        let groups = "5:cpu,cpuacct:/a\n4:memory:/user/b\n0::/user.slice/c.scope\n";
        let v1 = folder(groups, MOUNTS, Hierarchy::V1);
        assert_eq!(v1.as_deref(), Some("/sys/fs/cgroup/memory/user/b"));
        let v2 = folder(groups, MOUNTS, Hierarchy::V2);
        assert_eq!(v2.as_deref(), Some("/sys/fs/cgroup/unified/user.slice/c.scope"));
    }

    #[test]
    fn in_a_container_the_mount_begins_at_its_own_group() {
        let mounts = "9 1 0:30 /docker/x /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n";
        let found = folder("0::/docker/x/job\n", mounts, Hierarchy::V2);
        assert_eq!(found.as_deref(), Some("/sys/fs/cgroup/job"));
        assert_eq!(folder("0::/docker/y\n", mounts, Hierarchy::V2), None, "mounted from elsewhere");
        let outside = folder("0::/../z\n", "9 1 0:30 / /c rw - cgroup2 cgroup rw\n", Hierarchy::V2);
        assert_eq!(outside, None);
    }

    #[test]
    fn without_the_controller_there_is_no_place() {
        assert_eq!(folder("5:cpu:/a\n0::/b\n", MOUNTS, Hierarchy::V1), None);
        assert_eq!(folder("4:memory:/a\n", MOUNTS, Hierarchy::V2), None);
        assert_eq!(folder("4:memory:/a\n", "", Hierarchy::V1), None);
    }
}
