//! Question 5 on the command line of `isolab run`: what does it see of the network?

use std::{
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use clap::Args;
use container::{
    Container, Namespace, Network,
    hosts::{HostAddress, NameService},
    network::Published,
};

use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(next_help_heading = "What it sees of the network")]
pub(super) struct NetworkArguments {
    /// none: a loop-back link only, which is the default. host: the host's own. veth: a link to the
    /// host, which passes on what is for others under its own address; `bridge`, Docker's word for such
    /// a network, means the same, but no two containers share it and none reaches another.
    /// container:NAME: that of the running container NAME. A Linux guest can have none and veth
    #[arg(long = "network", visible_alias = "net", value_name = "NETWORK", conflicts_with = "tap")]
    network: Option<Choice>,
    /// Publish a port to the host, with --network veth: [ADDRESS:]PORT:INSIDE[/udp]; may be repeated
    #[arg(short = 'p', long = "publish", value_name = "HOST:INSIDE", value_parser = published)]
    publish: Vec<Published>,
    /// Host name [default: isolab]
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    hostname: Option<String>,
    /// Add a line to its /etc/hosts; the address host-gateway is the host's, as it is reached from
    /// inside. May be repeated
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = added_host)]
    add_host: Vec<(String, HostAddress)>,
    /// DNS server [default: the host's that are reachable from inside]; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,
    /// DNS search domain [default: the host's]; `.` for none. May be repeated
    #[arg(long, value_name = "DOMAIN", value_parser = word)]
    dns_search: Vec<String>,
    /// DNS option, such as ndots:2 [default: the host's]; may be repeated
    #[arg(long, alias = "dns-opt", value_name = "OPTION", value_parser = word)]
    dns_option: Vec<String>,
}

/// The network that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    None,
    Host,
    Veth,
    /// That of the container with this name.
    Container(String),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            "veth" | "bridge" => Ok(Self::Veth),
            other => match other.strip_prefix("container:") {
                Some(name) if !name.is_empty() => Ok(Self::Container(name.to_owned())),
                _ => Err("use none, host, veth or container:NAME".into()),
            },
        }
    }
}

impl NetworkArguments {
    /// The first of those that are about what is inside.
    pub(super) fn given_inside(&self) -> Option<&'static str> {
        let all = [
            ("--publish", !self.publish.is_empty()),
            ("--hostname", self.hostname.is_some()),
            ("--add-host", !self.add_host.is_empty()),
            ("--dns", !self.dns.is_empty()),
            ("--dns-search", !self.dns_search.is_empty()),
            ("--dns-option", !self.dns_option.is_empty()),
        ];
        all.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// Whether a Linux guest gets a link to the host.
    pub(super) fn is_veth_of_a_guest(&self) -> Result<bool, Failure> {
        let what = match &self.network {
            None | Some(Choice::None) => return Ok(false),
            Some(Choice::Veth) => return Ok(true),
            Some(Choice::Host) => "the host's network",
            Some(Choice::Container(_)) => "a container's network",
        };
        Err(Failure::usage(format!("a Linux guest cannot have {what}"))
            .help("use --network veth, or --tap with a link of the host's"))
    }

    /// Gives the container its network and its names.
    pub(super) fn apply(&self, container: &mut Container) -> Result<(), Failure> {
        let (boundary, way_out) = (&mut container.spec.boundary, &mut container.spec.way_out);
        match &self.network {
            None | Some(Choice::None) => {}
            Some(Choice::Host) => way_out.network = Network::Host,
            Some(Choice::Veth) => {
                if !nix::unistd::Uid::effective().is_root() {
                    return Err(Failure::refused("only root may link a container to the host")
                        .help("run as root, or use --network none or --network host"));
                }
                way_out.network = Network::Veth;
            }
            Some(Choice::Container(name)) => {
                let namespaces = container::namespaces_of(name)?;
                boundary.namespaces.net = Namespace::Of(namespaces.process);
                // The power over a network belongs to the user namespace that it was made in.
                if namespaces.has_own_user {
                    boundary.namespaces.user = Namespace::Of(namespaces.process);
                }
            }
        }
        if let Some(name) = &self.hostname {
            if !boundary.namespaces.uts.is_new() {
                let message = "--hostname needs a uts namespace of the container's own";
                return Err(Failure::usage(message).help("do not leave uts out of its namespaces"));
            }
            boundary.hostname = Some(name.clone());
        }
        way_out.published.clone_from(&self.publish);
        way_out.names = Some(self.names());
        Ok(())
    }

