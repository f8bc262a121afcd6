//! How a container's packets come further than the host: it passes them on under its own address.
//!
//! ```text
//!   container          host                                       a server
//!   10.7.3.2 ─ eth0 ── iso0a070300 ─ forward ─ masquerade ─ eth0 ── 192.0.2.7
//!                                                └ source 10.7.3.2 becomes that of eth0, and
//!                                                  answers to it become the container's again
//! ```
//!
//! For each link there is a table of rules, which says what of the link's packets goes where, and
//! ends with it. Forwarding, which makes a router of the host, is set for the links that need it
//! alone (`net.ipv4.conf.LINK.forwarding`), never for all (`net.ipv4.ip_forward`). Where isolab has
//! switched it on:
//!
//! * The table `isolab-forwarding` has a chain of the link's name. In it, whatever begins a connection
//!   through the host is dropped: of what comes in by that link, only answers are passed on, and
//!   connections that somebody's rules have redirected on purpose, as those of published ports.
//! * Who removes the last link's table switches it off again, unless somebody has set it for all
//!   meanwhile.
//!
//! Several launchers do this at once, by turns. The kernel counts the generations of its rules: a batch that was
//! made up by what another one has changed meanwhile is refused, and made up anew.

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
    spec::network::Published,
    subnet::{is_our_link, take_name},
};

/// The table whose chains are named by the links that isolab has switched forwarding on for.
const FORWARDING: &str = "isolab-forwarding";
/// Before the kernel looks up to which connection a packet belongs.
const RAW: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// How far packets from inside come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As far as the host's.
    Further,
    /// Not beyond the host, because a chain drops what no rule accepts.
    UpTo { table: String, chain: String },
}

/// The name of the table that belongs to a link.
pub(crate) fn table_of(link: &str) -> String {
    format!("isolab-{link}")
}

/// Whether it is the name of such a table.
pub(crate) fn is_our_table(name: &str) -> bool {
    name.strip_prefix("isolab-").is_some_and(is_our_link)
}

/// Whoever has it changes rules and forwarding, which are two things to the kernel, as one; all others
/// wait. It ends with the process that has it.
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

/// Writes the rules for the link `link`, whose other end has the address `inside`, and switches on
/// forwarding for it and for `ways`, the links by which the host reaches other networks.
pub(crate) fn connect(
    link: &str,
    inside: Ipv4Addr,
    ways: &[String],
    published: &[Published],
) -> Result<Reach, Error> {
    let _turn = take_turn()?;
    let table = table_of(link);
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
        write_table(batch, &table, link, inside, published);
        Ok(chains)
    })?;
    set_forwarding(link, true)?;
    for way in ways.iter().filter(|way| !is_forwarding(way)) {
        set_forwarding(way, true)?;
    }
    if published.iter().any(|port| port.address.is_unspecified() || port.address.is_loopback()) {
        // What a process of the host's sends to 127.0.0.1 may then leave by the link; what comes in
        // by it for that network is dropped by the rule above.
        set(link, "route_localnet", true)?;
    }
    let drops = chains.into_iter().find(|chain| chain.drops_forwarded);
    Ok(drops.map_or(Reach::Further, |it| Reach::UpTo { table: it.table, chain: it.name }))
}

/// Whether the kernel takes such rules from this caller: tried in a network namespace that nobody else
/// uses, and that ends with the thread.
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

/// A chain of the host's that drops what it passes on unless a rule accepts it, with its table.
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
    batch.rule(table, "postrouting", &[Part::Source(inside), Part::NotTo(link), Part::Masquerade]);
    batch.chain(table, "forward", FORWARD);
    // Other containers and the host's neighbours have no business inside.
    let uninvited = [Part::To(link), Part::IsNew, Part::IsNotRedirected, Part::Drop];
    batch.rule(table, "forward", &uninvited);
    if published.is_empty() {
        return;
    }
    batch.chain(table, "raw", RAW);
    let loopback = Part::Destination(Ipv4Addr::new(127, 0, 0, 0), 8);
    batch.rule(table, "raw", &[Part::From(link), loopback, Part::Drop]);
    // Its own connections, to a port of the host's or its own that leads inside, come from the
    // host's end; and so do those of the host's processes that go by 127.0.0.1.
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

/// Removes the rules of a link; those that are not there are removed already. With the last ones
/// forwarding goes, where isolab has switched it on.
pub(crate) fn disconnect(table: &str) -> Result<(), Error> {
    let _turn = take_turn()?;
    let mut switched_off = Vec::new();
    let removed = change("remove the nf_tables rules of the link", |batch| {
        // Another launcher came between: it needs what was switched off for the try before.
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
            // Before the rules that stand for it are gone, so that who comes after that finds the
            // host as it was.
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

/// Whether the rules of a link are there.
pub(crate) fn is_there(table: &str) -> bool {
    is_our_table(table) && nftables::tables().is_ok_and(|all| all.iter().any(|one| one == table))
}

/// Makes up a batch and commits it, until nobody has changed the rules meanwhile.
fn change<R>(
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

/// Sets forwarding for links, as far as they are still there. Where somebody has set it for all links
/// meanwhile it is theirs and stays on.
fn switch(links: &mut Vec<String>, on: bool) {
    if !on && is_forwarding("all") {
        links.clear();
    }
    for link in links.iter() {
        let _ = set_forwarding(link, on); // one that is gone needs none
    }
    if on {
        links.clear();
    }
}

fn setting(link: &str, name: &str) -> String {
    // The kernel's own replacement for dots in the names of links is for sysctl(8), not for paths.
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

    /// Does it in a network of its own, where root may; whether that could be had.
    fn alone(test: impl FnOnce() + Send + 'static) {
        if !Uid::effective().is_root() || try_out().is_err() {
            println!("skipped: this caller cannot write nf_tables rules on this host");
            return;
        }
        let tested = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
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
                // One that is gone is removed already.
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
