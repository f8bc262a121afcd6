//! Addresses: which subnet a network gets, and which address a container gets in it.

use std::{collections::BTreeSet, fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

/// A network of IPv4 addresses: `172.17.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    address: Ipv4Addr,
    prefix: u8,
}

/// A text that is not a [`Subnet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR block notation")]
pub struct InvalidSubnet;

/// The subnets that networks get if none is asked for, Docker's: their first and last address
/// blocks, and the size of each subnet.
const DEFAULT_POOLS: [(Subnet, u8); 16] = {
    let mut pools = [(Subnet { address: Ipv4Addr::new(192, 168, 0, 0), prefix: 16 }, 20); 16];
    let mut number = 0;
    while number < 15 {
        let address = Ipv4Addr::new(172, 17 + number as u8, 0, 0);
        pools[number] = (Subnet { address, prefix: 16 }, 16);
        number += 1;
    }
    pools
};

impl Subnet {
    /// The subnet of `address`, which is masked, with a prefix of `prefix` bits; `None` if there are
    /// more than 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        let masked = u32::from(address) & mask(prefix);
        (prefix <= 32).then(|| Self { address: masked.into(), prefix })
    }

    /// Its first address, which stands for the network.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// The length of its prefix, in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its last address, which all its members receive.
    pub fn broadcast(self) -> Ipv4Addr {
        (u32::from(self.address) | !mask(self.prefix)).into()
    }

    /// Whether the address is one of its own.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == u32::from(self.address)
    }

    /// Whether the two have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        let (wide, narrow) = if self.prefix < other.prefix { (self, other) } else { (other, self) };
        wide.contains(narrow.address)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

/// The first of Docker's default subnets that overlaps with none of those `taken`.
pub fn free_subnet(taken: &[Subnet]) -> Option<Subnet> {
    let subnets = DEFAULT_POOLS.into_iter().flat_map(|(pool, prefix)| {
        let count = 1u32 << (prefix - pool.prefix);
        let nth = move |number: u32| u32::from(pool.address) + (number << (32 - prefix));
        (0..count).filter_map(move |number| Subnet::new(nth(number).into(), prefix))
    });
    subnets.into_iter().find(|subnet| !taken.iter().any(|other| other.overlaps(*subnet)))
}

/// The first address of `subnet`, and of `range` if there is one, that a link can have and that is
/// not `taken`.
pub fn free_address(
    subnet: Subnet,
    range: Option<Subnet>,
    taken: &BTreeSet<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    // A range has no first and last address of its own: it is a part of the subnet.
    let last = range.map_or(u32::MAX, |range| u32::from(range.broadcast()));
    let first = range.map_or(0, |range| u32::from(range.address));
    let (first_host, last_host) =
        (u32::from(subnet.address) + 1, u32::from(subnet.broadcast()).saturating_sub(1));
    (first.max(first_host)..=last.min(last_host))
        .map(Ipv4Addr::from)
        .find(|address| !taken.contains(address))
}

/// Whether a link in the subnet can have that address.
pub fn is_host_address(subnet: Subnet, address: Ipv4Addr) -> bool {
    subnet.contains(address) && address != subnet.address && address != subnet.broadcast()
}

impl fmt::Display for Subnet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

/// Parses `ADDRESS/BITS`; an address within the subnet stands for it.
impl FromStr for Subnet {
    type Err = InvalidSubnet;

    fn from_str(text: &str) -> Result<Self, InvalidSubnet> {
        let (address, bits) = text.split_once('/').ok_or(InvalidSubnet)?;
        let is_number = bits.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = bits.parse().ok().filter(|_| is_number).ok_or(InvalidSubnet)?;
        Self::new(address.parse().map_err(|_| InvalidSubnet)?, prefix).ok_or(InvalidSubnet)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = InvalidSubnet;

    fn try_from(text: String) -> Result<Self, InvalidSubnet> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_gets_the_first_default_subnet_that_is_free() {
        assert_eq!(free_subnet(&[]), Some(subnet("172.17.0.0/16")));
        assert_eq!(free_subnet(&[subnet("172.17.3.0/24")]), Some(subnet("172.18.0.0/16")));
        let all_172 = subnet("172.16.0.0/12");
        assert_eq!(free_subnet(&[all_172]), Some(subnet("192.168.0.0/20")));
        let lan = subnet("192.168.1.0/24");
        assert_eq!(free_subnet(&[all_172, lan]), Some(subnet("192.168.16.0/20")));
        assert_eq!(free_subnet(&[all_172, subnet("192.168.0.0/16")]), None);
    }

    #[test]
    fn the_default_pools_have_31_subnets() {
        let mut taken = Vec::new();
        while let Some(next) = free_subnet(&taken) {
            taken.push(next);
        }
        assert_eq!(taken.len(), 31);
        assert_eq!(taken.last().map(ToString::to_string).unwrap(), "192.168.240.0/20");
    }

    #[test]
    fn only_a_subnet_is_parsed() {
        for wrong in
            ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/+8", "::/64"]
        {
            assert_eq!(wrong.parse::<Subnet>(), Err(InvalidSubnet), "{wrong}");
        }
        assert_eq!(subnet("10.1.2.3/8").to_string(), "10.0.0.0/8");
    }

    #[test]
    fn a_range_is_a_part_of_the_subnet() {
        let (net, range) = (subnet("10.0.0.0/24"), Some(subnet("10.0.0.128/25")));
        let taken = BTreeSet::new();
        assert_eq!(free_address(net, range, &taken), Some([10, 0, 0, 128].into()));
        let range = Some(subnet("10.0.0.0/30"));
        assert_eq!(free_address(net, range, &taken), Some([10, 0, 0, 1].into()));
        let taken = (1..=3).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
        assert_eq!(free_address(net, range, &taken), None);
    }

    fn any_subnet() -> impl Strategy<Value = Subnet> {
        (any::<u32>(), 0..=32u8)
            .prop_map(|(address, prefix)| Subnet::new(address.into(), prefix).unwrap())
    }

    proptest! {
        #[test]
        fn an_address_that_is_given_is_a_free_one_of_the_subnet(
            net in any_subnet(),
            taken in proptest::collection::btree_set(0..40u32, 0..20),
        ) {
            let base = u32::from(net.address());
            let taken: BTreeSet<Ipv4Addr> =
                taken.into_iter().map(|number| base.saturating_add(number).into()).collect();
            match free_address(net, None, &taken) {
                Some(address) => {
                    prop_assert!(is_host_address(net, address) && !taken.contains(&address));
                }
                None => prop_assert!(net.prefix() >= 27),
            }
        }

        #[test]
        fn overlapping_is_having_an_address_in_common(one in any_subnet(), other in any_subnet()) {
            let common = one.contains(other.address()) || other.contains(one.address());
            prop_assert_eq!(one.overlaps(other), common);
            prop_assert_eq!(other.overlaps(one), common);
            prop_assert_eq!(one.to_string().parse::<Subnet>().unwrap(), one);
        }

        #[test]
        fn any_text_is_a_subnet_or_none(text in "[0-9./]{0,24}") {
            if let Ok(found) = text.parse::<Subnet>() {
                prop_assert!(found.contains(found.broadcast()));
            }
        }
    }
}
