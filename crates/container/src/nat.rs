//! How a container's packets get beyond the host: the host forwards them with its own address
//! (masquerading).
//!
//! ```text
//!   container          host                                       a server
//!   10.7.3.2 ─ eth0 ── iso0a070300 ─ forward ─ masquerade ─ eth0 ── 192.0.2.7
//!                                                └ source 10.7.3.2 becomes that of eth0, and
//!                                                  answers to it become the container's again
//! ```
//!
//! Each link has a table of rules for its packets, which is removed with it. Forwarding, which
//! turns the host into a router, is enabled only for the links that need it
//! (`net.ipv4.conf.LINK.forwarding`), never for all (`net.ipv4.ip_forward`). For links on which
//! isolab has enabled it:
//!
//! * The table `isolab-forwarding` has a chain with the link's name, which drops new connections
//!   through the host: of the packets that come in on that link, only replies are forwarded, and
//!   connections that rules have redirected on purpose, such as those to published ports.
//! * Whoever removes the table of the last link disables it again, unless it has been enabled for
//!   all links meanwhile.
//!
//! Several launchers may do this at once, so they take turns. The kernel counts the generations of
//! its rules: a batch based on rules that another process has changed meanwhile is rejected, and
//! composed anew.

use std::{
    fs,
    net::Ipv4Addr,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
};

use crate::{
    Error,
    error::{call, file},
    nftables::{self, Batch, FORWARD, Hook, OUTPUT, POSTROUTING, PREROUTING, Part},
    spec::network::{Published, is_our_link},
    subnet::take_name,
};

/// The table with a chain for each link on which isolab has enabled forwarding.
const FORWARDING: &str = "isolab-forwarding";
/// Before connection tracking.
const RAW: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// How far packets from inside get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As far as those of the host.
    Further,
    /// Not beyond the host, because a chain drops packets that no rule accepts.
    UpTo { table: String, chain: String },
}

/// The name of a link's table.
pub(crate) fn table_of(link: &str) -> String {
    format!("isolab-{link}")
}

/// Whether it is the name of such a table.
pub(crate) fn is_our_table(name: &str) -> bool {
    name.strip_prefix("isolab-").is_some_and(is_our_link)
}

/// A lock for changing rules and forwarding together; other launchers wait for it. It is released
/// when its process ends.
fn take_turn() -> Result<OwnedFd, Error> {
    const LONGEST: Duration = Duration::from_secs(10);
    let began = Instant::now();
    loop {
        match take_name("forwarding") {
            Some(turn) => return Ok(turn),
            None if began.elapsed() < LONGEST => thread::sleep(Duration::from_micros(200)),
            None => {
                let words = "wait for another launcher to change the host's forwarding";
                return Err(call(words)(Errno::ETIMEDOUT));
            }
        }
    }
}

/// Writes the rules for the link `link`, whose other end has the address `inside`, and enables
/// forwarding on it and on `ways`, the links by which the host reaches other networks.
pub(crate) fn connect(
    link: &str,
    inside: Ipv4Addr,
    ways: &[String],
    published: &[Published],
) -> Result<Reach, Error> {
    let table = table_of(link);
    let reach = forward(link, ways, |batch| {
        write_table(batch, &table, link, inside, published);
        Ok(())
    })?;
    if published.iter().any(|port| port.address.is_unspecified() || port.address.is_loopback()) {
        // Packets of host processes to 127.0.0.1 may then leave by the link; packets that come in
        // on it for that network are dropped by the rule above.
        set(link, "route_localnet", true)?;
    }
    Ok(reach)
}

/// Writes the rules of the bridge `bridge` for its containers, in place of those that it has, and
/// enables forwarding on it and on `ways`. Packets from the network `masqueraded` get the host's
/// address.
pub(crate) fn connect_bridge(
    bridge: &str,
    masqueraded: Option<(Ipv4Addr, u8)>,
    ways: &[String],
) -> Result<Reach, Error> {
    let table = table_of(bridge);
    forward(bridge, ways, |batch| {
        remove_if_there(batch, &table)?;
        write_table_of_bridge(batch, &table, bridge);
        let Some((address, prefix)) = masqueraded else { return Ok(()) };
        let leaving = [Part::Source(address, prefix), Part::NotTo(bridge), Part::Masquerade];
        batch.chain(&table, "postrouting", POSTROUTING);
        batch.rule(&table, "postrouting", &leaving);
        Ok(())
    })
}

