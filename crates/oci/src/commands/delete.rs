//! `delete`: processes, cgroup, links, and the directory with the state.

use container::free_those;

use crate::{
    error::{Error, Result},
    options::Delete,
    record::{Record, Status},
    store::Store,
};

pub(super) fn delete(store: &Store, options: &Delete) -> Result<()> {
    let place = match store.open(&options.id) {
        Err(Error::Unknown { .. }) if options.force => return Ok(()),
        place => place?,
    };
    let record = match Record::load(&place.directory) {
        // A runtime that was killed before it had written anything, or a damaged file.
        Err(Error::Unknown { .. } | Error::Invalid { .. }) if options.force => {
            return place.remove();
        }
        record => record?,
    };
    let status = record.status();
    match status {
        Status::Stopped => {}
        // Its program was never started: it has nothing to lose (runtime.md, "Delete", as runc).
        Status::Created | Status::Creating if options.force => {}
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
    match &record.container {
        Some(state) => {
            let _ = state.thaw(); // a frozen process does not end
            state.delete()?;
        }
        None => free_those(&record.held)?,
    }
    if let Some(unit) = &record.unit {
        // Without processes it ends by itself: a systemd that does not answer now does it later.
        let _ = unit.stop();
    }
    place.remove()
}
