//! `create`: everything but the program itself.

use std::{fs, path::Path};

use container::{Created, Prepared, Spec};
use jiff::Timestamp;

use crate::{
    bundle::Bundle,
    config::Resources,
    console,
    error::{Error, Result, file},
    log,
    options::Create,
    record::Record,
    store::{Place, Store},
    systemd::{self, Unit, Value},
    translate::{self, budget},
};

pub(super) fn create(store: &Store, options: &Create, by_systemd: bool) -> Result<()> {
    let (_place, created) = made(store, options, by_systemd)?;
    created.detach();
    Ok(())
}

/// A created container, whose record is written and whose terminal is with the engine. Nothing is left
/// of one that fails.
pub(super) fn made(store: &Store, options: &Create, by_systemd: bool) -> Result<(Place, Created)> {
    let bundle = Bundle::open(&options.bundle)?;
    let path = bundle.config.linux.cgroups_path.as_deref();
    let unit = by_systemd.then(|| Unit::of(path, &options.id)).transpose()?;
    if unit.is_some() {
        systemd::check()?;
    }
    let mut spec = translate::spec(&bundle, &options.id, unit.as_ref())?;
    spec.power.keyring = (!options.no_new_keyring).then(|| format!("_ses.{}", options.id));
    bundle.config.process.iter().for_each(log::left_out);
    check_console(&spec, options.console_socket.as_deref())?;
    let place = store.create(&options.id)?;
    match make(&place, options, &bundle, (&spec, unit)) {
        Ok(created) => Ok((place, created)),
        Err(error) => {
            let _ = place.remove(); // the first failure is the one to report
            Err(error)
        }
    }
}

fn make(
    place: &Place,
    options: &Create,
    bundle: &Bundle,
    (spec, unit): (&Spec, Option<Unit>),
) -> Result<Created> {
    let prepared = Prepared::new(spec)?;
    // Written before anything is made: whoever finds it can remove what a killed runtime has left.
    let mut record = Record {
        id: options.id.clone(),
        bundle: bundle.directory.clone(),
        rootfs: bundle.rootfs()?,
        annotations: bundle.config.annotations.clone(),
        created: Timestamp::now().to_string(),
        process: bundle.config.process.clone(),
        resources: bundle.config.linux.resources.clone().unwrap_or_default(),
        unit,
        held: prepared.resources(),
        container: None,
    };
    record.save(place)?;
    let first = match &record.unit {
        Some(unit) => Some(unit.start(properties(&record.resources, spec)?)?),
        None => None,
    };
    let created = prepared.create(&place.start());
    drop(first);
    if let (Err(_), Some(unit)) = (&created, &record.unit) {
        let _ = unit.stop(); // the first failure is the one to report
    }
    let mut created = created?;
    record.container = Some(created.state().clone());
    record.save(place)?;
    if let (Some(master), Some(socket)) = (created.terminal()?, &options.console_socket) {
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
fn check_console(spec: &Spec, socket: Option<&Path>) -> Result<()> {
    let has_terminal = spec.way_out.stdio == sandbox::Stdio::Terminal;
    match (has_terminal, socket) {
        (true, None) => Err(Error::Property {
            property: "process.terminal".into(),
            why: "it is true, and there is no --console-socket to send the terminal to".into(),
        }),
        (false, Some(_)) => Err(Error::Property {
            property: "process.terminal".into(),
            why: "it is false, and there is a --console-socket for a terminal".into(),
        }),
        _ => Ok(()),
    }
}
