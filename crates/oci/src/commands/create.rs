//! `create`: everything but the program itself.

use std::{fs, path::Path};

use container::{Created, Prepared, Spec};
use jiff::Timestamp;

use crate::{
    bundle::Bundle,
    config::Resources,
    console,
    error::{Result, file, property},
    log::Log,
    machine,
    options::Create,
    preserved::Preserved,
    record::Record,
    store::{self, StateDirectory, Store},
    systemd::{self, Unit, Value},
    translate::{self, budget},
};

pub(super) fn create(store: &Store, log: &Log, options: &Create, by_systemd: bool) -> Result<()> {
    let (_directory, created) = made(store, log, options, (Console::Socket, by_systemd))?;
    created.detach();
    Ok(())
}

/// What becomes of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Console {
    /// It goes to the engine through `--console-socket`.
    Socket,
    /// It is connected to the caller's own.
    Own,
}

/// A created container, whose record is written and whose terminal is where it belongs. Nothing is left
/// of one that fails.
pub(super) fn made(
    store: &Store,
    log: &Log,
    options: &Create,
    (console, by_systemd): (Console, bool),
) -> Result<(StateDirectory, Created)> {
    let preserved = Preserved::find(options.preserve_fds, true)?;
    store::check(&options.id)?;
    let mut bundle = Bundle::open(&options.bundle)?;
    if let Some(process) = &mut bundle.config.process {
        process.env.extend(preserved.variables());
    }
    let path = bundle.config.linux.cgroups_path.as_deref();
    let unit = by_systemd.then(|| Unit::of(path, &options.id)).transpose()?;
    if unit.is_some() {
        systemd::check()?;
    }
    let is_machine = machine::is_asked_for(&bundle.config.annotations)?;
    let mut spec = match is_machine {
        true => {
            machine::available()?;
            let directory = store.directory(&options.id);
            machine::monitor_spec(&bundle, &options.id, &directory, unit.as_ref())?
        }
        false => translate::spec(&bundle, &options.id, unit.as_ref())?,
    };
    spec.way_out.preserved = preserved.count;
    spec.power.keyring = (!options.no_new_keyring).then(|| format!("_ses.{}", options.id));
    bundle.config.process.iter().for_each(|process| log.left_out(process));
    let has_terminal = spec.way_out.stdio == sandbox::Stdio::Terminal;
    check_console(has_terminal, console, options.console_socket.as_deref())?;
    let directory = store.create(&options.id)?;
    match make(&directory, log, options, &bundle, (&spec, unit, is_machine)) {
        Ok(created) => Ok((directory, created)),
        Err(error) => {
            let _ = directory.remove(); // the first failure is the one to report
            Err(error)
        }
    }
}

fn make(
    directory: &StateDirectory,
    log: &Log,
    options: &Create,
    bundle: &Bundle,
    (spec, unit, is_machine): (&Spec, Option<Unit>, bool),
) -> Result<Created> {
    let prepared = Prepared::new(spec)?;
    // Written before anything is made: whoever finds it can remove what a killed runtime has left.
    let record = Record {
        id: options.id.clone(),
        bundle: bundle.directory.clone(),
        rootfs: bundle.rootfs()?,
        annotations: bundle.config.annotations.clone(),
        created: Timestamp::now().to_string(),
        process: bundle.config.process.clone(),
        resources: bundle.config.linux.resources.clone().unwrap_or_default(),
        is_machine,
        is_paused: false,
        unit,
        held: prepared.resources(),
        container: None,
    };
    record.save(directory)?;
    if is_machine {
        bundle.copy(&directory.path)?;
    }
    let first = match &record.unit {
        Some(unit) => Some(unit.start(properties(&record.resources, spec)?)?),
        None => None,
    };
    let unit = record.unit.clone();
    let created = finish(prepared, record, directory, options);
    drop(first);
    if created.is_err() {
        if let Some(unit) = unit {
            let _ = unit.stop(); // the first failure is the one to report
        }
        // It has been stopped by its failure (runtime.md, "Lifecycle").
        log.warnings(&spec.way_out.hooks.after_stop());
    }
    created
}

fn finish(
    prepared: Prepared<'_>,
    mut record: Record,
    directory: &StateDirectory,
    options: &Create,
) -> Result<Created> {
    let mut created = prepared.create(&directory.start())?;
    record.container = Some(created.state().clone());
    record.save(directory)?;
    if let Some(socket) = &options.console_socket
        && let Some(master) = created.terminal()?
    {
        console::send(&master, socket)?;
    }
    if let Some(path) = &options.pid_file {
        write_pid(path, created.state().first.pid)?;
    }
    Ok(created)
}

/// What systemd is told of its limits.
fn properties(resources: &Resources, spec: &Spec) -> Result<Vec<(String, Value)>> {
    let is_v2 = budget::host_is_v2();
    let mut properties = budget::systemd::of_new(&spec.budget.devices, is_v2);
    properties.extend(budget::systemd::properties(resources, resources, is_v2)?);
    Ok(properties)
}

/// Written beside it and renamed: an engine never reads half a number.
pub(super) fn write_pid(path: &Path, pid: u32) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let draft = path.with_file_name(format!(".{name}"));
    fs::write(&draft, pid.to_string()).map_err(file("write", &draft))?;
    fs::rename(&draft, path).map_err(file("rename", &draft))
}

/// A terminal needs somebody who takes it, and the other way round.
pub(super) fn check_console(
    has_terminal: bool,
    console: Console,
    socket: Option<&Path>,
) -> Result<()> {
    let why = match (has_terminal, console, socket) {
        (true, Console::Socket, None) => {
            "it is true, and there is no --console-socket to send the terminal to"
        }
        (false, _, Some(_)) => "it is false, and there is a --console-socket for a terminal",
        (true, Console::Own, Some(_)) => {
            "the terminal is connected to the caller's own: leave out --console-socket, or use --detach"
        }
        _ => return Ok(()),
    };
    Err(property("process.terminal", why))
}
