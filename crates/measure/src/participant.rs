//! Who has turns in the rounds: the sandboxes of isolab, and programs of others.

use crate::{
    Subject,
    peers::{Peer, ProgramPeer},
    session::Labelled,
};

/// A sandbox of isolab, or a peer.
pub enum Participant<'a, P> {
    /// The sandbox.
    Isolab(&'a Subject),
    /// The program of others.
    Peer(Box<P>),
}

impl<P: Labelled> Labelled for Participant<'_, P> {
    fn label(&self) -> &str {
        match self {
            Self::Isolab(subject) => subject.label(),
            Self::Peer(peer) => peer.label(),
        }
    }

    fn caveat(&self) -> Option<String> {
        match self {
            Self::Isolab(subject) => subject.caveat(),
            Self::Peer(peer) => peer.caveat(),
        }
    }
}

impl Labelled for Peer {
    fn label(&self) -> &str {
        self.name()
    }

    fn caveat(&self) -> Option<String> {
        self.caveat()
    }
}

impl Labelled for ProgramPeer {
    fn label(&self) -> &str {
        self.peer().name()
    }

    fn caveat(&self) -> Option<String> {
        self.peer().caveat()
    }
}
