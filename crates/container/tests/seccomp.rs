//! Question 4: system calls that a container may not make, asked of the kernel from the inside.
//!
//! The programs are a few bytes of machine code each, so that nothing stands between a call and its
//! answer: they make one system call and exit with its error.

mod common;

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use common::{elf::elf64, inside, ready};
use container::{Container, Root};
use sandbox::{Sandbox as _, Status, Workload};
use tempfile::TempDir;

/// `exit(-eax)`: with the error of the call before, or the low byte of what it gave.
const EXIT_WITH_ERROR: [u8; 11] = [
    0xf7, 0xd8, // neg eax
    0x89, 0xc7, // mov edi, eax
    0xb8, 60, 0, 0, 0, // mov eax, SYS_exit
    0x0f, 0x05, // syscall
];

/// Makes the call `number` with these arguments.
fn system_call(number: u32, arguments: [u64; 3]) -> Vec<u8> {
    let mut code = Vec::new();
    // movabs rdi, rsi, rdx
    for (register, value) in [0xbf, 0xbe, 0xba].into_iter().zip(arguments) {
        code.extend([0x48, register]);
        code.extend(value.to_le_bytes());
    }
    code.push(0xb8); // mov eax, number
    code.extend(number.to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    code.extend(EXIT_WITH_ERROR);
    elf64(&code)
}

/// A directory with the program in it.
fn folder(program: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

/// How the program ends as the only file of a container.
fn confined(program: &[u8]) -> Status {
    let (folder, _) = folder(program);
    let root = Root::Directory(folder.path().into());
    let container = Container::default().root(root);
    container.run(&Workload::command(["/program"])).unwrap().status
}

/// How it ends without a container.
fn free(program: &[u8]) -> Option<i32> {
    let (_folder, path) = folder(program);
    loop {
        match Command::new(&path).status() {
            // Another test's child has the file open to write, until it executes its own.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
            ended => return ended.unwrap().code(),
        }
    }
}

fn failed_with(errno: i32) -> Status {
    Status::Exited(errno as u8)
}

#[test]
fn a_call_that_is_newer_than_the_filter_does_not_exist() {
    if !ready() {
        return;
    }
    for number in [400, 1000, u32::MAX] {
        assert_eq!(confined(&system_call(number, [0; 3])), failed_with(libc::ENOSYS), "{number}");
    }
}

#[test]
fn calls_that_are_refused_on_purpose_fail_with_eperm() {
    if !ready() {
        return;
    }
    let flags = (libc::CLONE_NEWUSER | libc::CLONE_FS) as u64;
    // With these arguments none of them needs a capability to fail, or to succeed.
    let calls = [
        ("mount", libc::SYS_mount, [0; 3]),
        ("unshare", libc::SYS_unshare, [0xffff_ffff, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [0xffff_ffff, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [0, 1, 0]),
        ("socket(AF_VSOCK)", libc::SYS_socket, [libc::AF_VSOCK as u64, 99, 0]),
        ("socket(AF_ALG)", libc::SYS_socket, [libc::AF_ALG as u64, 99, 0]),
        ("clone(CLONE_NEWUSER)", libc::SYS_clone, [flags, 0, 0]),
    ];
    for (name, number, arguments) in calls {
        let program = system_call(number as u32, arguments);
        if free(&program) == Some(libc::EPERM) {
            println!("left out: {name} is refused here without a container, too");
            continue;
        }
        assert_eq!(confined(&program), failed_with(libc::EPERM), "{name}");
    }
}

#[test]
fn typing_for_others_is_refused_whatever_the_upper_half_of_the_request() {
    if !ready() {
        return;
    }
    // Of a descriptor that is not open: EBADF if it comes to that.
    let ioctl = |request: u64| system_call(libc::SYS_ioctl as u32, [99, request, 0]);
    assert_eq!(confined(&ioctl(libc::TCGETS)), failed_with(libc::EBADF));
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        assert_eq!(confined(&ioctl(request)), failed_with(libc::EPERM));
        assert_eq!(confined(&ioctl(request | 1 << 32)), failed_with(libc::EPERM));
    }
}

#[test]
fn clone3_does_not_exist_so_that_libraries_fall_back() {
    if !ready() {
        return;
    }
    let program = system_call(libc::SYS_clone3 as u32, [0; 3]);
    assert_eq!(free(&program), Some(libc::EINVAL));
    assert_eq!(confined(&program), failed_with(libc::ENOSYS));
}

#[test]
fn the_x32_abi_does_not_exist() {
    if !ready() {
        return;
    }
    let x32 = system_call(1 << 30 | libc::SYS_getpid as u32, [0; 3]);
    assert_eq!(confined(&x32), failed_with(libc::ENOSYS));
}

#[test]
fn ordinary_programs_do_not_notice_the_filter() {
    if !ready() {
        return;
    }
    let script = "set -e; ls / > /dev/null; cd $(mktemp -d); echo a > b; ln -s b c; mv b d; chmod 600 d; \
                  sleep 0 & wait; kill -0 $$; echo x | cat | tr x y";
    assert_eq!(inside(script), "y");
    for (program, script) in [
        (
            "/usr/bin/python3",
            "import socket, subprocess, threading as t\n\
                     socket.socketpair(); socket.socket(socket.AF_INET6)\n\
                     a = t.Thread(target=lambda: print('y', flush=True)); a.start(); a.join()\n\
                     subprocess.run(['true'], check=True)",
        ),
        ("/usr/bin/perl", "my $p = fork; if (!$p) { print 'y'; exit } waitpid $p, 0; exit $?"),
    ] {
        if !Path::new(program).exists() {
            println!("left out: no {program} here");
            continue;
        }
        let option = if program.ends_with("perl") { "-e" } else { "-c" };
        let outcome = Container::default().run(&Workload::command([program, option, script]));
        let outcome = outcome.unwrap();
        assert!(outcome.status.is_success(), "{program}: {outcome:?}");
        assert_eq!(common::text(&outcome), "y", "{program}");
    }
}
