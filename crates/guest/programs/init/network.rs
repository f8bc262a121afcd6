//! Network interfaces, configured by the ioctls that preceded netlink (netdevice(7), rtentry in
//! route(8)).

use core::{ffi::CStr, net::Ipv4Addr};

use crate::{
    calls::{self, Result, call},
    system::number,
};

const SIOCADDRT: usize = 0x890b;
const SIOCSIFFLAGS: usize = 0x8914;
const SIOCSIFADDR: usize = 0x8916;
const SIOCSIFNETMASK: usize = 0x891c;
const AF_INET: usize = 2;
const NAME_BYTES: usize = 16;

/// `struct ifreq`: the name, then the value.
fn set(name: &CStr, request: usize, value: &[u8]) -> Result<()> {
    let mut interface = [0u8; 40];
    let letters = name.to_bytes().iter().take(NAME_BYTES - 1);
    for (to, from) in interface.iter_mut().zip(letters) {
        *to = *from;
    }
    for (to, from) in interface.iter_mut().skip(NAME_BYTES).zip(value) {
        *to = *from;
    }
    ask(request, &mut interface)
}

/// Makes a request by a socket; any IPv4 socket will do.
fn ask(request: usize, argument: &mut [u8]) -> Result<()> {
    const DATAGRAM: usize = 2;
    let socket = call(number::SOCKET, [AF_INET, DATAGRAM, 0])?;
    let done = call(number::IOCTL, [socket, request, argument.as_mut_ptr() as usize]);
    calls::close(socket);
    done.map(drop)
}

/// `struct sockaddr_in`: the family, a port, the address.
fn socket_address(address: Ipv4Addr) -> [u8; 16] {
    let [a, b, c, d] = address.octets();
    [AF_INET as u8, 0, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Sets an interface up.
pub fn up(name: &CStr) -> Result<()> {
    const IFF_UP: u8 = 1;
    set(name, SIOCSIFFLAGS, &[IFF_UP])
}

/// Gives an interface its address, sets it up, and makes `gateway` the default route.
pub fn address(name: &CStr, inside: Ipv4Addr, prefix: usize, gateway: Ipv4Addr) -> Result<()> {
    const RTF_UP_GATEWAY: u8 = 3;
    set(name, SIOCSIFADDR, &socket_address(inside))?;
    let mask = u32::MAX.checked_shl(32 - prefix as u32).unwrap_or(0);
    set(name, SIOCSIFNETMASK, &socket_address(Ipv4Addr::from_bits(mask)))?;
    up(name)?;
    // struct rtentry: the route to 0.0.0.0/0.
    let mut route = [0u8; 120];
    let fields = [(8, Ipv4Addr::UNSPECIFIED), (24, gateway), (40, Ipv4Addr::UNSPECIFIED)];
    for (at, address) in fields {
        for (to, from) in route.iter_mut().skip(at).zip(socket_address(address)) {
            *to = from;
        }
    }
    route[56] = RTF_UP_GATEWAY;
    ask(SIOCADDRT, &mut route)
}
