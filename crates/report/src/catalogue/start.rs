//! The rows of start-up: of the sandboxes, and of a whole Linux guest.

use super::{Better, Group, Metric, less, size};
use crate::{Unit, metric};

pub(super) const STARTUP: Group = Group {
    name: "startup",
    title: "Start-up",
    question: "How long until the program speaks, and until nothing of it is left?",
    method: "From the call that starts it. The warm rows repeat in one process; the cold rows are a \
             fresh command each time, from its start to the first byte: isolab run, isolab run with \
             an image, and a client that asks a daemon as docker run --rm does, without a network. \
             What a daemon costs is the difference between the last two: its requests, its records \
             and the supervisor that outlives it.",
};

pub(super) const STARTUP_METRICS: &[Metric] = &[
    less(
        metric::STARTUP_CREATED,
        "walls up",
        "the walls exist: the child or the virtual CPU was created",
    ),
    less(
        metric::STARTUP_ENTERED,
        "program entered",
        "the first instruction of the program may run",
    ),
    less(
        metric::STARTUP_FIRST_BYTE,
        "first byte",
        "the host has the first byte of the program's output",
    ),
    less(metric::STARTUP_EXITED, "exited", "the host knows that the program has ended"),
    less(
        metric::TEARDOWN,
        metric::TEARDOWN,
        "from the end of the program until nothing of it is left",
    ),
    less(
        metric::STARTUP_COLD_FIRST_BYTE,
        "first byte, cold",
        "a whole isolab run, or another program's command, to the first byte",
    ),
    less(
        metric::STARTUP_COLD_EXITED,
        "exited, cold",
        "the same command, until it has ended: a guest's first process restarts its machine",
    ),
    less(
        metric::STARTUP_IMAGE_FIRST_BYTE,
        "of an image",
        "a whole isolab run --image, to the first byte",
    ),
    less(
        metric::STARTUP_ENGINE_FIRST_BYTE,
        "by the engine",
        "a client, its requests, isolab engine, and the same program, to the first byte",
    ),
    less(
        metric::STARTUP_DOCKERD_FIRST_BYTE,
        "by dockerd",
        "the same client and the same image, asked of Docker's own daemon",
    ),
    less(
        metric::STARTUP_LOGIN,
        "to login",
        "start of a distribution: from the start of its machine to its login prompt",
    ),
];

/// The question of Linux guests, whose columns may all be of another machine.
pub const LINUX: Group = Group {
    name: "linux",
    title: "A Linux guest",
    question: "What does a kernel of its own cost?",
    method: "The same `hello` as above, also in a guest with a distribution's kernel. All columns \
             of this question are of one machine; where the host has no hardware virtualization, \
             that is an emulated one whose clock counts instructions.",
};

pub(super) const LINUX_METRICS: &[Metric] = &[
    less(
        metric::LINUX_ENTERED,
        "entered",
        "the first instruction inside may run: the kernel's, if any",
    ),
    less(metric::LINUX_FIRST_BYTE, "first byte", "the host has the first byte that `hello` wrote"),
    Metric {
        unit: Unit::Count,
        ..less(metric::LINUX_EXITS, "exits", "VM exits from its start to its end")
    },
    size(metric::LINUX_MEMORY, "guest RAM", "the guest's RAM, as far as the host had to find it"),
    Metric {
        better: Better::More,
        unit: Unit::Count,
        derived: Some(
            "1 GiB divided by the guest RAM above; the memory of the monitor and of the host's \
             kernel is left out, so fewer fit",
        ),
        ..less(metric::LINUX_DENSITY, "in 1 GiB", "so many guests with that RAM fit into 1 GiB")
    },
    less(metric::LINUX_RESTORE, "restored", "first byte of a guest that was saved before (bench)"),
    size(metric::LINUX_DISK, "disk", "the program, and the guest's kernel, as stored"),
];
