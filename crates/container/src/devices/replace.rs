//! bpf(2) again: other device rules for a cgroup in which programs run.
//!
//! All programs of a cgroup have to agree, so the new one is attached before the old one is detached: at
//! no time more is allowed than by one of the two. Programs of others, such as systemd's, stay.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use nix::errno::Errno;

use super::{
    DeviceRule,
    kernel::{ATTACH_TYPE_CGROUP_DEVICE, AttachAttributes, NAME, attach, bpf, load},
};
use crate::{Error, error::call};

// Commands of linux/bpf.h.
const PROG_DETACH: usize = 9;
const PROG_GET_FD_BY_ID: usize = 13;
const OBJ_GET_INFO_BY_FD: usize = 15;
const PROG_QUERY: usize = 16;

/// More than the kernel attaches to one cgroup (BPF_CGROUP_MAX_PROGS).
const MOST: usize = 64;

/// `union bpf_attr` of BPF_PROG_QUERY.
#[repr(C)]
struct QueryAttributes {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    padding: u32,
}

/// `union bpf_attr` of BPF_OBJ_GET_INFO_BY_FD.
#[repr(C)]
struct InfoAttributes {
    descriptor: u32,
    length: u32,
    info: u64,
}

/// `struct bpf_prog_info` up to the name.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    before: [u64; 8],
    name: [u8; 16],
}

/// Puts these rules in the place of those that `cgroup`, a directory of a version 2 hierarchy, has.
///
/// # Errors
///
/// When the caller may not, or the kernel rejects them.
pub fn replace(rules: &[DeviceRule], cgroup: BorrowedFd<'_>) -> Result<(), Error> {
    let old = attached(cgroup).map_err(call("look for the device rules of the cgroup"))?;
    attach(load(rules)?.as_fd(), cgroup)?;
    for program in old {
        let attributes = AttachAttributes {
            target: cgroup.as_raw_fd() as u32,
            program: program.as_raw_fd() as u32,
            kind: ATTACH_TYPE_CGROUP_DEVICE,
            flags: 0,
        };
        // SAFETY: the attributes are laid out as bpf(2) has them, and hold no addresses.
        let detached = unsafe { bpf(PROG_DETACH, &raw const attributes) };
        detached.map_err(call("detach the old device rules of the cgroup"))?;
    }
    Ok(())
}

/// The programs with device rules of isolab that are attached to the cgroup.
fn attached(cgroup: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Errno> {
    let mut ids = [0u32; MOST];
    let mut attributes = QueryAttributes {
        target: cgroup.as_raw_fd() as u32,
        kind: ATTACH_TYPE_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        programs: &raw mut ids as u64,
        count: MOST as u32,
        padding: 0,
    };
    // SAFETY: the attributes are laid out as bpf(2) has them; the kernel writes `count` numbers at most.
    unsafe { bpf(PROG_QUERY, (&raw mut attributes).cast_const()) }?;
    let mut ours = Vec::new();
    for id in &ids[..MOST.min(attributes.count as usize)] {
        let request = [*id, 0, 0];
        // SAFETY: three numbers, as bpf(2) has them for this command.
        let opened = match unsafe { bpf(PROG_GET_FD_BY_ID, &raw const request) } {
            Err(Errno::ENOENT) => continue, // detached meanwhile
            opened => opened?,
        };
        // SAFETY: the kernel has just opened this descriptor for us.
        let program = unsafe { OwnedFd::from_raw_fd(opened) };
        if name(&program)? == NAME {
            ours.push(program);
        }
    }
    Ok(ours)
}

fn name(program: &OwnedFd) -> Result<[u8; 16], Errno> {
    let mut info = ProgramInfo::default();
    let attributes = InfoAttributes {
        descriptor: program.as_raw_fd() as u32,
        length: size_of::<ProgramInfo>() as u32,
        info: &raw mut info as u64,
    };
    // SAFETY: the attributes are laid out as bpf(2) has them; the kernel writes no more than `length`.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &raw const attributes) }?;
    Ok(info.name)
}
