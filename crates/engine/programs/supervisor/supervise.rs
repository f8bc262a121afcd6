//! The loop: clients, the launcher, the process, and its end.

use super::{
    buffer::Buffer,
    calls::{self, Descriptor, Polled, Result, poll},
    client::{Client, Request, STDIN},
    clock,
    entry::Stream,
    launch::{self, Launched, Launcher, code, is_for_now},
    log::Log,
    output::Output,
    pages,
};

/// How many clients there may be at once.
const CLIENTS: usize = 32;
/// How much input may wait for the process.
const INPUT: usize = 16 << 10;
/// How much of the launcher's reason is kept.
const REASON: usize = 4 << 10;
/// How long output may still come from others when the process has ended.
const LAST_OUTPUT: isize = 1000;
/// How long clients may take for the last output without getting on.
const LAST_WORDS: isize = 10_000;
/// How long a terminal that nobody has open is left alone.
const UNUSED: isize = 50;
/// After that long without anything to do, memory is returned.
const IDLE: isize = 1000;

/// Where a launch has got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No client has let it begin.
    Waiting,
    /// The launcher runs.
    Launching,
    /// The process runs.
    Up,
    /// The launcher has failed.
    Failed,
    /// The process has ended with this wait status, and its output may not be at its end.
    Draining(i32),
    /// Everything is told but to slow clients.
    Over(u32),
}

pub struct Supervisor {
    launcher: Launcher,
    listener: Descriptor,
    children: Descriptor,
    log: Option<Log>,
    stdin_once: bool,
    phase: Phase,
    clients: [Option<Client>; CLIENTS],
    /// The launcher's id, and the first process's; 0 while unknown.
    launcher_pid: usize,
    launcher_status: Option<i32>,
    pid: usize,
    ended: Option<i32>,
    socket: Option<Descriptor>,
    reason: Option<Descriptor>,
    reason_text: Buffer,
    stdin: Option<Descriptor>,
    sources: [Option<Descriptor>; 2],
    terminal_size: [u16; 2],
    input: Buffer,
    /// Whether standard input is closed once what waits is written.
    closes_input: bool,
    output: Output,
    /// Whether nobody inside has the terminal open: it is looked at again after a while.
    is_terminal_unused: bool,
}

impl Supervisor {
    pub fn new(
        launcher: Launcher,
        listener: Descriptor,
        log: Option<Log>,
        stdin_once: bool,
    ) -> Result<Self> {
        Ok(Self {
            launcher,
            listener,
            children: launch::children()?,
            log,
            stdin_once,
            phase: Phase::Waiting,
            clients: [const { None }; CLIENTS],
            launcher_pid: 0,
            launcher_status: None,
            pid: 0,
            ended: None,
            socket: None,
            reason: None,
            reason_text: pages::buffer(REASON)?,
            stdin: None,
            sources: [None, None],
            terminal_size: [0; 2],
            input: pages::buffer(INPUT)?,
            closes_input: false,
            output: Output::new()?,
            is_terminal_unused: false,
        })
    }

    /// Runs until the process has ended and everyone knows.
    pub fn run(&mut self) {
        let mut is_idle = false;
        loop {
            let mut polled = [Polled::NONE; 7 + CLIENTS];
            self.watch(&mut polled);
            let limit = match self.phase {
                Phase::Draining(_) => LAST_OUTPUT,
                Phase::Up if self.is_terminal_unused => UNUSED,
                Phase::Over(_) | Phase::Failed => LAST_WORDS,
                _ if is_idle => -1,
                _ => IDLE,
            };
            poll(&mut polled, limit);
            let was_unused = core::mem::take(&mut self.is_terminal_unused);
            if !polled.iter().any(Polled::is_ready) {
                if was_unused {
                    continue;
                }
                match self.phase {
                    Phase::Draining(status) => self.conclude(status),
                    Phase::Over(_) | Phase::Failed => return,
                    _ => {
                        self.release();
                        is_idle = true;
                    }
                }
                continue;
            }
            is_idle = false;
            self.serve(&polled);
            let is_done = matches!(self.phase, Phase::Over(_) | Phase::Failed);
            if is_done && self.clients.iter().all(Option::is_none) {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_) | Phase::Failed)
    }

    /// Whether all clients have the current output.
    fn all_have_it(&self) -> bool {
        !self.clients.iter().flatten().any(Client::is_behind)
    }

