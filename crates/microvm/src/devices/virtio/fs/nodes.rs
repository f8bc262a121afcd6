//! The files that a guest knows: numbers that it has got, and which file of the host each one is.
//!
//! A guest's kernel keeps what it has looked up for as long as it likes, hundreds of thousands of
//! files. A descriptor for each would be more than a process may have. So a node is a name in
//! another node, up to the root, and what stood there: its device and inode. It is opened anew for
//! each request, and where something else stands there by now, the guest is told so (ESTALE).

use std::{collections::HashMap, sync::Arc};

use rustix::{fs::Stat, io::Errno};

/// The number of the shared directory itself.
pub const ROOT: u64 = 1;

/// All that the host keeps for a guest here has so many bytes at most: some 150,000 files.
const BYTES: usize = 32 << 20;
/// What a node takes beside its name: itself, and its places in two tables.
const NODE: usize = 192;
/// The longest path that the kernel takes, less its end (`PATH_MAX`, limits.h(0P)).
const PATH: usize = 4095;

/// Which file it is on this host, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// A file that the guest knows.
#[derive(Debug)]
struct Node {
    parent: u64,
    name: Arc<[u8]>,
    identity: Identity,
    /// The length of its path.
    path: usize,
    /// How often the guest has looked it up and not forgotten it.
    known: u64,
    /// How many nodes have it for their parent.
    children: u64,
}

/// The table of them.
#[derive(Debug)]
pub struct Nodes {
    root: Identity,
    nodes: HashMap<u64, Node>,
    /// What stood at each name of a directory when it was last looked up.
    names: HashMap<(u64, Arc<[u8]>), u64>,
    next: u64,
    bytes: usize,
}

impl Nodes {
    /// Only the root.
    pub fn new(root: Identity) -> Self {
        let (nodes, names) = (HashMap::new(), HashMap::new());
        Self { root, nodes, names, next: ROOT + 1, bytes: 0 }
    }

    /// Forgets all but the root.
    pub fn clear(&mut self) {
        // Numbers are not used again: one of before is of no file, rather than of another.
        *self = Self { next: self.next, ..Self::new(self.root) };
    }

    /// Which file that is.
    ///
    /// # Errors
    ///
    /// ESTALE if the guest knows no such file.
    pub fn identity(&self, number: u64) -> Result<Identity, Errno> {
        match number {
            ROOT => Ok(self.root),
            number => self.nodes.get(&number).map(|node| node.identity).ok_or(Errno::STALE),
        }
    }

    /// Its path from the root, without a step up and without a link, as far as is known.
    ///
    /// # Errors
    ///
    /// As [`Nodes::identity`].
    pub fn path(&self, number: u64) -> Result<Vec<u8>, Errno> {
        let mut names = Vec::new();
        let mut place = number;
        while place != ROOT {
            let node = self.nodes.get(&place).ok_or(Errno::STALE)?;
            names.push(&*node.name);
            place = node.parent;
        }
        names.reverse();
        Ok(if names.is_empty() { b".".to_vec() } else { names.join(&b'/') })
    }

    /// The number of the file that was found at `name` in `parent`. The guest knows it once more.
    ///
    /// # Errors
    ///
    /// ENFILE if it knows too many, ENAMETOOLONG if no path could name this one.
    pub fn found(&mut self, parent: u64, name: &[u8], identity: Identity) -> Result<u64, Errno> {
        let key = (parent, Arc::from(name));
        if let Some(number) = self.names.get(&key)
            && let Some(node) = self.nodes.get_mut(number)
            && node.identity == identity
        {
            node.known = node.known.saturating_add(1);
            return Ok(*number);
        }
        let above = match parent {
            ROOT => 0,
            parent => self.nodes.get(&parent).ok_or(Errno::STALE)?.path,
        };
        let path = above + 1 + name.len();
        let bytes = self.bytes + NODE + name.len();
        if path > PATH {
            return Err(Errno::NAMETOOLONG);
        }
        if bytes > BYTES {
            return Err(Errno::NFILE);
        }
        if let Some(node) = self.nodes.get_mut(&parent) {
            node.children += 1;
        }
        let (number, name) = (self.next, key.1.clone());
        self.next += 1;
        self.bytes = bytes;
        self.names.insert(key, number);
        self.nodes.insert(number, Node { parent, name, identity, path, known: 1, children: 0 });
        Ok(number)
    }

