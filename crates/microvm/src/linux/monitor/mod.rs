//! What the machine's thread does while its processors run: it passes signals on, serves sessions,
//! and answers those who ask from outside.
//!
//! It would wait for the processors in any case, so none of this costs a thread. It waits with
//! poll(2) instead, for as many files as there are things to do:
//!
//! ```text
//!   launcher's signals --> wake ----+
//!   a processor has ended --> wake -+   the machine's   channel <--> the guest's first process
//!                                   +-->    thread    <-----------------------------+
//!   isolab pause, exec, snapshot ---+   (Role::Control)
//!        over a socket in the ledger
//! ```
//!
//! Both sides are mistrusted, the guest most. A frame of the guest's is taken only of a session that
//! there is, and no more of a stream than its client has taken; see `guest::frames`. One that keeps
//! to no frame at all is not listened to any more.

mod checkpoint;
mod client;
mod dump;
mod metrics;
mod request;
mod sessions;

use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::{UnixListener, UnixStream},
    },
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::{
    control::Handle,
    error::{Error, Result},
    guest_exit::GuestExit,
};
pub use checkpoint::Savable;
pub use client::{Client, deliver};
pub use metrics::{Metrics, Tallies, Tally};
pub use sessions::Sessions;

/// A command that was asked to end has this long, as docker-stop(1) gives it.
const GRACE: Duration = Duration::from_secs(10);
/// A first process that hears of no signal in this time hears nothing.
const DEAF: Duration = Duration::from_secs(5);
/// So many may ask at once.
const CLIENTS: usize = 16;

/// The end of the channel that the first process in the guest has the other of, and where others
/// ask.
pub struct Monitor {
    wake: EventFd,
    signals: Arc<Mutex<Vec<i32>>>,
    listener: Option<Arc<UnixListener>>,
    sessions: Sessions,
    clients: Vec<Client>,
    asked: Asked,
}

/// What the command was asked by signals, and until when it may take to answer.
#[derive(Default)]
struct Asked {
    /// The first process has to say by then that it heard of this signal.
    unheard: Option<(Instant, i32)>,
    /// The command has to end by then.
    grace: Option<(Instant, i32)>,
}

/// What all of it is about: the machine that this thread waits for.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// Its processors.
    pub handle: &'a Handle,
    /// Its figures.
    pub metrics: &'a Metrics<'a>,
    /// What a snapshot has of it.
    pub savable: Savable<'a>,
}

impl Monitor {
    /// One that has this end of a channel into the guest, if the guest has the other, and answers at
    /// `listener`.
    ///
    /// # Errors
    ///
    /// When this process cannot have more descriptors.
    pub fn new(
        channel: Option<UnixStream>,
        listener: Option<Arc<UnixListener>>,
        handle: &Handle,
    ) -> Result<Self> {
        let wake = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(Error::system("eventfd2"))?;
        let failed = Error::system::<io::Error>("make a socket non-blocking");
        let non_blocking = [
            channel.as_ref().map(|it| it.set_nonblocking(true)),
            listener.as_ref().map(|it| it.set_nonblocking(true)),
        ];
        non_blocking.into_iter().flatten().collect::<io::Result<()>>().map_err(failed)?;
        let signals = Arc::<Mutex<Vec<i32>>>::default();
        if channel.is_some() {
            let (queue, bell) = (signals.clone(), duplicate(&wake)?);
            handle.pass_signals_to(Box::new(move |signal| {
                queue.lock().unwrap_or_else(PoisonError::into_inner).push(signal);
                bell.write(1).is_ok()
            }));
        }
        let (sessions, asked) = (Sessions::over(channel), Asked::default());
        Ok(Self { wake, signals, listener, sessions, clients: Vec::new(), asked })
    }

    /// Wakes the thread when it is written to.
    ///
    /// # Errors
    ///
    /// When this process cannot have more descriptors.
    pub fn bell(&self) -> Result<EventFd> {
        duplicate(&self.wake)
    }

    /// Does it all until `done`, which is looked at whenever the bell was rung.
    pub fn run_until(&mut self, machine: Machine<'_>, done: impl Fn() -> bool) {
        while !done() {
            let ready = self.wait();
            if ready.bell {
                // Only how often it rang is in it.
                let _ = self.wake.read();
            }
            if ready.channel {
                deliver(&mut self.sessions, &mut self.clients);
            }
            if let Some(number) = self.sessions.heard()
                && self.asked.unheard.is_some_and(|(_, signal)| signal == i32::from(number))
            {
                self.asked.unheard = None;
            }
            self.serve_clients(&ready.clients, machine);
            // What is sent while the guest is being saved would not be in the snapshot.
            if !self.clients.iter().any(Client::has_checkpoint) {
                for signal in self.take_signals() {
                    self.pass_on(signal, machine.handle);
                }
            }
            if ready.listener {
                self.accept();
            }
            self.end_what_does_not_answer(machine.handle);
            self.sessions.flush();
        }
    }

