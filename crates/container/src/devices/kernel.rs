//! bpf(2): loads a program into the kernel and attaches it to a cgroup.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use nix::errno::Errno;

use super::{DeviceRule, program};
use crate::{Error, error::call};

// Commands and constants of linux/bpf.h.
const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
pub(super) const ATTACH_TYPE_CGROUP_DEVICE: u32 = 6;
/// Programs of ancestor cgroups, and other programs of this cgroup, run too.
const ALLOW_MULTI: u32 = 2;

/// The name of all programs with device rules of isolab.
pub(super) const NAME: [u8; 16] = *b"isolab_devices\0\0";

/// `union bpf_attr` of BPF_PROG_LOAD, as far as needed.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    prog_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
}

/// `union bpf_attr` of BPF_PROG_ATTACH.
#[repr(C)]
pub(super) struct AttachAttributes {
    pub(super) target: u32,
    pub(super) program: u32,
    pub(super) kind: u32,
    pub(super) flags: u32,
}

/// Loads the program for `rules` into the kernel, which verifies and compiles it.
///
/// # Errors
///
/// When the caller may not, or the kernel's verifier rejects it; the error has the verifier's log.
pub fn load(rules: &[DeviceRule]) -> Result<OwnedFd, Error> {
    let instructions = program::program(rules);
    let mut attributes = LoadAttributes {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
        name: NAME,
        expected_attach_type: ATTACH_TYPE_CGROUP_DEVICE,
        ..LoadAttributes::default()
    };
    // SAFETY: the attributes are laid out as bpf(2) has them and their addresses are those of live
    // objects that the kernel only reads.
    let loaded = unsafe { bpf(PROG_LOAD, &raw const attributes) };
    let descriptor = match loaded {
        Ok(descriptor) => descriptor,
        // The caller may not load programs: the verifier has no log.
        Err(errno @ Errno::EPERM) => {
            return Err(Error::DeviceProgram { log: String::new(), errno });
        }
        Err(errno) => {
            // Again, with a log for the reason.
            let mut log = vec![0u8; 64 << 10];
            attributes.log_level = 1;
            attributes.log_size = log.len() as u32;
            attributes.log_buffer = log.as_mut_ptr() as u64;
            // SAFETY: as above; the log is written to the buffer, which is of that size.
            match unsafe { bpf(PROG_LOAD, &raw const attributes) } {
                Ok(descriptor) => descriptor,
                Err(_) => {
                    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
                    let log = String::from_utf8_lossy(&log[..end]).trim().to_owned();
                    return Err(Error::DeviceProgram { log, errno });
                }
            }
        }
    };
    // SAFETY: the kernel has just opened this descriptor for us, closed on exec.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Attaches `program` to `cgroup`, a directory of a version 2 hierarchy, until that is removed.
///
/// # Errors
///
/// When the caller may not, or `cgroup` is not such a directory.
pub fn attach(program: BorrowedFd<'_>, cgroup: BorrowedFd<'_>) -> Result<(), Error> {
    let attributes = AttachAttributes {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: ATTACH_TYPE_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the attributes are laid out as bpf(2) has them, and hold no addresses.
    let attached = unsafe { bpf(PROG_ATTACH, &raw const attributes) };
    attached.map(drop).map_err(call("attach the device rules to the cgroup"))
}

/// bpf(2).
///
/// # Safety
///
/// The attributes are those of the command, and what they point to lives as long as the call.
pub(super) unsafe fn bpf<T>(command: usize, attributes: *const T) -> Result<i32, Errno> {
    // SAFETY: the caller vouches for the attributes; the kernel reads their size and no more.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    match result {
        -1 => Err(Errno::from_raw(io::Error::last_os_error().raw_os_error().unwrap_or(0))),
        descriptor => Ok(descriptor as i32),
    }
}
