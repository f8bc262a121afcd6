//! How many clients are served at once, and which of them must make room.
//!
//! Everybody on this machine can connect, and a client that has not shown the token yet costs a
//! thread. So the number of those is small, and a new one replaces the one that has been idle
//! longest: a browser sends its request at once, so it is never that one. A client that has shown the
//! token never makes room for one that has not.

use std::{
    io,
    net::{IpAddr, Shutdown, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Enough for a class of a hundred; more get "503 Service Unavailable".
pub(super) const MOST_CLIENTS: usize = 128;
/// The limit for clients without the token, per address.
const MOST_UNAUTHENTICATED_PER_ADDRESS: usize = 16;
/// The same from all addresses.
const MOST_UNAUTHENTICATED: usize = 32;
/// A client that has read nothing for this long is gone: something is sent every five seconds.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not shown the token yet.
    Unauthenticated,
    /// It has, and receives pictures.
    Authenticated,
}

struct Client {
    number: u64,
    address: IpAddr,
    state: State,
    /// When it connected, or last read something.
    active: Instant,
    /// For closing it.
    connection: TcpStream,
}

/// Who is being served.
#[derive(Default)]
pub(super) struct Clients(Mutex<(u64, Vec<Client>)>);

/// An admitted client; dropping it releases its slot.
pub(super) struct Slot {
    clients: Arc<Clients>,
    number: u64,
}

impl Clients {
    /// Admits a client that has just connected, and disconnects another one if it must make room.
    pub(super) fn admit(self: &Arc<Self>, connection: &TcpStream) -> io::Result<Slot> {
        let address = connection.peer_addr()?.ip();
        let connection = connection.try_clone()?;
        let mut table = self.table();
        let (last, clients) = &mut *table;
        let asking = |client: &Client| client.state == State::Unauthenticated;
        let neighbour = |client: &Client| asking(client) && client.address == address;
        if clients.iter().filter(|client| neighbour(client)).count()
            >= MOST_UNAUTHENTICATED_PER_ADDRESS
        {
            hang_up(clients, neighbour);
        } else if clients.iter().filter(|client| asking(client)).count() >= MOST_UNAUTHENTICATED {
            hang_up(clients, asking);
        }
        *last += 1;
        let (number, state, active) = (*last, State::Unauthenticated, Instant::now());
        clients.push(Client { number, address, state, active, connection });
        drop(table);
        Ok(Slot { clients: Arc::clone(self), number })
    }

    fn table(&self) -> MutexGuard<'_, (u64, Vec<Client>)> {
        // Nothing that is done to the table can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the connection of the one of `those` that has been idle longest. Its thread notices that.
fn hang_up(clients: &mut Vec<Client>, those: impl Fn(&Client) -> bool) {
    let candidates = clients.iter().enumerate().filter(|(_, client)| those(client));
    let idle = candidates.min_by_key(|(_, client)| client.active).map(|(index, _)| index);
    if let Some(index) = idle {
        let _ = clients.swap_remove(index).connection.shutdown(Shutdown::Both);
    }
}

impl Slot {
    /// Marks the client as one that has shown the token; false if there are too many of those.
    pub(super) fn authenticate(&self) -> bool {
        let mut table = self.clients.table();
        let clients = &mut table.1;
        let looking = |client: &Client| client.state == State::Authenticated;
        if clients.iter().filter(|client| looking(client)).count() >= MOST_CLIENTS {
            hang_up(clients, |client| looking(client) && client.active.elapsed() >= IDLE);
        }
        let room = clients.iter().filter(|client| looking(client)).count() < MOST_CLIENTS;
        let own = clients.iter_mut().find(|client| client.number == self.number);
        own.filter(|_| room).map(|own| own.state = State::Authenticated).is_some()
    }

    /// Notes that it has read what it was sent.
    pub(super) fn touch(&self) {
        let mut table = self.clients.table();
        if let Some(own) = table.1.iter_mut().find(|client| client.number == self.number) {
            own.active = Instant::now();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.clients.table().1.retain(|client| client.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpListener};

    use super::*;

    struct Listener(TcpListener);

    impl Listener {
        fn new() -> Self {
            Self(TcpListener::bind("127.0.0.1:0").unwrap())
        }

        /// Our end of a new connection, and theirs.
        fn connect(&self) -> (TcpStream, TcpStream) {
            let theirs = TcpStream::connect(self.0.local_addr().unwrap()).unwrap();
            (self.0.accept().unwrap().0, theirs)
        }
    }

    fn is_hung_up(mut theirs: &TcpStream) -> bool {
        theirs.set_nonblocking(true).unwrap();
        !theirs.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn who_dawdles_makes_room_and_who_looks_on_does_not() {
        let (listener, clients) = (Listener::new(), Arc::new(Clients::default()));
        let (ours, looking) = listener.connect();
        let slot = clients.admit(&ours).unwrap();
        assert!(slot.authenticate());
        let asking: Vec<_> = (0..200).map(|_| listener.connect()).collect();
        let slots: Vec<_> = asking.iter().map(|(ours, _)| clients.admit(ours).unwrap()).collect();
        let open = asking.iter().filter(|(_, theirs)| !is_hung_up(theirs)).count();
        assert_eq!(open, MOST_UNAUTHENTICATED_PER_ADDRESS);
        assert!(!is_hung_up(&looking) && !is_hung_up(&asking[199].1));
        // Those that were hung up on cannot come back.
        assert!(!slots[0].authenticate() && slots[199].authenticate());
        drop((slot, slots));
        assert_eq!(clients.table().1.len(), 0);
    }

    #[test]
    fn only_one_that_takes_nothing_makes_room_for_another_that_looks_on() {
        let (listener, clients) = (Listener::new(), Arc::new(Clients::default()));
        let looking: Vec<_> = (0..=MOST_CLIENTS).map(|_| listener.connect()).collect();
        let sit = |(ours, _): &(TcpStream, TcpStream)| {
            let slot = clients.admit(ours).unwrap();
            (slot.authenticate(), slot)
        };
        let mut slots: Vec<_> = looking.iter().map(sit).collect();
        assert!(
            !slots[MOST_CLIENTS].0 && slots[..MOST_CLIENTS].iter().all(|(admitted, _)| *admitted)
        );
        clients.table().1[5].active -= IDLE;
        slots[6].1.touch();
        assert!(slots.pop().unwrap().1.authenticate());
        let gone: Vec<usize> = (0..MOST_CLIENTS).filter(|at| is_hung_up(&looking[*at].1)).collect();
        assert_eq!(gone, [5]);
    }
}
