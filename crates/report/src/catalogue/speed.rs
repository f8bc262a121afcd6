//! The rows of compute, memory, the way out, slices of CPU time, disk and network.

use super::{Better, Group, Metric, less, share};
use crate::{Unit, metric};

pub(super) const COMPUTE: Group = Group {
    name: "compute",
    title: "Compute",
    question: "Does the program compute more slowly inside?",
    method: "The same integer loop of a fixed number of iterations, timed inside by the same clock.",
};

pub(super) const COMPUTE_METRICS: &[Metric] = &[less(
    metric::COMPUTE_SPIN,
    "integer loop",
    "time of one iteration of a loop of integer work",
)];

pub(super) const MEMORY: Group = Group {
    name: "memory",
    title: "Memory",
    question: "What does memory cost behind a second table of pages?",
    method: "A triad over an array (bandwidth), a chain of dependent loads in random order \
             (latency), and the first touch of fresh pages.",
};

pub(super) const MEMORY_METRICS: &[Metric] = &[
    Metric {
        better: Better::More,
        unit: Unit::BytesPerSecond,
        ..less(metric::MEMORY_BANDWIDTH, "bandwidth", "bytes moved in a second by a triad")
    },
    less(
        metric::MEMORY_LATENCY,
        "latency",
        "one step of a pointer chase, which no cache can guess",
    ),
    less(metric::MEMORY_TOUCH, "touch a page", "the first touch of a fresh page of 4 KiB"),
];

pub(super) const CROSSING: Group = Group {
    name: metric::CROSSING,
    title: "Crossing",
    question: "What does one boundary crossing cost?",
    method: "A process and a container make a system call; a microVM makes a VM exit to its monitor \
             in user space. Each is what that sandbox has; they are not the same thing.",
};

pub(super) const CROSSING_METRICS: &[Metric] =
    &[less(metric::CROSSING, "one crossing", "a system call, or a VM exit to user space and back")];

pub(super) const SLICES: Group = Group {
    name: "slices",
    title: "CPU time",
    question: "Who gets the processor, for how long at a time?",
    method: "Programs on one CPU that look at the clock without pause: where the clock jumps, \
             another program ran. Quotas and weights are those of the CPU cgroup controller.",
};

pub(super) const SLICES_METRICS: &[Metric] = &[
    share(metric::SLICES_QUOTA10, "quota of 10 %", "share of one CPU under a quota of 10 %", 0.1),
    share(metric::SLICES_QUOTA50, "quota of 50 %", "share of one CPU under a quota of 50 %", 0.5),
    Metric {
        better: Better::Neither,
        ..less(metric::SLICES_QUOTA10_GAP, "gap at 10 %", "longest pause under a quota of 10 %")
    },
    share(metric::SLICES_WEIGHT1, "weight 1 of 7", "share of the one with weight 1", 1.0 / 7.0),
    share(metric::SLICES_WEIGHT2, "weight 2 of 7", "share of the one with weight 2", 2.0 / 7.0),
    share(metric::SLICES_WEIGHT4, "weight 4 of 7", "share of the one with weight 4", 4.0 / 7.0),
    Metric {
        better: Better::Neither,
        ..less(metric::SLICES_RR_SLICE, "SCHED_RR slice", "one turn of ten SCHED_RR programs")
    },
    share(metric::SLICES_RR_SHARE, "SCHED_RR share", "share of each of ten SCHED_RR programs", 0.1),
    Metric {
        better: Better::Neither,
        ..less(metric::SLICES_NORMAL_SLICE, "normal slice", "one turn of ten normal programs")
    },
    share(metric::SLICES_NORMAL_SHARE, "normal share", "share of each of ten normal programs", 0.1),
    share(
        metric::SLICES_TOGETHER,
        "ten for one",
        "CPU time of one program alone, divided by that of ten with a tenth of its work each",
        1.0,
    ),
];

pub(super) const IO: Group = Group {
    name: "io",
    title: "Disk and network",
    question: "What does a byte to and from the outside cost?",
    method: "The same program in every sandbox writes a file until the disk has it and reads it \
             again, by its own clock; and sends to the host, which takes the time from the first \
             bytes that it receives to the last. Each through what its sandbox has for it, after the \
             start.",
};

pub(super) const IO_METRICS: &[Metric] = &[
    Metric {
        better: Better::More,
        unit: Unit::BytesPerSecond,
        ..less(
            metric::IO_DISK,
            "disk rate",
            "bytes a second to a file on a disk, and from it again",
        )
    },
    Metric {
        better: Better::More,
        unit: Unit::BytesPerSecond,
        ..less(
            metric::IO_NETWORK,
            "network rate",
            "bytes a second over TCP from inside to the host",
        )
    },
];
