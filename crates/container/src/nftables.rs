//! Just enough of nf_tables, the kernel's packet filter, to write a table of rules.
//!
//! ```text
//!   table  ip isolab-iso0a070304            is removed with its content
//!     chain  forward: hook forward, priority 0      at which point packets meet the rules
//!       rule  oifname iso0a070304  ct state new  drop
//!             each part of a rule loads something into a register, compares it, or decides
//! ```
//!
//! The messages are those of nfnetlink (linux/netfilter/nfnetlink.h, nf_tables.h): a netlink
//! header, four bytes of family and version, attributes. Numbers in them are in network byte order.
//! Related changes are sent as one batch, which takes effect completely or not at all.

use std::net::Ipv4Addr;

use nix::errno::Errno;

use crate::{
    Error,
    netlink::{self, CREATE, HEADER, Message, Netlink, text},
};

const BATCH_BEGIN: u16 = libc::NFNL_MSG_BATCH_BEGIN as u16;
const BATCH_END: u16 = libc::NFNL_MSG_BATCH_END as u16;
/// The attribute at the beginning of a batch with the generation of the rules on which it is based;
/// the kernel rejects it if the generation has changed.
const BATCH_GENERATION: u16 = 1;
/// After the netlink header: `struct nfgenmsg`.
const BODY: usize = HEADER + 4;
/// The first attribute of a table, chain or rule is the name of its table.
const TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const RULE_CHAIN: u16 = 2;

/// At which point of its way through the host a packet meets a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hook {
    /// `filter`, or `nat`, which is evaluated once for each connection.
    pub(crate) kind: &'static str,
    /// `NF_INET_*`.
    pub(crate) number: i32,
    /// Smaller values come first.
    pub(crate) priority: i32,
}

/// Before routing.
pub(crate) const PREROUTING: Hook = Hook { kind: "nat", number: 0, priority: -100 };
/// Forwarded packets.
pub(crate) const FORWARD: Hook = Hook { kind: "filter", number: 2, priority: 0 };
/// Packets that leave a process of the host.
pub(crate) const OUTPUT: Hook = Hook { kind: "nat", number: 3, priority: -100 };
/// All packets that leave the host.
pub(crate) const POSTROUTING: Hook = Hook { kind: "nat", number: 4, priority: 100 };

fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn message(kind: i32, flags: u16) -> Message {
    const VERSION: u8 = 0; // NFNETLINK_V0
    let kind = (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16;
    Message::new(kind, flags, &[libc::NFPROTO_IPV4 as u8, VERSION, 0, 0])
}

/// Changes that take effect together.
pub(crate) struct Batch(Vec<Message>);

impl Batch {
    /// A batch based on the generation of the rules returned by [`generation`]; the kernel rejects
    /// it with ERESTART if the rules have changed since.
    pub(crate) fn new(generation: u32) -> Self {
        let begin = batch_edge(BATCH_BEGIN).attribute(BATCH_GENERATION, &number(generation));
        Self(vec![begin])
    }

    /// Makes a table; it is an error if it exists.
    pub(crate) fn table(&mut self, name: &str) {
        self.0.push(message(libc::NFT_MSG_NEWTABLE, CREATE).attribute(TABLE, &text(name)));
    }

    /// Removes a table and everything in it.
    pub(crate) fn remove_table(&mut self, name: &str) {
        self.0.push(message(libc::NFT_MSG_DELTABLE, 0).attribute(TABLE, &text(name)));
    }

    /// Makes a chain in a table that accepts packets which no rule decides about.
    pub(crate) fn chain(&mut self, table: &str, name: &str, hook: Hook) {
        self.chain_with_policy(table, name, hook, libc::NF_ACCEPT);
    }

    /// Makes a chain with another policy (`NF_DROP`).
    pub(crate) fn chain_with_policy(&mut self, table: &str, name: &str, hook: Hook, policy: i32) {
        let message = message(libc::NFT_MSG_NEWCHAIN, CREATE)
            .attribute(TABLE, &text(table))
            .attribute(CHAIN_NAME, &text(name))
            .nested(4, |at| {
                at.attribute(1, &number(hook.number as u32))
                    .attribute(2, &hook.priority.to_be_bytes())
            })
            .attribute(5, &number(policy as u32))
            .attribute(7, &text(hook.kind));
        self.0.push(message);
    }

    /// Adds a rule at the end of a chain: if all other parts match, its last part decides.
    pub(crate) fn rule(&mut self, table: &str, chain: &str, parts: &[Part<'_>]) {
        const APPEND: u16 = 0x400 | 0x800; // NLM_F_CREATE and NLM_F_APPEND
        let message = message(libc::NFT_MSG_NEWRULE, APPEND)
            .attribute(TABLE, &text(table))
            .attribute(RULE_CHAIN, &text(chain))
            .nested(4, |all| parts.iter().fold(all, |all, part| part.add(all)));
        self.0.push(message);
    }

    /// Applies the changes.
    pub(crate) fn commit(mut self, words: &'static str) -> Result<(), Error> {
        if self.0.len() == 1 {
            return Ok(()); // nothing is to be changed
        }
        self.0.push(batch_edge(BATCH_END));
        socket()?.batch(words, self.0)
    }
}

/// The first or last message of a batch; its body names the subsystem.
fn batch_edge(kind: u16) -> Message {
    let [high, low] = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes();
    Message::new(kind, 0, &[0, 0, high, low])
}

fn socket() -> Result<Netlink, Error> {
    Netlink::open_to(libc::NETLINK_NETFILTER)
}

/// A part of a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// The packet has come in by this link.
    From(&'a str),
    /// It has come in by another.
    NotFrom(&'a str),
    /// It leaves by this link.
    To(&'a str),
    /// It leaves by another.
    NotTo(&'a str),
    /// Its source is in this network, of that many bits.
    Source(Ipv4Addr, u8),
    /// Its destination is in this network, of that many bits.
    Destination(Ipv4Addr, u8),
    /// Its destination is an address of the host's own.
    DestinationIsLocal,
    /// It is TCP or UDP (`IPPROTO_*`), and for this port.
    Port(u8, u16),
    /// It is the first of a connection.
    IsNew,
    /// Its connection has not been redirected.
    IsNotRedirected,
    /// Verdict: drop it.
    Drop,
    /// Verdict: its source becomes the host's address on the outgoing link.
    Masquerade,
    /// Verdict: its destination becomes this address and port.
    Redirect(Ipv4Addr, u16),
}

/// The kernel's registers for values, and that for decisions.
const VALUE: u32 = 1;
const SECOND_VALUE: u32 = 2;
const VERDICT: u32 = 0;

impl Part<'_> {
    fn add(self, rule: Message) -> Message {
        const META_IIFNAME: u32 = 6;
        const META_OIFNAME: u32 = 7;
        const META_L4PROTO: u32 = 16;
        const STATE: u32 = 0;
        const STATUS: u32 = 2;
        const STATE_NEW: u32 = 8;
        const STATUS_DNAT: u32 = 0x20;
        match self {
            Self::From(link) => compare(load_meta(rule, META_IIFNAME), EQUAL, &padded(link)),
            Self::NotFrom(link) => compare(load_meta(rule, META_IIFNAME), NOT_EQUAL, &padded(link)),
            Self::To(link) => compare(load_meta(rule, META_OIFNAME), EQUAL, &padded(link)),
            Self::NotTo(link) => compare(load_meta(rule, META_OIFNAME), NOT_EQUAL, &padded(link)),
            Self::Source(address, prefix) => compare_network(rule, 12, address, prefix),
            Self::Destination(address, prefix) => compare_network(rule, 16, address, prefix),
            Self::DestinationIsLocal => {
                let rule = expression(rule, "fib", |data| {
                    const RESULT_ADDRTYPE: u32 = 3;
                    const BY_DESTINATION: u32 = 2;
                    data.attribute(1, &number(VALUE))
                        .attribute(2, &number(RESULT_ADDRTYPE))
                        .attribute(3, &number(BY_DESTINATION))
                });
                compare(rule, EQUAL, &u32::from(libc::RTN_LOCAL).to_ne_bytes())
            }
            Self::Port(protocol, port) => {
                let rule = compare(load_meta(rule, META_L4PROTO), EQUAL, &[protocol]);
                let rule = load_packet(rule, TRANSPORT_HEADER, 2, 2);
                compare(rule, EQUAL, &port.to_be_bytes())
            }
            Self::IsNew => {
                let rule = masked(load_connection(rule, STATE), STATE_NEW.to_ne_bytes());
                compare(rule, NOT_EQUAL, &[0; 4])
            }
            Self::IsNotRedirected => {
                let rule = masked(load_connection(rule, STATUS), STATUS_DNAT.to_ne_bytes());
                compare(rule, EQUAL, &[0; 4])
            }
            Self::Drop => immediate(rule, VERDICT, |data| {
                data.nested(2, |verdict| verdict.attribute(1, &number(libc::NF_DROP as u32)))
            }),
            Self::Masquerade => expression(rule, "masq", |data| data),
            Self::Redirect(address, port) => {
                let rule = immediate(rule, VALUE, |data| data.attribute(1, &address.octets()));
                let rule =
                    immediate(rule, SECOND_VALUE, |data| data.attribute(1, &port.to_be_bytes()));
                expression(rule, "nat", |data| {
                    const DESTINATION: u32 = 1;
                    data.attribute(1, &number(DESTINATION))
                        .attribute(2, &number(libc::NFPROTO_IPV4 as u32))
                        .attribute(3, &number(VALUE))
                        .attribute(5, &number(SECOND_VALUE))
                })
            }
        }
    }
}

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// A part by the kernel's name for it, with the attributes that `fill` adds.
fn expression(rule: Message, name: &str, fill: impl FnOnce(Message) -> Message) -> Message {
    rule.nested(1, |one| one.attribute(1, &text(name)).nested(2, fill))
}

fn load_meta(rule: Message, key: u32) -> Message {
    let fill = |data: Message| data.attribute(1, &number(VALUE)).attribute(2, &number(key));
    expression(rule, "meta", fill)
}

fn load_connection(rule: Message, key: u32) -> Message {
    let fill = |data: Message| data.attribute(1, &number(VALUE)).attribute(2, &number(key));
    expression(rule, "ct", fill)
}

fn load_packet(rule: Message, header: u32, offset: u32, length: u32) -> Message {
    let fill = |data: Message| {
        data.attribute(1, &number(VALUE))
            .attribute(2, &number(header))
            .attribute(3, &number(offset))
            .attribute(4, &number(length))
    };
    expression(rule, "payload", fill)
}

/// Masks the value with `mask`.
fn masked(rule: Message, mask: [u8; 4]) -> Message {
    let fill = |data: Message| {
        data.attribute(1, &number(VALUE))
            .attribute(2, &number(VALUE))
            .attribute(3, &number(4))
            .nested(4, |value| value.attribute(1, &mask))
            .nested(5, |value| value.attribute(1, &[0; 4]))
    };
    expression(rule, "bitwise", fill)
}

fn compare(rule: Message, how: u32, with: &[u8]) -> Message {
    let fill = |data: Message| {
        data.attribute(1, &number(VALUE))
            .attribute(2, &number(how))
            .nested(3, |value| value.attribute(1, with))
    };
    expression(rule, "cmp", fill)
}

/// Compares the address at `offset` of the IPv4 header with a network.
fn compare_network(rule: Message, offset: u32, address: Ipv4Addr, prefix: u8) -> Message {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    let network = (u32::from(address) & mask).to_be_bytes();
    let rule = load_packet(rule, NETWORK_HEADER, offset, 4);
    compare(masked(rule, mask.to_be_bytes()), EQUAL, &network)
}

fn immediate(rule: Message, register: u32, fill: impl FnOnce(Message) -> Message) -> Message {
    expression(rule, "immediate", |data| data.attribute(1, &number(register)).nested(2, fill))
}

/// The name of a link as the kernel compares it: 16 bytes, padded with zeros.
fn padded(link: &str) -> [u8; libc::IFNAMSIZ] {
    let mut name = [0; libc::IFNAMSIZ];
    // A longer name is not the name of a link.
    name.iter_mut().zip(link.bytes().take(libc::IFNAMSIZ - 1)).for_each(|(to, from)| *to = from);
    name
}

/// The current generation of the rules: each change increments it.
pub(crate) fn generation() -> Result<u32, Error> {
    let words = "ask for the generation of the nf_tables rules";
    let answer = socket()?.request(words, message(libc::NFT_MSG_GETGEN, 0))?;
    let value = netlink::attribute(&answer, BODY, 1).and_then(|bytes| bytes.try_into().ok());
    value.map(u32::from_be_bytes).ok_or(Error::Netlink { request: words })
}

/// The names of all IPv4 tables.
pub(crate) fn tables() -> Result<Vec<String>, Error> {
    let listed = socket()?.dump("list the nf_tables tables", message(libc::NFT_MSG_GETTABLE, 0))?;
    Ok(listed.iter().filter_map(|one| name_in(one, TABLE)).collect())
}

/// A chain of the host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) table: String,
    pub(crate) name: String,
    /// Whether it handles forwarded packets and drops those that no rule accepts.
    pub(crate) drops_forwarded: bool,
}

/// All IPv4 chains.
pub(crate) fn chains() -> Result<Vec<Chain>, Error> {
    let listed = socket()?.dump("list the nf_tables chains", message(libc::NFT_MSG_GETCHAIN, 0));
    let listed = match listed {
        Err(Error::Call { errno: Errno::ENOENT, .. }) => Vec::new(),
        listed => listed?,
    };
    Ok(listed.iter().filter_map(|one| chain(one)).collect())
}

fn chain(message: &[u8]) -> Option<Chain> {
    let value = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    let hook = netlink::attribute(message, BODY, 4);
    let hook = hook.and_then(|hook| netlink::attribute(hook, 0, 1)).and_then(value);
    let policy = netlink::attribute(message, BODY, 5).and_then(value);
    Some(Chain {
        table: name_in(message, TABLE)?,
        name: name_in(message, CHAIN_NAME)?,
        drops_forwarded: hook == Some(FORWARD.number as u32)
            && policy == Some(libc::NF_DROP as u32),
    })
}

fn name_in(message: &[u8], kind: u16) -> Option<String> {
    let name = netlink::attribute(message, BODY, kind)?;
    Some(String::from_utf8_lossy(name.strip_suffix(&[0]).unwrap_or(name)).into_owned())
}
