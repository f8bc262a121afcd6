//! `exec`: another program in a running container.

use std::fs;

use container::{Command, privileges::CapabilitySet, spec::Power};
use sandbox::Stdio;

use super::create::write_pid;
use crate::{
    config::{Config, Process},
    console,
    error::{Error, Result, file, property},
    log,
    options::Exec,
    record::{Record, Status},
    store::Store,
    translate,
};

pub(super) fn exec(store: &Store, options: &Exec) -> Result<u8> {
    let record = Record::of(store, &options.id)?;
    match record.status() {
        Status::Running | Status::Created => {}
        Status::Paused if options.ignore_paused => {}
        Status::Paused => {
            return Err(Error::Status {
                what: "execute a program in",
                id: options.id.clone(),
                status: "paused",
                fix: "resume it first",
            });
        }
        _ => return Err(Error::NotRunning),
    }
    let state = record.living()?;
    let process = process(&record, options)?;
    let mut command = Command::new(translate::words(&process)?);
    command.environment = translate::environment(&process);
    command.has_own_environment = true;
    command.directory = Some(process.cwd.clone());
    command.power = Some(power(&process, &state.power)?);
    command.affinity = translate::affinity(&process)?;
    log::left_out(&process);
    command.stdio = if process.terminal { Stdio::Terminal } else { Stdio::Inherit };
    if !options.detach && options.console_socket.is_none() {
        let instance = command.start_in(state)?;
        return Ok(instance.wait()?.status.code());
    }
    let left = command.leave_in(state)?;
    if let Some(path) = &options.pid_file {
        write_pid(path, left.pid)?;
    }
    if let (Some(master), Some(socket)) = (&left.terminal, &options.console_socket) {
        console::send(master, socket)?;
    }
    Ok(0)
}

/// The process of the file, or of the options: then what they leave open is as the container's own.
fn process(record: &Record, options: &Exec) -> Result<Process> {
    if let Some(path) = &options.process {
        let text = fs::read(path).map_err(file("read", path))?;
        return serde_json::from_slice(&text)
            .map_err(|error| Error::Invalid { path: path.clone(), why: error.to_string() });
    }
    let mut process = record.process.clone().unwrap_or_default();
    if options.args.is_empty() {
        return Err(property("process.args", "give a command, or --process FILE"));
    }
    process.args.clone_from(&options.args);
    process.terminal = options.tty;
    process.env.extend(options.env.iter().cloned());
    if let Some(directory) = &options.cwd {
        process.cwd.clone_from(directory);
    }
    if let Some(user) = &options.user {
        let wrong = || property("--user", format!("{user:?} is not UID or UID:GID"));
        let (uid, gid) = user.split_once(':').unwrap_or((user, ""));
        process.user.uid = uid.parse().map_err(|_| wrong())?;
        if !gid.is_empty() {
            process.user.gid = gid.parse().map_err(|_| wrong())?;
        }
    }
    process.user.additional_gids.extend(&options.additional_gids);
    process.no_new_privileges |= options.no_new_privs;
    if let Some(name) = options.cap.iter().find(|name| CapabilitySet::of([&***name]).is_err()) {
        return Err(property("--cap", format!("{name:?} is not a capability")));
    }
    if let Some(own) = &mut process.capabilities {
        for set in [&mut own.bounding, &mut own.effective, &mut own.permitted] {
            set.extend(options.cap.iter().cloned());
        }
    }
    Ok(process)
}

/// What it may do: its own, and the container's where a process has no say.
fn power(process: &Process, of_container: &Power) -> Result<Power> {
    let own = translate::power(process, &Config::default())?;
    Ok(Power {
        id_maps: of_container.id_maps.clone(),
        seccomp: of_container.seccomp.clone(),
        filter: of_container.filter.clone(),
        personality: of_container.personality,
        keyring: of_container.keyring.clone(),
        sysctl: Vec::new(),
        ..own
    })
}
