//! A network card. virtio, section 5.1.
//!
//! Its cable leads to a [`Tap`], a link of the host, and there to whatever the host joins to it.
//! Before each frame stands a header for work that a card can take from its driver (checksums,
//! cutting large pieces); this card offers none, so it is zero.
//!
//! ```text
//!   in memory  [header: 12 bytes][frame: to, from, type, data]
//!   at the tap                   [frame                      ]
//! ```

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use super::{
    Broken, Device, Queues, Shape,
    rate::{Count, Limit, Rate, Way},
    tap::Tap,
};

const RECEIVE: usize = 0;
const SEND: usize = 1;

/// Feature: the driver can learn the card's address (section 5.1.3).
const MAC: u64 = 1 << 5;

/// The header, with one buffer for each frame (section 5.1.6).
const HEADER: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
/// The longest frame that any link of the host takes.
const FRAME: usize = 65_536 + 14 + 4;

/// A network card.
#[derive(Debug)]
pub struct Net {
    tap: Arc<Tap>,
    mac: [u8; 6],
    received: Vec<u8>,
    /// So much of it is a frame for which the guest has had no room yet.
    waiting: Option<usize>,
    sent: Vec<u8>,
    rate: Rate,
}

impl Net {
    /// A card with the address `mac`, whose cable leads to `tap`.
    pub fn new(tap: Arc<Tap>, mac: [u8; 6]) -> Self {
        let rate = Rate::of(Limit::default());
        Self { tap, mac, received: vec![0; FRAME], waiting: None, sent: Vec::new(), rate }
    }

    /// The same card, through which no more may go than this, both ways together.
    #[must_use]
    pub fn limited(self, limit: Limit) -> Self {
        Self { rate: Rate::of(limit), ..self }
    }

    /// What has gone through.
    pub fn count(&self) -> Arc<Count> {
        self.rate.count()
    }

    /// Gives the guest what the host sent, as far as it has room.
    fn receive(&mut self, queues: &mut Queues<'_>) -> Result<(), Broken> {
        while self.rate.allows() {
            let length = match self.waiting.take() {
                Some(length) => length,
                None => self.tap.receive(&mut self.received),
            };
            if length == 0 {
                return Ok(());
            }
            let Some(mut chain) = queues.pop(RECEIVE)? else {
                self.waiting = Some(length);
                return Ok(());
            };
            let mut written = 0;
            // A frame that is longer than its buffer is lost.
            if chain.writable.length() >= HEADER.len() + length {
                written += chain.writable.take(HEADER.len()).copy_from(&HEADER);
                written += chain.writable.copy_from(&self.received[..length]);
            }
            queues.push(RECEIVE, chain.head, written as u32)?;
            self.rate.spend(Way::In, length);
        }
        Ok(())
    }

    fn send(&mut self, queues: &mut Queues<'_>) -> Result<(), Broken> {
        while self.rate.allows()
            && let Some(mut chain) = queues.pop(SEND)?
        {
            chain.readable.take(HEADER.len());
            self.sent.resize(chain.readable.length(), 0);
            chain.readable.copy_to(&mut self.sent);
            self.tap.send(&self.sent);
            self.rate.spend(Way::Out, self.sent.len());
            queues.push(SEND, chain.head, 0)?;
        }
        Ok(())
    }
}

