//! A published TCP port: each connection to it is passed on to the container.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use nix::sys::socket::{setsockopt, sockopt::KeepAlive};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::target::Target;

/// The most connections of one port at a time; further clients wait in the kernel's queue. Each
/// takes two descriptors and two buffers of 8 KiB.
const MOST_CONNECTIONS: usize = 4096;
/// A container that does not answer.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// After a connection that could not be accepted, usually for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until it is dropped, and with it all connections. They lead to what `target`
/// is at their beginning; to nothing if it is `None`.
pub(crate) async fn serve(listener: &TcpListener, target: &Target) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        // Those that have ended are forgotten.
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                let target = target.get();
                connections.spawn(async move {
                    let _permit = permit;
                    if let Some(target) = target {
                        pass_on(client, target).await;
                    }
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Copies both ways. The end of one direction is passed on, and the other one continues; an error
/// ends both.
async fn pass_on(mut client: TcpStream, target: SocketAddr) {
    let Ok(Ok(mut server)) = timeout(LONGEST_CONNECT, TcpStream::connect(target)).await else {
        return;
    };
    for stream in [&client, &server] {
        // A host that is gone without a word does not keep a connection forever (tcp(7)).
        let _ = setsockopt(stream, KeepAlive, &true);
        let _ = stream.set_nodelay(true);
    }
    let _ = copy_bidirectional(&mut client, &mut server).await; // both ends see it
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        task::JoinHandle,
    };

    use super::*;

    /// A proxy to `target`, and its address.
    async fn proxy(target: Option<SocketAddr>) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Target::fixed(target);
        (address, tokio::spawn(async move { serve(&listener, &target).await }))
    }

    #[tokio::test]
    async fn an_end_of_input_is_passed_on_and_the_answer_comes_back() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, _proxy) = proxy(Some(server.local_addr().unwrap())).await;
        let serving = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut text = Vec::new();
            // It ends only because the client has shut down its half.
            stream.read_to_end(&mut text).await.unwrap();
            text.reverse();
            stream.write_all(&text).await.unwrap();
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        let sent: Vec<u8> = (0..1_000_000u32).map(|number| number as u8).collect();
        let (mut reader, mut writer) = client.split();
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer).await.unwrap();
        assert!(answer.iter().rev().eq(&sent));
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn without_a_container_the_client_sees_the_end() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for target in [None, Some(nobody)] {
            let (address, _proxy) = proxy(target).await;
            let mut client = TcpStream::connect(address).await.unwrap();
            assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
        }
    }

    #[tokio::test]
    async fn the_end_of_the_proxy_is_the_end_of_its_connections() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, proxy) = proxy(Some(server.local_addr().unwrap())).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (_stream, _) = server.accept().await.unwrap();
        proxy.abort();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
    }
}
