//! Descriptors that the caller passes on to the program: `--preserve-fds`, and systemd's socket activation
//! (sd_listen_fds(3)).

use std::{env, fs, process};

use crate::error::{Result, property};

/// More are not passed on: the numbers above are the runtime's own while it makes a container.
const MOST: u32 = 250;

/// How many, from number 3 on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preserved {
    pub(crate) count: u32,
    /// How many of them, the first ones, are sockets that systemd listens at.
    listening: u32,
}

impl Preserved {
    /// Those of the option, after those that systemd has passed to this process. To be called before
    /// anything is opened, which could take such a number.
    pub(crate) fn find(preserve_fds: u32, with_listening: bool) -> Result<Self> {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
        let is_for_us = with_listening && number("LISTEN_PID") == Some(process::id());
        let listening = number("LISTEN_FDS").filter(|_| is_for_us).unwrap_or(0);
        let count = listening.saturating_add(preserve_fds);
        if count > MOST {
            return Err(property("--preserve-fds", format!("at most {MOST} are passed on")));
        }
        let is_closed =
            |number: &u32| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err();
        match (3..3 + count).find(is_closed) {
            Some(number) => Err(property("--preserve-fds", format!("{number} is not open"))),
            None => Ok(Self { count, listening }),
        }
    }

    /// The variables that tell the program of its sockets: it is process 1 inside, as runc has it.
    pub(crate) fn variables(self) -> Vec<String> {
        match self.listening {
            0 => Vec::new(),
            count => vec![format!("LISTEN_FDS={count}"), "LISTEN_PID=1".into()],
        }
    }
}
