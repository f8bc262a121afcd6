//! The program at the end of a plan: a built-in one from memory, a command, or init with a command.

use std::{
    ffi::{OsStr, OsString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use host::sealed_memfd;
use nix::{errno::Errno, libc, unistd::AccessFlags};
use sandbox::{Program, Question::WayOut, environment};

use crate::{
    Begin, Error,
    child_descriptors::{INHERITED, PROGRAM, START},
    descriptors::high,
    error,
    plan::SyscallPlan,
    spec,
};

/// The first process of a container that runs a command, compiled by `build.rs`.
const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));
/// The same program, reduced to the mode that becomes the command.
const BECOME: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/become"));

/// What runs between the plan and the command (the modes of `programs/init.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// Nothing: the child of the plan is a built-in program.
    Itself,
    /// Init, which has the command as its child.
    Init,
    /// The same, for a container that is joined.
    Join,
    /// A program that becomes the command, once it may. The child of the plan does not become it
    /// by itself: until an `execve` its `/proc/self/exe` is the launcher's own file, and a script
    /// inside may name that as its interpreter.
    Become,
}

impl First {
    pub(crate) fn of(way_out: &spec::WayOut) -> Self {
        match (&way_out.program, way_out.init) {
            (Program::Builtin(..), _) => Self::Itself,
            (Program::Command(_), true) => Self::Init,
            (Program::Command(_), false) => Self::Become,
        }
    }

    /// The program in memory with which a plan ends.
    pub(crate) fn image(self, program: &Program) -> Result<BorrowedFd<'static>, Error> {
        match (self, program) {
            (Self::Itself, Program::Builtin(builtin, _)) => image(builtin.linux_elf()),
            (Self::Become, _) => image(BECOME),
            _ => image(INIT),
        }
    }

    /// Whether the program at the end of the plan gets the report pipe.
    pub(crate) fn reports(self) -> bool {
        self != Self::Itself
    }

    /// Whether it always reports after the plan: that the command runs, or that it waits to be
    /// started. A program that becomes the command immediately reports only a failure.
    pub(crate) fn always_reports(self, begin: Begin<'_>) -> bool {
        match self {
            Self::Itself => false,
            Self::Init | Self::Join => true,
            Self::Become => matches!(begin, Begin::OnByte(_)),
        }
    }
}

/// Looks whether there is a command, before it waits to be started: whoever creates a container is told
/// then. Afterwards its filter may forbid to look. Whether the container's user may execute what is
/// there is known only when it is tried.
pub(crate) fn look_for(
    plan: &mut SyscallPlan,
    way_out: &spec::WayOut,
    begin: Begin<'_>,
) -> Result<(), Error> {
    let (Program::Command(words), Begin::OnByte(_)) = (&way_out.program, begin) else {
        return Ok(());
    };
    plan.about_the_program(|plan| match &*candidates(words, &way_out.environment) {
        [] => match words.first() {
            Some(path) => access(plan, Path::new(path), AccessFlags::X_OK),
            None => Ok(()),
        },
        all => plan.one_of(&[Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES], |plan| {
            all.iter().try_for_each(|path| access(plan, path, AccessFlags::F_OK))
        }),
    })
}

fn access(plan: &mut SyscallPlan, path: &Path, how: AccessFlags) -> Result<(), Error> {
    let words = format!("faccessat {}", path.display());
    let address = plan.text(path)?;
    let arguments = [libc::AT_FDCWD as usize, address, how.bits() as usize];
    plan.step(WayOut, words, libc::SYS_faccessat, arguments);
    Ok(())
}

/// Ends `plan` with the program of a container, after
/// [`hand_over`](crate::preserved::hand_over).
pub(crate) fn end_with(
    plan: &mut SyscallPlan,
    way_out: &spec::WayOut,
    first: First,
    begin: Begin<'_>,
) -> Result<(), Error> {
    let preserved = way_out.preserved as usize;
    let waits = matches!(begin, Begin::OnByte(_));
    let (report, image) = (INHERITED + preserved, PROGRAM + preserved);
    let gate = if waits { START + preserved } else { 0 };
    match &way_out.program {
        Program::Builtin(builtin, arguments) => {
            plan.execute_descriptor(image);
            let arguments = arguments.iter().map(u64::to_string);
            let words: Vec<String> =
                std::iter::once(builtin.name().to_owned()).chain(arguments).collect();
            plan.arguments(&words)?;
            plan.environment(format!("{}={report}", guest::abi::MAILBOX_VARIABLE))?;
        }
        Program::Command(words) => {
            let candidates = candidates(words, &way_out.environment);
            let mode = match first {
                First::Itself | First::Become => 2,
                First::Init => 0,
                First::Join => 1,
            };
            plan.execute_descriptor(image);
            let numbers = [mode, report, gate, candidates.len()];
            plan.arguments(&["init"])?;
            plan.arguments(&numbers.map(|number| number.to_string()))?;
            plan.arguments(&candidates)?;
            plan.arguments(words)?;
        }
    }
    for (name, value) in &way_out.environment {
        plan.environment(join(name.clone(), value))?;
    }
    Ok(())
}

/// `NAME=VALUE`.
fn join(mut name: OsString, value: &OsStr) -> OsString {
    name.push("=");
    name.push(value);
    name
}

/// The candidate paths of the command, in order; which of them exist is known only inside. Empty
/// for a command that is a path itself.
fn candidates(words: &[OsString], environment: &[(OsString, OsString)]) -> Vec<PathBuf> {
    let program = words.first().map_or(Path::new(""), Path::new);
    if program.as_os_str().is_empty() {
        return vec![PathBuf::new()]; // no file has this name
    }
    if program.as_os_str().as_bytes().contains(&b'/') {
        return Vec::new();
    }
    std::env::split_paths(environment::path(environment))
        .map(|directory| directory.join(program))
        .collect()
}

/// A descriptor of a program in memory, made once for each program.
fn image(elf: &'static [u8]) -> Result<BorrowedFd<'static>, Error> {
    static MADE: Mutex<Vec<(&'static [u8], &'static OwnedFd)>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = made.iter().find(|(program, _)| std::ptr::eq(*program, elf));
    if let Some(&(_, descriptor)) = found {
        return Ok(descriptor.as_fd());
    }
    let opened = sealed_memfd(elf).map_err(error::file("write the program to memory", "memfd"))?;
    // Kept for the lifetime of the process: there are nine programs at most.
    let kept: &'static OwnedFd = Box::leak(Box::new(high(&opened)?));
    made.push((elf, kept));
    Ok(kept.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_a_slash_is_not_searched_for() {
        assert!(candidates(&["./x".into()], &[]).is_empty());
    }

    #[test]
    fn a_command_is_searched_for_in_the_path_inside() {
        let environment = [("PATH".into(), "/a:/b".into())];
        let found = candidates(&["x".into()], &environment);
        assert_eq!(found, [PathBuf::from("/a/x"), PathBuf::from("/b/x")]);
    }

    #[test]
    fn init_is_a_few_kilobytes() {
        assert!(INIT.starts_with(b"\x7fELF") && INIT.len() < 16 << 10, "{}", INIT.len());
    }

    #[test]
    fn what_becomes_the_command_fits_under_the_smallest_limit_of_file_sizes() {
        // `ulimit -f` of bash counts in units of 1,024 bytes.
        assert!(BECOME.starts_with(b"\x7fELF") && BECOME.len() <= 1024, "{}", BECOME.len());
    }
}
