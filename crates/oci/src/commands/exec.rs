//! `exec`: another program in a running container.

use std::{fs, path::Path, process::Stdio as Stream};

use container::{Command, State, privileges::CapabilitySet, spec::Power};
use host::{own_terminal, terminal_pair};
use microvm::guest_session::{GuestCommand, SessionOutcome};
use nix::{sys::signal::Signal, unistd::Pid};
use sandbox::Stdio;

use super::create::{Console, check_console, write_pid};
use crate::{
    config::{Config, Process},
    console,
    error::{Error, Result, file, property},
    log::Log,
    machine,
    options::{Directory, Exec},
    preserved::Preserved,
    record::{Record, Status},
    signals::Signals,
    store::Store,
    translate,
};

/// The variable by which a process that passes streams on learns what it is to execute.
const PROCESS: &str = "ISOLAB_OCI_PROCESS";

pub(super) fn exec(store: &Store, log: &Log, options: &Exec) -> Result<u8> {
    let preserved = Preserved::find(options.preserve_fds, false)?;
    if let Some(path) = options.cgroup.iter().find(|path| !["", "/"].contains(&&***path)) {
        let why = format!("{path:?} is below the container's own, where isolab makes none");
        return Err(property("--cgroup", why));
    }
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
    if record.is_machine {
        return in_machine(&store.look(&options.id)?, &process, options);
    }
    let mut command = Command::new(translate::words(&process)?);
    command.environment = translate::environment(&process);
    command.has_own_environment = true;
    command.directory = Some(process.cwd.clone());
    command.power = Some(power(&process, &state.power)?);
    command.affinity = translate::affinity(&process)?;
    log.left_out(&process);
    command.stdio = if process.terminal { Stdio::Terminal } else { Stdio::Inherit };
    command.preserved = preserved.count;
    let console = if options.detach { Console::Socket } else { Console::Own };
    check_console(process.terminal, console, options.console_socket.as_deref())?;
    match options.detach {
        true => leave(command, state, options),
        false => wait_for(command, state, options, process.terminal),
    }
}

fn wait_for(command: Command, state: &State, options: &Exec, has_terminal: bool) -> Result<u8> {
    let signals = Signals::block()?;
    let instance = command.start_in(state).map_err(ended(state))?;
    signals.pass_to(instance.control(), has_terminal);
    if let (Some(path), Some(pid)) = (&options.pid_file, instance.processes().first()) {
        write_pid(path, *pid)?;
    }
    Ok(instance.wait()?.status.code())
}

fn leave(command: Command, state: &State, options: &Exec) -> Result<u8> {
    let left = command.leave_in(state).map_err(ended(state))?;
    let reported = || {
        if let (Some(master), Some(socket)) = (&left.terminal, &options.console_socket) {
            console::send(master, socket)?;
        }
        options.pid_file.as_ref().map_or(Ok(()), |path| write_pid(path, left.pid))
    };
    if let Err(error) = reported() {
        // Nobody knows of it.
        let _ = nix::sys::signal::kill(Pid::from_raw(left.pid.cast_signed()), Signal::SIGKILL);
        return Err(error);
    }
    Ok(0)
}

/// The error of a program that could not join: the container may have ended meanwhile.
fn ended(state: &State) -> impl FnOnce(sandbox::Error) -> Error {
    |error| if state.is_alive() { error.into() } else { Error::NotRunning }
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
    if !options.cap.is_empty() {
        let own = process.capabilities.get_or_insert_default();
        let sets = [&mut own.bounding, &mut own.effective, &mut own.permitted];
        for set in sets.into_iter().chain([&mut own.inheritable, &mut own.ambient]) {
            set.extend(options.cap.iter().cloned());
        }
    }
    if let Some(profile) = &options.apparmor {
        process.apparmor_profile = Some(profile.clone());
    }
    if let Some(label) = &options.process_label {
        process.selinux_label = Some(label.clone());
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

/// A further program in a microVM: a process of this host that passes its streams on.
fn in_machine(directory: &Path, process: &Process, options: &Exec) -> Result<u8> {
    if !options.detach && options.console_socket.is_none() {
        return session(directory, process);
    }
    let text = serde_json::to_string(process).unwrap_or_default();
    let words = machine::own_words()?;
    let mut command = std::process::Command::new(&words[0]);
    // Not on the command line, which every user of the host can read.
    command.args(&words[1..]).arg("join").arg(directory).env(PROCESS, text);
    let terminal = process.terminal.then(terminal_pair).transpose();
    let terminal = terminal.map_err(file("make a terminal from", "/dev/ptmx"))?;
    if let Some((_, slave)) = &terminal {
        let end = || slave.try_clone().map(Stream::from).map_err(file("duplicate", "a terminal"));
        command.stdin(end()?).stdout(end()?).stderr(end()?);
    }
    let child = command.spawn().map_err(file("start", "/proc/self/exe"))?;
    if let Some(path) = &options.pid_file {
        write_pid(path, child.id())?;
    }
    if let (Some((master, _)), Some(socket)) = (&terminal, &options.console_socket) {
        console::send(master, socket)?;
    }
    Ok(0)
}

/// The process that passes the streams on.
pub(super) fn join(options: &Directory) -> Result<u8> {
    let text = std::env::var(PROCESS).unwrap_or_default();
    let process: Process =
        serde_json::from_str(&text).map_err(|error| property("process", error.to_string()))?;
    if process.terminal {
        own_terminal().map_err(file("take the terminal of", "/proc/self"))?;
    }
    session(&options.directory, &process)
}

fn session(directory: &Path, process: &Process) -> Result<u8> {
    let monitor = machine::ask(directory, "exec")?;
    let command = GuestCommand {
        words: translate::words(process)?,
        environment: translate::environment(process),
        directory: Some(process.cwd.clone()),
        terminal: process.terminal,
    };
    match command.run(monitor).map_err(file("run a program in the guest of", directory))? {
        SessionOutcome::Code(code) => Ok(code),
        SessionOutcome::Failed(errno) => {
            let program = process.args.first().cloned().unwrap_or_default();
            Err(file("execute", program)(std::io::Error::from_raw_os_error(errno)))
        }
        SessionOutcome::Mute | SessionOutcome::Closed => Err(Error::NotRunning),
    }
}
