//! The root that the program finds: programs and libraries of the real host, read-only, and fresh
//! file systems for all else.
//!
//! A read-only mount keeps nobody from calling a socket or writing to a device in it. So what the
//! program does not need is not there, and what was there is not below: the old root is given up.
//!
//! ```text
//!   /usr /bin /lib ...   the host's, read-only        /proc   of the program's processes
//!   /sys                 the host's, cgroups apart    /dev    null, zero, full, random, ..
//!   /tmp /run /var/tmp   fresh, as /dev/shm is        all else is absent
//! ```

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::pivot_root,
};

use super::{Orders, PROGRAM, at};

/// Where distributions keep programs and libraries, those of Nix and Guix too.
const PROGRAMS: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/gnu"];
/// The last one is the session's terminal, and this session has none (tty(4)).
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const FRESH: [&str; 4] = ["/tmp", "/run", "/var/tmp", "/dev/shm"];
/// Where the new root is put together, which covers the host's own for good.
const SITE: &str = "/tmp";

/// Makes the root and enters it.
pub(super) fn enter(orders: &Orders, program: &[u8]) -> io::Result<()> {
    tmpfs(Path::new(SITE), "mode=755,size=1m")?;
    for path in PROGRAMS.map(Path::new) {
        programs_of_host(path)?;
    }
    for path in ["/mnt", "/root"] {
        folder(path)?;
    }
    devices(orders.setup.kvm)?;
    for path in FRESH {
        tmpfs(&folder(path)?, "mode=1777,size=256m")?;
    }
    bind(Path::new("/sys"), &folder("/sys")?)?;
    // Before the host's is given up: who has none in sight may mount none (user_namespaces(7)).
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &folder("/proc")?, Some("proc"), flags, None::<&str>)
        .map_err(at("mount proc"))?;
    fs::create_dir(inside("/run/lab")).map_err(at("create /run/lab"))?;
    fs::write(inside(PROGRAM), program).map_err(at(format!("write {PROGRAM}")))?;
    fs::set_permissions(inside(PROGRAM), fs::Permissions::from_mode(0o755))?;
    std::env::set_current_dir(SITE).map_err(at("enter the new root"))?;
    pivot_root(".", ".").map_err(at("pivot_root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(at("give up the old root"))?;
    std::env::set_current_dir("/").map_err(at("enter /"))
}

/// A folder of programs, or the link that stands for it where /usr has been merged.
fn programs_of_host(path: &Path) -> io::Result<()> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    if found.is_symlink() {
        let target = fs::read_link(path)?;
        symlink(target, inside(path)).map_err(at(format!("link {}", path.display())))
    } else {
        bind(path, &folder(path)?)
    }
}

fn devices(kvm: bool) -> io::Result<()> {
    folder("/dev")?;
    for name in DEVICES.into_iter().chain(kvm.then_some("kvm")) {
        let path = Path::new("/dev").join(name);
        fs::write(inside(&path), "").map_err(at(format!("create {}", path.display())))?;
        bind(&path, &inside(&path))?;
    }
    for (link, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        let path = Path::new("/dev").join(link);
        symlink(format!("/proc/self/fd{target}"), inside(path)).map_err(at("link in /dev"))?;
    }
    Ok(())
}

/// A path of the new root, while that is put together.
fn inside(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    Path::new(SITE).join(path.strip_prefix("/").unwrap_or(path))
}

fn folder(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = inside(path);
    fs::create_dir_all(&path).map_err(at(format!("create {}", path.display())))?;
    Ok(path)
}

fn tmpfs(on: &Path, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), on, Some("tmpfs"), flags, Some(options))
        .map_err(at(format!("mount a tmpfs on {}", on.display())))
}

fn bind(path: &Path, on: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(path), on, None::<&str>, flags, None::<&str>)
        .map_err(at(format!("bind {}", path.display())))
}
