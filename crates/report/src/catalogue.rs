//! What is measured: the words for each metric, in the order in which they are shown.
//!
//! A metric that is not in here is shown all the same, under its own name.

use crate::{Unit, metric, records::is_second_run};

/// A question of the comparison, with the metrics that answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Short name, for file names and links.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// The question.
    pub question: &'static str,
    /// What exactly was measured, and what was not.
    pub method: &'static str,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name in records.
    pub name: &'static str,
    /// At most 17 characters, for the first column of tables.
    pub title: &'static str,
    /// One line for the page.
    pub explanation: &'static str,
    /// Which way is better.
    pub better: Better,
    /// What it should be, if it was asked for: a tenth for a quota of 10 %.
    pub expected: Option<f64>,
    /// The formula by which it is computed from what was measured, and what that leaves out; `None`
    /// of what was measured itself. A derived figure has no interval.
    pub derived: Option<&'static str>,
    /// The unit of its values in records.
    pub unit: Unit,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Times, costs, memory.
    Less,
    /// Throughput, density.
    More,
    /// Neither: it should be what was asked for.
    Neither,
}

/// The questions, in order.
pub const GROUPS: &[(Group, &[Metric])] = &[
    (STARTUP, STARTUP_METRICS),
    (COMPUTE, COMPUTE_METRICS),
    (MEMORY, MEMORY_METRICS),
    (CROSSING, CROSSING_METRICS),
    (FOOTPRINT, FOOTPRINT_METRICS),
    (IMAGES, IMAGES_METRICS),
    (DENSITY, DENSITY_METRICS),
    (SLICES, SLICES_METRICS),
    (IO, IO_METRICS),
    (LINUX, LINUX_METRICS),
];

/// The group of metrics from `cargo bench`.
pub const BENCHES: Group = Group {
    name: "benches",
    title: "Benches",
    question: "What do the criterion benches say?",
    method: "Criterion's raw samples: the time of a batch of iterations divided by their number.",
};

/// The group of metrics that this catalogue does not know.
pub const OTHER: Group = Group {
    name: "other",
    title: "Other",
    question: "What else was measured?",
    method: "These rows are shown under the names that the records give them.",
};

/// The metric of that name, with its group.
pub fn find(name: &str) -> Option<(&'static Group, &'static Metric)> {
    let named = |(group, metrics): &'static (Group, &[Metric])| {
        let metric = metrics.iter().find(|metric| metric.name == name)?;
        Some((group, metric))
    };
    GROUPS.iter().find_map(named)
}

/// What is looked for from inside of every sandbox.
pub const PROBES: [&str; 6] = [
    probe(metric::PROBE_KERNEL),
    probe(metric::PROBE_PIDS),
    probe(metric::PROBE_HOST_FILES),
    probe(metric::PROBE_DEVICES),
    probe(metric::PROBE_HOST_NAME),
    probe(metric::PROBE_WAY_OUT),
];

