//! What is measured, in which parts, and how often.

use std::{fmt, str::FromStr};

use report::metric;

/// A part of the comparison; each run of a part is a fresh process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What can be seen from inside.
    Probes,
    /// Start and end, again and again in one process.
    Startup,
    /// Start of a whole `isolab run`, and of a client of a daemon.
    Cold,
    /// The programs that report their own times.
    Programs,
    /// Memory and disk of one instance.
    Footprint,
    /// The disk of two images on one base.
    Images,
    /// Many instances at once, and the kernel's memory for them.
    Density,
    /// CPU time in slices.
    Slices,
    /// A file written and read, and bytes sent to the host.
    Io,
    /// A whole Linux guest beside the others.
    Linux,
}

/// How often a part is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Fresh processes.
    pub processes: u32,
    /// Rounds in each process that are thrown away.
    pub warm_up: u32,
    /// Rounds in each process that count.
    pub rounds: u32,
    /// How long a round takes, roughly: progress is counted in these.
    pub milliseconds: u64,
}

impl Part {
    /// All parts in the order in which they are measured.
    pub const ALL: [Part; 10] = [
        Self::Probes,
        Self::Startup,
        Self::Cold,
        Self::Programs,
        Self::Footprint,
        Self::Images,
        Self::Density,
        Self::Slices,
        Self::Io,
        Self::Linux,
    ];

    /// How often it is repeated, fixed before anything is measured.
    pub fn amount(self, quick: bool) -> Amount {
        let amount = |processes, warm_up, rounds, milliseconds| Amount {
            processes,
            warm_up,
            rounds,
            milliseconds,
        };
        match (self, quick) {
            (Self::Probes, _) => amount(1, 0, 1, 50),
            (Self::Startup, true) => amount(2, 3, 15, 10),
            (Self::Startup, false) => amount(8, 10, 50, 10),
            (Self::Cold, true) => amount(2, 1, 8, 60),
            (Self::Cold, false) => amount(6, 3, 20, 60),
            // As few as a verdict takes.
            (Self::Programs, true) => amount(2, 1, 3, 800),
            (Self::Programs, false) => amount(5, 1, 3, 1000),
            (Self::Footprint, true) => amount(1, 0, 2, 3200),
            (Self::Footprint, false) => amount(6, 0, 1, 3200),
            (Self::Images, true) => amount(1, 0, 1, 1000),
            // Made anew in each process: what differs is chance.
            (Self::Images, false) => amount(5, 0, 1, 700),
            (Self::Density, true) => amount(1, 0, 1, 500),
            (Self::Density, false) => amount(5, 0, 1, 3500),
            (Self::Slices, true) => amount(1, 0, 1, 11_000),
            (Self::Slices, false) => amount(5, 0, 1, 13_500),
            (Self::Io, true) => amount(1, 1, 3, 200),
            (Self::Io, false) => amount(5, 1, 4, 500),
            (Self::Linux, true) => amount(1, 0, 2, 4000),
            (Self::Linux, false) => amount(5, 0, 2, 4000),
        }
    }

    /// What is shown while it is measured.
    pub fn title(self) -> &'static str {
        match self {
            Self::Probes => "what can be seen inside",
            Self::Startup => "start and end",
            Self::Cold => "whole processes",
            Self::Programs => "compute and memory",
            Self::Footprint => "footprint of one",
            Self::Images => "disk of images",
            Self::Density => "many at once",
            Self::Slices => "CPU time in slices",
            Self::Io => "disk and network",
            Self::Linux => "a whole Linux guest",
        }
    }

    /// Why programs of others do not take part in it; `None` if they do.
    pub fn without_peers(self) -> Option<&'static str> {
        Some(match self {
            // A rate says of each of them why it has none.
            Self::Cold | Self::Programs | Self::Footprint | Self::Io => return None,
            Self::Probes => "asked of isolab's own sandboxes alone",
            Self::Startup => {
                "warm starts repeat in one process of isolab's; its whole command is in the cold rows"
            }
            Self::Images => "its images are in a store of its own",
            Self::Density => "many instances of it belong to its own daemon or files",
            Self::Slices => "limits on CPU time are the kernel's, whoever sets them",
            Self::Linux => "its start is in the cold rows",
        })
    }

    /// The metrics that it reports for every sandbox: a series or a probe, or a gap with its reason.
    pub fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Probes => &[
                metric::PROBE_KERNEL,
                metric::PROBE_PIDS,
                metric::PROBE_HOST_FILES,
                metric::PROBE_DEVICES,
                metric::PROBE_HOST_NAME,
                metric::PROBE_WAY_OUT,
            ],
            Self::Startup => &[
                metric::STARTUP_CREATED,
                metric::STARTUP_ENTERED,
                metric::STARTUP_FIRST_BYTE,
                metric::STARTUP_EXITED,
                metric::TEARDOWN,
            ],
            Self::Cold => &[
                metric::STARTUP_COLD_FIRST_BYTE,
                metric::STARTUP_COLD_EXITED,
                metric::STARTUP_IMAGE_FIRST_BYTE,
                metric::STARTUP_ENGINE_FIRST_BYTE,
                metric::STARTUP_DOCKERD_FIRST_BYTE,
            ],
            Self::Programs => &[
                metric::COMPUTE_SPIN,
                metric::MEMORY_BANDWIDTH,
                metric::MEMORY_LATENCY,
                metric::MEMORY_TOUCH,
                metric::CROSSING,
            ],
            Self::Footprint => &[metric::FOOTPRINT_MEMORY, metric::FOOTPRINT_DISK],
            Self::Images => &[metric::IMAGES_SHARED, metric::IMAGES_UNIQUE, metric::IMAGES_STARTED],
            Self::Density => &[
                metric::DENSITY_COUNT,
                metric::DENSITY_FIRST,
                metric::DENSITY_LAST,
                metric::FOOTPRINT_KERNEL,
            ],
            Self::Slices => &[
                metric::SLICES_QUOTA10,
                metric::SLICES_QUOTA10_GAP,
                metric::SLICES_QUOTA50,
                metric::SLICES_WEIGHT1,
                metric::SLICES_WEIGHT2,
                metric::SLICES_WEIGHT4,
                metric::SLICES_RR_SLICE,
                metric::SLICES_RR_SHARE,
                metric::SLICES_NORMAL_SLICE,
                metric::SLICES_NORMAL_SHARE,
                metric::SLICES_TOGETHER,
            ],
            Self::Io => &[metric::IO_DISK, metric::IO_NETWORK],
            Self::Linux => &[
                metric::LINUX_ENTERED,
                metric::LINUX_FIRST_BYTE,
                metric::LINUX_RESTORE,
                metric::LINUX_EXITS,
                metric::LINUX_MEMORY,
                metric::LINUX_DENSITY,
                metric::LINUX_DISK,
            ],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Startup => "startup",
            Self::Cold => "cold",
            Self::Programs => "programs",
            Self::Footprint => "footprint",
            Self::Images => "images",
            Self::Density => "density",
            Self::Slices => "slices",
            Self::Io => "io",
            Self::Linux => "linux",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|part| part.name() == name);
        known.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(ToString::to_string).collect();
            format!("{name:?} is not a part of the comparison: {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_by_its_name() {
        for part in Part::ALL {
            assert_eq!(part.to_string().parse(), Ok(part));
        }
        assert!("else".parse::<Part>().is_err());
    }
}
