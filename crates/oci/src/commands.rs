//! One file for each command; those of one line are here.

mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod ps;
mod run;
mod spec;
mod update;

use crate::{
    error::{Error, Result},
    options::{Command, Options},
    record::{Record, Status},
    store::Store,
    systemd,
};

/// Does what the command line says; gives the exit code.
pub(crate) fn run(options: &Options) -> Result<u8> {
    let store = Store::at(options.global.root.as_deref());
    let by_systemd = options.global.systemd_cgroup;
    match &options.command {
        Command::Create(create) => create::create(&store, create, by_systemd),
        Command::Start(one) => start(&store, &one.id),
        Command::Run(run) => return run::run(&store, run, by_systemd),
        Command::State(one) => state(&store, &one.id),
        Command::Kill(kill) => kill::kill(&store, kill),
        Command::Delete(delete) => delete::delete(&store, delete),
        Command::Exec(exec) => return exec::exec(&store, exec),
        Command::Ps(ps) => ps::ps(&store, ps),
        Command::List(list) => list::list(&store, list),
        Command::Pause(one) => pause(&store, &one.id),
        Command::Resume(one) => resume(&store, &one.id),
        Command::Events(events) => events::events(&store, events),
        Command::Update(update) => update::update(&store, update),
        Command::Hold => systemd::hold(),
        Command::Features => features::features(),
        Command::Spec(spec) => spec::spec(spec),
        Command::Checkpoint(_) | Command::Restore(_) => Err(Error::Unsupported {
            what: "checkpoint and restore",
            why: "isolab does not use CRIU; a microVM has snapshots (`isolab snapshot`)",
        }),
    }?;
    Ok(0)
}

fn start(store: &Store, id: &str) -> Result<()> {
    let place = store.open(id)?;
    let record = Record::load(&place.directory)?;
    match record.status() {
        Status::Created => Ok(record.made()?.start()?),
        Status::Stopped => Err(Error::Status {
            what: "start",
            id: id.to_owned(),
            status: "stopped",
            fix: "delete it and create it again",
        }),
        other => {
            Err(Error::Status { what: "start", id: id.to_owned(), status: other.word(), fix: "" })
        }
    }
}

fn state(store: &Store, id: &str) -> Result<()> {
    let record = Record::of(store, id)?;
    println!("{:#}", record.as_json());
    Ok(())
}

fn pause(store: &Store, id: &str) -> Result<()> {
    let place = store.open(id)?;
    let record = Record::load(&place.directory)?;
    match record.status() {
        Status::Running | Status::Created => Ok(record.living()?.freeze()?),
        other => {
            Err(Error::Status { what: "pause", id: id.to_owned(), status: other.word(), fix: "" })
        }
    }
}

fn resume(store: &Store, id: &str) -> Result<()> {
    let place = store.open(id)?;
    let record = Record::load(&place.directory)?;
    match record.status() {
        Status::Paused => Ok(record.living()?.thaw()?),
        other => {
            Err(Error::Status { what: "resume", id: id.to_owned(), status: other.word(), fix: "" })
        }
    }
}
