//! Question 4: the system calls of 32-bit programs, asked of the kernel from the inside.
//!
//! The programs are machine code for 32 bits, or for 64 with `int 0x80`: the same bytes mean the same
//! in both, as long as they use the lower halves of registers alone.

mod common;

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use common::{
    elf::{BASE, elf32, elf64},
    ready,
};
use container::{Container, Root};
use sandbox::{Sandbox as _, Status, Workload};
use tempfile::TempDir;

/// `mov REGISTER, value`: eax, ebx, ecx, edx, esi.
const REGISTERS: [u8; 5] = [0xb8, 0xbb, 0xb9, 0xba, 0xbe];
const INT_0X80: [u8; 2] = [0xcd, 0x80];

/// Makes the 32-bit call `values[0]` with the other values.
fn call(values: &[u32]) -> Vec<u8> {
    let mut code = Vec::new();
    for (register, value) in REGISTERS.into_iter().zip(values) {
        code.push(register);
        code.extend(value.to_le_bytes());
    }
    code.extend(INT_0X80);
    code
}

/// Ends with the error of the call before, or the low byte of what it gave.
fn exit_with_error() -> Vec<u8> {
    // neg eax; mov ebx, eax; mov eax, SYS_exit_group; int 0x80
    [0xf7, 0xd8, 0x89, 0xc3, 0xb8, 252, 0, 0, 0, 0xcd, 0x80].into()
}

/// A program of either size that makes one call.
fn programs(values: &[u32]) -> [Vec<u8>; 2] {
    let code = [call(values), exit_with_error()].concat();
    [elf32(&code), elf64(&code)]
}

