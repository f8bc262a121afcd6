//! One who asks from outside: `isolab pause`, `inspect`, `exec`, `snapshot save --from` over the socket
//! in the ledger.
//!
//! A request is a line of JSON, and so is its answer. After the answer to `exec` come frames, as
//! `guest::frames` has them, until one side closes.

use std::{
    io::IoSliceMut,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    time::Instant,
};

use guest::frames::{self, HEADER, Header};
use nix::{
    cmsg_space,
    errno::Errno,
    poll::PollFlags,
    sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, send},
};

use super::{
    Machine,
    checkpoint::Checkpoint,
    request,
    sessions::{Frame, Sessions},
};
use crate::control::Handle;

/// No request is longer.
const LINE: usize = 4096;
/// What may wait for a client that does not read. A guest that keeps to the protocol makes no more.
const QUEUE: usize = 256 << 10;

/// A connection.
pub struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Files that came with a request.
    pub files: Vec<OwnedFd>,
    state: State,
    /// What is written at its request while the guest stands still.
    checkpoint: Option<Checkpoint>,
    /// It sends no more, or not what it should.
    ended: bool,
}

/// What is going on with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may ask.
    Asks,
    /// It waits until the processors stand still, or that time is over.
    WaitsForPause(Instant),
    /// It waits for its checkpoint.
    WaitsForCheckpoint,
    /// It has a command inside.
    Session(u16),
    /// It had one.
    Over,
}

impl Client {
    /// One who has come.
    pub fn new(stream: UnixStream) -> Self {
        let (input, output, files) = (Vec::new(), Vec::new(), Vec::new());
        let (state, checkpoint) = (State::Asks, None);
        Self { stream, input, output, files, state, checkpoint, ended: false }
    }

    /// One who has a session already.
    pub fn with_session(stream: UnixStream, number: u16) -> Self {
        Self { state: State::Session(number), ..Self::new(stream) }
    }

    /// The file to wait for.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// What to wait for; a guest that has no room makes its own clients wait.
    pub fn interest(&self, guest_has_room: bool) -> PollFlags {
        let mut interest = PollFlags::empty();
        let reads = match self.state {
            State::Asks => true,
            State::Session(_) => guest_has_room,
            State::WaitsForPause(_) | State::WaitsForCheckpoint | State::Over => false,
        };
        interest.set(PollFlags::POLLIN, reads && !self.ended);
        interest.set(PollFlags::POLLOUT, !self.output.is_empty());
        interest
    }

    /// Its session, if it has one.
    pub fn session(&self) -> Option<u16> {
        match self.state {
            State::Session(number) => Some(number),
            _ => None,
        }
    }

