use std::sync::RwLock;

use super::*;
use crate::network::{
    fixtures::{container, network},
    state::State,
};

/// A query for the addresses of a name.
fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, kind as u8, 0, 1]);
    message
}

/// A network `net` with two containers named `web`, at 10.0.0.2 and .3, and `c0`, which asks
/// `servers` other names.
fn names(servers: &[IpAddr]) -> SharedNames {
    let mut state = State::default();
    state.networks.insert("n1".into(), network("n1", "net", false));
    for (id, name, last) in [("c2", "web", 2), ("c3", "web", 3), ("c0", "self", 4)] {
        let mut one = container(id, name, &[("n1", last, &[])]);
        one.servers = servers.to_vec();
        state.attached.insert(id.into(), one);
    }
    Arc::new(RwLock::new(NameTable::of(&state)))
}

/// Another name server: it answers every question with its own bytes, as a response without
/// records, whose id it makes wrong first.
async fn other_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut message = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut message).await {
            message[2] |= 0x80;
            message[0] ^= 0xff;
            socket.send_to(&message[..length], client).await.unwrap();
            message[0] ^= 0xff;
            socket.send_to(&message[..length], client).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut message = read_message(&mut stream).await.unwrap();
            message[2] |= 0x80;
            write_message(&mut stream, &message).await.unwrap();
        }
    });
    address
}

/// A running server, with other servers at that port of 127.0.0.1.
async fn serve(port: u16) -> SocketAddr {
    let server = Server::new(names(&["127.0.0.1".parse().unwrap()]), "c0", port);
    let server = Arc::new(server);
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(Arc::clone(&server).serve_datagrams(socket));
    tokio::spawn(server.serve_streams(listener));
    address
}

async fn ask(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(query, server).await.unwrap();
    let mut answer = vec![0; 4096];
    let received = timeout(Duration::from_secs(8), socket.recv(&mut answer)).await;
    answer.truncate(received.expect("an answer").unwrap());
    answer
}

#[tokio::test]
async fn a_name_of_two_containers_has_two_addresses_in_turn() {
    let server = serve(1).await;
    let one = ask(server, &query("web", A)).await;
    let other = ask(server, &query("WEB.net", A)).await;
    let last = |answer: &[u8]| answer[answer.len() - 1];
    assert_eq!((one[3] & 0xf, one[7], other[7]), (0, 2, 2));
    assert!(last(&one) != last(&other) && last(&one) + last(&other) == 5);
}

#[tokio::test]
async fn a_name_without_ipv6_exists_and_is_empty() {
    const AAAA: u16 = 28;
    let answer = ask(serve(1).await, &query("web", AAAA)).await;
    assert_eq!((answer[3] & 0xf, answer[7]), (0, 0));
}

#[tokio::test]
async fn an_address_has_a_name() {
    let answer = ask(serve(1).await, &query("2.0.0.10.in-addr.arpa", PTR)).await;
    assert!(answer.ends_with(b"\x03web\x03net\x00"), "{answer:?}");
}

#[tokio::test]
async fn other_names_are_asked_of_other_servers() {
    let server = serve(other_server().await.port()).await;
    let asked = query("example.org", A);
    let mut expected = asked.clone();
    expected[2] |= 0x80;
    assert_eq!(ask(server, &asked).await, expected);
    let mut stream = TcpStream::connect(server).await.unwrap();
    for (name, count) in [("example.org", 0), ("web", 2)] {
        write_message(&mut stream, &query(name, A)).await.unwrap();
        assert_eq!(read_message(&mut stream).await.unwrap()[7], count);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_failure() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = serve(silent.local_addr().unwrap().port()).await;
    let answer = ask(server, &query("example.org", A)).await;
    assert_eq!(answer[3] & 0xf, Code::ServerFailure as u8);
}

#[tokio::test]
async fn garbage_does_not_end_a_server() {
    let server = serve(1).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in [0, 1, 11, 12, 13, 100, 5000] {
        socket.send_to(&vec![0xff; length], server).await.unwrap();
        socket.send_to(&vec![0; length], server).await.unwrap();
    }
    let mut stream = TcpStream::connect(server).await.unwrap();
    write_message(&mut stream, &[0xff; 40]).await.unwrap();
    assert!(read_message(&mut stream).await.is_err(), "it is closed");
    assert_eq!(ask(server, &query("web", A)).await[7], 2);
}
