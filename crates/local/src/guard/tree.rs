//! Which processes belong to which run.

use std::collections::{HashMap, HashSet};

use super::processes::{Identity, Process, Snapshot};

/// The processes of one run: its first one, and whatever came of it.
#[derive(Debug, Clone)]
pub struct Tree {
    root: Identity,
    // Everybody who was seen to belong. A child that forks twice and leaves its session loses every tie to the root,
    // but not to those who were seen before.
    members: HashSet<Identity>,
}

impl Tree {
    /// The tree of a process that has just been started, as the leader of its own group.
    pub fn new(root: Identity) -> Self {
        Self { root, members: HashSet::from([root]) }
    }

    /// The process that was started.
    pub fn root(&self) -> i32 {
        self.root.pid
    }

    /// Counts a process among the tree's.
    pub fn adopt(&mut self, identity: Identity) {
        self.members.insert(identity);
    }

    /// Finds the tree's processes in `seen`, remembers them, and forgets those that are gone.
    pub fn find(&mut self, seen: &Snapshot) -> Vec<Process> {
        let root = self.root.pid;
        // No process gets the number of a group or session that still has members.
        let group_is_ours = seen.get(&root).is_none_or(|process| process.identity == self.root);
        let mut found: HashMap<i32, Process> = seen
            .values()
            .filter(|process| {
                self.members.contains(&process.identity)
                    || group_is_ours && (process.group == root || process.session == root)
            })
            .map(|process| (process.identity.pid, *process))
            .collect();
        loop {
            let more: Vec<Process> = seen
                .values()
                .filter(|process| !found.contains_key(&process.identity.pid))
                .filter(|process| {
                    [process.parent, process.group, process.session].iter().any(|id| found.contains_key(id))
                })
                .copied()
                .collect();
            if more.is_empty() {
                break;
            }
            found.extend(more.into_iter().map(|process| (process.identity.pid, process)));
        }
        self.members = found.values().map(|process| process.identity).collect();
        found.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> (i32, Process) {
        let identity = Identity { pid, start: 100 };
        (pid, Process { identity, parent, group, session, ended: false })
    }

    fn found(tree: &mut Tree, seen: &[(i32, Process)]) -> Vec<i32> {
        let mut pids: Vec<i32> =
            tree.find(&seen.iter().copied().collect()).iter().map(|p| p.identity.pid).collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn children_group_and_session_belong_and_others_do_not() {
        let mut tree = Tree::new(Identity { pid: 10, start: 100 });
        let seen = [
            process(1, 0, 1, 1),
            process(10, 1, 10, 1),
            process(11, 10, 11, 1),
            process(12, 11, 12, 12),
            process(13, 1, 10, 1),
            process(14, 1, 14, 12),
            process(20, 1, 20, 1),
            process(21, 20, 20, 1),
        ];
        assert_eq!(found(&mut tree, &seen), [10, 11, 12, 13, 14]);
    }

    #[test]
    fn an_orphan_in_its_own_session_stays_known() {
        let mut tree = Tree::new(Identity { pid: 10, start: 100 });
        found(&mut tree, &[process(10, 1, 10, 1), process(11, 10, 10, 1), process(12, 11, 12, 12)]);
        assert_eq!(found(&mut tree, &[process(12, 1, 12, 12), process(13, 12, 13, 13)]), [12, 13]);
    }

    #[test]
    fn a_later_process_of_the_same_number_is_a_stranger() {
        let mut tree = Tree::new(Identity { pid: 10, start: 100 });
        found(&mut tree, &[process(10, 1, 10, 1), process(12, 10, 12, 12)]);
        let (pid, mut other) = process(12, 1, 12, 12);
        other.identity.start = 999;
        assert_eq!(found(&mut tree, &[process(10, 1, 10, 1), (pid, other)]), [10]);
    }
}
