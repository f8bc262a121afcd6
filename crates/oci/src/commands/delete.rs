//! `delete`: processes, cgroup, links, and the directory with the state.

use container::free_those;

use crate::{
    error::{Error, Result},
    log::Log,
    options::Delete,
    record::{Record, Status},
    store::{StateDirectory, Store},
};

pub(super) fn delete(store: &Store, log: &Log, options: &Delete) -> Result<()> {
    let directory = match store.open(&options.id) {
        Err(Error::Unknown { .. }) if options.force => return Ok(()),
        directory => directory?,
    };
    let record = match Record::load(&directory.path) {
        // A runtime that was killed before it had written anything, or a damaged file.
        Err(Error::Unknown { .. } | Error::Invalid { .. }) if options.force => {
            free_those(&Record::held_by_damaged(&directory.path))?;
            return directory.remove();
        }
        record => record?,
    };
    match record.status() {
        Status::Stopped => {}
        // Its program was never started, so it has nothing to lose: runc kills it too.
        Status::Created => {}
        _ if options.force => {}
        other => {
            return Err(Error::Status {
                what: "delete",
                id: options.id.clone(),
                status: other.word(),
                fix: "kill it, or use --force",
            });
        }
    }
    remove(directory, &record, log)
}

/// Removes everything, then runs the hooks that follow.
pub(super) fn remove(directory: StateDirectory, record: &Record, log: &Log) -> Result<()> {
    let Some(state) = &record.container else {
        free_those(&record.held)?;
        stop_unit(record);
        return directory.remove();
    };
    let _ = state.thaw(); // a frozen process does not end
    state.remove()?;
    stop_unit(record);
    directory.remove()?;
    log.warnings(&state.after_stop());
    Ok(())
}

/// Without processes it ends by itself: a systemd that does not answer now does it later.
fn stop_unit(record: &Record) {
    if let Some(unit) = &record.unit {
        let _ = unit.stop();
    }
}
