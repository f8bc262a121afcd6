//! What must be true of lab 11, look after look.

#[path = "check/addresses.rs"]
mod addresses;
#[path = "check/links.rs"]
mod links;
#[path = "check/refusals.rs"]
mod refusals;
#[path = "check/spawned.rs"]
mod spawned;

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use addresses::{Address, no_datagram, send};
use lab::check::{Bench, Capability, Checked, Setup, ensure, fail};
use links::{LinkState, Links};
use refusals::{explain, judge_refusal, meet};

/// So many bits of an address are the network's.
const PREFIX: u8 = 30;

fn main() -> ExitCode {
    lab::check::main("11", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let token = bench.token();
    let (outer, inner) = (format!("lab{token}"), format!("in{}", bench.random(100)));
    let port = 20_000 + bench.random(10_000);
    // A network of four addresses; the second and the third are to be used.
    let (middle, last) = (bench.random(1 << 16) as u32, 4 * (1 + bench.random(40) as u32));
    let network = 10 << 24 | middle << 8 | last;
    let addresses = [1, 2].map(|number| Ipv4Addr::from(network + number));
    let setup = Setup::root(&[Capability::SysAdmin, Capability::NetAdmin])
        .with_namespaces()
        .argument("outer", &outer)
        .argument("inner", &inner);
    let setup = setup.argument("port", port).argument("prefix", PREFIX);
    let setup = setup.argument("outer-address", addresses[0]);
    let mut student = bench.start(setup.argument("inner-address", addresses[1]))?;
    let host = student.host();

    // The child has a network of its own, and nothing else.
    let child = spawned::judge(bench, &mut student)?;
    let links = Links::before_the_pair(&student, child, (&outer, &inner))?;
    student.go()?;

    // One end is here, the other there, and each is the other's.
    meet(&mut student, "connected")?;
    links.judge_pair(bench, &student)?;
    student.go()?;
    judge_refusal(bench, &mut student, "L11-create-again", "EEXIST")?;

    // The host's end has its address, and is up.
    let end = LinkState { process: host, link: &outer };
    meet(&mut student, "addressed")?;
    let address = Address { process: host, link: &outer, address: addresses[0], prefix: PREFIX };
    address.judge(bench, &student)?;
    let flags = end.flags(&student)?;
    student.go()?;
    judge_refusal(bench, &mut student, "L11-address-again", "EEXIST")?;
    meet(&mut student, "up")?;
    end.is_up(bench, &student, "L11-down")?;
    end.is_otherwise(&student, flags)?;
    student.go()?;
    judge_refusal(bench, &mut student, "L11-absent-link", "")?;

    // So has the child's, and lo is up inside.
    meet(&mut student, "ready")?;
    let address = Address { process: child, link: &inner, address: addresses[1], ..address };
    address.judge_inside(bench, &student)?;
    LinkState { process: child, link: &inner }.is_up(bench, &student, "L11-inside-down")?;
    LinkState { process: child, link: "lo" }.is_up(bench, &student, "L11-lo-down")?;
    links.judge_number(bench, &student)?;

    // The same port is bound on both sides; the check's own word goes from the one to the other.
    let to = SocketAddr::from((addresses[1], port as u16));
    send(bench, &student, (host, child), (to, &token))?;
    student.go()?;
    meet(&mut student, "received")?;
    bench.saw("the child's datagram", student.said("token")?);
    ensure(student.said("token")? == token, || no_datagram(to))?;
    student.go()?;

    // The pair is gone while the child is still there to hold its end.
    meet(&mut student, "removed")?;
    for (process, name) in [(host, &outer), (child, &inner)] {
        let left = student.link(process, name)?;
        let says = if left.is_some() { "is still there" } else { "is gone" };
        bench.saw(format!("RTM_GETLINK, {name}, after `remove`"), says);
        ensure(left.is_none(), || fail("L11-left").fact("link", name))?;
    }
    student.go()?;
    student.finish().map_err(explain)
}
