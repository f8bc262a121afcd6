//! A session: a further command, whose streams go over the channel.

use crate::{
    calls::{self, Errno, Result},
    channel::{fail, send, signal},
    command::{self, ExitStatus, NONE, Polled},
    files,
    frames::{self, Header, Kind, PAYLOAD},
    order::Order,
    pages, terminal,
    user::{Setting, User},
};

/// The state of one session; number 0 is none.
pub struct Session {
    pub number: u16,
    /// Its process; 0 before it is started.
    process: usize,
    /// Where its input is written to: a pipe, or its terminal.
    input: usize,
    /// Where its output and its errors are read from.
    outlets: [Outlet; 2],
    is_terminal: bool,
    /// Input that it has not taken yet, as a range of the buffer.
    pending: (&'static mut [u8], usize, usize),
    /// The description of what to run, and its length so far.
    words: (&'static mut [u8], usize),
    /// How its process ended.
    pub ended: Option<ExitStatus>,
}

#[derive(Clone, Copy)]
struct Outlet {
    file: usize,
    /// Whether the host has yet to take the last frame.
    waits: bool,
}

impl Outlet {
    const NONE: Self = Self { file: NONE, waits: false };
}

const SIGKILL: u8 = 9;

impl Session {
    /// An unused session.
    pub const fn free() -> Self {
        Self {
            number: 0,
            process: 0,
            input: NONE,
            outlets: [Outlet::NONE; 2],
            is_terminal: false,
            pending: (&mut [], 0, 0),
            words: (&mut [], 0),
            ended: None,
        }
    }

    /// Whether this is its process.
    pub fn is(&self, process: usize) -> bool {
        self.process == process && self.process != 0
    }

    /// Fills in what to poll for.
    pub fn poll(&self, polled: &mut [Polled]) {
        let [input, output, errors] = polled else { return };
        if self.pending.1 < self.pending.2 {
            *input = Polled::to_write(self.input);
        }
        for (outlet, polled) in self.outlets.iter().zip([output, errors]) {
            if !outlet.waits {
                *polled = Polled::to_read(outlet.file);
            }
        }
    }

    /// Forwards what is ready, and reports its end after the last output.
    pub fn carry(&mut self, port: usize, polled: &[Polled]) {
        let [input, output, errors] = polled else { return };
        if input.is_ready() {
            self.give_input(port);
        }
        for (stream, polled) in [(0, output), (1, errors)] {
            if polled.is_ready() {
                self.pass_output(port, stream);
            }
        }
        // Its output is in the pipes; other processes that keep them open are not waited for.
        let silent = |(outlet, polled): (&Outlet, &Polled)| {
            outlet.file == NONE || !outlet.waits && !polled.is_ready()
        };
        if let Some(how) = self.ended
            && self.outlets.iter().zip([output, errors]).all(silent)
        {
            let (kind, number) = match how {
                ExitStatus::Exited(code) => (Kind::Exited, code),
                ExitStatus::Signaled(signal) => (Kind::Signaled, signal),
            };
            send(port, Header::new(kind, number as u8, self.number), &[]);
            self.end();
        }
    }

    /// Handles a frame.
    pub fn obey(&mut self, port: usize, setting: Setting<'_>, header: Header, payload: &[u8]) {
        match header.kind {
            Kind::Words => {
                if let Err(errno) = self.add_words(header.session, payload) {
                    fail(port, header.session, errno);
                    self.end();
                }
            }
            Kind::Start if self.process == 0 => match self.start(setting) {
                Ok(()) => send(port, Header::new(Kind::Started, 0, self.number), &[]),
                Err(errno) => {
                    fail(port, self.number, errno);
                    self.end();
                }
            },
            Kind::Input if payload.is_empty() => self.end_input(),
            Kind::Input => {
                for (to, from) in self.pending.0.iter_mut().zip(payload) {
                    *to = *from;
                }
                (self.pending.1, self.pending.2) = (0, payload.len());
                self.give_input(port);
            }
            Kind::Window => {
                if let &[a, b, c, d] = payload {
                    let [rows, columns] = [[a, b], [c, d]].map(u16::from_le_bytes);
                    let _ = terminal::set_window(self.input, rows, columns); // a pipe has none
                }
            }
            Kind::Taken => {
                if let Some(outlet) =
                    self.outlets.get_mut(usize::from(header.argument).wrapping_sub(1))
                {
                    outlet.waits = false;
                }
            }
            Kind::Signal => {
                if self.process != 0 && self.ended.is_none() {
                    signal(self.process, header.argument);
                }
                send(port, Header::new(Kind::Heard, header.argument, self.number), &[]);
            }
            Kind::Close => {
                // It leads a session of its own, and so a process group.
                if self.process != 0 && self.ended.is_none() {
                    signal(self.process.wrapping_neg(), SIGKILL);
                }
                self.end();
            }
            _ => {}
        }
    }

    fn add_words(&mut self, number: u16, text: &[u8]) -> Result<()> {
        if self.number == 0 {
            self.number = number;
            if self.words.0.is_empty() {
                self.words.0 = pages::buffer(frames::WORDS)?;
                self.pending.0 = pages::buffer(PAYLOAD)?;
            }
        }
        let end = self.words.1 + text.len();
        let room = self.words.0.get_mut(self.words.1..end).ok_or(Errno::TOO_MANY_WORDS)?;
        room.copy_from_slice(text);
        self.words.1 = end;
        Ok(())
    }

    /// Starts the described program.
    fn start(&mut self, setting: Setting<'_>) -> Result<()> {
        let text = self.words.0.get_mut(..self.words.1).unwrap_or_default();
        let order = Order::read(text, setting.environment)?;
        let before = order.enter()?;
        let started = match order.window {
            Some([rows, columns]) => self.start_on_terminal(&order, setting.user, rows, columns),
            None => self.start_on_pipes(&order, setting.user),
        };
        let _ = files::go_back_to(before);
        calls::close(before);
        order.forget();
        started
    }

    fn start_on_terminal(&mut self, order: &Order, user: User, rows: usize, columns: usize) -> Result<()> {
        let [master, slave] = terminal::open_terminal()?;
        let started = terminal::set_window(master, rows as u16, columns as u16)
            .and_then(|()| command::start(order.words, order.setting(user), [slave; 3]));
        calls::close(slave);
        self.take(started, master, [master, NONE])
    }

    fn start_on_pipes(&mut self, order: &Order, user: User) -> Result<()> {
        let [input, output, errors] = [command::pipe()?, command::pipe()?, command::pipe()?];
        let ends = [input[0], output[1], errors[1]];
        let started = command::start(order.words, order.setting(user), ends);
        ends.into_iter().for_each(calls::close);
        self.take(started, input[1], [output[0], errors[0]])
    }

    /// Records a started process and these ends of its streams.
    fn take(
        &mut self,
        started: Result<(usize, Option<Errno>)>,
        input: usize,
        outlets: [usize; 2],
    ) -> Result<()> {
        self.input = input;
        self.is_terminal = outlets[1] == NONE;
        self.outlets = outlets.map(|file| Outlet { file, waits: false });
        // A full pipe must not block the others.
        calls::do_not_wait(input)?;
        match started? {
            (process, None) => {
                self.process = process;
                Ok(())
            }
            // The child that is not the command is reaped with the orphans.
            (_, Some(errno)) => Err(errno),
        }
    }

    fn give_input(&mut self, port: usize) {
        let (bytes, from, to) = &mut self.pending;
        while from < to {
            match calls::write(self.input, bytes.get(*from..*to).unwrap_or_default()) {
                Ok(count) => *from += count,
                Err(Errno::AGAIN) => return,
                // It does not read any more: further input is discarded.
                Err(_) => *from = *to,
            }
        }
        send(port, Header::new(Kind::Taken, 0, self.number), &[]);
    }

    fn end_input(&mut self) {
        if !self.is_terminal && self.input != NONE {
            calls::close(self.input);
            self.input = NONE;
        }
    }

    fn pass_output(&mut self, port: usize, stream: usize) {
        let Some(outlet) = self.outlets.get_mut(stream) else { return };
        let mut bytes = [0; PAYLOAD];
        match calls::read(outlet.file, &mut bytes) {
            Ok(count @ 1..) => {
                outlet.waits = true;
                let header = Header::new(Kind::Output, stream as u8 + 1, self.number);
                send(port, header, bytes.get(..count).unwrap_or_default());
            }
            Err(Errno::AGAIN) => {}
            // End of file, or the last process with the terminal open has ended.
            _ => {
                if !self.is_terminal {
                    calls::close(outlet.file);
                }
                outlet.file = NONE;
            }
        }
    }

    /// Makes the session unused.
    fn end(&mut self) {
        if self.is_terminal {
            self.outlets[0].file = NONE; // it is the input
        }
        let files = [self.input, self.outlets[0].file, self.outlets[1].file];
        files.into_iter().filter(|file| *file != NONE).for_each(calls::close);
        let pending = core::mem::take(&mut self.pending.0);
        let words = core::mem::take(&mut self.words.0);
        *self = Self { pending: (pending, 0, 0), words: (words, 0), ..Self::free() };
    }
}
