//! A published UDP port: datagrams of each client are passed on to the container from a socket of
//! their own, so that its answers find the client.

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout_at},
};

use super::target::Target;

/// The most clients of one port at a time; datagrams of further ones are dropped.
const MOST_CLIENTS: usize = 1024;
/// A client that has neither sent nor received anything for this long is forgotten.
const LONGEST_IDLE: Duration = Duration::from_secs(30);
/// The largest datagram, in bytes.
const LARGEST: usize = 65_535;
/// After an error of the port itself.
const PAUSE: Duration = Duration::from_millis(10);

/// A client, and the socket by which the container knows it.
struct Client {
    socket: Arc<UdpSocket>,
    /// When it last sent or received something.
    last: Arc<Mutex<Instant>>,
    task: AbortHandle,
}

/// Passes datagrams on until it is dropped. They lead to what `target` is when a client sends its
/// first one; to nothing if it is `None`.
pub(crate) async fn serve(port: &Arc<UdpSocket>, target: &Target) {
    serve_with(port, target, LONGEST_IDLE).await;
}

async fn serve_with(port: &Arc<UdpSocket>, target: &Target, longest_idle: Duration) {
    let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
    let mut answers = JoinSet::new();
    loop {
        let (datagram, from) = match receive(port).await {
            Ok(received) => received,
            Err(_) => {
                sleep(PAUSE).await;
                continue;
            }
        };
        while answers.try_join_next().is_some() {}
        clients.retain(|_, client| !client.task.is_finished());
        if !clients.contains_key(&from) {
            let Some(target) = target.get() else { continue };
            if clients.len() >= MOST_CLIENTS {
                continue;
            }
            let Ok(socket) = connected(target).await else { continue };
            let last = Arc::new(Mutex::new(Instant::now()));
            let answering = answer(
                Arc::clone(&socket),
                Arc::downgrade(port),
                from,
                Arc::clone(&last),
                longest_idle,
            );
            clients.insert(from, Client { socket, last, task: answers.spawn(answering) });
        }
        if let Some(client) = clients.get(&from) {
            touch(&client.last);
            send_now(&client.socket, &datagram);
        }
    }
}

async fn connected(target: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(target).await?;
    // Until it has been asked for once, a socket is taken to be busy.
    socket.writable().await?;
    Ok(Arc::new(socket))
}

/// Sends it, or loses it: nobody waits for a container that does not read.
fn send_now(socket: &UdpSocket, datagram: &[u8]) {
    let sent = socket.try_send(datagram);
    if sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
        // That was the answer to an earlier datagram (udp(7)).
        let _ = socket.try_send(datagram);
    }
}

/// Passes the container's answers on, until neither side has sent anything for `longest_idle`.
async fn answer(
    from_container: Arc<UdpSocket>,
    port: Weak<UdpSocket>,
    client: SocketAddr,
    last: Arc<Mutex<Instant>>,
    longest_idle: Duration,
) {
    loop {
        let end = touched(&last) + longest_idle;
        match timeout_at(end, receive(&from_container)).await {
            Ok(Ok((datagram, _))) => {
                touch(&last);
                // The port is closed when its task ends, not when this one does.
                let Some(port) = port.upgrade() else { return };
                let _ = port.send_to(&datagram, client).await;
            }
            // The container's port is closed: a later datagram may find it open.
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
            Ok(Err(_)) => return,
            Err(_) if Instant::now() < touched(&last) + longest_idle => {}
            Err(_) => return,
        }
    }
}

fn touch(last: &Mutex<Instant>) {
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

fn touched(last: &Mutex<Instant>) -> Instant {
    *last.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next datagram. Only while it is copied there is a buffer of the largest size.
async fn receive(socket: &UdpSocket) -> io::Result<(Vec<u8>, SocketAddr)> {
    loop {
        socket.readable().await?;
        match receive_now(socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            received => return received,
        }
    }
}

fn receive_now(socket: &UdpSocket) -> io::Result<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; LARGEST];
    let (length, from) = socket.try_recv_from(&mut buffer)?;
    Ok((buffer[..length].to_vec(), from))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn socket() -> (Arc<UdpSocket>, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        (Arc::new(socket), address)
    }

    /// A server that answers each datagram with itself and the client's port.
    async fn echo() -> SocketAddr {
        let (server, address) = socket().await;
        tokio::spawn(async move {
            while let Ok((datagram, from)) = receive(&server).await {
                let answer = [&datagram[..], format!(" {}", from.port()).as_bytes()].concat();
                let _ = server.send_to(&answer, from).await;
            }
        });
        address
    }

    async fn proxy(target: SocketAddr, longest_idle: Duration) -> SocketAddr {
        let (port, address) = socket().await;
        let target = Target::fixed(Some(target));
        tokio::spawn(async move { serve_with(&port, &target, longest_idle).await });
        address
    }

    async fn ask(client: &UdpSocket, proxy: SocketAddr, text: &str) -> String {
        client.send_to(text.as_bytes(), proxy).await.unwrap();
        let received = tokio::time::timeout(Duration::from_secs(5), receive(client)).await;
        let (datagram, from) = received.expect("an answer").unwrap();
        assert_eq!(from, proxy);
        String::from_utf8(datagram).unwrap()
    }

    #[tokio::test]
    async fn each_client_gets_its_own_answers() {
        let proxy = proxy(echo().await, LONGEST_IDLE).await;
        let ((one, _), (other, _)) = (socket().await, socket().await);
        let first = ask(&one, proxy, "a").await;
        let second = ask(&other, proxy, "b").await;
        assert!(first.starts_with("a ") && second.starts_with("b "));
        assert_ne!(first[2..], second[2..]);
        assert_eq!(ask(&one, proxy, "a").await, first, "the container knows it again");
    }

    #[tokio::test]
    async fn an_idle_client_is_forgotten_and_a_busy_one_is_not() {
        let idle = Duration::from_millis(300);
        let proxy = proxy(echo().await, idle).await;
        let (client, _) = socket().await;
        let first = ask(&client, proxy, "a").await;
        for _ in 0..4 {
            sleep(idle / 3).await;
            assert_eq!(ask(&client, proxy, "a").await, first);
        }
        sleep(idle * 2).await;
        assert_ne!(ask(&client, proxy, "a").await, first);
    }

    #[tokio::test]
    async fn a_closed_port_of_the_container_is_asked_again() {
        let (_, address) = socket().await; // closed at once
        let proxy = proxy(address, LONGEST_IDLE).await;
        let (client, _) = socket().await;
        client.send_to(b"lost", proxy).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        let server = UdpSocket::bind(address).await.unwrap();
        client.send_to(b"kept", proxy).await.unwrap();
        let received = tokio::time::timeout(Duration::from_secs(5), receive(&server)).await;
        assert_eq!(received.expect("a datagram").unwrap().0, b"kept");
    }
}
