//! What is made for peers: a root with the program, a bundle of it, an image, a guest's first files.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use guest::plan::{InitPlan, ShutdownMethod, Sink, Stream};
use microvm::initramfs::Archive;
use sandbox::Builtin;
use serde_json::json;

use crate::Error;

/// The program inside of every root that writes one line and ends.
pub(super) const PROGRAM: &str = "/hello";
/// What it writes.
pub(super) const TEXT: &[u8] = b"hello\n";
/// The one beside it that writes a line and waits.
pub(super) const IDLE: &str = "/idle";
/// As many processes as isolab's container may have.
pub(super) const PIDS: u32 = 4096;

/// A folder of its own for each peer, removed with it.
#[derive(Debug)]
pub(super) struct Workshop {
    folder: PathBuf,
    starts: Starts,
}

/// What a bundle and the first process of a guest start.
#[derive(Debug, Clone)]
pub(super) enum Starts {
    /// This program, which needs no arguments.
    One(&'static str),
    /// Each of these, a path and its arguments: a guest one after the other, a bundle the first.
    Programs(Vec<Vec<String>>),
}

impl Workshop {
    /// Works in `folder`.
    pub(super) fn of(folder: &Path, starts: Starts) -> Self {
        Self { folder: folder.to_owned(), starts }
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A root directory: the program, and empty directories for what is mounted.
    pub(super) fn root(&self) -> Result<PathBuf, Error> {
        let root = self.path("bundle/rootfs");
        // systemd-nspawn takes a directory without `usr` for no operating system.
        for name in ["proc", "sys", "dev", "etc", "tmp", "run", "usr"] {
            fs::create_dir_all(root.join(name))?;
        }
        for builtin in Builtin::ALL {
            let program = root.join(builtin.name());
            fs::write(&program, builtin.linux_elf())?;
            fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        }
        Ok(root)
    }

    /// A bundle for a runtime (OCI runtime specification 1.0.2, `config.md`) around that root.
    pub(super) fn bundle(&self) -> Result<PathBuf, Error> {
        self.root()?;
        let namespaces = ["pid", "network", "ipc", "uts", "mount"];
        let words = match &self.starts {
            Starts::One(program) => vec![(*program).to_owned()],
            Starts::Programs(all) => all.first().cloned().unwrap_or_default(),
        };
        let capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"];
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": { "uid": 0, "gid": 0 },
                "args": words,
                "env": ["PATH=/"],
                "cwd": "/",
                "capabilities": {
                    "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                },
                "noNewPrivileges": true,
            },
            "root": { "path": "rootfs", "readonly": true },
            "hostname": "isolab",
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                  "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            ],
            "linux": {
                "resources": { "pids": { "limit": PIDS } },
                "namespaces": namespaces.map(|kind| json!({ "type": kind })),
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/sched_debug"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
            },
        });
        let bundle = self.path("bundle");
        fs::write(bundle.join("config.json"), config.to_string())?;
        Ok(bundle)
    }

    /// That root as an archive, for an engine to import.
    pub(super) fn archive(&self) -> Result<PathBuf, Error> {
        let path = self.path("root.tar");
        let mut archive = tar::Builder::new(fs::File::create(&path)?);
        archive.append_dir_all(".", self.root()?)?;
        archive.into_inner()?;
        Ok(path)
    }

    /// A guest's first files: the programs, and a first process that starts what is to be started,
    /// waits, and restarts the machine, which ends the monitor.
    pub(super) fn initramfs(&self) -> Result<PathBuf, Error> {
        let path = self.path("initramfs");
        let made = || -> io::Result<()> {
            let mut archive = Archive::new(fs::File::create(&path)?);
            match &self.starts {
                Starts::One(program) => archive.file("init", 0o755, &init(program))?,
                Starts::Programs(all) => {
                    archive.file("init", 0o755, guest::INIT)?;
                    archive.file(guest::plan::PATH, 0o644, steps(all).text().as_bytes())?;
                }
            }
            for builtin in Builtin::ALL {
                archive.file(builtin.name(), 0o755, builtin.linux_elf())?;
            }
            archive.finish().map(drop)
        };
        made()?;
        Ok(path)
    }
}