impl Device for Net {
    fn name(&self) -> &'static str {
        "virtio-net"
    }

    fn number(&self) -> u32 {
        1
    }

    fn features(&self) -> u64 {
        MAC
    }

    fn queues(&self) -> Vec<Shape> {
        vec![Shape { size: 256, bytes: (HEADER.len() + FRAME) as u64 }; 2]
    }

    fn config(&self) -> Vec<u8> {
        self.mac.to_vec()
    }

    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        match number {
            RECEIVE => self.receive(queues),
            SEND => self.send(queues),
            _ => Ok(()),
        }
    }

    fn files(&self) -> Vec<BorrowedFd<'_>> {
        vec![(*self.tap).as_fd()]
    }

    fn wake(&mut self, queues: &mut Queues<'_>) -> Result<(), Broken> {
        self.receive(queues)
    }

    fn reset(&mut self) {
        self.waiting = None;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        error::Error as _,
        net::{Ipv4Addr, UdpSocket},
        os::fd::AsRawFd,
        thread,
        time::{Duration, Instant},
    };

    use nix::{
        errno::Errno,
        sched::{CloneFlags, unshare},
        sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair},
    };

    use super::{
        super::{driver::Driver, events::EventLoop},
        *,
    };

    const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 7];
    const HOST_IP: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 1);
    const GUEST_IP: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 2);

    /// A card whose tap is one end of a socket pair that keeps messages whole, and its other end.
    pub fn card_and_cable() -> (Net, std::fs::File) {
        let (flags, kind) = (SockFlag::SOCK_NONBLOCK, SockType::SeqPacket);
        let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
        (Net::new(Tap::of(ours, "pair").into(), GUEST), theirs.into())
    }

    fn card() -> (Driver<Net>, std::fs::File) {
        let (card, cable) = card_and_cable();
        (Driver::of(card), cable)
    }

    #[test]
    fn frames_go_both_ways_without_their_header() {
        use std::io::{Read, Write};
        let (mut driver, mut cable) = card();
        let header = [0; 12];
        driver.ask(SEND, &[&header, b"to the host"], &[]);
        driver.ask(SEND, &[&header[..5], &header[5..], b"again"], &[]);
        let mut frame = [0; 100];
        for sent in [&b"to the host"[..], b"again"] {
            let length = cable.read(&mut frame).unwrap();
            assert_eq!(&frame[..length], sent);
        }
        driver.add(RECEIVE, &[], &[20, 100]);
        cable.write_all(b"to the guest").unwrap();
        driver.device.wake();
        assert_eq!(driver.used(RECEIVE).unwrap(), [&HEADER[..], b"to the guest"].concat());
    }

    #[test]
    fn a_frame_waits_for_room_and_a_long_one_is_lost() {
        use std::io::Write;
        let (mut driver, mut cable) = card();
        cable.write_all(b"first").unwrap();
        cable.write_all(&[b'x'; 200]).unwrap();
        cable.write_all(b"last").unwrap();
        driver.device.wake();
        driver.device.wake();
        assert_eq!(driver.ask(RECEIVE, &[], &[100]), [&HEADER[..], b"first"].concat());
        assert_eq!(driver.ask(RECEIVE, &[], &[100]), b"");
        assert_eq!(driver.ask(RECEIVE, &[], &[100]), [&HEADER[..], b"last"].concat());
    }

    #[test]
    fn the_driver_learns_the_address() {
        let (mut driver, _cable) = card();
        assert_eq!(driver.read(0x100).to_le_bytes(), GUEST[..4]);
    }

    /// Makes the link `name` a part of 10.9.8.0/24, and sets it up (netdevice(7)).
    fn configure(name: &str) {
        let socket =
            socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let address = |octets: [u8; 4]| {
            let mut value = [0; 24];
            value[0] = libc::AF_INET as u8;
            value[4..8].copy_from_slice(&octets);
            value
        };
        let mut up = [0; 24];
        up[..2].copy_from_slice(&(libc::IFF_UP as u16).to_ne_bytes());
        for (call, value) in [
            (libc::SIOCSIFADDR, address(HOST_IP.octets())),
            (libc::SIOCSIFNETMASK, address([255, 255, 255, 0])),
            (libc::SIOCSIFFLAGS, up),
        ] {
            let mut request = [0u8; 40];
            request[..name.len()].copy_from_slice(name.as_bytes());
            request[16..].copy_from_slice(&value);
            // SAFETY: the kernel reads one `struct ifreq` of 40 bytes there.
            let result = unsafe { libc::ioctl(socket.as_raw_fd(), call, &raw mut request) };
            Errno::result(result).unwrap();
        }
    }

    /// Receives the next frame for which `is` holds, and gives it without its header.
    fn receive(driver: &mut Driver<Net>, is: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_secs(20), "no such frame comes");
            match driver.used(RECEIVE) {
                Some(frame) => {
                    driver.add(RECEIVE, &[], &[2048]);
                    driver.ring(RECEIVE);
                    if is(&frame[12..]) {
                        return frame[12..].to_vec();
                    }
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// The host's own network stack at the other end of the cable: it asks for our address, sends
    /// a datagram, and hears the echo.
    fn talk() {
        let tap = match Tap::create("isotest%d") {
            Ok(tap) => tap,
            Err(error) => return skip(&format!("{error}: {:?}", error.source())),
        };
        assert!(tap.name().starts_with("isotest"));
        configure(tap.name());
        let mut driver = Driver::of(Net::new(tap.into(), GUEST));
        for _ in 0..8 {
            driver.add(RECEIVE, &[], &[2048]);
        }
        let mut events = EventLoop::new().unwrap();
        events.watch_files(&driver.device).unwrap();
        let _running = events.start(|| Ok(|| ())).unwrap();

        let host = UdpSocket::bind((HOST_IP, 0)).unwrap();
        host.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        host.send_to(b"hello, guest", (GUEST_IP, 7)).unwrap();

        // ARP: who has 10.9.8.2? (RFC 826: 14 bytes of Ethernet, then kind and sizes, operation,
        // sender, target)
        let asked = receive(&mut driver, |frame| {
            frame[12..14] == [8, 6] && frame[38..42] == GUEST_IP.octets()
        });
        let sender = &asked[22..32];
        let mut answer = [&asked[6..12], &GUEST, &asked[12..20], &[0, 2]].concat();
        answer.extend([&GUEST[..], &GUEST_IP.octets(), sender].concat());
        driver.ask(SEND, &[&[0; 12], &answer], &[]);

        let is_ours = |frame: &[u8]| frame[12..14] == [8, 0] && frame[30..34] == GUEST_IP.octets();
        let datagram = receive(&mut driver, is_ours);
        assert!(datagram.ends_with(b"hello, guest"));
        // Back the way it came: the sums over it stay the same.
        let [ethernet, ip] = [&datagram[..14], &datagram[14..]];
        let echo = [
            &ethernet[6..12],
            &ethernet[..6],
            &ethernet[12..],
            &ip[..12],
            &ip[16..20],
            &ip[12..16],
            &ip[22..24],
            &ip[20..22],
            &ip[24..],
        ]
        .concat();
        driver.ask(SEND, &[&[0; 12], &echo], &[]);
        let mut text = [0; 100];
        let (length, from) = host.recv_from(&mut text).unwrap();
        assert_eq!((&text[..length], from.ip()), (&b"hello, guest"[..], GUEST_IP.into()));
    }

    /// In a thread with a network of its own, so that no link of this machine is touched.
    #[test]
    fn a_guest_talks_to_the_hosts_network() {
        let tested = thread::spawn(|| match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => talk(),
            Err(errno) => skip(&format!("a network of its own needs root: {errno}")),
        });
        tested.join().unwrap();
    }

    /// `ISOLAB_REQUIRE=microvm` makes a failure of it.
    fn skip(why: &str) {
        let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
        assert!(!required.contains("microvm"), "{why}");
        println!("skipped: {why}");
    }
}
