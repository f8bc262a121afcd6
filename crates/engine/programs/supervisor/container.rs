//! The container's first process from its launch to its end, and everything that belongs to it: its
//! streams, its log, and what is known of it.

use crate::{
    arguments::Options,
    calls::{self, Descriptor, Result},
    children::{self, EndedProcess},
    client::Message,
    clock::Instant,
    exit_record::ExitRecord,
    input::Input,
    launch::{self, Launch, Launched, Launcher},
    log::Log,
    messages::Messages,
    output::Output,
    pages,
    record::Record,
    terminal::Terminal,
};

/// How far it is.
enum Phase {
    /// No client has asked for the launch.
    Waiting,
    Launching(Launch),
    /// The process with this id has started.
    Started(usize),
    /// It has ended, and its last output is being read.
    Draining(EndedProcess, Instant),
    /// There is nothing more to come.
    Gone,
}

/// What the program was started with.
pub struct Container {
    phase: Phase,
    options: Options,
    launcher: Launcher,
    exit_record: Option<ExitRecord>,
    record: Record,
    pub terminal: Terminal,
    pub input: Input,
    pub outputs: [Output; 2],
    pub messages: Messages,
}

impl Container {
    pub fn new(
        options: Options,
        launcher: Launcher,
        exit_record: ExitRecord,
        log: Option<Log>,
    ) -> Result<Self> {
        Ok(Self {
            phase: Phase::Waiting,
            options,
            launcher,
            exit_record: Some(exit_record),
            record: Record::new(log)?,
            terminal: Terminal::default(),
            input: Input::new(options)?,
            outputs: [Output::new()?, Output::new()?],
            messages: Messages::new()?,
        })
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting)
    }

    pub fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining(..))
    }

    pub fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    /// Starts the launcher, unless that was done before. Returns what there is to tell.
    pub fn launch(&mut self) -> Option<Message> {
        if !self.is_waiting() {
            return None;
        }
        match self.launcher.start(self.options) {
            Ok((launch, ends)) => {
                if let Some(input) = ends.input {
                    self.input.open(Some(input));
                }
                for (output, end) in self.outputs.iter_mut().zip(ends.outputs) {
                    output.open(end);
                }
                self.phase = Phase::Launching(launch);
                None
            }
            Err(errno) => {
                let length = launch::reason(self.messages.reason(), "start the launcher", errno);
                Some(self.fail(length))
            }
        }
    }

    fn fail(&mut self, length: usize) -> Message {
        self.messages.failed(length);
        self.phase = Phase::Gone;
        self.input.close();
        Message::Failed
    }

    /// The socket of a launcher that has not said what it has made.
    pub fn launch_socket(&self) -> Option<&Descriptor> {
        match &self.phase {
            Phase::Launching(launch) => launch.socket(),
            _ => None,
        }
    }

    /// Receives what the launcher has made. Returns what there is to tell.
    pub fn receive_launched(&mut self) -> Option<Message> {
        let Phase::Launching(launch) = &mut self.phase else { return None };
        let pid = launch.receive()?;
        self.messages.made(pid);
        Some(Message::Made)
    }

    /// Lets the process begin, if its launcher waits for that.
    pub fn proceed(&self) {
        if let Phase::Launching(launch) = &self.phase {
            launch.proceed();
        }
    }

    /// Reaps all children that have ended. Returns what there is to tell.
    pub fn reap(&mut self) -> Option<Message> {
        let mut message = None;
        // Nothing else is reaped before the launcher: the process that it has started may have ended
        // as well, and its id is not known yet.
        while let Some(ended) = children::reap(match &self.phase {
            Phase::Launching(launch) => Some(launch.pid),
            _ => None,
        }) {
            match core::mem::replace(&mut self.phase, Phase::Gone) {
                Phase::Launching(launch) => {
                    message = Some(match launch.finish(ended.status, self.messages.reason()) {
                        Ok(launched) => self.started(launched),
                        Err(length) => self.fail(length),
                    });
                }
                Phase::Started(pid) if pid == ended.pid => {
                    self.phase = Phase::Draining(ended, calls::now());
                    self.outputs.iter_mut().for_each(Output::end);
                }
                other => self.phase = other,
            }
        }
        message
    }

    fn started(&mut self, launched: Launched) -> Message {
        self.phase = Phase::Started(launched.pid as usize);
        self.messages.started(launched.pid);
        if let Some(master) = launched.terminal.filter(|_| self.options.has_terminal) {
            const LEAST: usize = 0;
            let _ = master.do_not_block();
            self.input.open(master.duplicate(LEAST).ok());
            self.outputs[0].open(master.duplicate(LEAST).ok());
            self.terminal.open(master);
        }
        Message::Started
    }

    /// Reads standard output (0) or standard error (1) if it may have something, and logs it. Returns
    /// whether there is something to deliver.
    pub fn read(&mut self, stream: usize, is_ready: bool) -> bool {
        let is_open = match self.phase {
            Phase::Started(_) => is_ready || self.outputs[stream].is_deserted(),
            Phase::Draining(..) => true,
            _ => false,
        };
        let has_output = is_open && self.outputs[stream].read();
        if has_output {
            self.record.add(stream, self.outputs[stream].chunk());
        }
        has_output
    }

    /// Whether its output may be read when there is some.
    pub fn has_started(&self) -> bool {
        matches!(self.phase, Phase::Started(_) | Phase::Draining(..))
    }

    /// Whether the process has ended and all of its output is delivered.
    pub fn is_finished(&self) -> bool {
        self.is_draining() && self.outputs.iter().all(Output::is_finished)
    }

    /// Records the end. Returns what there is to tell.
    pub fn finish(&mut self) -> Option<Message> {
        let Phase::Draining(ended, time) = self.phase else { return None };
        self.phase = Phase::Gone;
        self.input.close();
        self.record.finish();
        if let Some(file) = self.exit_record.take() {
            // Without a file the daemon has only the message: the disk has failed.
            let _ = file.write(ended.code(), time);
        }
        self.messages.exited(ended.code());
        Some(Message::Exited)
    }

    /// Returns memory that holds nothing.
    pub fn release(&mut self) {
        self.record.release();
        self.outputs.iter_mut().for_each(|output| pages::release(output.buffer()));
        pages::release(self.input.buffer());
    }
}
