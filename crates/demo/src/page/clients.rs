//! How many are served at once, and who makes room.
//!
//! Everybody on this machine can connect, and those who have not shown the token yet cost us a
//! thread each. So they have few places, and a new one takes the place of the one that has dawdled
//! longest: a browser asks at once, and is past that before it is its turn. Who has shown the token
//! makes room for nobody without it.

use std::{
    io,
    net::{IpAddr, Shutdown, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A class of a hundred looks on; more are told to come later.
pub(super) const MOST_CLIENTS: usize = 128;
/// Of those who have not shown the token, from one address.
const MOST_ASKING_PER_ADDRESS: usize = 16;
/// And from all.
const MOST_ASKING: usize = 32;
/// Who has taken nothing for so long is as good as gone. Something is sent every five seconds.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not shown the token yet.
    Asking,
    /// It has, and looks on.
    Looking,
}

struct Client {
    number: u64,
    address: IpAddr,
    state: State,
    /// When it came, or last took something.
    active: Instant,
    /// For hanging up.
    connection: TcpStream,
}

/// Who is being served.
#[derive(Default)]
pub(super) struct Clients(Mutex<(u64, Vec<Client>)>);

/// A client's place, until it is dropped.
pub(super) struct Seat {
    clients: Arc<Clients>,
    number: u64,
}

impl Clients {
    /// A place for one that has just connected; whoever has to make room for it is hung up on.
    pub(super) fn admit(self: &Arc<Self>, connection: &TcpStream) -> io::Result<Seat> {
        let address = connection.peer_addr()?.ip();
        let connection = connection.try_clone()?;
        let mut table = self.table();
        let (last, clients) = &mut *table;
        let asking = |client: &Client| client.state == State::Asking;
        let neighbour = |client: &Client| asking(client) && client.address == address;
        if clients.iter().filter(|client| neighbour(client)).count() >= MOST_ASKING_PER_ADDRESS {
            hang_up(clients, neighbour);
        } else if clients.iter().filter(|client| asking(client)).count() >= MOST_ASKING {
            hang_up(clients, asking);
        }
        *last += 1;
        let (number, state, active) = (*last, State::Asking, Instant::now());
        clients.push(Client { number, address, state, active, connection });
        drop(table);
        Ok(Seat { clients: Arc::clone(self), number })
    }

    fn table(&self) -> MutexGuard<'_, (u64, Vec<Client>)> {
        // Nothing that is done to the table can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the connection of the one of `those` that has been idle longest. Its thread finds out.
fn hang_up(clients: &mut Vec<Client>, those: impl Fn(&Client) -> bool) {
    let candidates = clients.iter().enumerate().filter(|(_, client)| those(client));
    let idle = candidates.min_by_key(|(_, client)| client.active).map(|(index, _)| index);
    if let Some(index) = idle {
        let _ = clients.swap_remove(index).connection.shutdown(Shutdown::Both);
    }
}

impl Seat {
    /// It has shown the token, and looks on for longer; whether there is room for that.
    pub(super) fn stays(&self) -> bool {
        let mut table = self.clients.table();
        let clients = &mut table.1;
        let looking = |client: &Client| client.state == State::Looking;
        if clients.iter().filter(|client| looking(client)).count() >= MOST_CLIENTS {
            hang_up(clients, |client| looking(client) && client.active.elapsed() >= IDLE);
        }
        let room = clients.iter().filter(|client| looking(client)).count() < MOST_CLIENTS;
        let own = clients.iter_mut().find(|client| client.number == self.number);
        own.filter(|_| room).map(|own| own.state = State::Looking).is_some()
    }

    /// It has taken what it was sent.
    pub(super) fn took(&self) {
        let mut table = self.clients.table();
        if let Some(own) = table.1.iter_mut().find(|client| client.number == self.number) {
            own.active = Instant::now();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.clients.table().1.retain(|client| client.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpListener};

    use super::*;

    struct Door(TcpListener);

    impl Door {
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
        let (door, clients) = (Door::new(), Arc::new(Clients::default()));
        let (ours, looking) = door.connect();
        let seat = clients.admit(&ours).unwrap();
        assert!(seat.stays());
        let asking: Vec<_> = (0..200).map(|_| door.connect()).collect();
        let seats: Vec<_> = asking.iter().map(|(ours, _)| clients.admit(ours).unwrap()).collect();
        let open = asking.iter().filter(|(_, theirs)| !is_hung_up(theirs)).count();
        assert_eq!(open, MOST_ASKING_PER_ADDRESS);
        assert!(!is_hung_up(&looking) && !is_hung_up(&asking[199].1));
        // Those that were hung up on cannot come back.
        assert!(!seats[0].stays() && seats[199].stays());
        drop((seat, seats));
        assert_eq!(clients.table().1.len(), 0);
    }

    #[test]
    fn only_one_that_takes_nothing_makes_room_for_another_that_looks_on() {
        let (door, clients) = (Door::new(), Arc::new(Clients::default()));
        let looking: Vec<_> = (0..=MOST_CLIENTS).map(|_| door.connect()).collect();
        let sit = |(ours, _): &(TcpStream, TcpStream)| {
            let seat = clients.admit(ours).unwrap();
            (seat.stays(), seat)
        };
        let mut seats: Vec<_> = looking.iter().map(sit).collect();
        assert!(!seats[MOST_CLIENTS].0 && seats[..MOST_CLIENTS].iter().all(|(stays, _)| *stays));
        clients.table().1[5].active -= IDLE;
        seats[6].1.took();
        assert!(seats.pop().unwrap().1.stays());
        let gone: Vec<usize> = (0..MOST_CLIENTS).filter(|at| is_hung_up(&looking[*at].1)).collect();
        assert_eq!(gone, [5]);
    }
}