    /// The guest has forgotten `count` of the times that it has looked that file up.
    pub fn forget(&mut self, number: u64, count: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.known = node.known.saturating_sub(count);
        }
        // A directory stays for as long as the guest knows a file in it: it is a part of its path.
        let mut place = number;
        while let Some(node) = self.nodes.get(&place)
            && (node.known, node.children) == (0, 0)
        {
            let (parent, key) = (node.parent, (node.parent, node.name.clone()));
            self.bytes -= NODE + key.1.len();
            // Another file may stand at this name by now.
            if self.names.get(&key) == Some(&place) {
                self.names.remove(&key);
            }
            self.nodes.remove(&place);
            if let Some(parent) = self.nodes.get_mut(&parent) {
                parent.children -= 1;
            }
            place = parent;
        }
    }

    /// How many files the guest knows beside the root.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(inode: u64) -> Identity {
        Identity { device: 1, inode }
    }

    fn nodes() -> Nodes {
        Nodes::new(file(2))
    }

    #[test]
    fn a_node_is_a_path_and_what_stood_there() {
        let mut nodes = nodes();
        let a = nodes.found(ROOT, b"a", file(3)).unwrap();
        let b = nodes.found(a, b"b", file(4)).unwrap();
        assert_eq!(nodes.path(ROOT).unwrap(), b".");
        assert_eq!(nodes.path(b).unwrap(), b"a/b");
        assert_eq!(nodes.found(a, b"b", file(4)), Ok(b), "the same file has the same number");
        let other = nodes.found(a, b"b", file(5)).unwrap();
        assert_ne!(other, b, "another file has another");
        assert_eq!(nodes.identity(b), Ok(file(4)));
        assert_eq!(nodes.identity(99), Err(Errno::STALE));
        assert_eq!(nodes.found(99, b"x", file(6)), Err(Errno::STALE));
    }

    #[test]
    fn what_is_forgotten_as_often_as_it_was_found_is_gone() {
        let mut nodes = nodes();
        let a = nodes.found(ROOT, b"a", file(3)).unwrap();
        let b = nodes.found(a, b"b", file(4)).unwrap();
        nodes.found(a, b"b", file(4)).unwrap();
        nodes.forget(a, 1);
        assert_eq!(nodes.path(b).unwrap(), b"a/b", "its directory is a part of its path");
        nodes.forget(b, 1);
        assert_eq!(nodes.count(), 2);
        nodes.forget(b, u64::MAX);
        assert_eq!((nodes.count(), nodes.bytes, nodes.names.len()), (0, 0, 0));
        nodes.forget(b, 1);
        nodes.forget(ROOT, u64::MAX);
        assert!(nodes.path(ROOT).is_ok());
        assert_ne!(nodes.found(ROOT, b"a", file(3)), Ok(a), "no number is used twice");
    }

    #[test]
    fn a_guest_knows_no_more_than_the_host_has_room_for() {
        let mut nodes = nodes();
        let name = |number: u32| format!("{number:0255}").into_bytes();
        let first =
            (0..).find(|number| nodes.found(ROOT, &name(*number), file((*number).into())).is_err());
        let most = first.unwrap();
        assert!((50_000..200_000).contains(&most), "{most}");
        assert_eq!(nodes.found(ROOT, &name(most), file(0)), Err(Errno::NFILE));
        nodes.forget(ROOT + 1, 1);
        assert!(nodes.found(ROOT, &name(most), file(0)).is_ok());
        nodes.clear();
        assert_eq!((nodes.count(), nodes.bytes), (0, 0));
    }

    #[test]
    fn a_path_that_no_kernel_takes_is_not_begun() {
        let mut nodes = nodes();
        let mut place = ROOT;
        let deep = (0..).find_map(|depth| match nodes.found(place, &[b'x'; 200], file(9)) {
            Ok(number) => {
                place = number;
                None
            }
            Err(errno) => Some((depth, errno)),
        });
        assert_eq!(deep, Some((20, Errno::NAMETOOLONG)));
        assert!(nodes.path(place).unwrap().len() < PATH);
    }

    proptest! {
        /// Whatever a guest finds and forgets, nothing is kept that it does not know.
        #[test]
        fn what_all_was_forgotten_leaves_nothing(
            acts in prop::collection::vec((0..12u64, 0..4u8, 0..3u64, any::<bool>()), 0..80)
        ) {
            let mut nodes = nodes();
            for (number, name, inode, finds) in acts {
                match finds {
                    true => drop(nodes.found(number, &[b'a' + name], file(inode))),
                    false => nodes.forget(number, inode),
                }
            }
            (0..200).for_each(|number| nodes.forget(number, u64::MAX));
            prop_assert_eq!((nodes.count(), nodes.bytes, nodes.names.len()), (0, 0, 0));
        }
    }
}