    /// Says what to wait for.
    fn watch(&self, polled: &mut [Polled; 7 + CLIENTS]) {
        let [listener, children, stdout, stderr, stdin, socket, reason, clients @ ..] = polled;
        if !self.is_over() && self.clients.iter().any(Option::is_none) {
            *listener = Polled::of(&self.listener, Polled::READ);
        }
        *children = Polled::of(&self.children, Polled::READ);
        if self.all_have_it() && !self.is_terminal_unused {
            for (slot, source) in [stdout, stderr].into_iter().zip(&self.sources) {
                if let Some(source) = source {
                    *slot = Polled::of(source, Polled::READ);
                }
            }
        }
        if let Some(to) = self.stdin.as_ref().filter(|_| !self.input.is_empty()) {
            *stdin = Polled::of(to, Polled::WRITE);
        }
        for (slot, from) in [(socket, &self.socket), (reason, &self.reason)] {
            if let Some(from) = from {
                *slot = Polled::of(from, Polled::READ);
            }
        }
        for (slot, client) in clients.iter_mut().zip(&self.clients) {
            let Some(client) = client else { continue };
            // Input is taken when there is room for it.
            let reads = client.speaks && (client.input == 0 || self.input.is_empty());
            let writes = client.is_behind() || self.is_over();
            let events =
                if reads { Polled::READ } else { 0 } | if writes { Polled::WRITE } else { 0 };
            *slot = Polled::of(client.socket(), events);
        }
    }

    fn serve(&mut self, polled: &[Polled; 7 + CLIENTS]) {
        let [listener, children, stdout, stderr, stdin, socket, reason, clients @ ..] = polled;
        if socket.is_ready() {
            self.receive();
        }
        if reason.is_ready() {
            self.read_reason();
        }
        if children.is_ready() {
            self.reap();
        }
        self.settle_launch();
        for (ready, index) in [(stdout, 0), (stderr, 1)] {
            if ready.is_ready() && self.all_have_it() {
                self.read_output(index);
            }
        }
        if stdin.is_ready() {
            self.write_input();
        }
        for (index, ready) in clients.iter().enumerate() {
            if ready.is_ready() {
                self.serve_client(index, ready.has_hung_up());
            }
        }
        if listener.is_ready()
            && let Ok(client) = Client::accept(&self.listener)
            && let Some(free) = self.clients.iter_mut().find(|client| client.is_none())
        {
            *free = Some(client);
        }
        if let Phase::Draining(status) = self.phase
            && self.sources.iter().all(Option::is_none)
            && self.all_have_it()
        {
            self.conclude(status);
        }
        self.tell();
    }

    /// Starts the launcher.
    fn go(&mut self, size: [u16; 2]) {
        if self.phase != Phase::Waiting {
            return;
        }
        self.set_size(size);
        match self.launcher.launch() {
            Ok(Launched { pid, stdin, stdout, stderr, socket, reason }) => {
                (self.launcher_pid, self.stdin) = (pid, stdin);
                self.sources = [stdout, stderr];
                (self.socket, self.reason) = (Some(socket), Some(reason));
                self.phase = Phase::Launching;
                self.input_is_closed_if_it_should();
            }
            Err(_) => {
                self.fail(b"{\"message\":\"make pipes and fork for the launcher\",\"code\":128}")
            }
        }
    }

    /// The launcher may let the process begin.
    fn proceed(&self) {
        if let Some(socket) = &self.socket {
            let _ = socket.write(&[1]); // it may have ended
        }
    }

    fn fail(&mut self, reason: &[u8]) {
        if self.reason_text.is_empty() {
            self.reason_text.push(reason);
        }
        if self.pid != 0 && self.ended.is_none() {
            launch::kill(self.pid);
        }
        self.sources = [None, None];
        (self.stdin, self.socket, self.reason) = (None, None, None);
        self.phase = Phase::Failed;
        let _ = calls::unlink(c"attach");
    }

    /// The launcher says which process it has made.
    fn receive(&mut self) {
        let Some(socket) = &self.socket else { return };
        match launch::receive(socket) {
            Some((pid, terminal)) => {
                self.pid = pid;
                if let Some(terminal) = terminal.and_then(|it| it.duplicate(launch::LOWEST).ok()) {
                    self.use_terminal(terminal);
                }
            }
            // Its end: it has sent all that it will send.
            None => self.socket = None,
        }
    }

