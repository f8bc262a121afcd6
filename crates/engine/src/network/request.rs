//! A network that a client asks for, and what makes it invalid.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{
    error::Error,
    pool::{Subnet, is_host_address},
    record::is_predefined,
};

/// A network to create (Docker API, `NetworkCreate`).
#[derive(Debug, Clone, Default)]
pub struct NetworkRequest {
    /// Its name.
    pub name: String,
    /// Its driver; empty means `bridge`.
    pub driver: String,
    /// Its subnets; without any, one of Docker's default subnets is chosen.
    pub subnets: Vec<SubnetRequest>,
    /// Whether its containers shall reach only each other and the host.
    pub internal: bool,
    /// Kept for clients.
    pub attachable: bool,
    /// Whether it shall have IPv6.
    pub enable_ipv6: bool,
    /// The user's own labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// A subnet, as a client writes it (Docker API, `IPAMConfig`); empty means unset.
#[derive(Debug, Clone, Default)]
pub struct SubnetRequest {
    /// `172.20.0.0/16`
    pub subnet: String,
    /// The part of it for containers.
    pub ip_range: String,
    /// The host's address.
    pub gateway: String,
    /// Addresses that no container gets.
    pub auxiliary: BTreeMap<String, String>,
}

/// A subnet that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChosenSubnet {
    pub(crate) subnet: Subnet,
    pub(crate) ip_range: Option<Subnet>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) auxiliary: BTreeMap<String, Ipv4Addr>,
}

/// The options of the driver that have a meaning here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BridgeOptions {
    pub(crate) mtu: u32,
    pub(crate) masquerade: bool,
    /// Options that are only kept.
    pub(crate) warnings: Vec<String>,
}

/// Ethernet's.
pub(crate) const USUAL_MTU: u32 = 1500;

