//! Where the streams of a guest's command lead, and what its first process reports of it.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

use guest::plan::Report;
use nix::{fcntl::OFlag, unistd::pipe2};
use sandbox::{Milestone, Stdio, Written};

use crate::{
    control::Handle,
    devices::{output::Output, virtio::port::Sink},
    error::{Error, Result},
};

/// A way out of the guest that a device writes to and others take what was captured from.
#[derive(Clone)]
pub struct Outlet(Arc<Mutex<Output>>);

impl Outlet {
    /// One that leads to `output`.
    pub fn new(output: Output) -> Self {
        Self(Arc::new(Mutex::new(output)))
    }

    /// What a device's port calls with the guest's bytes. A host that cannot take them, or has
    /// taken enough, ends the guest.
    pub fn sink(&self, handle: Arc<Handle>) -> Sink {
        let output = self.0.clone();
        Box::new(move |text| {
            handle.reach(Milestone::FirstByte);
            let written =
                output.lock().unwrap_or_else(PoisonError::into_inner).write(text, &handle);
            match written {
                Ok(None) => {}
                Ok(Some(end)) => handle.give(end),
                Err(error) => handle.fail(error),
            }
        })
    }

    fn take(&self) -> Vec<u8> {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *output, Output::Standard).into_captured()
    }
}

/// The streams of a command.
pub struct Streams {
    /// Its standard input, if it is to have one.
    pub input: Option<File>,
    /// Its standard output.
    pub output: Outlet,
    /// Its standard error.
    pub errors: Outlet,
}

impl Streams {
    /// As `stdio` says.
    ///
    /// # Errors
    ///
    /// When the launcher has no standard input that could be passed on.
    pub fn of(stdio: Stdio, handle: &Handle) -> Result<Self> {
        let errors = match stdio {
            Stdio::Capture | Stdio::CaptureOutput => Output::of(stdio),
            Stdio::Inherit | Stdio::Terminal => Output::Errors,
        };
        let input = match stdio {
            // Empty, and open until the guest is to stop.
            Stdio::Capture => {
                let (read, write) =
                    pipe2(OFlag::O_CLOEXEC).map_err(Error::system("pipe2 for standard input"))?;
                handle.close_to_stop(write);
                Some(read.into())
            }
            Stdio::CaptureOutput | Stdio::Inherit | Stdio::Terminal => Some(standard_input()?),
        };
        Ok(Self { input, output: Outlet::new(Output::of(stdio)), errors: Outlet::new(errors) })
    }

    /// What was captured.
    pub fn written(&self) -> Written {
        Written { output: self.output.take(), errors: self.errors.take() }
    }
}

fn standard_input() -> Result<File> {
    let own: io::Result<OwnedFd> = io::stdin().as_fd().try_clone_to_owned();
    own.map(File::from).map_err(Error::system::<io::Error>("duplicate standard input"))
}

/// What the first process has said.
#[derive(Clone, Default)]
pub struct Reports(Arc<Mutex<Option<Report>>>);

impl Reports {
    /// Hears a line; what comes after the command's end is no news.
    pub fn hear(&self, line: &str, handle: &Handle) {
        let Ok(report) = line.parse() else { return };
        if report == Report::Ready {
            return handle.has_started_up();
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(report);
    }

    /// How the command ended, or why it did not begin.
    pub fn end(&self) -> Option<Report> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
