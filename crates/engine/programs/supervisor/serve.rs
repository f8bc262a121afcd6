//! The supervisor at work: it waits until something happens, and does what follows from it.

use crate::{
    calls::{self, Descriptor, Polled, poll},
    children,
    client::{Message, Request},
    clients::{CLIENTS, Clients},
    container::Container,
    output::Output,
    setup,
};

/// How long a client may take nothing once the process has ended, in milliseconds.
const STALL: u64 = 10_000;
/// How long to wait for a client before the launch, in milliseconds.
const ABANDONED: u64 = 30_000;
/// After so long without anything to do buffers are returned to the kernel, in milliseconds.
const IDLE: u64 = 500;
/// How often to look at a terminal that no process has open, in milliseconds.
const DESERTED: u64 = 100;

const OUTPUT_MESSAGES: [Message; 2] = [Message::Stdout, Message::Stderr];

/// The descriptors that are polled: one of signals, the socket, two outputs, the input, the launcher's
/// socket, and clients.
const OUTPUTS: usize = 2;
const INPUT: usize = 4;
const LAUNCH: usize = 5;
const FIRST_CLIENT: usize = 6;

/// A container's process and its clients.
pub struct Supervisor {
    container: Container,
    signals: Descriptor,
    socket: Option<Descriptor>,
    clients: Clients,
    /// When there was progress with a client, by [`calls::milliseconds`].
    progress: u64,
    /// Whether buffers may have been used since their memory was returned.
    has_worked: bool,
}

impl Supervisor {
    pub fn new(container: Container, socket: Descriptor, signals: Descriptor) -> Self {
        let (clients, progress) = (Clients::new(), calls::milliseconds());
        Self { container, signals, socket: Some(socket), clients, progress, has_worked: true }
    }

    /// Serves until the process has ended and everyone knows.
    pub fn run(mut self) {
        let mut polled = [Polled::NONE; FIRST_CLIENT + CLIENTS];
        loop {
            self.wait(&mut polled);
            let is_idle = !polled.iter().any(Polled::is_ready);
            let [signals, socket, output, error, input, launch, clients @ ..] = &polled;
            if launch.is_ready() {
                let message = self.container.receive_launched();
                self.announce(message);
            }
            if signals.is_ready() {
                children::take_signals(&self.signals);
                let message = self.container.reap();
                self.announce(message);
            }
            if socket.is_ready() {
                self.accept();
            }
            self.receive(clients, socket.is_ready());
            if input.is_ready() {
                self.container.input.write();
            }
            self.carry([output, error].map(Polled::is_ready));
            if self.container.is_finished() {
                let message = self.container.finish();
                self.announce(message);
            }
            if is_idle && self.has_worked {
                self.container.release();
            }
            self.has_worked = !is_idle;
            let is_over = self.container.is_gone() && is_idle && !self.clients.is_behind();
            if is_over || self.is_abandoned() {
                return;
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, polled: &mut [Polled]) {
        let container = &self.container;
        polled[0] = Polled::of(&self.signals, Polled::READ);
        let read = |socket| Polled::of(socket, Polled::READ);
        polled[1] = self.socket.as_ref().map_or(Polled::NONE, read);
        for (polled, output) in polled[OUTPUTS..].iter_mut().zip(&container.outputs) {
            *polled = if container.has_started() { output.polled() } else { Polled::NONE };
        }
        polled[INPUT] = container.input.polled();
        polled[LAUNCH] = container.launch_socket().map_or(Polled::NONE, read);
        self.clients.poll(&mut polled[FIRST_CLIENT..], &container.input);
        poll(polled, self.timeout().map_or(-1, |milliseconds| milliseconds as isize));
    }

    /// How long to wait, in milliseconds; `None` means until something happens.
    fn timeout(&self) -> Option<u64> {
        let container = &self.container;
        let is_behind = self.clients.is_behind();
        let ends = container.is_draining() || container.is_gone();
        let all = [
            (ends && !is_behind, 0),
            (ends, STALL / 10),
            (container.is_waiting(), ABANDONED),
            (container.outputs.iter().any(Output::is_deserted), DESERTED),
            (self.has_worked, IDLE),
        ];
        all.into_iter().filter_map(|(applies, timeout)| applies.then_some(timeout)).min()
    }

    fn accept(&mut self) {
        if let Some(socket) = &self.socket {
            self.clients.accept(socket);
        }
        if self.container.is_waiting() {
            self.progress = calls::milliseconds();
        }
    }

    /// Tells everyone. At the end there will be no more clients: the daemon may start another
    /// supervisor in this directory as soon as it knows.
    fn announce(&mut self, message: Option<Message>) {
        let Some(message) = message else { return };
        if self.container.is_gone() {
            let _ = calls::unlink(setup::SOCKET); // it may have been removed with its directory
            self.accept();
            self.socket = None;
        }
        self.clients.tell(message);
        self.progress = calls::milliseconds();
    }

    /// Receives requests, also from those who have `just_connected`: one who subscribes before
    /// another asks for the launch misses no output.
    fn receive(&mut self, polled: &[Polled], just_connected: bool) {
        let Self { clients, container, .. } = self;
        let (mut has_go, mut proceeds) = (false, false);
        let (messages, terminal) = (&container.messages, &mut container.terminal);
        clients.receive(polled, just_connected, &mut container.input, |client, request| {
            match request {
                Request::Subscribe => messages.catch_up(client),
                Request::Resize { rows, columns } => terminal.resize(rows, columns),
                Request::Proceed => proceeds = true,
                Request::Go { rows, columns } => {
                    terminal.resize(rows, columns);
                    has_go = true;
                }
            }
        });
        if proceeds {
            container.proceed();
        }
        if has_go {
            let message = container.launch();
            self.announce(message);
        }
    }

    /// Carries output to the clients: what was read, and then the next.
    fn carry(&mut self, is_ready: [bool; 2]) {
        if self.container.is_draining() && self.is_stalled() {
            self.clients.drop_those_behind(&mut self.container.input);
        }
        for (stream, message) in OUTPUT_MESSAGES.into_iter().enumerate() {
            if self.container.read(stream, is_ready[stream]) {
                self.clients.tell(message);
            }
        }
        if self.clients.send(&self.container.messages, &self.container.outputs) {
            self.progress = calls::milliseconds();
        }
        for (output, message) in self.container.outputs.iter_mut().zip(OUTPUT_MESSAGES) {
            if !self.clients.is_pending(message) {
                output.delivered();
            }
        }
    }

    /// Whether the clients have taken nothing for too long.
    fn is_stalled(&self) -> bool {
        calls::milliseconds() - self.progress > STALL
    }

    /// Whether there is no one to go on for.
    fn is_abandoned(&self) -> bool {
        let since = calls::milliseconds() - self.progress;
        match () {
            () if self.container.is_waiting() => self.clients.is_empty() && since > ABANDONED,
            () => self.container.is_gone() && since > STALL,
        }
    }
}
