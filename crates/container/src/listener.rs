//! Question 4: who decides about a system call that the filter leaves open? An agent of the caller: it
//! gets the descriptor by which the kernel asks (seccomp_unotify(2)), together with the container's
//! state (config-linux.md, "The Container Process State").
//!
//! From its filter on the child may be stopped at any call, until the agent has answered. So it hands
//! the descriptor to nobody: it waits, and the launcher takes a copy (pidfd_getfd(2)). If even that
//! wait is a call that the filter leaves open, the agent can already answer.

use std::{
    io::IoSlice,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use nix::{
    fcntl::OFlag,
    sys::socket::{ControlMessage, MsgFlags, sendmsg},
    unistd::{pipe2, write},
};
use serde_json::{Map, Value, json};

use crate::{
    Error,
    child::Child,
    descriptors::high,
    error::{call, file},
    plan::Slot,
    spec::{self, filter::Listener},
};

/// An agent that does not read has this long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to the agent, and the pipe at which the child waits until it has been told.
pub(crate) struct Listening<'a> {
    listener: &'a Listener,
    agent: UnixStream,
    wait: OwnedFd,
    pass: OwnedFd,
}

impl<'a> Listening<'a> {
    /// Connects to the agent, if there is one to ask.
    pub(crate) fn of(power: &'a spec::Power) -> Result<Option<Self>, Error> {
        let Some(listener) = &power.filter.listener else { return Ok(None) };
        let failed = |action| file(action, &listener.path);
        let agent = UnixStream::connect(&listener.path)
            .map_err(failed("connect to the seccomp agent at"))?;
        let timed = agent.set_write_timeout(Some(TIMEOUT));
        timed.map_err(failed("set a timeout of the connection to"))?;
        let pipe = pipe2(OFlag::O_CLOEXEC);
        let (wait, pass) = pipe.map_err(call("pipe2 for the seccomp listener"))?;
        Ok(Some(Self { listener, agent, wait: high(&wait)?, pass }))
    }

    /// Where the child waits.
    pub(crate) fn wait(&self) -> BorrowedFd<'_> {
        self.wait.as_fd()
    }

    /// Sends the descriptor in the child's `slot` to the agent, with this state of the container, and
    /// lets the child continue. A child that has ended before has failed, and says so elsewhere.
    pub(crate) fn pass_on(
        self,
        child: &Child,
        slot: Slot,
        (state, status): (&Map<String, Value>, &str),
    ) -> Result<(), Error> {
        let Some(descriptor) = child.copy_of(slot)? else { return Ok(()) };
        let message = self.message(child.pid(), state, status).to_string();
        let descriptors = [descriptor.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let text = [IoSlice::new(message.as_bytes())];
        let sent =
            sendmsg::<()>(self.agent.as_raw_fd(), &text, &rights, MsgFlags::MSG_NOSIGNAL, None);
        sent.map_err(|errno| file("send the listener to", &self.listener.path)(errno.into()))?;
        write(&self.pass, &[1]).map(drop).map_err(call("write to the child at its filter"))
    }

    fn message(&self, pid: i32, state: &Map<String, Value>, status: &str) -> Value {
        let mut state = state.clone();
        state.insert("status".into(), status.into());
        state.insert("pid".into(), pid.into());
        let mut message = json!({
            "ociVersion": state.get("ociVersion"),
            "fds": ["seccompFd"],
            "pid": pid,
            "state": state,
        });
        if let Some(metadata) = &self.listener.metadata {
            message["metadata"] = metadata.as_str().into();
        }
        message
    }
}
