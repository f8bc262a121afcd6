//! `run`: create and start, and unless it is detached wait and delete.

use crate::{error::Result, options::Run, record::Record, store::Store, systemd::Unit};

use super::create;

pub(super) fn run(store: &Store, options: &Run, by_systemd: bool) -> Result<u8> {
    let (place, mut created) = create::made(store, &options.create, by_systemd)?;
    if let Err(error) = created.start() {
        drop(created);
        let _ = place.remove(); // the first failure is the one to report
        return Err(error.into());
    }
    if options.detach {
        created.detach();
        return Ok(0);
    }
    // Others may signal it and look at it meanwhile.
    let id = options.create.id.clone();
    drop(place);
    let outcome = created.wait()?;
    if !options.keep
        && let Ok(place) = store.open(&id)
        && let Ok(record) = Record::load(&place.directory)
    {
        record.made()?.delete()?;
        record.unit.iter().try_for_each(Unit::stop)?;
        place.remove()?;
    }
    Ok(outcome.status.code())
}