/// What isolab's own first process does to start `programs`.
fn steps(programs: &[Vec<String>]) -> InitPlan {
    let console = Sink::Device("/dev/console".into());
    let plan = InitPlan::new().report(&console).end(ShutdownMethod::Reboot);
    let plan = plan.stream(Stream::Output, &console);
    programs.iter().fold(plan, |plan, words| plan.run(&words[0], words))
}

/// The first process, as an ELF file of one segment (elf(5)): an interpreter of its own would have
/// to be installed on the host.
fn init(program: &str) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + (CODE.len() + program.len() + 1) as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    // An executable for x86-64: its entry, its program headers behind this one, no sections.
    elf.extend([2u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1u32.to_le_bytes());
    elf.extend([BASE + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0u32.to_le_bytes());
    elf.extend([64u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    // One segment: loaded, readable and executable, the whole file.
    elf.extend([1u32, 5].map(u32::to_le_bytes).concat());
    elf.extend([0, BASE, BASE, size, size, 0x1000].map(u64::to_le_bytes).concat());
    elf.extend(CODE);
    elf.extend(program.as_bytes());
    elf.push(0);
    elf
}

/// `fork`; the child: `execve` of the program, or `exit(1)`. The parent: `wait4(-1)`, then `reboot(2)`
/// with `LINUX_REBOOT_CMD_RESTART`. The path stands behind the code.
#[rustfmt::skip]
const CODE: &[u8] = &[
    0xb8, 57, 0, 0, 0, 0x0f, 0x05,          // mov eax, SYS_fork; syscall
    0x85, 0xc0, 0x74, 0x2b,                 // test eax, eax; jz child
    0xbf, 0xff, 0xff, 0xff, 0xff,           // mov edi, -1
    0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31, 0xd2, // xor esi, esi; xor edx, edx; xor r10d, r10d
    0xb8, 61, 0, 0, 0, 0x0f, 0x05,          // mov eax, SYS_wait4; syscall
    0xbf, 0xad, 0xde, 0xe1, 0xfe,           // mov edi, LINUX_REBOOT_MAGIC1
    0xbe, 0x69, 0x19, 0x12, 0x28,           // mov esi, LINUX_REBOOT_MAGIC2
    0xba, 0x67, 0x45, 0x23, 0x01,           // mov edx, LINUX_REBOOT_CMD_RESTART
    0xb8, 169, 0, 0, 0, 0x0f, 0x05,         // mov eax, SYS_reboot; syscall
    0xeb, 0xfe,                             // jmp here
    0x48, 0x8d, 0x3d, 0x17, 0, 0, 0,        // child: lea rdi, [rip + 0x17], the path
    0x31, 0xf6, 0x31, 0xd2,                 // xor esi, esi; xor edx, edx
    0xb8, 59, 0, 0, 0, 0x0f, 0x05,          // mov eax, SYS_execve; syscall
    0xbf, 1, 0, 0, 0,                       // mov edi, 1
    0xb8, 60, 0, 0, 0, 0x0f, 0x05,          // mov eax, SYS_exit; syscall
];

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_program_of_the_root_writes_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let root = Workshop::of(folder.path(), Starts::One(PROGRAM)).root().unwrap();
        let output = Command::new(root.join("hello")).output().unwrap();
        assert_eq!(output.stdout, TEXT);
    }

    #[test]
    fn the_path_stands_where_the_child_looks() {
        let child = CODE.windows(3).position(|code| code == [0x48, 0x8d, 0x3d]).unwrap();
        let after = child + 7;
        assert_eq!(after + usize::from(CODE[child + 3]), CODE.len());
        let jump = CODE.windows(2).position(|code| code == [0x74, 0x2b]).unwrap();
        assert_eq!(jump + 2 + 0x2b, child);
        assert_eq!(&init(PROGRAM)[..4], b"\x7fELF");
        assert!(init(PROGRAM).ends_with(b"/hello\0"));
    }
}
