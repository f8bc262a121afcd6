//! Made-up records for the tests, with the shape of a real run; nothing here was measured.

use crate::{
    Gap, Lane, Probe, Provenance, Records, Sample, ScheduleTrace, Series, Unit, VERSION, metric,
    random::Random,
};

/// A made-up run with every kind of row.
pub fn records() -> Records {
    let mut series = Vec::new();
    for (metric, unit, centre) in TIMES {
        for (sandbox, centre) in SANDBOXES.iter().zip(centre) {
            series.push(cloud(metric, sandbox, *unit, *centre));
        }
    }
    series.push(Series {
        caveat: Some("made up: this KVM interprets guest code".into()),
        ..cloud(metric::MEMORY_TOUCH, "microvm", Unit::Nanoseconds, 21_000.0)
    });
    series.push(cloud(metric::SLICES_QUOTA10, "container", Unit::Share, 0.1));
    series.push(cloud(metric::SLICES_QUOTA50, "container", Unit::Share, 0.5));
    series.push(cloud(metric::SLICES_RR_SLICE, "process", Unit::Nanoseconds, 1e8));
    series.push(cloud(metric::SLICES_NORMAL_SLICE, "process", Unit::Nanoseconds, 3.9e6));
    for (name, weight) in [
        (metric::SLICES_WEIGHT1, 1.0),
        (metric::SLICES_WEIGHT2, 2.0),
        (metric::SLICES_WEIGHT4, 4.0),
    ] {
        series.push(cloud(name, "container", Unit::Share, weight / 7.0));
    }
    // Ten programs of each run share one CPU.
    let tenths = cloud(metric::SLICES_NORMAL_SHARE, "process", Unit::Share, 0.099);
    let samples = (0..50).map(|index| Sample { process: index / 10, round: 0, value: 0.099 });
    series.push(Series { samples: samples.collect(), ..tenths });
    for (metric, unit, centre) in LINUX {
        for (sandbox, centre) in ["container", "linux"].iter().zip(centre) {
            series.push(cloud(metric, sandbox, *unit, *centre));
        }
    }
    series.push(cloud(metric::DENSITY_COUNT, "linux", Unit::Count, 200.0));
    let host = [("cpu", "made up"), ("kernel", "9.9.9"), ("load before", "0.1")];
    Records {
        version: VERSION,
        provenance: Provenance {
            command: "isolab compare, made up for a test".into(),
            began_unix_seconds: 1_000_000_000,
            took_seconds: 12.5,
            commit: "0123abc-dirty".into(),
            seed: 1,
            host: host.map(|(name, fact)| (name.into(), fact.into())).into(),
            ..Provenance::default()
        },
        series,
        gaps: vec![Gap {
            metric: metric::SLICES_QUOTA10.into(),
            sandbox: "microvm".into(),
            reason: "a microvm cannot keep a CPU quota".into(),
            fix: "put isolab itself into a cgroup".into(),
        }],
        traces: vec![ScheduleTrace {
            metric: metric::TRACE_ROUND_ROBIN.into(),
            lanes: (0..10).map(lane).collect(),
            length_nanoseconds: 1_000_000_000,
        }],
        probes: crate::catalogue::PROBES.into_iter().flat_map(probes).collect(),
    }
}

/// The same with peers that boot a distribution to its login prompt, a real machine and an emulated one.
pub fn with_logins(mut records: Records) -> Records {
    for (peer, centre) in [("qemu-kvm-login", 4.1e9), ("qemu-tcg-login", 24e9)] {
        records.series.push(cloud(metric::STARTUP_LOGIN, peer, Unit::Nanoseconds, centre));
    }
    records
}

const SANDBOXES: [&str; 4] = ["process", "process (again)", "container", "microvm"];

