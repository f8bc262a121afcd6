//! The channel to the first process in the guest: frames to it, and what is taken of its own.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
};

use guest::frames::{self, HEADER, Header, Kind, NoFrame, PAYLOAD, SESSIONS};
use nix::poll::PollFlags;

/// What waits for a guest that takes nothing: beyond it, clients wait instead.
const QUEUE: usize = 64 << 10;

/// The channel, and the sessions over it.
pub struct Sessions {
    channel: Option<UnixStream>,
    to_guest: VecDeque<u8>,
    from_guest: Vec<u8>,
    open: Vec<Session>,
    last: u16,
    heard: Option<u8>,
}

/// A command of a client's in the guest.
struct Session {
    number: u16,
    /// Whether the client has still to take the last frame of standard output, of standard error.
    untaken: [bool; 2],
}

/// A frame of the guest's for the client of a session.
pub struct Frame {
    /// Its header, with the number of the session.
    pub header: Header,
    /// What follows.
    pub payload: Vec<u8>,
}

impl Sessions {
    /// Those over this end of the channel.
    pub fn over(channel: Option<UnixStream>) -> Self {
        let (to_guest, from_guest) = (VecDeque::new(), Vec::new());
        Self { channel, to_guest, from_guest, open: Vec::new(), last: 0, heard: None }
    }

    /// Whether there is a channel, and a guest that keeps to the protocol.
    pub fn are_open(&self) -> bool {
        self.channel.is_some()
    }

