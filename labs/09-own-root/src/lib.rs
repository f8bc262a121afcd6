//! Lab 09: a root of one's own. The part that builds a small tree and leads the student's five
//! functions into it.

use std::{
    ffi::CStr,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::program::{Host, Trouble, run};
use nix::{
    fcntl::{OFlag, open},
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, clone},
    sys::{signal::Signal, stat::Mode, wait::waitpid},
    unistd::{Pid, chdir, chroot, execv, fchdir, getpid},
};

/// The student's functions, in the order in which the new process calls them.
pub struct Answer {
    /// No mount that follows shows up outside.
    pub make_private: fn() -> nix::Result<()>,
    /// The directory becomes a mount.
    pub bind_self: fn(&Path) -> nix::Result<()>,
    /// A `/proc` of the new process's own, in that directory.
    pub mount_proc: fn(&Path) -> nix::Result<()>,
    /// That mount becomes the root.
    pub pivot: fn(&Path) -> nix::Result<()>,
    /// The old root goes.
    pub detach_old: fn() -> nix::Result<()>,
}

/// The program: the host's part of it, or the one that runs in the new root.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| match host.argument("role") {
        "inside" => inside(host),
        _ => outside(host, answer),
    })
}

fn outside(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let tree = host.step("build the new root", || Tree::build(host.argument("token")))?;
    host.say("root", tree.path.display());
    host.meet("ready");
    // Without a check there is nobody to show it to.
    if host.is_checked() {
        show_that_mounts_are_shared(host)?;
    }
    let child = host.step("clone a process with mounts and numbers of its own", || {
        born(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID, || enter(host, answer, &tree.path))
    })?;
    host.step("wait for the child", || waitpid(child, None))?;
    Ok(())
}

/// The new process's way into its root. It does not come back if all goes well.
fn enter(host: &Host, answer: &Answer, root: &Path) -> isize {
    let steps = || {
        host.step("make_private", answer.make_private)?;
        host.meet("private");
        host.step("bind_self", || (answer.bind_self)(root))?;
        host.meet("bound");
        host.step("mount_proc", || (answer.mount_proc)(root))?;
        host.meet("proc");
        host.step("pivot", || (answer.pivot)(root))?;
        host.meet("pivoted");
        host.step("detach_old", answer.detach_old)?;
        // What runs from here on was found in the new root, or not at all.
        host.step("execute /program of the new root", || execv(ROLE[0], &ROLE))
    };
    let Err(trouble) = steps();
    host.fail(&trouble);
    1
}

const ROLE: [&CStr; 2] = [c"/program", c"role=inside"];

/// What runs in the new root: it is looked at, and then it tries to get out.
fn inside(host: &Host) -> Result<(), Trouble> {
    host.say("pid", getpid());
    host.say("token", fs::read_to_string("/token").unwrap_or_default());
    host.meet("inside");
    host.step("try to break out", break_out)?;
    host.meet("probed");
    Ok(())
}

/// The classical way out of chroot(2): a root deeper down, and a directory that is not below it any
/// more, from which `..` knows no end but that of the mounts.
fn break_out() -> nix::Result<()> {
    let here = open(".", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    chroot("/cell")?;
    fchdir(&here)?;
    for _ in 0..64 {
        chdir("..")?;
    }
    chroot(".")
}

/// A mount that is made in a copy of the host's mounts, and not kept private: the check sees that
/// it shows up on the host.
fn show_that_mounts_are_shared(host: &Host) -> Result<(), Trouble> {
    let armed = || {
        let none = None::<&str>;
        mount(Some("lab"), "/dev/shm", Some("tmpfs"), MsFlags::empty(), none)?;
        host.meet("armed");
        umount2("/dev/shm", MntFlags::MNT_DETACH)
    };
    let inside = || match host.step("mount something in a copy of the host's mounts", armed) {
        Ok(()) => 0,
        Err(trouble) => {
            host.fail(&trouble);
            1
        }
    };
    let child = host.step("clone a process", || born(CloneFlags::CLONE_NEWNS, inside))?;
    host.step("wait for that process", || waitpid(child, None))?;
    Ok(())
}

fn born(flags: CloneFlags, mut inside: impl FnMut() -> isize) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and
    // this process has one thread, so nothing is held that the child would wait for.
    #[expect(unsafe_code, reason = "nix marks clone as unsafe for programs with threads")]
    unsafe {
        clone(Box::new(&mut inside), &mut stack, flags, Some(Signal::SIGCHLD as i32))
    }
}

/// A tree that is to be a root: this program, a file with the check's token, and directories for
/// `/proc` and for the attempt to get out. It goes when this is dropped, by its names and never
/// through a mount.
struct Tree {
    path: PathBuf,
}

impl Tree {
    fn build(token: &str) -> io::Result<Self> {
        let path = PathBuf::from(format!("/tmp/lab09-{}", getpid()));
        let tree = Self { path };
        for directory in ["", "proc", "cell"] {
            fs::create_dir(tree.path.join(directory))?;
        }
        fs::copy(std::env::current_exe()?, tree.path.join("program"))?;
        fs::write(tree.path.join("token"), token)?;
        Ok(tree)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for file in ["program", "token"] {
            let _ = fs::remove_file(self.path.join(file));
        }
        for directory in ["cell", "proc", ""] {
            let _ = fs::remove_dir(self.path.join(directory));
        }
    }
}
