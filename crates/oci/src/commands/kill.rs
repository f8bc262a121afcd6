//! `kill`: a signal for the first process, or for all.

use nix::{errno::Errno, sys::signal, unistd::Pid};

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
        let state = record.made()?;
        for pid in state.processes() {
            send(pid, number);
        }
        return Ok(());
    }
    record.living()?.kill(number);
    Ok(())
}

/// A process that has ended needs none.
fn send(pid: u32, number: i32) {
    if let (Ok(pid), Ok(signal)) = (i32::try_from(pid), signal::Signal::try_from(number)) {
        let sent = signal::kill(Pid::from_raw(pid), signal);
        debug_assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH | Errno::EPERM)));
    }
}

/// `9`, `KILL`, `SIGKILL`, `RTMIN+3`, in any case.
fn number(word: &str) -> Result<i32> {
    host::signal_number(word).ok_or_else(|| Error::Signal { word: word.to_owned() })
}
