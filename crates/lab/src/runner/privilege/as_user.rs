//! Running a program as an ordinary user, by root, who trusts neither of the two.
//!
//! ```text
//!   isolab, as root   isolab lab as-user UID GID GROUPS FOLDER PROGRAM ...   gives up all it has,
//!                                                                           executes PROGRAM
//! ```
//!
//! The program has the user's ids and groups, a session of its own and so no terminal, which it
//! could type into; no descriptors but its standard streams; no way to more privileges. It is the
//! user who enters the folder, not root. With isolab it is killed.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt as _,
    process::Command,
};

use nix::{
    sys::stat::{Mode, umask},
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};
use rustix::{
    process::{Signal, set_parent_process_death_signal, setsid},
    thread::set_no_new_privs,
};

/// The subcommand of `isolab lab`.
const WORD: &str = "as-user";

/// What a call of isolab becomes the user's program by; the program's arguments follow.
pub(super) fn command(
    user: Uid,
    group: Gid,
    groups: &[Gid],
    folder: &OsStr,
    program: &OsStr,
) -> Command {
    let list: Vec<String> = groups.iter().map(Gid::to_string).collect();
    // This very program, whatever stands where it was found.
    let mut command = Command::new("/proc/self/exe");
    command.args(["lab", WORD, &user.to_string(), &group.to_string(), &list.join(",")]);
    command.args([folder, program]);
    command
}

/// Becomes the user and executes the program; comes back only if that fails, and says which step.
pub fn become_user(words: &[OsString]) -> io::Error {
    let Err(error) = try_to_become(words);
    error
}

fn try_to_become(words: &[OsString]) -> io::Result<std::convert::Infallible> {
    let [user, group, groups, folder, program, arguments @ ..] = words else {
        return Err(io::Error::other(format!("usage: {WORD} UID GID GROUPS FOLDER PROGRAM")));
    };
    let (user, group) = (Uid::from_raw(number(user)?), Gid::from_raw(number(group)?));
    let groups = groups.to_str().unwrap_or_default().split(',').filter(|word| !word.is_empty());
    let groups: io::Result<Vec<Gid>> =
        groups.map(|word| number(OsStr::new(word)).map(Gid::from_raw)).collect();
    container::descriptors::close_at_execve().map_err(io::Error::other)?;
    setsid().map_err(at("setsid"))?;
    setgroups(&groups?).map_err(at("setgroups"))?;
    setresgid(group, group, group).map_err(at("setresgid"))?;
    setresuid(user, user, user).map_err(at("setresuid"))?;
    set_no_new_privs(true).map_err(at("set no_new_privs"))?;
    // A change of ids takes the signal back, so it is set behind that (prctl(2)).
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(at("prctl PR_SET_PDEATHSIG"))?;
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    env::set_current_dir(folder).map_err(at(format!("enter {}", folder.display())))?;
    let error = Command::new(program).args(arguments).exec();
    Err(at(format!("execute {}", program.display()))(error))
}

fn number(word: &OsStr) -> io::Result<u32> {
    let number = word.to_str().and_then(|word| word.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("invalid id: {}", word.display())))
}

fn at<E: std::fmt::Display>(step: impl std::fmt::Display) -> impl FnOnce(E) -> io::Error {
    move |error| io::Error::other(format!("{step}: {error}"))
}