    /// How it finds addresses by names.
    pub(super) fn names(&self) -> NameService {
        NameService {
            hosts: self.add_host.clone(),
            servers: self.dns.clone(),
            search: self.dns_search.clone(),
            options: self.dns_option.clone(),
            are_in_files: false,
        }
    }

    /// The ports of the host's that lead inside.
    pub(super) fn published(&self) -> &[Published] {
        &self.publish
    }

    /// Its host name, if it was given one.
    pub(super) fn hostname(&self) -> Option<&str> {
        self.hostname.as_deref()
    }
}

/// A host name as the kernel and /etc/hosts take it.
fn host_name(text: &str) -> Result<String, String> {
    match container::hosts::is_host_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("use up to 64 letters, digits, dashes and dots, a letter or digit first".into())
        }
    }
}

/// `NAME:ADDRESS`; an IPv6 address has colons of its own, and may stand in brackets.
fn added_host(text: &str) -> Result<(String, HostAddress), String> {
    let separator = |letter| letter == ':' || letter == '=';
    let (name, address) = text
        .split_once(separator)
        .ok_or_else(|| format!("invalid host entry: {text:?}; use NAME:ADDRESS"))?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let address = match bare {
        "host-gateway" => HostAddress::Gateway,
        bare => HostAddress::Address(bare.parse().map_err(|_| {
            format!("invalid address: {bare:?}; use an IP address or host-gateway")
        })?),
    };
    Ok((host_name(name)?, address))
}

/// A word of resolv.conf: it may not bring a line of its own.
fn word(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("use one word without spaces".into()),
    }
}

/// `[ADDRESS:]PORT:INSIDE[/udp]`.
fn published(text: &str) -> Result<Published, String> {
    let wrong = || {
        format!("invalid port: {text:?}; use [ADDRESS:]PORT:INSIDE or [ADDRESS:]PORT:INSIDE/udp")
    };
    let (ports, udp) = match text.rsplit_once('/') {
        None => (text, false),
        Some((ports, "tcp")) => (ports, false),
        Some((ports, "udp")) => (ports, true),
        Some(_) => return Err(wrong()),
    };
    let port = |text: &str| text.parse().ok().filter(|port| *port != 0).ok_or_else(wrong);
    let mut parts = ports.rsplitn(3, ':');
    let inside = port(parts.next().ok_or_else(wrong)?)?;
    let host_port = port(parts.next().ok_or_else(wrong)?)?;
    let address = match parts.next() {
        None | Some("") => Ipv4Addr::UNSPECIFIED,
        Some(address) => address.parse().map_err(|_| wrong())?,
    };
    Ok(Published { address, host_port, port: inside, udp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_of_four() {
        assert_eq!("bridge".parse(), Ok(Choice::Veth));
        assert_eq!("container:a".parse(), Ok(Choice::Container("a".into())));
        for wrong in ["", "container:", "Host", "veth ", "container"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_an_address() {
        let address = |text: &str| HostAddress::Address(text.parse().unwrap());
        assert_eq!(added_host("a:1.2.3.4"), Ok(("a".into(), address("1.2.3.4"))));
        assert_eq!(added_host("a=::1"), Ok(("a".into(), address("::1"))));
        assert_eq!(added_host("a:[2001:db8::1]"), Ok(("a".into(), address("2001:db8::1"))));
        assert_eq!(added_host("a:host-gateway"), Ok(("a".into(), HostAddress::Gateway)));
        for wrong in ["a", ":1.2.3.4", "a b:1.2.3.4", "a:1.2.3", "a\n127.0.0.1 b:1.2.3.4", "a:"] {
            assert!(added_host(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_port_leads_to_a_port() {
        let of = |text: &str| {
            published(text).map(|it| (it.address.to_string(), it.host_port, it.port, it.udp))
        };
        assert_eq!(of("80:8080"), Ok(("0.0.0.0".into(), 80, 8080, false)));
        assert_eq!(of("53:53/udp"), Ok(("0.0.0.0".into(), 53, 53, true)));
        assert_eq!(of("127.0.0.1:80:8080/tcp"), Ok(("127.0.0.1".into(), 80, 8080, false)));
        for wrong in ["80", "0:1", "1:65536", "a:1", "1:2/sctp", "x:1:2", "1:2:3:4", ""] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
