//! Files that keep their owners in a user namespace: ID-mapped mounts (mount_setattr(2)).
//!
//! Root of a user namespace is an unused id outside: for the host's files it is "others", and its
//! files in a volume have an owner that nobody is. An ID-mapped mount translates: files that root
//! owns in the file system belong to root inside, and vice versa.
//!
//! ```text
//!   launcher   a helper with the id maps ──> its namespace ──> a copy of each mount with these ids
//!   child      inherits the copies as descriptors, and attaches them like its own mounts
//! ```
//!
//! Mapping ids needs privileges over the file system, so the launcher makes the copies, and does so
//! before the child, which inherits them. The helper ends once its namespace is open.

use std::{
    fs::File,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::fs::FileTypeExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sys::stat::Mode,
    unistd::Uid,
};
use sandbox::Question::Boundary;

use crate::{
    Error, Root, Spec, Upper,
    around::Around,
    child, child_descriptors, error,
    gate::Gate,
    host_root,
    joined::Joined,
    mount::{Attributes, Mount, Options},
    plan::SyscallPlan,
    privileges,
    spec::{
        namespaces::{Namespace, Namespaces},
        power::IdMaps,
    },
    sys,
};

/// ID-mapped copies of mounts, attached nowhere.
#[derive(Debug, Default)]
pub(crate) struct IdMappedMounts {
    made: Vec<(PathBuf, OwnedFd)>,
    /// Of single mounts with maps of their own, by their numbers.
    of_mounts: Vec<(usize, OwnedFd)>,
}

impl IdMappedMounts {
    /// Copies of everything that `spec` shows of the host's files, if it keeps owners.
    pub(crate) fn make(
        spec: &Spec,
        namespaces: &Namespaces,
        around: Around<'_>,
    ) -> Result<Self, Error> {
        let mut all = Self::default();
        if spec.inside.keep_owners && namespaces.user.is_new() {
            all.add_all(spec, around)?;
        }
        all.add_single(spec, namespaces)?;
        let first = child_descriptors::MOUNTS + all.made.len() + all.of_mounts.len();
        let made = all.made.iter_mut().map(|(_, made)| made);
        for made in made.chain(all.of_mounts.iter_mut().map(|(_, made)| made)) {
            *made = above(made, first)?;
        }
        Ok(all)
    }

    fn add_all(&mut self, spec: &Spec, around: Around<'_>) -> Result<(), Error> {
        let all = self;
        let users = user_namespace(spec.power.id_maps.as_ref())?;
        let nodev = Attributes { set: around.attributes_of_root(), clear: 0 };
        match &spec.inside.root {
            Root::Empty => {}
            Root::Host => all.add_host(&users)?,
            Root::Directory(path) => all.add(path, true, nodev, &users)?,
            Root::Overlay { lowers, upper } => {
                for lower in lowers {
                    all.add(lower, false, Attributes::NONE, &users)?;
                }
                if let Upper::Kept(kept) = upper {
                    all.add(kept, false, Attributes::NONE, &users)?;
                }
            }
        }
        // A device keeps its owner on the host.
        let volumes = spec.inside.mounts.iter().filter(|it| it.is_bind() && !is_device(&it.source));
        for mount in volumes {
            let options = Options::of(mount);
            let attributes = around.attributes_of_volume(mount, &options);
            all.add(&mount.source, options.recursive, attributes, &users)?;
        }
        Ok(())
    }

    /// Copies for single mounts: those that have maps of their own or the option `idmap`; and, with
    /// exact attributes, all that a user namespace could not make, because their sources are in a
    /// directory that its root may not enter. Their other attributes are set by the child.
    fn add_single(&mut self, spec: &Spec, namespaces: &Namespaces) -> Result<(), Error> {
        let is_out_of_reach = spec.inside.exact_attributes
            && namespaces.user != Namespace::Shared
            && Uid::effective().is_root();
        for (number, mount) in spec.inside.mounts.iter().enumerate() {
            let own = spec.inside.mount_id_maps.get(&number);
            let words = ["idmap", "ridmap"];
            let is_mapped = mount.options.iter().any(|it| words.contains(&it.as_str()));
            let is_mapped = is_mapped || own.is_some();
            if !(is_mapped || is_out_of_reach && mount.is_bind()) {
                continue;
            }
            let options = Options::of(mount);
            let path = mount.source.canonicalize().map_err(error::file("find", &mount.source))?;
            let failed = |errno| Error::IdMappedMount { path: path.clone(), errno };
            let opened = error::call(format!("open_tree a copy of {}", path.display()));
            let copy = copy(&path, options.recursive).map_err(opened)?;
            if is_mapped {
                let below = options.id_mapped == Some(true);
                let users = users_of(mount, own.or(spec.power.id_maps.as_ref()), namespaces)?;
                map_ids(&copy, below, (Attributes::NONE, 0), &users).map_err(failed)?;
            }
            self.of_mounts.push((number, copy));
        }
        Ok(())
    }

