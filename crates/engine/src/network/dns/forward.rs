//! Questions for other name servers.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::message::Question;

/// The most servers that one question goes to, one after the other (resolv.conf(5), MAXNS).
const MOST_SERVERS: usize = 3;
/// How long one server is waited for.
const LONGEST: Duration = Duration::from_secs(2);
/// The largest response that is passed on in a datagram, in bytes.
const LARGEST_DATAGRAM: usize = 16 << 10;
/// The codes of a server that did not look for the name: another one may.
const NOT_TRIED: [u16; 2] = [2, 5]; // SERVFAIL, REFUSED

/// The first response to `query`, which is `question`, of one of the servers, in the same kind of
/// transport; `None` if none responds in time.
pub(crate) async fn ask(
    servers: &[IpAddr],
    port: u16,
    question: &Question,
    query: &[u8],
    is_datagram: bool,
) -> Option<Vec<u8>> {
    let mut last = None;
    for server in servers.iter().take(MOST_SERVERS) {
        let server = SocketAddr::new(*server, port);
        let response = match is_datagram {
            true => timeout(LONGEST, by_datagram(server, question, query)).await,
            false => timeout(LONGEST, by_stream(server, query)).await,
        };
        let Ok(Ok(response)) = response else { continue };
        match question.response_code(&response) {
            Some(code) if NOT_TRIED.contains(&code) => last = Some(response),
            Some(_) => return Some(response),
            None => {}
        }
    }
    last
}

async fn by_datagram(server: SocketAddr, question: &Question, query: &[u8]) -> io::Result<Vec<u8>> {
    let own: IpAddr = match server.is_ipv4() {
        true => Ipv4Addr::UNSPECIFIED.into(),
        false => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A new socket has a random port, and takes datagrams of that server only.
    let socket = UdpSocket::bind((own, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut response = vec![0; LARGEST_DATAGRAM];
    loop {
        let length = socket.recv(&mut response).await?;
        // Others are forged, or late.
        if question.response_code(&response[..length]).is_some() {
            response.truncate(length);
            return Ok(response);
        }
    }
}

async fn by_stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_message(&mut stream, query).await?;
    read_message(&mut stream).await
}

/// Writes a message to a stream: its length in two bytes, then the message (RFC 1035, 4.2.2).
pub(crate) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}

/// Reads a message of a stream.
pub(crate) async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}