const TIMES: &[(&str, Unit, [f64; 4])] = &[
    (metric::STARTUP_CREATED, Unit::Nanoseconds, [1.6e5, 1.58e5, 3.4e5, 4.6e5]),
    (metric::STARTUP_ENTERED, Unit::Nanoseconds, [1.61e5, 1.6e5, 7.0e5, 5.3e5]),
    (metric::STARTUP_FIRST_BYTE, Unit::Nanoseconds, [1.7e5, 1.72e5, 7.2e5, 7.6e5]),
    (metric::STARTUP_EXITED, Unit::Nanoseconds, [1.79e5, 1.8e5, 8.3e5, 8.2e5]),
    (metric::STARTUP_COLD_FIRST_BYTE, Unit::Nanoseconds, [1.1e6, 1.1e6, 3.2e6, 2.1e6]),
    (metric::TEARDOWN, Unit::Nanoseconds, [6.0e3, 6.0e3, 1.2e4, 4.7e5]),
    (metric::COMPUTE_SPIN, Unit::Nanoseconds, [1.464, 1.463, 1.465, 1.47]),
    (metric::MEMORY_BANDWIDTH, Unit::BytesPerSecond, [1.9e10, 1.9e10, 1.91e10, 1.88e10]),
    (metric::CROSSING, Unit::Nanoseconds, [73.0, 73.0, 78.0, 57_000.0]),
    (metric::FOOTPRINT_MEMORY, Unit::Bytes, [3.0e4, 3.0e4, 2.1e5, 5.4e5]),
    (metric::FOOTPRINT_DISK, Unit::Bytes, [8192.0, 8192.0, 8192.0, 4096.0]),
    (metric::DENSITY_COUNT, Unit::Count, [200.0, 200.0, 200.0, 200.0]),
    (metric::DENSITY_FIRST, Unit::Nanoseconds, [1.4e5, 1.4e5, 7.6e5, 7.0e5]),
    (metric::DENSITY_LAST, Unit::Nanoseconds, [1.5e5, 1.5e5, 9.6e5, 8.0e5]),
    ("bench.cold_start", Unit::Nanoseconds, [1.7e5, 1.7e5, 8.0e5, 8.3e5]),
];

const LINUX: &[(&str, Unit, [f64; 2])] = &[
    (metric::LINUX_FIRST_BYTE, Unit::Nanoseconds, [2.2e6, 4.9e8]),
    (metric::LINUX_MEMORY, Unit::Bytes, [4.0e5, 8.6e7]),
    (metric::LINUX_DENSITY, Unit::Count, [2600.0, 12.0]),
    (metric::LINUX_DISK, Unit::Bytes, [8192.0, 1.4e7]),
];

/// Samples about `centre` with a tail to the right, as times have it; counts have no spread.
fn cloud(metric: &str, sandbox: &str, unit: Unit, centre: f64) -> Series {
    let name = metric.bytes().chain(sandbox.bytes());
    let seed = name.fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_003);
    let mut random = Random::new(seed);
    let spread =
        if unit == Unit::Count || [metric::FOOTPRINT_DISK, metric::LINUX_DISK].contains(&metric) {
            0.0
        } else {
            0.03
        };
    let samples = (0..40).map(|round| {
        let tail = random.fraction().powi(6) * 8.0;
        let value = centre * (1.0 + spread * (random.fraction() - 0.5 + tail));
        Sample { value, process: round % 5, round: round / 5 }
    });
    Series {
        metric: metric.into(),
        sandbox: sandbox.into(),
        unit,
        caveat: None,
        samples: samples.collect(),
        seconds: Vec::new(),
    }
}

fn lane(index: u64) -> Lane {
    let first = index * 100_000_000;
    Lane { label: (index + 1).to_string(), running: vec![(first, first + 99_000_000)] }
}

fn probes(probe: &str) -> Vec<Probe> {
    let seen = |sandbox: &str, seen: &str, exposed| Probe {
        probe: probe.into(),
        sandbox: sandbox.into(),
        seen: seen.into(),
        exposed,
    };
    vec![
        seen("process", "the host's own", true),
        seen("container", "the host's own", probe == "kernel"),
        seen("microvm", "none inside", false),
    ]
}