    fn use_terminal(&mut self, terminal: Descriptor) {
        let _ = terminal.do_not_block(); // it is so already
        if self.terminal_size != [0; 2] {
            launch::resize(&terminal, self.terminal_size);
        }
        self.stdin = terminal.duplicate(launch::LOWEST).ok();
        self.sources = [Some(terminal), None];
    }

    fn read_reason(&mut self) {
        let Some(reason) = &self.reason else { return };
        match reason.read(self.reason_text.spare()) {
            Ok(count) if count > 0 => self.reason_text.grow(count),
            Err(errno) if is_for_now(errno) => {}
            // The end, or more than is kept.
            _ => self.reason = None,
        }
    }

    /// Takes note of every process that has ended.
    fn reap(&mut self) {
        // The signal itself says nothing: several of them are one.
        let mut information = [0; 128];
        let _ = self.children.read(&mut information);
        // Who the first process is was sent before it could end.
        if self.pid == 0 {
            self.receive();
        }
        while let Some((pid, status)) = launch::reap() {
            if pid == self.launcher_pid {
                self.launcher_status = Some(status);
            } else if pid == self.pid {
                self.ended = Some(status);
            }
        }
    }

    /// Decides how the launch went, once the launcher has ended; and then whether the process has.
    fn settle_launch(&mut self) {
        if self.phase == Phase::Launching
            && let Some(status) = self.launcher_status
        {
            self.receive();
            self.read_reason();
            self.phase = Phase::Up;
            (self.socket, self.reason) = (None, None);
            if status != 0 || self.pid == 0 || !self.reason_text.is_empty() {
                self.fail(b"{\"message\":\"the launcher was killed\",\"code\":128}");
            }
        }
        if self.phase == Phase::Up
            && let Some(status) = self.ended
        {
            self.phase = Phase::Draining(status);
            self.stdin = None;
            self.input.clear();
        }
    }

    fn read_output(&mut self, index: usize) {
        let stream = if index == 0 { Stream::Stdout } else { Stream::Stderr };
        let Some(source) = &self.sources[index] else { return };
        match self.output.read(source, stream) {
            Ok(count) if count > 0 => {
                if let Some(log) = &mut self.log {
                    log.take(stream, self.output.bytes());
                }
                for client in self.clients.iter_mut().flatten() {
                    client.offer(stream);
                }
                self.send_output();
            }
            Err(errno) if is_for_now(errno) => {}
            // The end; of a terminal, EIO: nobody inside has it open. It may be opened again as long
            // as the process runs.
            Err(_) if index == 0 && self.launcher.tty && self.ended.is_none() => {
                self.is_terminal_unused = true;
            }
            _ => self.sources[index] = None,
        }
    }

    fn send_output(&mut self) {
        for slot in &mut self.clients {
            let Some(client) = slot else { continue };
            if client.send(self.output.stream, self.output.bytes()).is_err() {
                *slot = None;
            }
        }
        if self.all_have_it() {
            self.output.clear();
        }
    }

    fn write_input(&mut self) {
        let Some(stdin) = &self.stdin else { return };
        match stdin.write(self.input.filled()) {
            Ok(count) => self.input.consume(count),
            Err(errno) if is_for_now(errno) => {}
            Err(_) => {
                // Nobody reads it any more.
                self.input.clear();
                if !self.launcher.tty {
                    self.stdin = None;
                }
            }
        }
        self.input_is_closed_if_it_should();
    }

    fn input_is_closed_if_it_should(&mut self) {
        let is_launched = self.phase != Phase::Waiting;
        if self.closes_input && self.input.is_empty() && is_launched && !self.launcher.tty {
            self.stdin = None;
        }
    }

