//! What the nest runs on: a computer that is a process of this host, QEMU.
//!
//! Its processor is emulated instruction by instruction, and so is AMD's virtualization in it, with
//! nested paging. It has no more devices than are used here, because the kernel looks for each:
//!
//! ```text
//!   0x0e9 0x0ea 0x0eb  ports for bytes: output, errors, reports ---> pipes of ours
//!   0x501              a port that switches it off
//!   ttyS0              the console: panics, and a shell's terminal <--> QEMU's input and output
//!   nvme0              a disk controller with a namespace for each disk
//! ```
//!
//! QEMU opens the pipes and files through `/proc/PID/fd` of this process, so none of them needs a
//! name, and no other child of this process holds one of them by accident. The kernel kills QEMU
//! when this process dies, whichever way (`PR_SET_PDEATHSIG`): `setpriv` asks for that, because
//! between fork and exec there is no safe Rust.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, PipeReader, PipeWriter, Write as _},
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::{
    Error, Nest, Result, clock,
    disks::{self, Disks, by_descriptor},
    error::call,
    tools,
};

/// Where standard output comes out.
pub(crate) const OUTPUT_PORT: u16 = 0xe9;
/// Where standard error comes out.
pub(crate) const ERRORS_PORT: u16 = 0xea;
/// Where the first process reports.
pub(crate) const REPORT_PORT: u16 = 0xeb;
/// A byte to this port ends the computer.
pub(crate) const END_PORT: u16 = 0x501;
/// The console as Linux calls it.
pub(crate) const CONSOLE: &str = "/dev/ttyS0";

/// What the kernel need not do in a computer that lives for some seconds: look for what is not
/// there, work around faults of processors, test itself.
const COMMAND_LINE: &str = "console=ttyS0 quiet loglevel=3 panic=-1 reboot=t mitigations=off nokaslr \
    8250.nr_uarts=1 clearcpuid=rep_good audit=0 lsm= cryptomgr.notests rcupdate.rcu_expedited=1 \
    tsc=reliable pmtmr=0";

/// A running QEMU; dropping it kills it.
pub(crate) struct Machine {
    child: Child,
    /// The console: what is typed.
    pub(crate) keys: ChildStdin,
    /// The console: what is shown.
    pub(crate) console: ChildStdout,
    /// What QEMU has to say itself.
    pub(crate) messages: ChildStderr,
    pub(crate) output: Pipe,
    pub(crate) errors: Pipe,
    pub(crate) reports: Pipe,
    /// QEMU reads it once, at its start.
    _initramfs: File,
}

/// A pipe whose other end QEMU opens by this process's.
pub(crate) struct Pipe {
    pub(crate) from: PipeReader,
    to: PipeWriter,
}

impl Pipe {
    fn new() -> Result<Self> {
        let (from, to) = io::pipe().map_err(call("pipe"))?;
        Ok(Self { from, to })
    }
}

impl Machine {
    /// Starts the computer.
    pub(crate) fn start(nest: &Nest, initramfs: &[u8], disks: &Disks) -> Result<Self> {
        let qemu = tools::find("qemu-system-x86_64")?;
        let setpriv = tools::find("setpriv")?;
        let initramfs = in_memory(initramfs).map_err(call("put the initramfs into memory"))?;
        let [output, errors, reports] = [Pipe::new()?, Pipe::new()?, Pipe::new()?];
        let mut command = Command::new(&setpriv);
        command.args(["--pdeathsig", "KILL", "--"]).arg(&qemu);
        command.args(computer(nest)).arg("-kernel").arg(&nest.kernel.vmlinux);
        command.arg("-initrd").arg(by_descriptor(&initramfs));
        command.args(["-append", &command_line(nest)]);
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        for (port, pipe) in
            [(OUTPUT_PORT, &output), (ERRORS_PORT, &errors), (REPORT_PORT, &reports)]
        {
            let path = by_descriptor(&pipe.to);
            command.args(["-chardev", &format!("file,id=port{port},path={}", path.display())]);
            command.args(["-device", &format!("isa-debugcon,iobase={port},chardev=port{port}")]);
        }
        command.args(["-device", &format!("isa-debug-exit,iobase={END_PORT},iosize=1")]);
        command.args(drives(disks));
        // Of a group of its own: a key that interrupts this process does not interrupt QEMU.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| Error::Start { program: qemu, source })?;
        let piped = "it was asked for";
        Ok(Self {
            keys: child.stdin.take().expect(piped),
            console: child.stdout.take().expect(piped),
            messages: child.stderr.take().expect(piped),
            child,
            output,
            errors,
            reports,
            _initramfs: initramfs,
        })
    }

    /// A descriptor that can be read once QEMU has ended.
    pub(crate) fn end(&self) -> Result<OwnedFd> {
        let pid = Pid::from_child(&self.child);
        pidfd_open(pid, PidfdFlags::empty()).map_err(call("pidfd_open"))
    }

    /// The signal that QEMU was killed by, now that it has ended.
    pub(crate) fn killed_by(&mut self) -> Result<Option<i32>> {
        Ok(self.child.wait().map_err(call("wait for QEMU"))?.signal())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It has ended already, or it is ended now; both need no answer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"isolab-nest", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
}

/// The processor, the memory, the board. `rdrand` is the kernel's randomness: where so little
/// happens it has no other, and who asks for a seed would wait without end. `cmpxchg16b` (cx16) is
/// left out, since QEMU 7.2 gets it wrong: kernels that use it, 6.12 for instance, crash at random.
fn computer(nest: &Nest) -> Vec<OsString> {
    let mut words = vec!["-M", "q35,hpet=off,vmport=off,smbus=off,sata=off,usb=off"];
    words.extend(["-cpu", "qemu64,+svm,+npt,+rdrand,-cx16", "-nodefaults", "-no-user-config"]);
    words.extend(["-display", "none", "-no-reboot", "-net", "none", "-accel"]);
    words.push(if nest.vcpus == 1 { "tcg,thread=single" } else { "tcg,thread=multi" });
    if nest.icount {
        words.extend(["-icount", "shift=0,sleep=off"]);
    }
    let mut words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    words.extend(["-smp".into(), nest.vcpus.to_string().into()]);
    words.extend(["-m".into(), format!("{}B", nest.memory_bytes).into()]);
    words
}

/// What a single processor can do without besides. To set its local timer the kernel looks at the
/// clock for a tenth of a second without rest, and where the clock counts instructions, every look
/// costs a thousand of them: three seconds.
const FOR_ONE: &str = "nosmp nolapic_timer";

fn command_line(nest: &Nest) -> String {
    let mut words = COMMAND_LINE.to_owned();
    if nest.vcpus == 1 {
        words += " ";
        words += FOR_ONE;
    }
    if let Some(kilohertz) = clock::rate(nest.icount) {
        words += &format!(" tsc_early_khz={kilohertz}");
    }
    words
}

fn drives(disks: &Disks) -> Vec<String> {
    let mut words = vec!["-device".to_owned(), "nvme,id=nvme0,serial=isolab".to_owned()];
    for (index, file) in disks.files().enumerate() {
        let (number, path) = (disks::namespace(index), by_descriptor(file));
        let read_only = if index < disks.read_only.len() { "on" } else { "off" };
        words.extend([
            "-drive".to_owned(),
            format!(
                "if=none,id=disk{number},format=raw,cache=unsafe,read-only={read_only},\
                 file.locking=off,file={}",
                path.display()
            ),
            "-device".to_owned(),
            format!("nvme-ns,bus=nvme0,drive=disk{number},nsid={number}"),
        ]);
    }
    words
}
