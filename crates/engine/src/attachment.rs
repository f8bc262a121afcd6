//! A client that is attached to a container: its connection on one side, the supervisor on the other.
//!
//! Without a terminal, output is framed: eight bytes with the number of the stream and a length before
//! each piece (Docker Engine API, "Stream format"). Input is never framed.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use crate::{
    supervisor::{Connection, Message},
    watch::{ConnectionNumber, Meter, StreamName, Watch},
};

/// How much input is taken at once.
const PIECE: usize = 16 << 10;

/// How a client is attached.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// Whether its output is raw, because there is a terminal.
    pub(crate) tty: bool,
    /// Whether its input is the container's.
    pub(crate) stdin: bool,
    /// The keys that detach it.
    pub(crate) keys: Vec<u8>,
    /// What it gets first.
    pub(crate) first: Option<mpsc::Receiver<Bytes>>,
    /// Who counts its bytes.
    pub(crate) meters: Meters,
}

/// The meters of an attached client's streams.
#[derive(Debug)]
pub(crate) struct Meters {
    stdin: Meter,
    stdout: Meter,
    stderr: Meter,
}

impl Meters {
    /// Those of a client of `container`. What it types at a terminal is only counted: passwords are
    /// typed there, and the terminal's output repeats the rest.
    pub(crate) fn new(
        watch: &Arc<Watch>,
        connection: Option<ConnectionNumber>,
        container: &str,
        tty: bool,
    ) -> Self {
        let at = || (connection.map(|number| number.0), Some(container.to_owned()));
        let meter = |stream, is_shown| Meter::new(watch, at(), stream, is_shown);
        Self {
            stdin: meter(StreamName::Stdin, !tty),
            stdout: meter(StreamName::Stdout, true),
            stderr: meter(StreamName::Stderr, true),
        }
    }
}

/// The stream of a client.
pub(crate) type Client = TokioIo<Upgraded>;

/// The stream of a client to which the head of the response has been sent; `None` if it has gone.
pub(crate) async fn accepted(upgrade: OnUpgrade) -> Option<Client> {
    upgrade.await.ok().map(TokioIo::new)
}

/// Ready when the head of a response has surely been read. Some clients (docker-py) read it through a
/// buffer and what follows from the socket: what came together with the head would be lost.
pub(crate) async fn head_is_read() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// Serves the client until the process has ended, or one of the two is gone. `exited` has the exit
/// code before the client has the end of its stream.
pub(crate) async fn serve(
    client: Client,
    connection: Connection,
    attachment: Attachment,
    exited: impl FnOnce(u32),
) {
    let (mut client, mut to_client) = tokio::io::split(client);
    if send_first(&mut to_client, attachment.first).await.is_err() {
        return;
    }
    let (mut output, mut input) = connection.split();
    let Meters { mut stdin, mut stdout, mut stderr } = attachment.meters;
    let incoming = async {
        let mut keys = DetachKeys::new(&attachment.keys);
        let mut piece = vec![0; PIECE];
        loop {
            let length = match client.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) => length,
            };
            if !attachment.stdin {
                continue;
            }
            stdin.count(&piece[..length]);
            let (kept, detached) = match attachment.tty {
                true => keys.filter(&piece[..length]),
                false => (piece[..length].to_vec(), false),
            };
            if !kept.is_empty() && input.input(&kept).await.is_err() {
                break;
            }
            if detached {
                return true;
            }
        }
        // End of file: the client has no more input, and still reads.
        if attachment.stdin {
            let _ = input.close_input().await;
        }
        false
    };
    let outgoing = async {
        while let Ok(Some(message)) = output.next().await {
            let sent = match message {
                Message::Stdout(bytes) => {
                    stdout.count(&bytes);
                    send(&mut to_client, 1, &bytes, attachment.tty).await
                }
                Message::Stderr(bytes) => {
                    stderr.count(&bytes);
                    send(&mut to_client, 2, &bytes, attachment.tty).await
                }
                Message::Exited(code) => {
                    exited(code);
                    break;
                }
                Message::Failed(_) => break,
                Message::Made(_) | Message::Started(_) => Ok(()),
            };
            if sent.is_err() {
                break;
            }
        }
        let _ = to_client.shutdown().await;
    };
    let mut outgoing = std::pin::pin!(outgoing);
    tokio::select! {
        detached = incoming => {
            if !detached {
                outgoing.await;
            }
        }
        () = &mut outgoing => {}
    }
}