/// Writes rules that let nothing through between the bridge and other links, in place of those that
/// it has.
pub(crate) fn isolate_bridge(bridge: &str) -> Result<(), Error> {
    let _turn = take_turn()?;
    let table = table_of(bridge);
    change("write the nf_tables rules of the bridge", |batch| {
        remove_if_there(batch, &table)?;
        write_table_of_bridge(batch, &table, bridge);
        batch.rule(&table, "forward", &[Part::From(bridge), Part::NotTo(bridge), Part::Drop]);
        batch.rule(&table, "forward", &[Part::To(bridge), Part::NotFrom(bridge), Part::Drop]);
        Ok(())
    })
}

/// A bridge's table with a chain that lets no new connection in. Packets between its own ports meet
/// the chain too if the host has net.bridge.bridge-nf-call-iptables.
fn write_table_of_bridge(batch: &mut Batch, table: &str, bridge: &str) {
    batch.table(table);
    batch.chain(table, "forward", FORWARD);
    let uninvited =
        [Part::To(bridge), Part::NotFrom(bridge), Part::IsNew, Part::IsNotRedirected, Part::Drop];
    batch.rule(table, "forward", &uninvited);
}

fn remove_if_there(batch: &mut Batch, table: &str) -> Result<(), Error> {
    if nftables::tables()?.iter().any(|found| found == table) {
        batch.remove_table(table);
    }
    Ok(())
}

/// Writes the rules of a link, and enables forwarding on it and on `ways`.
fn forward(
    link: &str,
    ways: &[String],
    rules: impl Fn(&mut Batch) -> Result<(), Error>,
) -> Result<Reach, Error> {
    let _turn = take_turn()?;
    let chains = change("write the nf_tables rules of the link", |batch| {
        let chains = nftables::chains()?;
        let ours = |way: &String| is_switched_on_by_us(&chains, way);
        let needed = |way: &&String| ours(way) || !is_forwarding(way);
        let needed: Vec<&String> = ways.iter().filter(needed).collect();
        if !needed.is_empty() && !chains.iter().any(|chain| chain.table == FORWARDING) {
            batch.table(FORWARDING);
        }
        for way in needed.into_iter().filter(|way| !ours(way)) {
            batch.chain(FORWARDING, way, FORWARD);
            let parts = [Part::From(way), Part::IsNew, Part::IsNotRedirected, Part::Drop];
            batch.rule(FORWARDING, way, &parts);
        }
        rules(batch)?;
        Ok(chains)
    })?;
    set_forwarding(link, true)?;
    for way in ways.iter().filter(|way| !is_forwarding(way)) {
        set_forwarding(way, true)?;
    }
    let drops = chains.into_iter().find(|chain| chain.drops_forwarded);
    Ok(drops.map_or(Reach::Further, |it| Reach::UpTo { table: it.table, chain: it.name }))
}

/// Tries whether the kernel accepts such rules from this caller, in a new network namespace that
/// ends with the thread.
pub(crate) fn try_out() -> Result<(), Error> {
    let tried = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(call("unshare a network namespace"))?;
        change("write nf_tables rules", |batch| {
            let address = Ipv4Addr::UNSPECIFIED;
            let port = Published { address, host_port: 1, port: 1, udp: false };
            write_table(batch, FORWARDING, "lo", Ipv4Addr::LOCALHOST, &[port]);
            Ok(())
        })
    });
    tried.join().unwrap_or(Ok(()))
}

/// A chain of the host that drops forwarded packets unless a rule accepts them, with its table.
pub(crate) fn dropping_chain() -> Option<(String, String)> {
    let drops = nftables::chains().ok()?.into_iter().find(|chain| chain.drops_forwarded)?;
    Some((drops.table, drops.name))
}