    fn serve_client(&mut self, index: usize, has_hung_up: bool) {
        let Some(client) = &mut self.clients[index] else { return };
        let mut is_gone = false;
        if client.is_behind() {
            is_gone = client.send(self.output.stream, self.output.bytes()).is_err();
            if !is_gone && self.all_have_it() {
                self.output.clear();
            }
        }
        while !is_gone {
            let Some(client) = &mut self.clients[index] else { return };
            if !client.speaks {
                is_gone = has_hung_up;
                break;
            }
            if client.input > 0 {
                if !self.input.is_empty() {
                    break;
                }
                match Self::take_input(client, &mut self.input) {
                    Ok(true) if self.stdin.is_some() || self.phase == Phase::Waiting => {}
                    // A process without an input ignores it.
                    Ok(true) => self.input.clear(),
                    Ok(false) => break,
                    Err(()) => is_gone = true,
                }
                continue;
            }
            match client.request() {
                Ok(Some(Request::Input(_))) => {}
                Ok(Some(Request::CloseInput)) => self.client_closes_input(),
                Ok(Some(Request::Resize(size))) => self.set_size(size),
                Ok(Some(Request::Go(size))) => self.go(size),
                Ok(Some(Request::Proceed)) => self.proceed(),
                Ok(Some(Request::Silent)) => {
                    client.speaks = false;
                    if client.streams & STDIN != 0 {
                        self.client_closes_input();
                    }
                    is_gone = has_hung_up;
                    if !is_gone {
                        return;
                    }
                }
                Ok(None) => break,
                Err(_) => is_gone = true,
            }
        }
        if is_gone && let Some(client) = self.clients[index].take() {
            if client.streams & STDIN != 0 && client.speaks {
                self.client_closes_input();
            }
            if self.all_have_it() {
                self.output.clear();
            }
        }
    }

    /// Whether anything has come; an error if the client is gone.
    fn take_input(client: &mut Client, input: &mut Buffer) -> core::result::Result<bool, ()> {
        let space = input.spare();
        let wanted = space.len().min(client.input as usize);
        match client.socket().read(&mut space[..wanted]) {
            Ok(0) => Err(()),
            Ok(count) => {
                input.grow(count);
                client.input -= count as u32;
                Ok(true)
            }
            Err(errno) if is_for_now(errno) => Ok(false),
            Err(_) => Err(()),
        }
    }

    /// A client that has the input has no more of it.
    fn client_closes_input(&mut self) {
        if self.stdin_once {
            self.closes_input = true;
            self.input_is_closed_if_it_should();
        }
    }

    fn set_size(&mut self, size: [u16; 2]) {
        if size == [0; 2] {
            return;
        }
        self.terminal_size = size;
        if self.launcher.tty
            && let Some(terminal) = &self.sources[0]
        {
            launch::resize(terminal, size);
        }
    }

    /// The process has ended, and its output is at its end: everything is written down.
    fn conclude(&mut self, status: i32) {
        self.sources = [None, None];
        if let Some(log) = &mut self.log {
            log.finish();
        }
        let code = code(status);
        write_exit(code);
        let _ = calls::unlink(c"attach"); // nobody else is to come
        self.phase = Phase::Over(code);
    }

    /// Tells clients what they do not know yet.
    fn tell(&mut self) {
        let (phase, pid) = (self.phase, self.pid);
        for slot in &mut self.clients {
            let Some(client) = slot else { continue };
            let outcome = match phase {
                Phase::Launching if pid != 0 => client.tell_made(pid).map(|()| false),
                Phase::Waiting | Phase::Launching => Ok(false),
                Phase::Up | Phase::Draining(_) => client.tell_start(pid).map(|()| false),
                Phase::Failed => client.tell_failure(self.reason_text.filled()),
                Phase::Over(code) => client.tell_start(pid).and_then(|()| client.tell_end(code)),
            };
            // Gone, or it knows all.
            if outcome != Ok(false) {
                *slot = None;
            }
        }
    }

    fn release(&mut self) {
        self.output.release();
        pages::release(&mut self.input);
        if let Some(log) = &mut self.log {
            log.release();
        }
    }
}

/// Writes the file `exit`, atomically: `STATUS SECONDS NANOSECONDS`.
fn write_exit(code: u32) {
    let now = clock::now();
    let mut text = [0; 64];
    let mut length = 0;
    for number in [u64::from(code), now.seconds, now.nanoseconds.into()] {
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut left = number;
        loop {
            first -= 1;
            digits[first] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        let digits = &digits[first..];
        text[length..length + digits.len()].copy_from_slice(digits);
        length += digits.len();
        text[length] = b' ';
        length += 1;
    }
    text[length - 1] = b'\n';
    let flags = calls::O_WRONLY | calls::O_CREAT | calls::O_TRUNC;
    if let Ok(file) = calls::open(c"exit.draft", flags) {
        let written = file.write(&text[..length]);
        if written == Ok(length) {
            let _ = calls::rename(c"exit.draft", c"exit");
        }
    }
}