impl NetworkRequest {
    /// Checks what does not depend on other networks.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if is_predefined(&self.name) {
            return Err(Error::Predefined { name: self.name.clone() });
        }
        // Of any length in Docker; a name is also a part of names in the network's DNS.
        let is_possible = !self.name.trim().is_empty()
            && self.name.len() <= 255
            && !self.name.chars().any(char::is_control);
        if !is_possible {
            return Err(Error::invalid(format!("invalid name: {:?}", self.name)));
        }
        match self.driver.as_str() {
            "" | "bridge" => {}
            name @ ("host" | "null") => {
                let why = format!("only one instance of \"{name}\" network is allowed");
                return Err(Error::Forbidden { why });
            }
            name => return Err(Error::UnknownDriver { driver: name.into() }),
        }
        match self.enable_ipv6 {
            true => Err(Error::invalid("this engine has no IPv6 networks: omit --ipv6")),
            false => Ok(()),
        }
    }

    /// The subnet that is asked for.
    pub(crate) fn chosen_subnet(&self) -> Result<Option<ChosenSubnet>, Error> {
        // Without IPv6, a network ignores its IPv6 subnets (moby, ValidateIPAM).
        let of_ipv4 = |one: &&SubnetRequest| {
            let address = one.subnet.split('/').next().unwrap_or_default();
            address.parse::<Ipv6Addr>().is_err()
        };
        let mut asked = self.subnets.iter().filter(of_ipv4);
        let chosen = asked.next().map(SubnetRequest::parse).transpose()?.flatten();
        match asked.next() {
            Some(_) => Err(Error::invalid("bridge driver doesn't support multiple subnets")),
            None => Ok(chosen),
        }
    }

    /// The meaning of its options.
    pub(crate) fn bridge_options(&self) -> Result<BridgeOptions, Error> {
        let mut options = BridgeOptions { mtu: USUAL_MTU, masquerade: true, warnings: Vec::new() };
        for (name, value) in &self.options {
            let invalid = |what: &str| {
                let name = name.strip_prefix("com.docker.network.").unwrap_or(name);
                Error::invalid(format!("driver-opt {name:?} is not a valid {what}: {value:?}"))
            };
            match name.strip_prefix("com.docker.network.").unwrap_or(name) {
                "driver.mtu" | "mtu" => {
                    let mtu = value.parse().ok().filter(|mtu| (68..=65535).contains(mtu));
                    options.mtu = mtu.ok_or_else(|| invalid("mtu"))?;
                }
                "bridge.enable_ip_masquerade" => {
                    options.masquerade = boolean(value).ok_or_else(|| invalid("bool"))?;
                }
                // What every network is like here.
                "bridge.enable_icc" if boolean(value) == Some(true) => {}
                "bridge.host_binding_ipv4" if value == "0.0.0.0" => {}
                "bridge.default_bridge" | "enable_ipv4" | "enable_ipv6" => {}
                _ => options.warnings.push(format!("the option {name} has no effect")),
            }
        }
        Ok(options)
    }
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl SubnetRequest {
    fn parse(&self) -> Result<Option<ChosenSubnet>, Error> {
        if self.subnet.is_empty() {
            return match self.ip_range.is_empty() && self.gateway.is_empty() {
                true => Ok(None),
                false => Err(Error::invalid("an ip-range and a gateway need a subnet")),
            };
        }
        let subnet = exact("subnet", &self.subnet)?;
        let wrong = |why: String| Err(Error::invalid(format!("invalid network config:\n{why}")));
        if !is_usable(subnet) {
            return wrong(format!("invalid subnet {subnet}: no container can have its addresses"));
        }
        let range = match self.ip_range.as_str() {
            "" => None,
            text => Some(exact("ip-range", text)?),
        };
        match range {
            Some(range) if range.prefix() < subnet.prefix() => {
                return wrong(format!(
                    "invalid ip-range {range}: CIDR block is bigger than its parent subnet {subnet}"
                ));
            }
            Some(range) if !subnet.overlaps(range) => {
                return wrong(format!(
                    "invalid ip-range {range}: parent subnet {subnet} doesn't contain ip-range"
                ));
            }
            _ => {}
        }
        let gateway = match self.gateway.as_str() {
            "" => None,
            text => Some(host_address(subnet, text, &format!("gateway {text}"))?),
        };
        let named = |(name, text): (&String, &String)| {
            let found = host_address(subnet, text, &format!("auxiliary address {name}"))?;
            Ok((name.clone(), found))
        };
        let auxiliary = self.auxiliary.iter().map(named).collect::<Result<_, Error>>()?;
        Ok(Some(ChosenSubnet { subnet, ip_range: range, gateway, auxiliary }))
    }
}

/// A subnet that is written by its first address.
fn exact(what: &str, text: &str) -> Result<Subnet, Error> {
    let wrong = |why: String| Error::invalid(format!("invalid network config:\n{why}"));
    let subnet: Subnet =
        text.parse().map_err(|error| wrong(format!("invalid {what} {text}: {error}")))?;
    match subnet.to_string() == text {
        true => Ok(subnet),
        false => Err(wrong(format!("invalid {what} {text}: it should be {subnet}"))),
    }
}

/// An address that a link in the subnet can have.
fn host_address(subnet: Subnet, text: &str, what: &str) -> Result<Ipv4Addr, Error> {
    let wrong =
        |why: String| Error::invalid(format!("invalid network config:\ninvalid {what}: {why}"));
    let address = text.parse().map_err(|_| wrong("invalid address".into()))?;
    match is_host_address(subnet, address) {
        true => Ok(address),
        false => Err(wrong(format!("parent subnet {subnet} doesn't contain this address"))),
    }
}

/// Whether it has an address for the host and one for a container, and all of them belong to single
/// hosts (RFC 6890): neither this host's own, nor those of groups.
fn is_usable(subnet: Subnet) -> bool {
    const SPECIAL: [(Ipv4Addr, u8); 3] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(224, 0, 0, 0), 3),
    ];
    let mut special = SPECIAL.into_iter().filter_map(|(address, bits)| Subnet::new(address, bits));
    (8..=30).contains(&subnet.prefix()) && !special.any(|special| special.overlaps(subnet))
}

#[cfg(test)]
mod tests;