/// The rules of one link.
fn write_table(
    batch: &mut Batch,
    table: &str,
    link: &str,
    inside: Ipv4Addr,
    published: &[Published],
) {
    batch.table(table);
    batch.chain(table, "postrouting", POSTROUTING);
    batch.rule(
        table,
        "postrouting",
        &[Part::Source(inside, 32), Part::NotTo(link), Part::Masquerade],
    );
    batch.chain(table, "forward", FORWARD);
    // New connections from other containers and from the host's networks are not allowed in.
    let uninvited = [Part::To(link), Part::IsNew, Part::IsNotRedirected, Part::Drop];
    batch.rule(table, "forward", &uninvited);
    if published.is_empty() {
        return;
    }
    batch.chain(table, "raw", RAW);
    let loopback = Part::Destination(Ipv4Addr::new(127, 0, 0, 0), 8);
    batch.rule(table, "raw", &[Part::From(link), loopback, Part::Drop]);
    // Its own connections to a published port are masqueraded as from the host's end, and so are
    // those of host processes to 127.0.0.1.
    batch.rule(table, "postrouting", &[Part::To(link), Part::Masquerade]);
    batch.chain(table, "prerouting", PREROUTING);
    batch.chain(table, "output", OUTPUT);
    for port in published {
        let protocol = if port.udp { libc::IPPROTO_UDP } else { libc::IPPROTO_TCP };
        let port_is = Part::Port(protocol as u8, port.host_port);
        let address_is = match port.address.is_unspecified() {
            true => Part::DestinationIsLocal,
            false => Part::Destination(port.address, 32),
        };
        let parts = [address_is, port_is, Part::Redirect(inside, port.port)];
        batch.rule(table, "prerouting", &parts);
        batch.rule(table, "output", &parts);
    }
}

/// Removes the rules of a link; it is not an error if there are none. With the last link's rules,
/// the forwarding that isolab has enabled is disabled.
pub(crate) fn disconnect(table: &str) -> Result<(), Error> {
    let _turn = take_turn()?;
    let mut switched_off = Vec::new();
    let removed = change("remove the nf_tables rules of the link", |batch| {
        // Another launcher has changed the rules: restore what the previous attempt disabled.
        switch(&mut switched_off, true);
        let tables = nftables::tables()?;
        if tables.iter().any(|found| found == table) {
            batch.remove_table(table);
        }
        let others = tables.iter().any(|found| found != table && is_our_table(found));
        if !others && tables.iter().any(|found| found == FORWARDING) {
            let chains = nftables::chains()?.into_iter();
            switched_off =
                chains.filter(|chain| chain.table == FORWARDING).map(|chain| chain.name).collect();
            // Before the rules that record it are gone, so that the next launcher finds the host's
            // original state.
            switch(&mut switched_off, false);
            batch.remove_table(FORWARDING);
        }
        Ok(())
    });
    if removed.is_err() {
        switch(&mut switched_off, true);
    }
    removed
}

/// Whether the rules of a link exist.
pub(crate) fn is_there(table: &str) -> bool {
    is_our_table(table) && nftables::tables().is_ok_and(|all| all.iter().any(|one| one == table))
}

/// Composes a batch and commits it, again if the rules have changed meanwhile.
pub(crate) fn change<R>(
    words: &'static str,
    mut make_up: impl FnMut(&mut Batch) -> Result<R, Error>,
) -> Result<R, Error> {
    const TRIES: u32 = 100;
    let mut tries = 0;
    loop {
        let mut batch = Batch::new(nftables::generation()?);
        let made = make_up(&mut batch);
        tries += 1;
        match made.and_then(|made| batch.commit(words).map(|()| made)) {
            Err(Error::Call { errno: Errno::ERESTART | Errno::EINTR, .. }) if tries < TRIES => {}
            done => return done,
        }
    }
}

fn is_switched_on_by_us(chains: &[nftables::Chain], link: &str) -> bool {
    chains.iter().any(|chain| chain.table == FORWARDING && chain.name == link)
}

/// Sets forwarding for links that still exist. If it has been enabled for all links meanwhile, it
/// stays on.
fn switch(links: &mut Vec<String>, on: bool) {
    if !on && is_forwarding("all") {
        links.clear();
    }
    for link in links.iter() {
        let _ = set_forwarding(link, on); // a link that is gone needs none
    }
    if on {
        links.clear();
    }
}

fn setting(link: &str, name: &str) -> String {
    // Dots in names of links are replaced only for sysctl(8), not in paths.
    format!("/proc/sys/net/ipv4/conf/{link}/{name}")
}

