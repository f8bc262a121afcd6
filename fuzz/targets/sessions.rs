//! A session in a Linux guest, between two who are mistrusted: the frames of a hostile guest, and
//! those of a client who keeps to nothing.
#![no_main]

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use arbitrary::Arbitrary;
use guest::frames::{self, HEADER, Header, Kind, PAYLOAD};
use libfuzzer_sys::fuzz_target;
use microvm::linux::monitor::{Client, Sessions, deliver};
use nix::poll::PollFlags;

/// What somebody says.
#[derive(Debug, Arbitrary)]
enum Text<'a> {
    /// A frame of that kind, if there is one: of the session that there is, or of any.
    Frame {
        kind: u8,
        argument: u8,
        other_session: Option<u16>,
        payload: &'a [u8],
    },
    Bytes(&'a [u8]),
}

/// What is done next.
#[derive(Debug, Arbitrary)]
enum Act<'a> {
    Guest(Text<'a>),
    Client(Text<'a>),
    /// A signal for the command.
    Signal(u8),
    /// The launcher asks for a point to freeze at.
    Freeze,
    /// Another client opens a session.
    Open,
    /// The guest reads, or the client does.
    GuestReads,
    ClientReads,
}

impl Text<'_> {
    fn to_bytes(&self, session: u16) -> Vec<u8> {
        match *self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Frame { kind, argument, other_session, payload } => {
                let payload = &payload[..payload.len().min(PAYLOAD)];
                let session = other_session.unwrap_or(session).to_le_bytes();
                let length = (payload.len() as u32).to_le_bytes();
                [&[kind % 16, argument], &session[..], &length, payload].concat()
            }
        }
    }
}

/// Sends bytes to one who may not take them.
fn send(mut stream: &UnixStream, bytes: &[u8]) {
    let _ = stream.write(bytes);
}

/// What there is to read.
fn receive(mut stream: &UnixStream, into: &mut Vec<u8>) {
    let mut piece = [0; HEADER + PAYLOAD];
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        into.extend_from_slice(&piece[..count]);
    }
}

/// Takes whole frames off `bytes`, all of which have to be some.
fn take(bytes: &mut Vec<u8>, mut see: impl FnMut(Header)) {
    loop {
        let (header, length) = match frames::first(bytes).expect("isolab sends frames") {
            Some((header, payload)) => (header, HEADER + payload.len()),
            None => return,
        };
        see(header);
        bytes.drain(..length);
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().expect("two descriptors more");
    for stream in [&one, &other] {
        stream.set_nonblocking(true).expect("it is open");
    }
    (one, other)
}

fuzz_target!(|acts: Vec<Act<'_>>| {
    let ((channel, guest), (stream, client)) = (pair(), pair());
    let mut sessions = Sessions::over(Some(channel));
    let session = sessions.open().expect("it is the first");
    let mut clients = vec![Client::with_session(stream, session)];
    let (mut to_guest, mut to_client) = (Vec::new(), Vec::new());
    // Of each stream: frames that came, and how often the client said that it has taken one.
    let (mut outputs, mut taken) = ([0; 2], [0; 2]);
    for act in acts {
        match act {
            Act::Guest(text) => send(&guest, &text.to_bytes(session)),
            Act::Client(text) => {
                let bytes = text.to_bytes(session);
                // What it says in pieces is counted as if each could be one.
                for stream in 0..2 {
                    let says = |pair: &[u8]| pair == [Kind::Taken as u8, stream as u8 + 1];
                    taken[stream] += bytes.windows(2).filter(|pair| says(pair)).count() + 1;
                }
                send(&client, &bytes);
            }
            Act::Signal(number) => sessions.signal_command(number),
            Act::Freeze => drop(sessions.ask_to_freeze()),
            Act::Open => drop(sessions.open()),
            Act::GuestReads => receive(&guest, &mut to_guest),
            Act::ClientReads => receive(&client, &mut to_client),
        }
        if sessions.are_open() {
            deliver(&mut sessions, &mut clients);
        }
        for one in &mut clients {
            let has_room = sessions.have_room();
            one.receive(PollFlags::POLLIN, has_room);
            one.forward(&mut sessions);
        }
        clients.retain_mut(|one| {
            let stays = one.send();
            if !stays && let Some(number) = one.session() {
                sessions.close(number);
            }
            stays
        });
        sessions.flush();
        take(&mut to_guest, |header| {
            use Kind::{Close, Freeze, Input, Signal, Start, Taken, Window, Words};
            match header.session {
                0 => assert!(matches!(header.kind, Signal | Freeze), "{header:?}"),
                _ => assert!(
                    matches!(header.kind, Close | Input | Signal | Start | Taken | Window | Words),
                    "{header:?}"
                ),
            }
        });
        take(&mut to_client, |header| {
            use Kind::{Exited, Failed, Heard, Output, Signaled, Started, Taken};
            assert_eq!(header.session, session);
            match header.kind {
                Output => outputs[usize::from(header.argument) - 1] += 1,
                Exited | Failed | Heard | Signaled | Started | Taken => {}
                kind => panic!("{kind:?} is none for a client"),
            }
        });
        for (came, taken) in outputs.iter().zip(&taken) {
            assert!(*came <= taken + 1, "more than the client has taken");
        }
    }
});