    /// The file to wait for.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(|channel| channel.as_fd())
    }

    /// What to wait for.
    pub fn interest(&self) -> PollFlags {
        match self.to_guest.is_empty() {
            true => PollFlags::POLLIN,
            false => PollFlags::POLLIN | PollFlags::POLLOUT,
        }
    }

    /// Whether the guest has taken most of what was for it.
    pub fn have_room(&self) -> bool {
        self.to_guest.len() < QUEUE
    }

    /// The last signal for the command of which the guest says that it has sent it, once.
    pub fn heard(&mut self) -> Option<u8> {
        self.heard.take()
    }

    /// Sends a signal to the plan's command.
    pub fn signal_command(&mut self, number: u8) {
        // A guest that takes nothing is not told a hundred times.
        if self.have_room() {
            self.send(Header::new(Kind::Signal, number, 0), &[]);
        }
    }

    /// Whether there is a session.
    pub fn any(&self) -> bool {
        !self.open.is_empty()
    }

    /// Asks the first process to come to where the machine may be frozen; whether it was asked.
    /// Nothing is sent after that until it is there, so that nothing is on its way then.
    pub fn ask_to_freeze(&mut self) -> bool {
        let asked = self.to_guest.is_empty();
        if asked {
            self.send(Header::new(Kind::Freeze, 0, 0), &[]);
        }
        asked
    }

    /// A number for a new session, or why there is none.
    ///
    /// # Errors
    ///
    /// When there are as many sessions as can be, or the guest takes nothing.
    pub fn open(&mut self) -> Result<u16, &'static str> {
        if self.open.len() == SESSIONS {
            return Err("as many commands as can be are running beside the first one");
        }
        if !self.have_room() {
            return Err("the guest does not take what is sent to it");
        }
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            if self.open.iter().all(|session| session.number != self.last) {
                self.open.push(Session { number: self.last, untaken: [false; 2] });
                return Ok(self.last);
            }
        }
    }

    /// Sends a client's frame, if it is one that a client may send.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn forward(&mut self, number: u16, header: Header, payload: &[u8]) -> Result<(), NoFrame> {
        use Kind::{Input, Signal, Start, Taken, Window, Words};
        if !matches!(header.kind, Input | Signal | Start | Taken | Window | Words) {
            return Err(NoFrame);
        }
        let Some(session) = self.open.iter_mut().find(|it| it.number == number) else {
            return Ok(()); // it has ended meanwhile
        };
        if header.kind == Taken {
            let stream = usize::from(header.argument).wrapping_sub(1);
            *session.untaken.get_mut(stream).ok_or(NoFrame)? = false;
        }
        self.send(Header { session: number, ..header }, payload);
        Ok(())
    }

    /// Ends a session whose client has gone.
    pub fn close(&mut self, number: u16) {
        let before = self.open.len();
        self.open.retain(|session| session.number != number);
        if self.open.len() < before {
            self.send(Header::new(Kind::Close, 0, number), &[]);
        }
    }

    fn send(&mut self, header: Header, payload: &[u8]) {
        if self.channel.is_some() {
            self.to_guest.extend(Header { length: payload.len(), ..header }.to_bytes());
            self.to_guest.extend(payload);
        }
    }

    /// Writes what the channel takes.
    pub fn flush(&mut self) {
        let Some(channel) = &mut self.channel else { return };
        while !self.to_guest.is_empty() {
            match channel.write(self.to_guest.as_slices().0) {
                Ok(count @ 1..) => drop(self.to_guest.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    /// Reads what the guest has sent; gives the frames that are for clients.
    pub fn receive(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut piece = [0; HEADER + PAYLOAD];
        let Some(channel) = &mut self.channel else { return frames };
        match channel.read(&mut piece) {
            Ok(count @ 1..) => self.from_guest.extend_from_slice(&piece[..count]),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return frames;
            }
            _ => {
                self.give_up();
                return frames;
            }
        }
        let received = std::mem::take(&mut self.from_guest);
        let mut rest = &*received;
        loop {
            match frames::first(rest) {
                Ok(Some((header, payload))) => {
                    match self.take(header) {
                        Ok(true) => frames.push(Frame { header, payload: payload.to_vec() }),
                        Ok(false) => {}
                        Err(NoFrame) => {
                            self.give_up();
                            return frames;
                        }
                    }
                    rest = &rest[HEADER + payload.len()..];
                }
                Ok(None) => break,
                Err(NoFrame) => {
                    self.give_up();
                    return frames;
                }
            }
        }
        self.from_guest = rest.to_vec();
        frames
    }

    /// Takes a frame of the guest's; whether it is for the client of a session.
    fn take(&mut self, header: Header) -> Result<bool, NoFrame> {
        use Kind::{Exited, Failed, Heard, Output, Signaled, Started, Taken};
        if header.session == 0 {
            self.heard = (header.kind == Heard).then_some(header.argument);
            return self.heard.map(|_| false).ok_or(NoFrame);
        }
        let known = self.open.iter().position(|it| it.number == header.session);
        // Its client has gone while this was on its way.
        let Some(place) = known else { return Ok(false) };
        match header.kind {
            Output => {
                let stream = usize::from(header.argument).wrapping_sub(1);
                let untaken = self.open[place].untaken.get_mut(stream).ok_or(NoFrame)?;
                if std::mem::replace(untaken, true) {
                    return Err(NoFrame);
                }
            }
            Exited | Signaled | Failed => drop(self.open.swap_remove(place)),
            Heard | Started | Taken => {}
            _ => return Err(NoFrame),
        }
        Ok(true)
    }

    /// The guest's side of the channel is not what it should be: nobody listens to it any more.
    fn give_up(&mut self) {
        self.channel = None;
        self.to_guest.clear();
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::client::{self, Client},
        *,
    };

    /// A channel whose guest is played by the test, with a session for the one client there is.
    struct Played {
        sessions: Sessions,
        clients: Vec<Client>,
        guest: UnixStream,
        client: UnixStream,
        number: u16,
    }

    impl Played {
        fn new() -> Self {
            let (own, guest) = UnixStream::pair().unwrap();
            own.set_nonblocking(true).unwrap();
            let (theirs, client) = UnixStream::pair().unwrap();
            client.set_nonblocking(true).unwrap();
            let mut sessions = Sessions::over(Some(own));
            let number = sessions.open().unwrap();
            let clients = vec![Client::with_session(theirs, number)];
            Self { sessions, clients, guest, client, number }
        }

        /// The guest says `bytes`; what the client hears of it.
        fn say(&mut self, bytes: &[u8]) -> Vec<u8> {
            self.guest.write_all(bytes).unwrap();
            while self.sessions.are_open() && self.exchange_once() {}
            self.clients.retain_mut(Client::send);
            let mut heard = vec![0; 64 << 10];
            let count = self.client.read(&mut heard).unwrap_or(0);
            heard.truncate(count);
            heard
        }

        /// Whether there was something to read.
        fn exchange_once(&mut self) -> bool {
            let mut byte = [0];
            let peeked = nix::sys::socket::recv(
                std::os::fd::AsRawFd::as_raw_fd(&self.sessions.file().unwrap()),
                &mut byte,
                nix::sys::socket::MsgFlags::MSG_PEEK,
            );
            client::deliver(&mut self.sessions, &mut self.clients);
            peeked.is_ok()
        }

        fn frame(&self, kind: Kind, argument: u8, payload: &[u8]) -> Vec<u8> {
            let header = Header::new(kind, argument, self.number);
            let header = Header { length: payload.len(), ..header };
            [&header.to_bytes()[..], payload].concat()
        }
    }

    #[test]
    fn a_guest_that_keeps_to_the_protocol_is_passed_on() {
        let mut played = Played::new();
        let started = played.frame(Kind::Started, 0, &[]);
        assert_eq!(played.say(&started), started);
        for stream in [1, 2] {
            let output = played.frame(Kind::Output, stream, b"text");
            assert_eq!(played.say(&output), output);
            let taken = Header::new(Kind::Taken, stream, 0);
            played.sessions.forward(played.number, taken, &[]).unwrap();
            assert_eq!(played.say(&output), output, "it was taken, so there may be more");
        }
        let exited = played.frame(Kind::Exited, 3, &[]);
        assert_eq!(played.say(&exited), exited);
        assert!(played.sessions.open.is_empty() && played.clients.is_empty());
    }

    #[test]
    fn a_guest_that_does_not_is_not_listened_to_any_more() {
        let wrong: [fn(&Played) -> Vec<u8>; 6] = [
            |played| played.frame(Kind::Output, 1, b"more").repeat(2),
            |played| played.frame(Kind::Output, 0, b"x"),
            |played| played.frame(Kind::Output, 3, b"x"),
            |played| played.frame(Kind::Words, 0, b"x"),
            |_| vec![0; HEADER],
            |_| Header::new(Kind::Exited, 0, 0).to_bytes().to_vec(),
        ];
        for says in wrong {
            let mut played = Played::new();
            let bytes = says(&played);
            played.say(&bytes);
            assert!(!played.sessions.are_open(), "{bytes:?}");
            assert!(played.clients.is_empty(), "{bytes:?}");
        }
    }

    #[test]
    fn frames_for_sessions_that_there_are_not_change_nothing() {
        let mut played = Played::new();
        for session in [2, 77, u16::MAX] {
            let header = Header { length: 1, ..Header::new(Kind::Output, 1, session) };
            let bytes = [&header.to_bytes()[..], b"x"].concat();
            assert_eq!(played.say(&bytes.repeat(3)), b"");
        }
        assert!(played.sessions.are_open());
    }

    #[test]
    fn a_guest_that_takes_nothing_is_sent_no_more_than_a_bound() {
        let mut played = Played::new();
        for _ in 0..100_000 {
            played.sessions.signal_command(1);
        }
        assert!(played.sessions.to_guest.len() <= QUEUE + HEADER);
        assert!(played.sessions.open().is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_guests_do_harm(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)
        ) {
            let mut played = Played::new();
            for piece in pieces {
                if played.sessions.are_open() {
                    played.say(&piece);
                }
            }
            prop_assert!(played.sessions.from_guest.len() <= HEADER + PAYLOAD);
        }
    }
}
