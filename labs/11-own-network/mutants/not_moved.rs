//! The attribute that moves is forgotten: both ends are in the host's network.

use std::process::ExitCode;

use container::Error;
use nix::{
    sched::{CloneFlags, clone},
    sys::signal::Signal,
    unistd::Pid,
};
use own_network::{Answer, CREATE, Inside, Message, Netlink, Plan, VETH_INFO_PEER, link, text};

const LOOPBACK: i32 = 1;

fn spawn(inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and
    // this process has one thread, so nothing is held that the child would wait for.
    unsafe { clone(inside, &mut stack, CloneFlags::CLONE_NEWNET, Some(Signal::SIGCHLD as i32)) }
}

fn create_pair(netlink: &mut Netlink, name: &str, peer: &str, pid: i32) -> Result<(), Error> {
    let _ = pid;
    let message = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0))
        .attribute(libc::IFLA_IFNAME, &text(name))
        .nested(libc::IFLA_LINKINFO, |info| {
            info.attribute(libc::IFLA_INFO_KIND, b"veth").nested(libc::IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |end| {
                    end.raw(&link(0, 0, 0)).attribute(libc::IFLA_IFNAME, &text(peer))
                })
            })
        });
    netlink.request("create a pair of links", message).map(drop)
}

fn prepare_inside(netlink: &mut Netlink, plan: &Plan) -> Result<(), Error> {
    let index = netlink.index_of(&plan.inner)?;
    netlink.add_address(index, plan.inner_address, plan.prefix)?;
    netlink.set_up(index)?;
    netlink.set_up(LOOPBACK)
}

fn main() -> ExitCode {
    own_network::program(&Answer {
        spawn,
        create_pair,
        add_address: Netlink::add_address,
        set_up: Netlink::set_up,
        prepare_inside,
        remove: Netlink::delete,
    })
}
