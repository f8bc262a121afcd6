//! The rows of memory and disk: of one instance, of images, and of many instances.

use super::{Better, Group, Metric, less, size};
use crate::{Unit, metric};

pub(super) const FOOTPRINT: Group = Group {
    name: "footprint",
    title: "Footprint",
    question: "What does an idle one hold of the host's memory and disk?",
    method: "Memory is the PSS of all processes that keep one instance alive, without the guest's \
             own RAM; kernel memory is its growth by many instances, divided by their number; disk \
             is blocks, shared ones counted once.",
};

pub(super) const FOOTPRINT_METRICS: &[Metric] = &[
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

pub(super) const IMAGES: Group = Group {
    name: "images",
    title: "Images",
    question: "What does one more image cost on the disk, and one more instance of it?",
    method: "Two images on one base, made on this host: the base is a shell with its libraries, and \
             each image adds 1 MiB of its own. Counted are the blocks that the kernel has allocated, \
             without the compressed archives, from which containers and Linux microVMs both begin.",
};

pub(super) const IMAGES_METRICS: &[Metric] = &[
    size(metric::IMAGES_SHARED, "shared", "stored once for both images"),
    size(metric::IMAGES_UNIQUE, "unique", "what one image has alone"),
    size(metric::IMAGES_STARTED, "per instance", "what one more running instance adds"),
];

pub(super) const DENSITY: Group = Group {
    name: "density",
    title: "Density",
    question: "How many live at once, and does the last start as fast as the first?",
    method: "Idle instances are started one after the other until the budget of the run is spent. \
             The count is that budget's, or less where a limit came first: it is no maximum.",
};

pub(super) const DENSITY_METRICS: &[Metric] = &[
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