/// The question of a metric that is a probe.
const fn probe(metric: &'static str) -> &'static str {
    metric.split_at(metric::PROBE.len()).1
}

/// Metrics whose samples are points of a curve over the number of instances, in their rounds: they
/// are drawn, and have no median.
pub const CURVES: [&str; 2] = [metric::DENSITY_START, metric::DENSITY_MEMORY];

/// Whether a report writes a figure of that metric in that sandbox: neither of a curve nor of a second
/// run.
pub(crate) fn has_figure(metric: &str, sandbox: &str) -> bool {
    !CURVES.contains(&metric) && !is_second_run(sandbox)
}

/// Whether the process is measured a second time for the noise floor: wherever a round does not take
/// seconds.
pub fn measured_twice(name: &str) -> bool {
    let once = |group: &Group| [IMAGES, SLICES, LINUX].contains(group);
    // Each sample of a curve is of another number of instances, and a process has no login prompt.
    let never = CURVES.contains(&name) || name == metric::STARTUP_LOGIN;
    find(name).is_some_and(|(group, _)| !once(group) && !never)
}

const STARTUP: Group = Group {
    name: "startup",
    title: "Start-up",
    question: "How long until the program speaks, and until nothing of it is left?",
    method: "From the call that starts it. The warm rows repeat in one process; the cold rows are a \
             fresh command each time, from its start to the first byte: isolab run, isolab run with \
             an image, and a client that asks a daemon as docker run --rm does, without a network. \
             What a daemon costs is the difference between the last two: its requests, its records \
             and the supervisor that outlives it.",
};

const STARTUP_METRICS: &[Metric] = &[
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

const COMPUTE: Group = Group {
    name: "compute",
    title: "Compute",
    question: "Does the program compute more slowly inside?",
    method: "The same integer loop of a fixed number of iterations, timed inside by the same clock.",
};

const COMPUTE_METRICS: &[Metric] = &[less(
    metric::COMPUTE_SPIN,
    "integer loop",
    "time of one iteration of a loop of integer work",
)];

const MEMORY: Group = Group {
    name: "memory",
    title: "Memory",
    question: "What does memory cost behind a second table of pages?",
    method: "A triad over an array (bandwidth), a chain of dependent loads in random order \
             (latency), and the first touch of fresh pages.",
};

const MEMORY_METRICS: &[Metric] = &[
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

const CROSSING: Group = Group {
    name: metric::CROSSING,
    title: "Crossing",
    question: "What does one boundary crossing cost?",
    method: "A process and a container make a system call; a microVM makes a VM exit to its monitor \
             in user space. Each is what that sandbox has; they are not the same thing.",
};

const CROSSING_METRICS: &[Metric] =
    &[less(metric::CROSSING, "one crossing", "a system call, or a VM exit to user space and back")];

const FOOTPRINT: Group = Group {
    name: "footprint",
    title: "Footprint",
    question: "What does an idle one hold of the host's memory and disk?",
    method: "Memory is the PSS of all processes that keep one instance alive, without the guest's \
             own RAM; kernel memory is its growth by many instances, divided by their number; disk \
             is blocks, shared ones counted once.",
};

const FOOTPRINT_METRICS: &[Metric] = &[
    size(metric::FOOTPRINT_MEMORY, "memory", "PSS of the processes that keep one idle instance"),
    Metric {
        derived: Some(
            "the growth of the kernel's memory by all instances, divided by their number; whatever \
             else the kernel took or gave back meanwhile is in it, so that it may be negative",
        ),
        ..size(metric::FOOTPRINT_KERNEL, "kernel memory", "kernel memory of one idle instance")
    },
    size(metric::FOOTPRINT_DISK, "disk", "blocks that have to be stored for it"),
];

const IMAGES: Group = Group {
    name: "images",
    title: "Images",
    question: "What does one more image cost on the disk, and one more instance of it?",
    method: "Two images on one base, made on this host: the base is a shell with its libraries, and \
             each image adds 1 MiB of its own. Counted are the blocks that the kernel has allocated, \
             without the compressed archives, from which containers and Linux microVMs both begin.",
};

const IMAGES_METRICS: &[Metric] = &[
    size(metric::IMAGES_SHARED, "shared", "stored once for both images"),
    size(metric::IMAGES_UNIQUE, "unique", "what one image has alone"),
    size(metric::IMAGES_STARTED, "per instance", "what one more running instance adds"),
];

const DENSITY: Group = Group {
    name: "density",
    title: "Density",
    question: "How many live at once, and does the last start as fast as the first?",
    method: "Idle instances are started one after the other until the budget of the run is spent. \
             The count is that budget's, or less where a limit came first: it is no maximum.",
};

const DENSITY_METRICS: &[Metric] = &[
    Metric {
        better: Better::More,
        unit: Unit::Count,
        ..less(metric::DENSITY_COUNT, "alive at once", "idle instances")
    },
    less(metric::DENSITY_FIRST, "start of first", "start-up time of the first ones"),
    less(
        metric::DENSITY_LAST,
        "start of last",
        "start-up time of the last ones, beside all others",
    ),
    less(
        metric::DENSITY_START,
        "start of each",
        "start-up time of each one, beside all before (with --density)",
    ),
    size(
        metric::DENSITY_MEMORY,
        "memory of all",
        "what the host's available memory has lost to all of them (with --density)",
    ),
];

const SLICES: Group = Group {
    name: "slices",
    title: "CPU time",
    question: "Who gets the processor, for how long at a time?",
    method: "Programs on one CPU that look at the clock without pause: where the clock jumps, \
             another program ran. Quotas and weights are those of the CPU cgroup controller.",
};

const SLICES_METRICS: &[Metric] = &[
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

const IO: Group = Group {
    name: "io",
    title: "Disk and network",
    question: "What does a byte to and from the outside cost?",
    method: "The same program in every sandbox writes a file until the disk has it and reads it \
             again, by its own clock; and sends to the host, which takes the time from the first \
             bytes that it receives to the last. Each through what its sandbox has for it, after the \
             start.",
};

const IO_METRICS: &[Metric] = &[
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

/// The question of Linux guests, whose columns may all be of another machine.
pub const LINUX: Group = Group {
    name: "linux",
    title: "A Linux guest",
    question: "What does a kernel of its own cost?",
    method: "The same `hello` as above, also in a guest with a distribution's kernel. All columns \
             of this question are of one machine; where the host has no hardware virtualization, \
             that is an emulated one whose clock counts instructions.",
};

const LINUX_METRICS: &[Metric] = &[
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

const fn less(name: &'static str, title: &'static str, explanation: &'static str) -> Metric {
    Metric {
        name,
        title,
        explanation,
        better: Better::Less,
        expected: None,
        derived: None,
        unit: Unit::Nanoseconds,
    }
}

const fn size(name: &'static str, title: &'static str, explanation: &'static str) -> Metric {
    Metric { unit: Unit::Bytes, ..less(name, title, explanation) }
}

const fn share(
    name: &'static str,
    title: &'static str,
    explanation: &'static str,
    expected: f64,
) -> Metric {
    Metric {
        better: Better::Neither,
        expected: Some(expected),
        unit: Unit::Share,
        ..less(name, title, explanation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_fit_the_first_column() {
        for metric in GROUPS.iter().flat_map(|(_, metrics)| *metrics) {
            assert!(metric.title.chars().count() <= 17, "{}", metric.title);
        }
    }

    #[test]
    fn a_metric_is_found_in_its_group() {
        assert_eq!(find(metric::MEMORY_LATENCY).unwrap().0.name, "memory");
        assert_eq!(find("no such thing"), None);
    }
}
