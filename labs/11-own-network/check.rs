//! What must be true of lab 11, look after look.

#[path = "check/ends.rs"]
mod ends;
#[path = "check/process.rs"]
mod process;
#[path = "check/refusals.rs"]
mod refusals;

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Capability, Checked, Setup, ensure, fail};

use ends::{VethEnd, changed_flags, queued};
use refusals::meet;

/// So many bits of an address are the network's.
const PREFIX: u8 = 30;
/// How long a datagram may take that takes microseconds: a link that has just come up does not send
/// before the kernel has had time for it.
const TIMEOUT: Duration = Duration::from_secs(3);

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

    // The child has a network of its own.
    meet(&mut student, "spawned")?;
    let child = process::judge(bench, &student)?;
    student.go()?;

    // One end is here, the other there, and each is the other's.
    meet(&mut student, "connected")?;
    for (whose, process) in [("host", host), ("child", child)] {
        bench.saw(format!("/proc/net/dev, {whose}"), student.links(process)?.join(" "));
    }
    let moved = student.link(child, &outer)?;
    let stayed = student.link(host, &inner)?;
    let names = |id: &str| fail(id).fact("outer", &outer).fact("inner", &inner);
    ensure(moved.is_none() || stayed.is_none(), || names("L11-exchanged"))?;
    ensure(moved.is_none(), || fail("L11-both-moved").fact("link", &outer))?;
    ensure(stayed.is_none(), || fail("L11-not-moved").fact("link", &inner))?;
    let ends = student.link(host, &outer)?.zip(student.link(child, &inner)?);
    let pair =
        ends.is_some_and(|(here, there)| here.index == there.other && there.index == here.other);
    for (name, end) in [(&outer, ends.map(|ends| ends.0)), (&inner, ends.map(|ends| ends.1))] {
        let says = end.map_or("-".to_owned(), |end| format!("{}, {}", end.index, end.other));
        bench.saw(format!("index and other end of {name}"), says);
    }
    let Some((here, there)) = ends.filter(|_| pair) else { return Err(names("L11-no-pair")) };
    student.go()?;

    // The host's end has its address; then it is up, and nothing else of it is changed.
    let outer = VethEnd { process: host, link: &outer, address: addresses[0] };
    let inner = VethEnd { process: child, link: &inner, address: addresses[1] };
    meet(&mut student, "addressed")?;
    outer.has_address(bench, &student, PREFIX)?;
    student.go()?;
    meet(&mut student, "up")?;
    outer.is_up(bench, &student, "L11-down")?;
    outer.has_prefix(bench, &student, PREFIX)?;
    changed_flags(&student, &outer, here.flags)?;
    student.go()?;

    // The same inside, and lo is up.
    meet(&mut student, "ready")?;
    inner.has_address(bench, &student, PREFIX)?;
    inner.is_up(bench, &student, "L11-inner-down")?;
    inner.has_prefix(bench, &student, PREFIX)?;
    changed_flags(&student, &inner, there.flags)?;
    VethEnd { link: "lo", ..inner }.is_up(bench, &student, "L11-lo-down")?;

    // The same port is bound on both sides; the check's own word goes from the one to the other.
    let to = SocketAddr::from((inner.address, port as u16));
    let missing = || fail("L11-no-datagram").fact("address", to);
    let bound = (queued(&student, host, port)?, queued(&student, child, port)?);
    let says = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| format!("{bytes} bytes"));
    let says = format!("{}, {}", says(bound.0), says(bound.1));
    bench.saw(format!("/proc/net/udp, port {port}, host and child"), says);
    let began = Instant::now();
    while queued(&student, child, port)? == Some(0) {
        student.send_datagram(host, to, &token)?;
        ensure(began.elapsed() < TIMEOUT, missing)?;
        sleep(Duration::from_millis(1));
    }
    student.go()?;
    meet(&mut student, "received")?;
    bench.saw("the child's datagram", student.said("token")?);
    ensure(student.said("token")? == token, missing)?;
    student.go()?;

    // The pair is gone while the child is still there to hold its end.
    meet(&mut student, "removed")?;
    for end in [&outer, &inner] {
        let left = student.link(end.process, end.link)?;
        let says = if left.is_some() { "is there" } else { "is gone" };
        bench.saw(format!("{}, afterwards", end.link), says);
        ensure(left.is_none(), || fail("L11-left").fact("link", end.link))?;
    }
    student.go()?;
    student.finish()
}
