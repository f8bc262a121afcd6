//! The real host's file systems, before the program's root is made of them: read-only, for good.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::{Mode, SFlag, makedev, mknod},
};

use super::{Orders, at};
use crate::check::kernel::{Mount, Process};

/// Makes all file systems read-only but the program's cgroups, and offers `/dev/kvm` if it may.
pub(super) fn furnish(orders: &Orders) -> io::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(at("make mounts private"))?;
    for directory in &orders.writable {
        mount(Some(directory), directory, none, MsFlags::MS_BIND, none)
            .map_err(at(format!("bind {}", directory.display())))?;
    }
    let own = Process { pid: std::process::id() };
    for point in own.mounts()? {
        // procfs and sysfs are guarded by their own permissions, and a read-only one could not be
        // mounted anew inside.
        let kernels =
            ["/proc", "/sys"].iter().any(|part| Path::new(&point.point).starts_with(part));
        let cgroups = point.kind.starts_with("cgroup");
        let kept = orders.writable.iter().any(|kept| kept == Path::new(&point.point));
        if kept || (kernels && !cgroups) {
            continue;
        }
        read_only(&point)?;
    }
    if orders.setup.kvm {
        offer_kvm(orders.root)?;
    }
    Ok(())
}

/// Remounts `point` read-only with the flags that it has.
fn read_only(point: &Mount) -> io::Result<()> {
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    for option in point.flags.split(',') {
        flags |= match option {
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        };
    }
    let path = &*point.point;
    let done = mount(None::<&str>, path, None::<&str>, flags, None::<&str>);
    match done {
        // Covered by another mount, or out of reach: then nobody inside reaches it either.
        Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT | nix::errno::Errno::EACCES) => {
            Ok(())
        }
        done => done.map_err(at(format!("make {path} read-only"))),
    }
}

/// `/dev/kvm` for the program's user, who is nobody to the real one's permissions.
fn offer_kvm(root: bool) -> io::Result<()> {
    let real = fs::metadata("/dev/kvm").map_err(at("look at /dev/kvm"))?;
    if !root || real.permissions().mode() & 0o006 == 0o006 {
        return Ok(());
    }
    let number = std::os::unix::fs::MetadataExt::rdev(&real);
    let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
    // In a file system that nobody finds afterwards, and not removed from it: what is open would be
    // called "/dev/kvm (deleted)" in /proc/PID/fd.
    let shm = "/dev/shm";
    mount(Some("tmpfs"), shm, Some("tmpfs"), MsFlags::MS_NOSUID, None::<&str>)
        .map_err(at("mount a tmpfs for /dev/kvm"))?;
    let node = "/dev/shm/kvm";
    let mode = Mode::from_bits_truncate(0o666);
    mknod(node, SFlag::S_IFCHR, mode, makedev(major, minor)).map_err(at("mknod for /dev/kvm"))?;
    fs::set_permissions(node, fs::Permissions::from_mode(0o666))?;
    mount(Some(node), "/dev/kvm", None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(at("bind /dev/kvm"))?;
    umount2(shm, MntFlags::MNT_DETACH).map_err(at("hide the tmpfs for /dev/kvm"))
}
