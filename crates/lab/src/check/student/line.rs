//! The line to the warden, and then to init.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    sync::mpsc,
    time::Instant,
};

use crate::check::{
    finding::Checked,
    jail::{InitMessage, InitRequest},
};

/// A line to the program's host. Dropping it ends that host.
#[derive(Debug)]
pub(in crate::check) struct Line {
    line: UnixStream,
    heard: mpsc::Receiver<InitMessage>,
    /// What was heard while an answer was waited for.
    kept: RefCell<VecDeque<InitMessage>>,
}

impl Line {
    pub(in crate::check) fn new(line: UnixStream) -> io::Result<Self> {
        let (tell, heard) = mpsc::channel();
        let words = BufReader::new(line.try_clone()?);
        std::thread::spawn(move || {
            for line in words.lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line);
                if said.is_ok_and(|said: InitMessage| tell.send(said).is_err()) {
                    break;
                }
            }
        });
        Ok(Self { line, heard, kept: RefCell::default() })
    }

    /// What is said next, until `deadline`.
    pub(super) fn hear(&self, deadline: Instant) -> Option<InitMessage> {
        let kept = self.kept.borrow_mut().pop_front();
        kept.or_else(|| self.hear_next(deadline))
    }

    fn hear_next(&self, deadline: Instant) -> Option<InitMessage> {
        self.heard.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }

    pub(super) fn say(&self, asked: &InitRequest) -> Checked<()> {
        let mut text = serde_json::to_vec(asked).map_err(io::Error::from)?;
        text.push(b'\n');
        Ok((&self.line).write_all(&text)?)
    }

    /// Asks init; what the program says meanwhile is kept for the next meeting.
    pub(super) fn question(&self, asked: &InitRequest, deadline: Instant) -> Checked<String> {
        self.say(asked)?;
        loop {
            match self.hear_next(deadline) {
                Some(InitMessage::Answer(answer)) => {
                    let failed = |error| io::Error::other(format!("{asked:?}: {error}"));
                    return Ok(answer.map_err(failed)?);
                }
                Some(other) => self.kept.borrow_mut().push_back(other),
                None => return Err(io::Error::other(format!("no answer to {asked:?}")).into()),
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Init reads the end of its line, though a copy of it is still open here.
        let _ = self.line.shutdown(std::net::Shutdown::Both);
    }
}