    fn take_signals(&self) -> Vec<i32> {
        std::mem::take(&mut *self.signals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a signal to the command. SIGTERM asks for its end, which has to come.
    fn pass_on(&mut self, signal: i32, handle: &Handle) {
        let number = u8::try_from(signal).ok().filter(|number| (1..=64).contains(number));
        let Some(number) = number.filter(|_| self.sessions.are_open()) else {
            return handle.give(GuestExit::Signaled(signal));
        };
        self.sessions.signal_command(number);
        let now = Instant::now();
        self.asked.unheard.get_or_insert((now + DEAF, signal));
        if signal == libc::SIGTERM {
            self.asked.grace.get_or_insert((now + GRACE, signal));
        }
    }

    /// A guest that does not hear, or does not end, is ended, as the signal would end a process.
    fn end_what_does_not_answer(&mut self, handle: &Handle) {
        // One that stands still cannot answer.
        if handle.pausing().0 {
            let later = |asked: &mut Option<(Instant, i32)>, after| {
                if let Some((until, _)) = asked {
                    *until = Instant::now() + after;
                }
            };
            later(&mut self.asked.unheard, DEAF);
            return later(&mut self.asked.grace, GRACE);
        }
        let now = Instant::now();
        for asked in [&mut self.asked.unheard, &mut self.asked.grace] {
            if let Some((_, signal)) = asked.take_if(|(until, _)| *until <= now) {
                handle.give(GuestExit::Signaled(signal));
            }
        }
    }

    /// Until when nothing has to be done.
    fn deadline(&self) -> Option<Instant> {
        let asked = [self.asked.unheard, self.asked.grace].into_iter().flatten();
        let asked = asked.map(|(until, _)| until);
        asked.chain(self.clients.iter().filter_map(Client::deadline)).min()
    }

    /// Waits until there is something to do.
    fn wait(&self) -> Ready {
        let mut polled = vec![PollFd::new(as_fd(&self.wake), PollFlags::POLLIN)];
        let channel = self.sessions.file().map(|file| {
            polled.push(PollFd::new(file, self.sessions.interest()));
            polled.len() - 1
        });
        let room = self.clients.len() < CLIENTS;
        let listener = self.listener.as_ref().filter(|_| room).map(|listener| {
            polled.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
            polled.len() - 1
        });
        let first = polled.len();
        for client in &self.clients {
            polled.push(PollFd::new(client.file(), client.interest(self.sessions.have_room())));
        }
        let left = self.deadline().map(|until| until.saturating_duration_since(Instant::now()));
        // Rounded up: to wake too early is to wake for nothing, again and again.
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        // A kick that is late interrupts it; then there may be nothing, and it is waited again.
        let _ = poll(&mut polled, timeout);
        let found = |at: usize| polled[at].revents().unwrap_or(PollFlags::POLLERR);
        Ready {
            bell: !found(0).is_empty(),
            channel: channel.is_some_and(|at| !found(at).is_empty()),
            listener: listener.is_some_and(|at| !found(at).is_empty()),
            clients: (first..polled.len()).map(found).collect(),
        }
    }

    fn accept(&mut self) {
        // It may have gone again.
        if let Some(Ok((stream, _))) = self.listener.as_ref().map(|listener| listener.accept()) {
            self.clients.push(Client::new(stream));
        }
    }

    fn serve_clients(&mut self, ready: &[PollFlags], machine: Machine<'_>) {
        for (number, client) in self.clients.iter_mut().enumerate() {
            if let Some(found) = ready.get(number).filter(|found| !found.is_empty()) {
                client.receive(*found, self.sessions.have_room());
            }
            client.work(&mut self.sessions, machine);
        }
        let sessions = &mut self.sessions;
        self.clients.retain_mut(|client| {
            let stays = client.send();
            if !stays {
                client.leave(sessions, machine.handle);
            }
            stays
        });
    }
}

/// What can be done without waiting.
struct Ready {
    bell: bool,
    channel: bool,
    listener: bool,
    clients: Vec<PollFlags>,
}

fn duplicate(file: &EventFd) -> Result<EventFd> {
    file.try_clone().map_err(Error::system("duplicate an eventfd"))
}

/// A file of vmm-sys-util as others want it.
fn as_fd(file: &EventFd) -> BorrowedFd<'_> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: the eventfd that this borrows from is open for as long.
    unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) }
}
