//! The port over which the host sends signals for the command, and opens further sessions.

use core::ffi::CStr;

use crate::{
    calls::{self, Errno, Result, call},
    command::{ExitStatus, NONE, Polled},
    frames::{self, HEADER, Header, Kind, PAYLOAD, SESSIONS},
    freeze::freeze,
    pages,
    session::Session,
    system::number,
    user::Setting,
};

/// The port, the bytes received so far, and the sessions.
pub struct Channel {
    port: usize,
    buffer: &'static mut [u8],
    filled: usize,
    sessions: [Session; SESSIONS],
    /// The process of the plan's command.
    pub command: usize,
    /// The port to which this process writes when the machine may be frozen; 0 if there is none.
    pub freeze_port: u16,
}

impl Channel {
    /// The number of polled descriptors: the port, and three for each session.
    pub const POLLED: usize = 1 + 3 * SESSIONS;

    /// A channel without a port.
    pub fn closed() -> Self {
        let sessions = [const { Session::free() }; SESSIONS];
        Self { port: NONE, buffer: &mut [], filled: 0, sessions, command: 0, freeze_port: 0 }
    }

    /// The channel over the port of that name.
    pub fn open(port: &CStr) -> Result<Self> {
        let buffer = pages::buffer(HEADER + PAYLOAD)?;
        Ok(Self { port: calls::open_device(port)?, buffer, ..Self::closed() })
    }

    /// Fills in what to poll for.
    pub fn poll(&self, polled: &mut [Polled]) {
        let [port, of_sessions @ ..] = polled else { return };
        *port = Polled::to_read(self.port);
        for (session, polled) in self.sessions.iter().zip(of_sessions.chunks_mut(3)) {
            session.poll(polled);
        }
    }

    /// Handles what is ready; `setting` is that of the plan's commands.
    pub fn serve(&mut self, polled: &[Polled], setting: Setting<'_>) {
        let [port, of_sessions @ ..] = polled else { return };
        for (session, polled) in self.sessions.iter_mut().zip(of_sessions.chunks(3)) {
            session.carry(self.port, polled);
        }
        if port.is_ready() {
            self.receive(setting);
        }
    }

    /// A child other than the command has died: it may belong to a session.
    pub fn has_died(&mut self, pid: usize, how: ExitStatus) {
        if let Some(session) = self.sessions.iter_mut().find(|session| session.is(pid)) {
            session.ended = Some(how);
        }
    }

    /// Reads what has arrived, and handles each complete frame.
    fn receive(&mut self, setting: Setting<'_>) {
        match calls::read(self.port, self.buffer.get_mut(self.filled..).unwrap_or_default()) {
            Ok(count @ 1..) => self.filled += count,
            // The host is gone.
            _ => return self.port = NONE,
        }
        let mut taken = 0;
        while let Some(rest) = self.buffer.get(taken..self.filled) {
            match frames::first(rest) {
                Ok(Some((header, payload))) => {
                    taken += HEADER + payload.len();
                    match (header.session, header.kind) {
                        (0, Kind::Signal) => {
                            signal(self.command, header.argument);
                            send(self.port, Header::new(Kind::Heard, header.argument, 0), &[]);
                        }
                        (0, Kind::Freeze) if self.freeze_port != 0 => {
                            // Without a seed or the time it continues unchanged.
                            let _ = freeze(self.freeze_port);
                        }
                        (0, _) => {}
                        _ => obey(&mut self.sessions, self.port, setting, header, payload),
                    }
                }
                Ok(None) => break,
                Err(_) => return self.port = NONE,
            }
        }
        self.buffer.copy_within(taken..self.filled, 0);
        self.filled -= taken;
    }
}

/// Handles a frame of a session.
fn obey(
    sessions: &mut [Session],
    port: usize,
    setting: Setting<'_>,
    header: Header,
    payload: &[u8],
) {
    let known = |session: &Session| session.number == header.session;
    let place = match sessions.iter().position(known) {
        Some(place) => Some(place),
        None if header.kind == Kind::Words => sessions.iter().position(|it| it.number == 0),
        // It ended while this frame was in transit.
        None => return,
    };
    match place.and_then(|place| sessions.get_mut(place)) {
        Some(session) => session.obey(port, setting, header, payload),
        None => fail(port, header.session, Errno::BUSY),
    }
}

/// Sends a signal to a process, or to a group of which the number is negated.
pub fn signal(process: usize, number: u8) {
    let _ = call(number::KILL, [process, number.into()]); // it may have ended
}

/// Reports that a session could not be started.
pub fn fail(port: usize, session: u16, errno: Errno) {
    send(port, Header::new(Kind::Failed, 0, session), &errno.0.to_le_bytes());
}

/// Sends a frame.
pub fn send(port: usize, header: Header, payload: &[u8]) {
    let mut frame = [0; HEADER + PAYLOAD];
    let length = payload.len().min(PAYLOAD);
    let (head, rest) = frame.split_at_mut(HEADER);
    head.copy_from_slice(&Header { length, ..header }.to_bytes());
    for (to, from) in rest.iter_mut().zip(payload) {
        *to = *from;
    }
    let mut left = frame.get(..HEADER + length).unwrap_or_default();
    while !left.is_empty()
        && let Ok(count @ 1..) = calls::write(port, left)
    {
        left = left.get(count..).unwrap_or_default();
    }
}
