//! The names of metrics in records. Every other place uses these constants.

/// Start until the sandbox exists.
pub const STARTUP_CREATED: &str = "startup.created";
/// Start until the first instruction of the program may run.
pub const STARTUP_ENTERED: &str = "startup.entered";
/// Start until the host has the first byte of output.
pub const STARTUP_FIRST_BYTE: &str = "startup.first_byte";
/// Start until the host knows of the program's end.
pub const STARTUP_EXITED: &str = "startup.exited";
/// End of the program until everything it used is free.
pub const TEARDOWN: &str = "teardown";
/// Start of a whole `isolab run`, or of another program's command, until its first byte of output.
pub const STARTUP_COLD_FIRST_BYTE: &str = "startup.cold.first_byte";
/// Start of a whole `isolab run`, or of another program's command, until it has ended.
pub const STARTUP_COLD_EXITED: &str = "startup.cold.exited";
/// Start of a whole `isolab run --image` until its first byte of output.
pub const STARTUP_IMAGE_FIRST_BYTE: &str = "startup.image.first_byte";
/// Start of a client of isolab's daemon until its first byte of output.
pub const STARTUP_ENGINE_FIRST_BYTE: &str = "startup.engine.first_byte";
/// Start of a client of Docker's daemon until its first byte of output.
pub const STARTUP_DOCKERD_FIRST_BYTE: &str = "startup.dockerd.first_byte";
/// Start of a machine that boots a whole distribution until the login prompt on its console.
pub const STARTUP_LOGIN: &str = "startup.login";
/// One iteration of a loop of integer work.
pub const COMPUTE_SPIN: &str = "compute.spin";
/// Bytes per second of a triad over three arrays.
pub const MEMORY_BANDWIDTH: &str = "memory.bandwidth";
/// One step of a pointer chase.
pub const MEMORY_LATENCY: &str = "memory.latency";
/// The first write to a page of 4 KiB.
pub const MEMORY_TOUCH: &str = "memory.touch";
/// One boundary crossing: a system call, or a VM exit to user space.
pub const CROSSING: &str = "crossing";
/// PSS of the processes that keep one idle instance.
pub const FOOTPRINT_MEMORY: &str = "footprint.memory";
/// Kernel memory of one idle instance.
pub const FOOTPRINT_KERNEL: &str = "footprint.kernel";
/// Blocks that have to be stored for one instance.
pub const FOOTPRINT_DISK: &str = "footprint.disk";
/// Blocks that two images on the same base have in common.
pub const IMAGES_SHARED: &str = "images.shared";
/// Blocks that one of two images on the same base has alone.
pub const IMAGES_UNIQUE: &str = "images.unique";
/// Blocks that one more running instance of an image adds.
pub const IMAGES_STARTED: &str = "images.started";
/// Idle instances that were alive at once.
pub const DENSITY_COUNT: &str = "density.count";
/// Start of the first of many instances.
pub const DENSITY_FIRST: &str = "density.first";
/// Start of the last of many instances.
pub const DENSITY_LAST: &str = "density.last";
/// Start of each of many instances; the round of a sample is how many were alive then.
pub const DENSITY_START: &str = "density.start";
/// What the host's available memory has lost to many instances; the round of a sample is how many
/// are alive.
pub const DENSITY_MEMORY: &str = "density.memory";
/// Share of a CPU under a quota of 10 %; also the picture of it.
pub const SLICES_QUOTA10: &str = "slices.quota10";
/// Share of a CPU under a quota of 50 %; also the picture of it.
pub const SLICES_QUOTA50: &str = "slices.quota50";
/// Longest pause under a quota of 10 %.
pub const SLICES_QUOTA10_GAP: &str = "slices.quota10.gap";
/// Share of a CPU with weight 1 of 7.
pub const SLICES_WEIGHT1: &str = "slices.weight1";
/// Share of a CPU with weight 2 of 7.
pub const SLICES_WEIGHT2: &str = "slices.weight2";
/// Share of a CPU with weight 4 of 7.
pub const SLICES_WEIGHT4: &str = "slices.weight4";
/// One turn of ten `SCHED_RR` programs.
pub const SLICES_RR_SLICE: &str = "slices.rr.slice";
/// Share of each of ten `SCHED_RR` programs.
pub const SLICES_RR_SHARE: &str = "slices.rr.share";
/// One turn of ten programs under `SCHED_OTHER`.
pub const SLICES_NORMAL_SLICE: &str = "slices.normal.slice";
/// Share of each of ten programs under `SCHED_OTHER`.
pub const SLICES_NORMAL_SHARE: &str = "slices.normal.share";
/// The CPU time of one program alone, divided by that of ten together that share a CPU and do a tenth
/// of its work each: the part of the work that slicing leaves.
pub const SLICES_TOGETHER: &str = "slices.together";
/// Start of a Linux guest until the first instruction inside.
pub const LINUX_ENTERED: &str = "linux.entered";
/// Start of a Linux guest until the first byte of output.
pub const LINUX_FIRST_BYTE: &str = "linux.first_byte";
/// VM exits of a Linux guest from start to end.
pub const LINUX_EXITS: &str = "linux.exits";
/// Guest memory that the host had to provide.
pub const LINUX_MEMORY: &str = "linux.memory";
/// Guests of that size that fit into 1 GiB.
pub const LINUX_DENSITY: &str = "linux.density";
/// Start of a saved guest until the first byte of output.
pub const LINUX_RESTORE: &str = "linux.restore";
/// Blocks of the program and of the guest's kernel.
pub const LINUX_DISK: &str = "linux.disk";

/// Bytes a second to and from a disk.
pub const IO_DISK: &str = "io.disk";
/// Bytes a second through a network.
pub const IO_NETWORK: &str = "io.network";

/// What the name of a metric begins with that is a look from inside.
pub const PROBE: &str = "probe.";

/// Which kernel answers inside.
pub const PROBE_KERNEL: &str = "probe.kernel";
/// Which processes can be seen inside.
pub const PROBE_PIDS: &str = "probe.pids";
/// Which files of the host can be reached inside.
pub const PROBE_HOST_FILES: &str = "probe.host files";
/// Which devices are inside.
pub const PROBE_DEVICES: &str = "probe.devices";
/// Which host name is set inside.
pub const PROBE_HOST_NAME: &str = "probe.host name";
/// How the program inside asks for something outside.
pub const PROBE_WAY_OUT: &str = "probe.way out";

/// The picture of programs with different weights.
pub const TRACE_WEIGHTS: &str = "slices.weights";
/// The picture of ten `SCHED_RR` programs.
pub const TRACE_ROUND_ROBIN: &str = "slices.round_robin";
/// The picture of ten programs under `SCHED_OTHER`.
pub const TRACE_NORMAL: &str = "slices.normal";