/// A directory with the program in it.
fn folder(program: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// How the program ends as the only file of a container.
fn confined(program: &[u8]) -> Status {
    let folder = folder(program);
    let container = Container::default().root(Root::Directory(folder.path().into()));
    container.run(&Workload::command(["/program"])).unwrap().status
}

/// How it ends without a container; nothing where such a program cannot be executed or is killed.
fn free(program: &[u8]) -> Option<i32> {
    let folder = folder(program);
    Command::new(folder.path().join("program")).status().ok()?.code()
}

fn failed_with(errno: i32) -> Status {
    Status::Exited(errno as u8)
}

/// Whether the kernel has 32-bit calls at all (`ia32_emulation`).
fn has_i386() -> bool {
    // getpid, of a process that has a number. That of the other table is writev, which fails.
    let has = programs(&[20]).iter().all(|program| free(program).is_some_and(|code| code != 38));
    if !has {
        println!("skipped: this kernel has no 32-bit system calls (ia32_emulation)");
    }
    ready() && has
}

#[test]
fn programs_of_32_bits_run() {
    if !has_i386() {
        return;
    }
    // Its own process: 1, or 2 below an init.
    for program in programs(&[20]) {
        let Status::Exited(code) = confined(&program) else { panic!("killed") };
        assert!([255, 254].contains(&code), "{code}");
    }
    // gettid, brk(0) and clock_gettime64 into memory that is not there.
    for (values, expected) in [
        (&[224][..], None),
        (&[403, 1, 0][..], Some(libc::EFAULT)),
        (&[199][..], Some(0)),                  // getuid32
        (&[197, 99, 0][..], Some(libc::EBADF)), // fstat64
        (&[221, 99, 3][..], Some(libc::EBADF)), // fcntl64
    ] {
        for program in programs(values) {
            let ended = confined(&program);
            match expected {
                Some(errno) => assert_eq!(ended, failed_with(errno), "{values:?}"),
                None => assert_ne!(ended, failed_with(libc::ENOSYS), "{values:?}"),
            }
        }
    }
}

#[test]
fn a_program_of_32_bits_makes_a_thread() {
    if !has_i386() {
        return;
    }
    // clone with the flags of a thread, on a stack behind the program; the thread writes 7 into a
    // word and ends, the first one yields until it is there and ends with it.
    const FLAGS: i32 = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM;
    let (stack, word) = (BASE + 0x1800, BASE + 0x1900);
    let mut code = call(&[120, FLAGS as u32, stack, 0, 0]);
    let store = [&[0xc7, 0x05][..], &word.to_le_bytes(), &7u32.to_le_bytes()].concat();
    let thread = [store, call(&[1, 0])].concat(); // exit: this thread alone
    // test eax, eax; jnz over the thread's part; a failure ends with its error.
    code.extend([0x85, 0xc0, 0x75, thread.len() as u8]);
    code.extend(thread);
    // test eax, eax; jns over the end
    let end = exit_with_error();
    code.extend([0x85, 0xc0, 0x79, end.len() as u8]);
    code.extend(end);
    let turn = call(&[158]); // sched_yield
    code.extend(&turn);
    // cmp dword [word], 0; je back to the turn
    code.extend([0x83, 0x3d]);
    code.extend(word.to_le_bytes());
    code.extend([0, 0x74, (turn.len() as u8 + 9).wrapping_neg()]);
    // mov ebx, [word]; mov eax, SYS_exit_group
    code.extend([0x8b, 0x1d]);
    code.extend(word.to_le_bytes());
    code.extend([0xb8, 252, 0, 0, 0, 0xcd, 0x80]);
    let program = elf32(&code);
    assert_eq!(free(&program), Some(7));
    assert_eq!(confined(&program), Status::Exited(7));
}

#[test]
fn sockets_of_32_bits_are_those_of_64() {
    if !has_i386() {
        return;
    }
    let [unix, inet, vsock, alg] =
        [libc::AF_UNIX, libc::AF_INET, libc::AF_VSOCK, libc::AF_ALG].map(|family| family as u32);
    let stream = libc::SOCK_STREAM as u32;
    for family in [unix, inet] {
        for program in programs(&[359, family, stream, 0]) {
            let Status::Exited(code) = confined(&program) else { panic!("killed") };
            assert!(code > 200, "a descriptor, negative: {code}");
        }
    }
    for family in [vsock, alg] {
        for program in programs(&[359, family, stream, 0]) {
            assert_eq!(confined(&program), failed_with(libc::EPERM));
        }
    }
    // By a pointer, where nobody can look: socket and socketpair do not exist, listen does.
    for (function, errno) in [(1, libc::ENOSYS), (8, libc::ENOSYS), (4, libc::EFAULT)] {
        for program in programs(&[102, function, 0]) {
            assert_eq!(free(&program), Some(libc::EFAULT), "{function}");
            assert_eq!(confined(&program), failed_with(errno), "{function}");
        }
    }
}

#[test]
fn what_is_refused_to_64_bits_is_refused_to_32() {
    if !has_i386() {
        return;
    }
    let user = (libc::CLONE_NEWUSER | libc::SIGCHLD) as u32;
    for (values, free_errno, errno) in [
        (&[54, 99, libc::TIOCSTI as u32, 0][..], libc::EBADF, libc::EPERM),
        (&[54, 99, libc::TIOCLINUX as u32, 0], libc::EBADF, libc::EPERM),
        (&[54, 99, libc::TCGETS as u32, 0], libc::EBADF, libc::EBADF),
        (&[120, user | libc::CLONE_FS as u32, 0, 0, 0], libc::EINVAL, libc::EPERM),
        (&[310, 0x0100_0000], libc::EINVAL, libc::EPERM), // unshare
        (&[435, 0, 0], libc::EINVAL, libc::ENOSYS),       // clone3
        (&[374, u32::MAX], libc::EINVAL, libc::EPERM),    // userfaultfd
        (&[425, 0, 0], libc::EFAULT, libc::EPERM),        // io_uring_setup
        (&[21, 0, 0, 0, 0], libc::EFAULT, libc::EPERM),   // mount
        (&[999], libc::ENOSYS, libc::ENOSYS),
    ] {
        for program in programs(values) {
            if free(&program) != Some(free_errno) {
                println!("left out: {values:?} gives {:?} without a container", free(&program));
                continue;
            }
            assert_eq!(confined(&program), failed_with(errno), "{values:?}");
        }
    }
}
