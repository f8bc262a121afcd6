//! `kill`: a signal for the first process, or for all.

use nix::sys::signal::Signal;

use crate::{
    error::{Error, Result},
    options::Kill,
    record::Record,
    store::Store,
};

pub(super) fn kill(store: &Store, options: &Kill) -> Result<()> {
    let number = number(&options.signal)?;
    let record = Record::of(store, &options.id)?;
    if options.all {
        // What the first process has left behind in the container's cgroup.
        record.made()?.kill_all(number);
        return Ok(());
    }
    let state = record.living()?;
    match number == Signal::SIGKILL as i32 && state.shares_pids() {
        // The kernel kills the others only with the first process of a pid namespace.
        true => state.kill_all(number),
        false => state.kill(number),
    }
    Ok(())
}

/// `9`, `KILL`, `SIGKILL`, `RTMIN+3`, in any case.
fn number(word: &str) -> Result<i32> {
    host::signal_number(word).ok_or_else(|| Error::Signal { word: word.to_owned() })
}