    /// The host's own `/` and the mounts on it. Mounts whose file system cannot map ids are shown
    /// unmapped.
    fn add_host(&mut self, users: &File) -> Result<(), Error> {
        self.add(Path::new("/"), false, Attributes::NONE, users)?;
        for point in host_root::carried_over()? {
            // A mount that has gone meanwhile is skipped; the child checks as well.
            let Ok(copy) = copy(&point, false) else { continue };
            let _ = map_ids(&copy, false, (Attributes::NONE, libc::MS_PRIVATE), users);
            self.made.push((point, copy));
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: &Path,
        recursive: bool,
        attributes: Attributes,
        users: &File,
    ) -> Result<(), Error> {
        let path = path.canonicalize().map_err(error::file("find", path))?;
        if self.made.iter().any(|(made, _)| *made == path) {
            return Ok(());
        }
        let failed = |errno| Error::IdMappedMount { path: path.clone(), errno };
        let copy = copy(&path, recursive).map_err(failed)?;
        map_ids(&copy, recursive, (attributes, libc::MS_PRIVATE), users).map_err(failed)?;
        self.made.push((path, copy));
        Ok(())
    }

    /// The copies, for the child to inherit.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let of_mounts = self.of_mounts.iter().map(|(_, made)| made.as_fd());
        self.made.iter().map(|(_, made)| made.as_fd()).chain(of_mounts).collect()
    }

    /// The numbers of the single mounts, whose copies come last.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.of_mounts.iter().map(|(number, _)| *number).collect()
    }

    /// The paths of which they are copies, in the same order.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        self.made.iter().map(|(path, _)| &**path).collect()
    }
}

fn is_device(path: &Path) -> bool {
    let kind = std::fs::metadata(path).map(|found| found.file_type());
    kind.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device())
}

/// A copy of `descriptor` with at least that number, so that the child's own numbers stay free.
fn above(descriptor: &OwnedFd, first: usize) -> Result<OwnedFd, Error> {
    let number = fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(first as i32))
        .map_err(error::call("fcntl F_DUPFD_CLOEXEC"))?;
    // SAFETY: fcntl has just made this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The user namespace whose ids a single mount has: of these maps, or the one that the container joins.
fn users_of(mount: &Mount, maps: Option<&IdMaps>, namespaces: &Namespaces) -> Result<File, Error> {
    match (maps, &namespaces.user) {
        (Some(maps), _) => user_namespace(Some(maps)),
        (None, Namespace::Joined(path)) => {
            File::open(path).map_err(error::file("open the namespace", path))
        }
        (None, _) => {
            let (option, path) = ("idmap".into(), mount.destination.clone());
            let why = "without maps of its own it needs those of a user namespace";
            Err(Error::MountOption { path, option, why })
        }
    }
}

/// A user namespace with these maps, which exists while it is open.
fn user_namespace(maps: Option<&IdMaps>) -> Result<File, Error> {
    let gate = Gate::new()?;
    let mut plan = Box::new(SyscallPlan::default());
    gate.pass(&mut plan);
    plan.step(Boundary, "exit", libc::SYS_exit_group, [0]);
    plan.finish(false);
    let namespaces = Namespaces { user: Namespace::New, ..Namespaces::shared() };
    let helper = child::clone_into(&namespaces, &Joined::default(), None, plan, gate, true)?;
    privileges::write_id_maps(helper.pid(), maps)?;
    let path = format!("/proc/{}/ns/user", helper.pid());
    File::open(&path).map_err(error::file("open the namespace", path))
}

/// `open_tree(2)`: a copy of the mount from `path` downwards, attached nowhere.
fn copy(path: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
    const OPEN_TREE_CLONE: usize = 1;
    let found = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let below = if recursive { libc::AT_RECURSIVE as usize } else { 0 };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as usize | libc::AT_EMPTY_PATH as usize | below;
    let arguments = [found.as_raw_fd() as usize, c"".as_ptr() as usize, flags, 0, 0, 0];
    // SAFETY: the path is an empty string of this program, and the descriptor is open.
    let made = unsafe { sys::call(libc::SYS_open_tree, arguments) }?;
    // SAFETY: the call has just made this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(made as i32) })
}

/// `mount_setattr(2)`: maps the ids of `users` and sets these attributes.
fn map_ids(
    copy: &OwnedFd,
    recursive: bool,
    (Attributes { set, clear }, propagation): (Attributes, u64),
    users: &File,
) -> Result<(), Errno> {
    // struct mount_attr: what to set, what to clear, propagation, user namespace.
    let set = set | libc::MOUNT_ATTR_IDMAP;
    let attributes = [set, clear, propagation, users.as_raw_fd() as u64];
    let below = if recursive { libc::AT_RECURSIVE as usize } else { 0 };
    let flags = libc::AT_EMPTY_PATH as usize | below;
    let (path, size) = (c"".as_ptr() as usize, size_of_val(&attributes));
    let arguments = [copy.as_raw_fd() as usize, path, flags, attributes.as_ptr() as usize, size, 0];
    // SAFETY: the kernel reads `attributes`, which is laid out as it expects, and an empty string.
    unsafe { sys::call(libc::SYS_mount_setattr, arguments) }.map(drop)
}
