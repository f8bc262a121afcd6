//! What records hold and what follows from it, worked out anew.

use std::collections::BTreeSet;

use crate::{
    Comparison, Records, Sample, Unit,
    catalogue::{self, Better, GROUPS, PROBES},
    claims::Claim,
    format::{digits, human, spread, times},
    interval::{median_interval, ratio},
    method, metric, verdict,
};

pub(super) const COLD: &str = metric::STARTUP_COLD_FIRST_BYTE;
pub(super) const WARM: &str = metric::STARTUP_FIRST_BYTE;
pub(super) const AGAIN: &str = "process (again)";
pub(super) const SHARES: [(&str, f64); 5] = [
    (metric::SLICES_QUOTA10, 0.1),
    (metric::SLICES_QUOTA50, 0.5),
    (metric::SLICES_WEIGHT1, 1.0 / 7.0),
    (metric::SLICES_WEIGHT2, 2.0 / 7.0),
    (metric::SLICES_WEIGHT4, 4.0 / 7.0),
];

/// What records hold, read without the code under test.
pub(super) struct Oracle<'a>(pub(super) &'a Records);

impl Oracle<'_> {
    /// The samples that a measurement can give.
    pub(super) fn samples(&self, metric: &str, sandbox: &str) -> Vec<Sample> {
        let mut all = self.0.series.iter();
        let Some(series) = all.find(|it| it.metric == metric && it.sandbox == sandbox) else {
            return Vec::new();
        };
        let shrinks = series.unit == Unit::Bytes;
        let usable = |it: &&Sample| it.value.abs() < 1e18 && (it.value >= 0.0 || shrinks);
        series.samples.iter().filter(usable).copied().collect()
    }

    pub(super) fn median(&self, metric: &str, sandbox: &str) -> Option<f64> {
        let mut values: Vec<f64> =
            self.samples(metric, sandbox).iter().map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() % 2 {
            _ if values.is_empty() => None,
            1 => Some(values[middle]),
            _ => Some(values[middle - 1] + (values[middle] - values[middle - 1]) / 2.0),
        }
    }

    pub(super) fn unit(&self, metric: &str, sandbox: &str) -> Option<Unit> {
        let mut all = self.0.series.iter();
        Some(all.find(|it| it.metric == metric && it.sandbox == sandbox)?.unit)
    }

    pub(super) fn failed(&self, metric: &str, sandbox: &str) -> bool {
        self.0.gaps.iter().any(|gap| gap.metric == metric && gap.sandbox == sandbox)
    }

    pub(super) fn complete(&self, metric: &str, sandbox: &str) -> bool {
        !self.failed(metric, sandbox) && !self.samples(metric, sandbox).is_empty()
    }

    /// From enough processes for an interval.
    pub(super) fn several(&self, metric: &str, sandbox: &str) -> bool {
        let samples = self.samples(metric, sandbox);
        let processes: BTreeSet<u32> = samples.iter().map(|sample| sample.process).collect();
        self.complete(metric, sandbox) && processes.len() >= 5
    }

    /// A size or a count that was the same in several processes.
    fn constant(&self, metric: &str, sandbox: &str) -> bool {
        let samples = self.samples(metric, sandbox);
        let alike = samples.iter().all(|sample| sample.value == samples[0].value);
        let several = samples.iter().any(|sample| sample.process != samples[0].process);
        let unit = self.unit(metric, sandbox);
        alike && several && matches!(unit, Some(Unit::Bytes | Unit::Count))
    }

    /// Enough for a judgement.
    pub(super) fn known(&self, metric: &str, sandbox: &str) -> bool {
        let constant = self.complete(metric, sandbox) && self.constant(metric, sandbox);
        constant || self.several(metric, sandbox)
    }

    /// Enough of a machine with a kernel: the Linux guest, or a peer's.
    fn known_of_machine(&self, of_linux: &str, of_peers: &str) -> bool {
        let mut peers = ["qemu-kvm", "qemu-tcg"].iter();
        self.known(of_linux, "linux") || peers.any(|peer| self.known(of_peers, peer))
    }

    /// Enough, and all of it on one side of each limit.
    fn clear(&self, metric: &str, sandbox: &str, limits: (f64, f64)) -> bool {
        let Some(range) = median_interval(&self.samples(metric, sandbox)) else { return false };
        let spans = |limit| range.low < limit && limit < range.high;
        self.known(metric, sandbox) && !spans(limits.0) && !spans(limits.1)
    }

    /// The ratio of the medians where a cell prints one.
    pub(super) fn printed_ratio(&self, metric: &str, sandbox: &str) -> Option<f64> {
        let known = catalogue::find(metric);
        let compared = known.is_none_or(|(_, known)| known.better != Better::Neither);
        self.ratio(metric, sandbox, "process").filter(|_| compared && sandbox != "process")
    }

    pub(super) fn ratio(&self, metric: &str, sandbox: &str, base: &str) -> Option<f64> {
        let both = self.complete(metric, sandbox) && self.complete(metric, base);
        let (above, below) = (self.median(metric, sandbox)?, self.median(metric, base)?);
        (both && above > 0.0 && below > 0.0).then_some(above / below)
    }

    pub(super) fn probe(&self, probe: &str, sandbox: &str) -> Option<bool> {
        let mut all = self.0.probes.iter();
        all.find(|it| it.probe == probe && it.sandbox == sandbox).map(|it| it.exposed)
    }

    /// Whether this claim can be judged: all that it names is there, or one thing decides.
    pub(super) fn judges(&self, claim: &Claim) -> bool {
        let speed = |sandbox| {
            [sandbox, "process", AGAIN].iter().all(|name| self.several(metric::COMPUTE_SPIN, name))
        };
        let most = |sandbox: &str| {
            let samples = self.samples(metric::DENSITY_COUNT, sandbox);
            let values = samples.iter().map(|sample| sample.value);
            values.fold(0.0, f64::max)
        };
        match claim.claim {
            "a container starts in seconds" => {
                [COLD, WARM].iter().any(|metric| self.clear(metric, "container", (0.5e9, 60e9)))
            }
            "a virtual machine starts in minutes" => {
                let linux = [COLD, metric::LINUX_FIRST_BYTE].map(|metric| (metric, "linux"));
                let peers = ["qemu-kvm", "qemu-tcg"].map(|peer| (COLD, peer));
                let judged = |(metric, sandbox)| {
                    self.several(metric, sandbox) && self.several(metric, "container")
                };
                let login = self.several(metric::STARTUP_LOGIN, "qemu-kvm-login")
                    && self.several(COLD, "container");
                login || linux.into_iter().chain(peers).any(judged)
            }
            "a container runs at nearly native speed" => speed("container"),
            "a virtual machine loses about half of it" => speed("microvm"),
            "a virtual machine is unfit for heavy I/O, such as a database" => false,
            "a container needs KB of disk, a virtual machine GB" => {
                self.known(metric::FOOTPRINT_DISK, "container")
                    && self.known_of_machine(metric::LINUX_DISK, metric::FOOTPRINT_DISK)
            }
            "a container needs fewer resources than a virtual machine" => {
                self.known(metric::FOOTPRINT_MEMORY, "container")
                    && self.known_of_machine(metric::LINUX_MEMORY, metric::FOOTPRINT_MEMORY)
            }
            "hundreds to thousands of containers on a host, tens of virtual machines" => {
                self.complete(metric::DENSITY_COUNT, "linux") && most("linux") >= 100.0
            }
            "a container isolates processes; a virtual machine has a hypervisor's boundary" => {
                let container = [("kernel", true), ("pids", false)]
                    .map(|(probe, shown)| self.probe(probe, "container").map(|is| is == shown));
                let microvm = PROBES.map(|probe| self.probe(probe, "microvm").map(|is| !is));
                let all: Vec<_> = container.into_iter().chain(microvm).collect();
                all.contains(&Some(false)) || !all.contains(&None)
            }
            "one second is cut into ten tenths, one for each of ten programs" => {
                [metric::SLICES_RR_SLICE, metric::SLICES_NORMAL_SLICE]
                    .iter()
                    .all(|metric| self.clear(metric, "process", (0.08e9, 0.12e9)))
            }
            "there are slices because of cgroups" => {
                self.complete(metric::SLICES_NORMAL_SLICE, "process")
            }
            "one task then, ten tasks now" => {
                match self.complete(metric::SLICES_TOGETHER, "process") {
                    true => self.several(metric::SLICES_TOGETHER, "process"),
                    false => self.several(metric::SLICES_NORMAL_SHARE, "process"),
                }
            }
            "cgroups share it out as they are told" => SHARES.iter().all(|(metric, asked)| {
                self.clear(metric, "container", (asked * 0.85, asked * 1.15))
            }),
            other => panic!("nobody said what {other:?} speaks of"),
        }
    }

    /// Every quantity that a report of these records may name.
    pub(super) fn quantities(&self) -> BTreeSet<String> {
        let method = method::sentences(&Comparison::of(self.0));
        let mut texts: Vec<String> =
            method.into_iter().flat_map(|sentence| [sentence.en, sentence.zh]).collect();
        // What is written down for all runs, and what the records say in words.
        texts.push("95 % interval; quotas of 10 and 50 %; 2\u{a0}% a tuned one; is 100 ms".into());
        for (group, metrics) in GROUPS {
            texts.extend([group.question.to_owned(), group.method.to_owned()]);
            texts.extend(metrics.iter().flat_map(|it| [it.title, it.explanation]).map(Into::into));
        }
        let Records { provenance, gaps, probes, series, .. } = self.0;
        texts.push(format!("{provenance:?} {gaps:?} {probes:?} {:.1} s", provenance.took_seconds));
        texts.extend(SHARES.map(|(_, asked)| format!("{:.1} %", asked * 100.0)));
        for one in series {
            texts.extend(one.caveat.clone());
            texts.extend(self.quantities_of(&one.metric, &one.sandbox));
        }
        texts.iter().flat_map(|text| quantities(text)).collect()
    }

    pub(super) fn quantities_of(&self, metric: &str, sandbox: &str) -> Vec<String> {
        let samples = self.samples(metric, sandbox);
        let Some((median, unit)) = self.median(metric, sandbox).zip(self.unit(metric, sandbox))
        else {
            return Vec::new();
        };
        let derived = catalogue::find(metric).is_some_and(|(_, known)| known.derived.is_some());
        let interval = median_interval(&samples);
        let interval = interval.filter(|_| !derived && !self.constant(metric, sandbox));
        let mut texts = vec![human(median, unit)];
        texts.extend(interval.map(|interval| spread(median, interval)));
        // Peers stand beside the container.
        texts.extend(self.ratio(metric, sandbox, "container").map(times));
        if let Some(value) = self.ratio(metric, sandbox, "process") {
            let speed = if metric == metric::MEMORY_BANDWIDTH { value } else { 1.0 / value };
            texts.push(times(value));
            texts.push(format!("{} %", digits((1.0 - speed).abs() * 100.0)));
            texts.push(format!("{:.1} %", (value - 1.0).abs() * 100.0));
        }
        if let Some(once) = sandbox.strip_suffix(" (again)") {
            let again = ratio(&samples, &self.samples(metric, once));
            let floor = again.filter(|it| it.interval.is_some());
            let floor = floor.map(|again| (verdict::noise_floor(&again) - 1.0) * 100.0);
            texts.extend(floor.map(|percent| format!("{percent:.0} %")));
        }
        texts
    }

    /// The lengths of the phases of start-up, and of all of them.
    pub(super) fn phases(&self, sandbox: &str) -> Option<Vec<f64>> {
        let milestones = [
            metric::STARTUP_CREATED,
            metric::STARTUP_ENTERED,
            metric::STARTUP_FIRST_BYTE,
            metric::STARTUP_EXITED,
        ];
        let (mut reached, mut phases) = (0.0f64, Vec::new());
        for metric in milestones {
            let time = self.median(metric, sandbox).filter(|_| self.complete(metric, sandbox))?;
            phases.push((time - reached).max(0.0));
            reached = reached.max(time);
        }
        phases.push(self.median(metric::TEARDOWN, sandbox)?);
        self.complete(metric::TEARDOWN, sandbox).then_some(phases)
    }
}

/// The numbers with a unit in a text, as `3.2 ms`.
pub(super) fn quantities(text: &str) -> Vec<String> {
    const UNITS: [&str; 15] = [
        "ns", "µs", "ms", "s", "KiB", "MiB", "GiB", "TiB", "kB/s", "MB/s", "GB/s", "B/s", "B", "%",
        "×",
    ];
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let after = &rest[at..];
        let end = after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(after.len());
        let (number, tail) = after.split_at(end);
        let unit = tail.strip_prefix([' ', '\u{a0}']).unwrap_or(tail);
        let whole = |name: &&&str| {
            unit.strip_prefix(**name).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        found.extend(UNITS.iter().find(whole).map(|name| format!("{number} {name}")));
        rest = tail;
    }
    found
}
