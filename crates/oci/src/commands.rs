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

use nix::sys::signal::Signal;

use crate::{
    error::{Error, Result},
    log::Log,
    machine,
    options::{Command, Options},
    output,
    record::{Record, Status},
    store::Store,
    systemd,
};

/// Does what the command line says; gives the exit code.
pub(crate) fn run(options: &Options, log: &Log) -> Result<u8> {
    let store = Store::at(options.global.root.as_deref());
    let by_systemd = options.global.systemd_cgroup;
    match &options.command {
        Command::Create(create) => create::create(&store, log, create, by_systemd),
        Command::Start(one) => start(&store, log, &one.id),
        Command::Run(run) => return run::run(&store, log, run, by_systemd),
        Command::State(one) => state(&store, &one.id),
        Command::Kill(kill) => kill::kill(&store, kill),
        Command::Delete(delete) => delete::delete(&store, log, delete),
        Command::Exec(exec) => return exec::exec(&store, log, exec),
        Command::Ps(ps) => ps::ps(&store, ps),
        Command::List(list) => list::list(&store, log, list),
        Command::Pause(one) => pause(&store, &one.id),
        Command::Resume(one) => resume(&store, &one.id),
        Command::Events(events) => events::events(&store, events),
        Command::Update(update) => update::update(&store, update),
        Command::Hold => systemd::hold(),
        Command::Features => features::features(),
        Command::Spec(spec) => spec::spec(spec),
        Command::Monitor(one) => return machine::monitor(&one.directory),
        Command::Join(join) => return exec::join(join),
        Command::Checkpoint(_) | Command::Restore(_) => Err(Error::Unsupported {
            what: "checkpoint and restore",
            why: "isolab does not use CRIU; a microVM has snapshots (`isolab snapshot`)",
        }),
    }?;
    Ok(0)
}

fn start(store: &Store, log: &Log, id: &str) -> Result<()> {
    let directory = store.open(id)?;
    let record = Record::load(&directory.path)?;
    match record.status() {
        Status::Created => {
            let state = record.made()?;
            if let Err(error) = state.begin() {
                // A hook inside has failed: the program must not run (runtime.md, "Lifecycle").
                state.kill_all(Signal::SIGKILL as i32);
                state.kill(Signal::SIGKILL as i32);
                return Err(error.into());
            }
            log.warnings(&state.after_start());
            Ok(())
        }
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
    output::line(format_args!("{:#}", record.as_json()))?;
    Ok(())
}

fn pause(store: &Store, id: &str) -> Result<()> {
    let directory = store.open(id)?;
    let record = Record::load(&directory.path)?;
    match record.status() {
        Status::Running if record.is_machine => {
            machine::ask(&directory.path, "pause")?;
            Record { is_paused: true, ..record }.save(&directory)
        }
        Status::Running | Status::Created => Ok(record.living()?.freeze()?),
        other => {
            Err(Error::Status { what: "pause", id: id.to_owned(), status: other.word(), fix: "" })
        }
    }
}

fn resume(store: &Store, id: &str) -> Result<()> {
    let directory = store.open(id)?;
    let record = Record::load(&directory.path)?;
    match record.status() {
        Status::Paused if record.is_paused => {
            machine::ask(&directory.path, "resume")?;
            Record { is_paused: false, ..record }.save(&directory)
        }
        Status::Paused => Ok(record.living()?.thaw()?),
        other => {
            Err(Error::Status { what: "resume", id: id.to_owned(), status: other.word(), fix: "" })
        }
    }
}