/// Gives the client only what it gets first.
pub(crate) async fn serve_first(mut client: Client, attachment: Attachment) {
    if send_first(&mut client, attachment.first).await.is_err() {
        return;
    }
    let _ = client.shutdown().await;
}

/// Sends what comes first, as fast as the client takes it.
async fn send_first(
    to: &mut (impl AsyncWrite + Unpin),
    first: Option<mpsc::Receiver<Bytes>>,
) -> std::io::Result<()> {
    let Some(mut pieces) = first else { return Ok(()) };
    while let Some(piece) = pieces.recv().await {
        to.write_all(&piece).await?;
    }
    Ok(())
}

/// A frame's head: the stream and the length.
pub(crate) fn head(stream: u8, length: usize) -> [u8; 8] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [stream, 0, 0, 0, a, b, c, d]
}

async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    stream: u8,
    bytes: &[u8],
    raw: bool,
) -> std::io::Result<()> {
    if !raw {
        to.write_all(&head(stream, bytes.len())).await?;
    }
    to.write_all(bytes).await
}

/// What a detached client pressed: `ctrl-p,ctrl-q` unless it says otherwise.
const USUAL: &str = "ctrl-p,ctrl-q";

/// The bytes of a sequence such as `ctrl-p,ctrl-q` or `a,ctrl-]`; `None` if it is none.
pub(crate) fn keys(text: Option<&str>) -> Option<Vec<u8>> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or(USUAL);
    let key = |word: &str| match word.strip_prefix("ctrl-") {
        Some(letter) => match letter.as_bytes() {
            [byte @ b'a'..=b'z'] => Some(byte - b'a' + 1),
            [byte @ b'@'..=b'_'] => Some(byte - b'@'),
            _ => None,
        },
        None => word.as_bytes().first().copied().filter(|_| word.len() == 1),
    };
    text.split(',').map(key).collect()
}

/// Finds the sequence in a client's input, also across pieces.
struct DetachKeys<'a> {
    keys: &'a [u8],
    matched: usize,
}

impl<'a> DetachKeys<'a> {
    fn new(keys: &'a [u8]) -> Self {
        Self { keys, matched: 0 }
    }

    /// What is to be passed on, and whether the sequence is complete.
    fn filter(&mut self, piece: &[u8]) -> (Vec<u8>, bool) {
        let mut kept = Vec::with_capacity(piece.len());
        for byte in piece {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (kept, true);
                }
                continue;
            }
            // It was not the sequence: what was held back is passed on.
            kept.extend_from_slice(&self.keys[..std::mem::take(&mut self.matched)]);
            match self.keys.first() == Some(byte) && self.keys.len() > 1 {
                true => self.matched = 1,
                false => kept.push(*byte),
            }
        }
        (kept, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_with_or_without_control() {
        assert_eq!(keys(None), Some(vec![16, 17]));
        assert_eq!(keys(Some("a,ctrl-]")), Some(vec![b'a', 29]));
        for bad in ["ctrl-", "ctrl-aa", "ab", "a,,b"] {
            assert_eq!(keys(Some(bad)), None, "{bad}");
        }
    }

    #[test]
    fn the_sequence_is_found_across_pieces_and_the_rest_is_passed_on() {
        let sequence = [16, 17];
        let mut keys = DetachKeys::new(&sequence);
        assert_eq!(keys.filter(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(keys.filter(b"c"), (b"\x10c".to_vec(), false));
        assert_eq!(keys.filter(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.filter(b"\x11x"), (Vec::new(), true));
    }
}