    /// When something is to be done for it at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::WaitsForPause(until) => Some(until.min(Instant::now() + request::LOOK)),
            State::WaitsForCheckpoint => Some(Instant::now() + request::LOOK),
            _ => None,
        }
    }

    /// Reads what it has sent, and takes the files that came with it.
    pub fn receive(&mut self, found: PollFlags, guest_has_room: bool) {
        if !self.interest(guest_has_room).contains(PollFlags::POLLIN) {
            // Who has gone does not wait to be read.
            self.ended |= found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
            return;
        }
        let mut piece = [0; HEADER + frames::PAYLOAD];
        let mut parts = [IoSliceMut::new(&mut piece)];
        let mut files = cmsg_space!([i32; 2]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let stream = self.stream.as_raw_fd();
        let count = match recvmsg::<()>(stream, &mut parts, Some(&mut files), flags) {
            Ok(message) => {
                for part in message.cmsgs().into_iter().flatten() {
                    if let ControlMessageOwned::ScmRights(received) = part {
                        // SAFETY: the kernel has just opened these for this process, and told
                        // nobody else their numbers.
                        let owned =
                            received.into_iter().map(|it| unsafe { OwnedFd::from_raw_fd(it) });
                        self.files.extend(owned);
                    }
                }
                message.bytes
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Err(_) => 0,
        };
        // More would only fill this process's table of descriptors.
        self.files.truncate(2);
        self.ended |= count == 0;
        self.input.extend_from_slice(&piece[..count]);
    }

    /// Does what it asks for, as far as it can be done now.
    pub fn work(&mut self, sessions: &mut Sessions, machine: Machine<'_>) {
        match self.state {
            State::Asks => {
                let end = self.input.iter().position(|byte| *byte == b'\n');
                match end {
                    Some(end) => {
                        let line: Vec<u8> = self.input.drain(..=end).collect();
                        self.ask(&line[..end], sessions, machine);
                    }
                    None => self.ended |= self.input.len() > LINE,
                }
            }
            State::WaitsForPause(until) => {
                if let Some(answer) = request::paused(machine, Instant::now() >= until) {
                    self.state = State::Asks;
                    self.answer(&answer);
                }
            }
            State::WaitsForCheckpoint => {
                let stream = self.stream.as_fd();
                let checkpoint = self.checkpoint.as_mut();
                let answer = checkpoint.and_then(|it| it.advance(stream, machine));
                if let Some(answer) = answer {
                    (self.state, self.checkpoint) = (State::Asks, None);
                    self.answer(&answer);
                }
            }
            State::Session(_) => self.forward(sessions),
            State::Over => {}
        }
    }

    fn ask(&mut self, line: &[u8], sessions: &mut Sessions, machine: Machine<'_>) {
        use request::Answer;
        match request::of(line, &mut self.files, sessions, machine) {
            Answer::Now(answer) => self.answer(&answer),
            Answer::WhenPaused(until) => self.state = State::WaitsForPause(until),
            Answer::WhenCheckpointed(checkpoint) => {
                (self.state, self.checkpoint) = (State::WaitsForCheckpoint, Some(checkpoint));
            }
            Answer::Session(number) => {
                self.answer(&serde_json::json!({ "done": true }));
                self.state = State::Session(number);
            }
        }
    }

    fn answer(&mut self, answer: &serde_json::Value) {
        self.output.extend(answer.to_string().into_bytes());
        self.output.push(b'\n');
    }

    /// Sends its frames to the guest, if it has a session.
    pub fn forward(&mut self, sessions: &mut Sessions) {
        let Some(number) = self.session() else { return };
        while sessions.have_room() {
            match frames::first(&self.input) {
                Ok(Some((header, payload))) => {
                    self.ended |= sessions.forward(number, header, payload).is_err();
                    let length = HEADER + payload.len();
                    self.input.drain(..length);
                }
                Ok(None) => return,
                Err(_) => return self.ended = true,
            }
        }
    }

    /// Gives it a frame of the guest's.
    pub fn tell(&mut self, header: Header, payload: &[u8]) {
        use frames::Kind::{Exited, Failed, Signaled};
        self.output.extend(header.to_bytes());
        self.output.extend(payload);
        if matches!(header.kind, Exited | Signaled | Failed) {
            self.state = State::Over;
        }
        // A guest that repeats itself without end.
        self.ended |= self.output.len() > QUEUE;
    }

    /// Whether the guest is held for a checkpoint of its.
    pub fn has_checkpoint(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// It has gone, and nothing is done for it any more.
    pub fn leave(&self, sessions: &mut Sessions, handle: &Handle) {
        if let Some(number) = self.session() {
            sessions.close(number);
        }
        if self.has_checkpoint() {
            handle.release();
        }
    }

    /// It has no session any more, and finds its connection closed.
    pub fn dismiss(&mut self) {
        self.state = State::Over;
    }

    /// Sends what is for it; whether it stays.
    pub fn send(&mut self) -> bool {
        while !self.output.is_empty() {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.stream.as_raw_fd(), &self.output, flags) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return !self.ended,
                Err(_) => return false,
            }
        }
        !self.ended && self.state != State::Over
    }
}

/// Gives the clients what the guest has sent for them; a guest that does not keep to the protocol
/// leaves none of them a session.
pub fn deliver(sessions: &mut Sessions, clients: &mut [Client]) {
    for Frame { header, payload } in sessions.receive() {
        let its = |client: &&mut Client| client.session() == Some(header.session);
        if let Some(client) = clients.iter_mut().find(its) {
            client.tell(header, &payload);
        }
    }
    if !sessions.are_open() {
        clients.iter_mut().filter(|client| client.session().is_some()).for_each(Client::dismiss);
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("session", &self.session()).finish_non_exhaustive()
    }
}
