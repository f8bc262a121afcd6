//! `run`: create and start, and unless it is detached wait and delete.

use super::{
    create::{self, Console},
    delete,
};
use crate::{
    error::{Error, Result},
    log::Log,
    options::Run,
    record::Record,
    signals::Signals,
    store::Store,
};

pub(super) fn run(store: &Store, log: &Log, options: &Run, by_systemd: bool) -> Result<u8> {
    let console = if options.detach { Console::Socket } else { Console::Own };
    let signals = if options.detach { None } else { Some(Signals::block()?) };
    let (directory, mut created) =
        create::made(store, log, &options.create, (console, by_systemd))?;
    let state = created.state().clone();
    if let Err(error) = created.begin() {
        drop(created);
        let _ = directory.remove(); // the first failure is the one to report
        log.warnings(&state.after_stop());
        return Err(error.into());
    }
    log.warnings(&state.after_start());
    let Some(signals) = signals else {
        created.detach();
        return Ok(0);
    };
    // Others may signal it and look at it meanwhile.
    let directory = directory.unlock()?;
    let has_terminal = options.create.console_socket.is_none() && created.has_terminal();
    let instance = created.into_instance()?;
    match instance.end() {
        Some(end) => signals.pass_until(end, &*instance.control()),
        None => signals.pass_to(instance.control(), has_terminal),
    }
    let outcome = instance.wait();
    if !options.keep {
        match directory.lock() {
            // Somebody else has deleted it.
            Err(Error::Unknown { .. }) => {}
            // All of it is removed but its record.
            Ok(directory) if outcome.is_ok() && !by_systemd => {
                directory.remove()?;
                log.warnings(&state.after_stop());
            }
            directory => {
                let directory = directory?;
                let record = Record::load(&directory.path)?;
                delete::remove(directory, &record, log)?;
            }
        }
    }
    Ok(outcome?.status.code())
}
