//! The sockets of a container's resolver, and what it answers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    forward::{self, read_message, write_message},
    message::{A, Code, Data, IN, Invalid, PTR, Question},
};
use crate::network::names::NameTable;

/// How long an answer may be kept by clients, in seconds: a container that is started again may have
/// another address.
const TTL: u32 = 60;
/// The most questions of one container that wait for other servers at a time.
const MOST_FORWARDED: usize = 256;
/// The most streams of one container at a time.
const MOST_STREAMS: usize = 32;
/// A stream without a question for this long is closed.
const LONGEST_IDLE: Duration = Duration::from_secs(10);
/// The largest question in a datagram, in bytes.
const LARGEST_QUERY: usize = 4096;
/// After an error of the socket itself.
const PAUSE: Duration = Duration::from_millis(10);

/// The names of all containers, which change while resolvers run.
pub(crate) type SharedNames = Arc<RwLock<NameTable>>;

/// What the tasks of a resolver share.
pub(crate) struct Server {
    names: SharedNames,
    container: String,
    /// The port of other servers.
    port: u16,
    forwarding: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Which of several addresses comes first in the next answer.
    turn: AtomicUsize,
}

impl Server {
    /// That of the container `container`, which asks other servers at their port `port`.
    pub(crate) fn new(names: SharedNames, container: &str, port: u16) -> Self {
        Self {
            names,
            container: container.to_owned(),
            port,
            forwarding: Arc::new(Semaphore::new(MOST_FORWARDED)),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            turn: AtomicUsize::new(0),
        }
    }

    /// Answers datagrams until it is dropped.
    pub(crate) async fn serve_datagrams(self: Arc<Self>, socket: Arc<UdpSocket>) {
        let mut waiting = JoinSet::new();
        let mut query = vec![0; LARGEST_QUERY];
        loop {
            let Ok((length, client)) = socket.recv_from(&mut query).await else {
                sleep(PAUSE).await;
                continue;
            };
            while waiting.try_join_next().is_some() {}
            let query = &query[..length];
            match self.answer(query, true) {
                Answer::Message(answer) => send(&socket, &answer, client).await,
                Answer::None => {}
                Answer::Others(question) => {
                    let Ok(permit) = Arc::clone(&self.forwarding).try_acquire_owned() else {
                        let answer = question.respond(Code::ServerFailure, &[], 0, true);
                        send(&socket, &answer, client).await;
                        continue;
                    };
                    let (server, socket, query) =
                        (Arc::clone(&self), Arc::clone(&socket), query.to_vec());
                    waiting.spawn(async move {
                        let _permit = permit;
                        let answer = server.ask_others(&question, &query, true).await;
                        send(&socket, &answer, client).await;
                    });
                }
            }
        }
    }

    /// Answers questions in streams until it is dropped.
    pub(crate) async fn serve_streams(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let Ok(permit) = Arc::clone(&self.streams).acquire_owned().await else { return };
            while connections.try_join_next().is_some() {}
            let Ok((stream, _)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let server = Arc::clone(&self);
            connections.spawn(async move {
                let _permit = permit;
                server.serve_stream(stream).await;
            });
        }
    }

    /// Answers one question after the other, until the client ends or is idle.
    async fn serve_stream(&self, mut stream: TcpStream) {
        while let Ok(Ok(query)) = timeout(LONGEST_IDLE, read_message(&mut stream)).await {
            let answer = match self.answer(&query, false) {
                Answer::Message(answer) => answer,
                Answer::None => return,
                Answer::Others(question) => self.ask_others(&question, &query, false).await,
            };
            match timeout(LONGEST_IDLE, write_message(&mut stream, &answer)).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
    }

    /// What is known without other servers.
    fn answer(&self, query: &[u8], is_datagram: bool) -> Answer {
        let question = match Question::parse(query) {
            Ok(question) => question,
            Err(Invalid::Ignored) => return Answer::None,
            Err(Invalid::Answered(answer)) => return Answer::Message(answer.to_vec()),
        };
        if question.class != IN {
            return Answer::Others(question);
        }
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let answer = |data: &[Data<'_>]| {
            Answer::Message(question.respond(Code::NoError, data, TTL, is_datagram))
        };
        if question.kind == PTR {
            let address = question.reverse_address();
            let name = address.and_then(|address| names.name(&self.container, address));
            return match name {
                Some(name) => answer(&[Data::Name(name)]),
                None => Answer::Others(question),
            };
        }
        let name = question.name().unwrap_or_default();
        match names.addresses(&self.container, &name) {
            [] => Answer::Others(question),
            addresses if question.kind == A => {
                let mut data: Vec<_> = addresses.iter().copied().map(Data::Address).collect();
                data.rotate_left(self.turn.fetch_add(1, Relaxed) % addresses.len());
                answer(&data)
            }
            // The name exists, and has no records of other types.
            _ => answer(&[]),
        }
    }

    async fn ask_others(&self, question: &Question, query: &[u8], is_datagram: bool) -> Vec<u8> {
        let servers = self.other_servers();
        let answer = forward::ask(&servers, self.port, question, query, is_datagram).await;
        answer.unwrap_or_else(|| question.respond(Code::ServerFailure, &[], 0, is_datagram))
    }

    fn other_servers(&self) -> Vec<IpAddr> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.servers(&self.container)
    }
}

async fn send(socket: &UdpSocket, answer: &[u8], client: SocketAddr) {
    let _ = socket.send_to(answer, client).await; // who has gone does not wait
}

/// What becomes of a message.
enum Answer {
    Message(Vec<u8>),
    None,
    /// Other servers are asked.
    Others(Question),
}

#[cfg(test)]
mod tests;