fn is_forwarding(link: &str) -> bool {
    fs::read_to_string(setting(link, "forwarding")).is_ok_and(|text| text.trim() != "0")
}

fn set_forwarding(link: &str, on: bool) -> Result<(), Error> {
    set(link, "forwarding", on)
}

fn set(link: &str, name: &str, on: bool) -> Result<(), Error> {
    let path = setting(link, name);
    fs::write(&path, if on { "1" } else { "0" }).map_err(file("write", path))
}

#[cfg(test)]
mod tests {
    use nix::unistd::Uid;

    use super::*;
    use crate::{netlink::Netlink, nftables::Chain};

    /// Runs the test in a network namespace of its own, if the caller may make one.
    fn alone(test: impl FnOnce() + Send + 'static) {
        if !Uid::effective().is_root() || try_out().is_err() {
            println!("skipped: this caller cannot write nf_tables rules on this host");
            return;
        }
        let tested = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            // A new namespace has the first one's setting, which Docker for one changes.
            fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
            test();
        });
        tested.join().unwrap();
    }

    const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    /// The host's end of a link, and the link by which the host reaches others.
    fn link(name: &str, peer: &str) {
        Netlink::open().unwrap().create_veth(name, peer, nix::unistd::gettid().as_raw()).unwrap();
    }

    #[test]
    fn the_last_links_rules_take_forwarding_along() {
        alone(|| {
            link("up0", "other0");
            let names = ["iso0a000000", "iso0a000004", "iso0a000008"];
            for (number, name) in names.iter().enumerate() {
                link(name, &format!("in{number}"));
                let reach = connect(name, INSIDE, &["up0".into()], &[]).unwrap();
                assert_eq!(reach, Reach::Further);
                assert!(is_there(&table_of(name)) && is_forwarding(name) && is_forwarding("up0"));
            }
            for name in names {
                assert!(is_forwarding("up0"), "before {name}");
                disconnect(&table_of(name)).unwrap();
                // Removing it again is not an error.
                disconnect(&table_of(name)).unwrap();
            }
            assert!(!is_forwarding("up0"));
            assert_eq!(nftables::tables().unwrap(), [""; 0]);
        });
    }

    #[test]
    fn launchers_at_once_leave_nothing() {
        alone(|| {
            link("up0", "other0");
            let launcher = |number: u32| {
                let name = format!("iso0000000{number}");
                link(&name, &format!("in{number}"));
                for _ in 0..20 {
                    connect(&name, INSIDE, &["up0".into()], &[]).unwrap();
                    assert!(is_forwarding("up0"), "of {name}");
                    disconnect(&table_of(&name)).unwrap();
                }
            };
            thread::scope(|scope| {
                for number in 0..4 {
                    scope.spawn(move || launcher(number));
                }
            });
            assert!(!is_forwarding("up0"));
            assert_eq!(nftables::tables().unwrap(), [""; 0]);
        });
    }

    #[test]
    fn a_chain_that_drops_what_is_forwarded_is_named() {
        alone(|| {
            link("iso0a000000", "in0");
            let docker = |policy| {
                let mut batch = Batch::new(nftables::generation().unwrap());
                batch.table("filter");
                batch.chain_with_policy("filter", "FORWARD", FORWARD, policy);
                batch.commit("write a table").unwrap();
            };
            for (policy, drops) in [(libc::NF_ACCEPT, false), (libc::NF_DROP, true)] {
                docker(policy);
                let chain = ("filter".to_owned(), "FORWARD".to_owned());
                assert_eq!(dropping_chain(), drops.then_some(chain));
                let reach = connect("iso0a000000", INSIDE, &[], &[]).unwrap();
                assert_eq!(reach != Reach::Further, drops);
                disconnect(&table_of("iso0a000000")).unwrap();
                disconnect("filter").unwrap();
            }
            let chain = |table: &str| Chain {
                table: table.into(),
                name: "up0".into(),
                drops_forwarded: false,
            };
            assert!(is_switched_on_by_us(&[chain(FORWARDING)], "up0"));
            assert!(!is_switched_on_by_us(&[chain("filter")], "up0"));
        });
    }
}
