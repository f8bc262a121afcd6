//! `create`: everything but the program itself.

use std::{fs, path::Path};

use container::{Created, Prepared, Spec};
use jiff::Timestamp;

use crate::{
    bundle::Bundle,
    console,
    error::{Result, file, property},
    log::Log,
    machine,
    options::Create,
    preserved::Preserved,
    record::Record,
    store::{self, StateDirectory, Store},
    translate,
};

pub(super) fn create(store: &Store, log: &Log, options: &Create) -> Result<()> {
    let (_directory, created) = made(store, log, options, Console::Socket)?;
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
    console: Console,
) -> Result<(StateDirectory, Created)> {
    let preserved = Preserved::find(options.preserve_fds, true)?;
    store::check(&options.id)?;
    let mut bundle = Bundle::open(&options.bundle)?;
    if let Some(process) = &mut bundle.config.process {
        process.env.extend(preserved.variables());
    }
    let is_machine = machine::is_asked_for(&bundle.config.annotations)?;
    if is_machine {
        machine::available()?;
    }
    let mut spec = match is_machine {
        true => machine::monitor_spec(&bundle, &options.id, &store.directory(&options.id))?,
        false => translate::spec(&bundle, &options.id)?,
    };
    spec.way_out.preserved = preserved.count;
    let has_terminal = spec.way_out.stdio == sandbox::Stdio::Terminal;
    check_console(has_terminal, console, options.console_socket.as_deref())?;
    let directory = store.create(&options.id)?;
    match make(&directory, log, options, &bundle, &spec, is_machine) {
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
    spec: &Spec,
    is_machine: bool,
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
        held: prepared.resources(),
        container: None,
    };
    record.save(directory)?;
    let created = finish(prepared, record, directory, options);
    if created.is_err() {
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
