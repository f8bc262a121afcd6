//! What clients are told of the container's process, also those who connect later.

use crate::{
    buffer::Buffer,
    calls::Result,
    client::{Client, Message},
    launch::MAX_REASON,
    pages,
};

/// What is known.
pub struct Messages {
    made: Option<[u8; 4]>,
    started: Option<[u8; 4]>,
    /// Why the launcher has failed.
    reason: Buffer,
    has_failed: bool,
    exited: Option<[u8; 4]>,
}

impl Messages {
    pub fn new() -> Result<Self> {
        let reason = pages::buffer(MAX_REASON)?;
        Ok(Self { made: None, started: None, reason, has_failed: false, exited: None })
    }

    /// The process was made, and may wait.
    pub fn made(&mut self, pid: u32) {
        self.made = Some(pid.to_le_bytes());
    }

    /// The process has started.
    pub fn started(&mut self, pid: u32) {
        self.started = Some(pid.to_le_bytes());
    }

    /// Space for the reason of a failure.
    pub fn reason(&mut self) -> &mut [u8] {
        self.reason.spare()
    }

    /// The launcher has failed, with a reason of that length.
    pub fn failed(&mut self, length: usize) {
        self.reason.grow(length);
        self.has_failed = true;
    }

    /// The process has ended.
    pub fn exited(&mut self, status: u8) {
        self.exited = Some(u32::from(status).to_le_bytes());
    }

    /// The bytes of a message.
    pub fn content(&self, message: Message) -> &[u8] {
        match message {
            Message::Made => self.made.as_ref().map_or(&[], |pid| pid),
            Message::Started => self.started.as_ref().map_or(&[], |pid| pid),
            Message::Exited => self.exited.as_ref().map_or(&[], |status| status),
            _ => self.reason.filled(),
        }
    }

    /// Tells a client what has happened before it subscribed.
    pub fn catch_up(&self, client: &mut Client) {
        let known = [
            (Message::Made, self.made.is_some() && self.started.is_none()),
            (Message::Started, self.started.is_some()),
            (Message::Failed, self.has_failed),
            (Message::Exited, self.exited.is_some()),
        ];
        for (message, _) in known.into_iter().filter(|(_, is_known)| *is_known) {
            client.add(message);
        }
    }
}
