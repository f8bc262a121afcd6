//! The content of `/dev`: device nodes, the usual symbolic links, and the console.

use std::path::Path;

use nix::errno::Errno;
use sandbox::Question::Inside;

use crate::{
    Error,
    around::Around,
    lookup::{self, Links},
    mount_calls,
    plan::{Slot, SyscallPlan},
    spec::device_nodes::Device,
};

/// What runc makes besides, where the kernel shows its memory; `maskedPaths` covers that.
const CORE: (&str, &str) = ("/proc/kcore", "core");

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Devices: those that must come from the host are opened before the host's files become
/// unreachable.
pub(crate) struct Nodes<'a> {
    devices: Vec<(&'a Device, Option<Slot>)>,
    console: Option<Slot>,
    /// Whether `/dev` is as an OCI runtime makes it: nodes that are there already are fine if they are
    /// the right ones (config-linux.md).
    exact: bool,
}

impl<'a> Nodes<'a> {
    /// The steps that open the host's devices: in a user namespace all of them, and the slave of
    /// the launcher's pseudo-terminal, whose device number is checked.
    pub(crate) fn new(
        plan: &mut SyscallPlan,
        devices: &'a [Device],
        terminal: Option<(&Path, u64)>,
        around: Around<'_>,
    ) -> Result<Self, Error> {
        let prepare = |device: &'a Device| {
            let is_hosts = around.user_namespace && device.kind != 'p';
            let hosts = is_hosts.then(|| hosts(plan, device)).transpose()?;
            Ok((device, hosts))
        };
        let devices = devices.iter().map(prepare).collect::<Result<Vec<_>, Error>>()?;
        let console = terminal.map(|(path, number)| {
            let console = mount_calls::copy_of_hosts(plan, path, false)?;
            let words = format!("{} is the launcher's pseudo-terminal", path.display());
            let number = (libc::major(number), libc::minor(number));
            lookup::same_device(plan, words, console, number);
            Ok::<_, Error>(console)
        });
        Ok(Self { devices, console: console.transpose()?, exact: around.exact })
    }

    /// The steps that put them into `/dev`.
    pub(crate) fn attach(&self, plan: &mut SyscallPlan, root: Slot) -> Result<(), Error> {
        if self.devices.is_empty() {
            return Ok(());
        }
        let dev = lookup::directory(plan, root, Path::new("/dev"), Links::Refused)?;
        // So that the modes of the devices are not masked.
        plan.step(Inside, "umask 0", libc::SYS_umask, [0]);
        for (device, hosts) in &self.devices {
            let name = Path::new(device.path.file_name().unwrap_or_default());
            let parent = match device.path.parent() {
                Some(parent) if parent == Path::new("/dev") => dev,
                parent => {
                    let parent = parent.unwrap_or(Path::new("/"));
                    lookup::directory(plan, root, parent, Links::Refused)?
                }
            };
            match hosts {
                Some(hosts) if self.exact => {
                    let file = lookup::file(plan, root, &device.path, Links::Refused)?;
                    mount_calls::attach(plan, &device.path, *hosts, file);
                }
                Some(hosts) => show(plan, &device.path, *hosts, parent, name)?,
                None => self.make(plan, device, parent, name)?,
            }
        }
        plan.step(Inside, "umask 022", libc::SYS_umask, [0o022]);
        let names = LINKS.map(|(_, name)| name).join(" ");
        plan.together(format!("symlinkat in /dev: {names}"), |plan| {
            for (to, name) in LINKS.into_iter().chain(self.core()) {
                let arguments = [plan.text(to)?, dev.operand(), plan.text(name)?];
                let words = format!("symlinkat /dev/{name} -> {to}");
                plan.step(Inside, words, libc::SYS_symlinkat, arguments);
                if self.exact {
                    plan.forgive(&[Errno::EEXIST]);
                }
            }
            Ok::<_, Error>(())
        })?;
        if let Some(console) = self.console {
            show(plan, Path::new("/dev/console"), console, dev, Path::new("console"))?;
        }
        Ok(())
    }

    fn core(&self) -> Option<(&'static str, &'static str)> {
        (self.exact && Path::new(CORE.0).exists()).then_some(CORE)
    }

    /// `mknodat(2)`, which does not follow a symbolic link at the last name.
    fn make(
        &self,
        plan: &mut SyscallPlan,
        device: &Device,
        parent: Slot,
        name: &Path,
    ) -> Result<(), Error> {
        let Device { path, kind, major, minor, mode, uid, gid } = device;
        let kind_bits = match kind {
            'b' => libc::S_IFBLK,
            'p' => libc::S_IFIFO,
            _ => libc::S_IFCHR,
        };
        let operand = plan.text(name)?;
        let number = libc::makedev(*major, *minor);
        let arguments = [parent.operand(), operand, (kind_bits | mode) as usize, number as usize];
        let words = format!("mknodat {} {kind} {major} {minor}", path.display());
        plan.step(Inside, words, libc::SYS_mknodat, arguments);
        if self.exact {
            plan.if_failed(&[Errno::EEXIST], |plan| {
                lookup::open_itself(plan, parent, name)?;
                let found = plan.result();
                let words = format!("{} is {kind} {major}:{minor} already", path.display());
                lookup::same_node(plan, words, found, (kind_bits, *major, *minor));
                Ok::<_, Error>(())
            })?;
        }
        if (*uid, *gid) != (0, 0) {
            let flags = libc::AT_SYMLINK_NOFOLLOW as usize;
            let arguments = [parent.operand(), operand, *uid as usize, *gid as usize, flags];
            let words = format!("fchownat {} {uid}:{gid}", path.display());
            plan.step(Inside, words, libc::SYS_fchownat, arguments);
        }
        Ok(())
    }
}

/// The host's device with that path and number.
fn hosts(plan: &mut SyscallPlan, device: &Device) -> Result<Slot, Error> {
    let hosts = mount_calls::copy_of_hosts(plan, &device.path, false)?;
    let Device { path, major, minor, .. } = device;
    let words = format!("{} of the host is the device {major}:{minor}", path.display());
    lookup::same_device(plan, words, hosts, (*major, *minor));
    Ok(hosts)
}

/// Mounts the host's device `hosts` on a new file.
fn show(
    plan: &mut SyscallPlan,
    path: &Path,
    hosts: Slot,
    parent: Slot,
    name: &Path,
) -> Result<(), Error> {
    lookup::make_file(plan, parent, name)?;
    let file = plan.result();
    mount_calls::attach(plan, path, hosts, file);
    Ok(())
}
