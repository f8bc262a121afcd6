//! All clients.

use crate::{
    calls::{Descriptor, Polled},
    client::{Client, Message, NoRequest, Request},
    input::Input,
    messages::Messages,
    output::Output,
    setup,
};

/// The most clients at once.
pub const CLIENTS: usize = 32;

/// All clients; each has a position that it keeps.
pub struct Clients([Option<Client>; CLIENTS]);

impl Clients {
    pub fn new() -> Self {
        Self([const { None }; CLIENTS])
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Client> {
        self.0.iter_mut().flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Accepts all who have connected; refuses those for whom there is no space.
    pub fn accept(&mut self, socket: &Descriptor) {
        while let Ok(connection) = setup::accept(socket) {
            if let Some(free) = self.0.iter_mut().find(|client| client.is_none()) {
                *free = Some(Client::new(connection));
            }
        }
    }

    /// Tells everyone who wants to know.
    pub fn tell(&mut self, message: Message) {
        for client in self.all().filter(|client| client.wants(message)) {
            client.add(message);
        }
    }

    /// Whether someone was not told this completely.
    pub fn is_pending(&self, message: Message) -> bool {
        self.0.iter().flatten().any(|client| client.is_pending(message))
    }

    /// Whether someone was not told everything.
    pub fn is_behind(&self) -> bool {
        self.0.iter().flatten().any(Client::is_behind)
    }

    /// Closes the connections of those who were not told everything.
    pub fn drop_those_behind(&mut self, input: &mut Input) {
        for client in &mut self.0 {
            if let Some(slow) = client
                && slow.is_behind()
            {
                slow.end(input);
                *client = None;
            }
        }
    }

    /// Sends what they are to be told, as far as they take it. Returns whether anyone has taken any.
    pub fn send(&mut self, messages: &Messages, outputs: &[Output; 2]) -> bool {
        let mut has_progress = false;
        for client in self.all().filter(|client| client.is_behind()) {
            let sent = client.send(|message| match message {
                Message::Stdout => outputs[0].chunk(),
                Message::Stderr => outputs[1].chunk(),
                other => messages.content(other),
            });
            match sent {
                Ok(progress) => has_progress |= progress,
                Err(_) => client.stop_sending(),
            }
        }
        has_progress
    }

    /// Receives what is there from everyone who is ready, or from `all`, and gives each request to
    /// `handle`, with the client.
    pub fn receive(
        &mut self,
        polled: &[Polled],
        all: bool,
        input: &mut Input,
        mut handle: impl FnMut(&mut Client, Request),
    ) {
        for (slot, polled) in self.0.iter_mut().zip(polled) {
            let Some(client) = slot.as_mut().filter(|_| all || polled.is_ready()) else { continue };
            match client.receive(input) {
                Ok(request) => handle(client, request),
                Err(NoRequest::Incomplete | NoRequest::EndOfFile) => {}
                Err(NoRequest::Malformed) => {
                    client.end(input);
                    *slot = None;
                    continue;
                }
            }
            if client.has_left(*polled) {
                *slot = None;
            }
        }
    }

    /// What to wait for.
    pub fn poll(&self, polled: &mut [Polled], input: &Input) {
        for (polled, client) in polled.iter_mut().zip(&self.0) {
            *polled = client.as_ref().map_or(Polled::NONE, |client| client.polled(input));
        }
    }
}
