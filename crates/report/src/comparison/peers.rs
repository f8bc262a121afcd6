//! The programs of others that took part, beside isolab's own sandboxes.

use super::{Comparison, Measured, Row};
use crate::{
    Gap, Records, catalogue, interval,
    metric::PROBE,
    records::is_second_run,
    spelling::{self, prose},
    verdict::Verdict,
};

/// The peers that a comparison knows by name.
const PEERS: [&str; 11] = [
    "runc",
    "crun",
    "bubblewrap",
    "podman",
    "docker",
    "nspawn",
    "qemu-kvm",
    "qemu-tcg",
    "firecracker",
    "cloud-hypervisor",
    "kvmtool",
];

/// The peers that run a guest with a kernel of its own, and so are machines of the textbook's kind.
pub(crate) const MACHINES: [&str; 5] =
    ["qemu-kvm", "qemu-tcg", "firecracker", "cloud-hypervisor", "kvmtool"];

/// Whether a sandbox is a program of others: recorded as one, or known as one.
pub(super) fn is_peer(records: &Records, sandbox: &str) -> bool {
    let is_known = PEERS.iter().any(|name| is_kind_of(sandbox, name));
    records.provenance.subjects.contains_key(sandbox) || is_known
}

/// Whether a name is that of a known peer, or of a kind of it, as `qemu-kvm-q35`.
fn is_kind_of(name: &str, known: &str) -> bool {
    let rest = name.strip_prefix(known);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ' ']))
}

/// The titles of metrics, a whole question by its own.
fn titles(metrics: &[&str]) -> String {
    let mut left = metrics.to_vec();
    let mut titles = Vec::new();
    for (group, all) in catalogue::GROUPS {
        if all.len() > 1 && all.iter().all(|metric| left.contains(&metric.name)) {
            titles.push(group.title);
            left.retain(|name| all.iter().all(|metric| metric.name != *name));
        }
    }
    if catalogue::PROBES.iter().all(|probe| left.contains(&&*format!("{PROBE}{probe}"))) {
        titles.push("what can be seen from inside");
        left.retain(|name| !name.starts_with(PROBE));
    }
    let title = |name: &&str| catalogue::find(name).map(|(_, known)| known.title);
    titles.extend(left.iter().map(|name| title(name).unwrap_or(name)));
    titles.join("; ")
}

/// One metric of one peer.
#[derive(Debug)]
pub(crate) struct PeerRow<'a> {
    /// The row of isolab's own sandboxes, for its words and its unit.
    pub(crate) row: &'a Row<'a>,
    /// The peer's name.
    pub(crate) peer: &'a str,
    /// What was measured of it.
    pub(crate) measured: Measured<'a>,
    /// How many times the container's value it is, and what that shows.
    pub(crate) against_container: Option<Verdict>,
}

impl<'a> Comparison<'a> {
    /// The names of the peers with samples or gaps: those that are known by name first, in the order of
    /// that list.
    pub fn peers(&self) -> Vec<&'a str> {
        let mut peers = Vec::new();
        let series = self.records.series.iter().map(|series| series.sandbox.as_str());
        for name in series.chain(self.records.gaps.iter().map(|gap| gap.sandbox.as_str())) {
            let again = is_second_run(name) || peers.contains(&name);
            if !again && is_peer(self.records, name) {
                peers.push(name);
            }
        }
        let place = |name: &&str| PEERS.iter().position(|known| is_kind_of(name, known));
        peers.sort_by_key(|name| (place(name).unwrap_or(PEERS.len()), name.len()));
        peers
    }

    /// What was measured of peers, metric by metric.
    pub(crate) fn peer_rows(&self) -> Vec<PeerRow<'_>> {
        let peers = self.peers();
        let mut found = Vec::new();
        for row in self.questions.iter().flat_map(|question| &question.rows) {
            for &peer in &peers {
                let Some(measured) = self.measure(row.metric, peer, row.noise_floor) else {
                    continue;
                };
                let ratio = self.ratio(row.metric, peer, "container");
                let against_container =
                    ratio.map(|ratio| self.judge(row.metric, &ratio, row.noise_floor));
                found.push(PeerRow { row, peer, measured, against_container });
            }
        }
        found
    }

    /// The measured value of a metric in a sandbox of isolab's own or in a peer.
    pub fn measured_of(&self, metric: &str, sandbox: &str) -> Option<Measured<'a>> {
        let noise_floor = self.find(metric).and_then(|row| row.noise_floor);
        self.measure(metric, sandbox, noise_floor)
    }

    /// The rows of peers that have no number: peers, titles, and the reason with what to do. Rows and
    /// peers with the same reason are together.
    pub(crate) fn peer_gaps(&self) -> Vec<(String, String, String)> {
        let peers = self.peers();
        let mut groups: Vec<(&Gap, Vec<&str>)> = Vec::new();
        for gap in self.records.gaps.iter().filter(|gap| peers.contains(&&*gap.sandbox)) {
            let same = |known: &Gap| known.sandbox == gap.sandbox && known.reason == gap.reason;
            match groups.iter_mut().find(|(known, _)| same(known)) {
                Some((_, metrics)) => metrics.push(&gap.metric),
                None => groups.push((gap, vec![&gap.metric])),
            }
        }
        let mut together: Vec<(Vec<&str>, String, String)> = Vec::new();
        for (gap, metrics) in groups {
            let reason = match gap.fix.as_str() {
                "" => prose(&gap.reason),
                fix => format!("{}: {fix}", prose(&gap.reason)),
            };
            let titles = titles(&metrics);
            match together.iter_mut().find(|known| (&known.1, &known.2) == (&titles, &reason)) {
                Some((peers, ..)) => peers.push(&gap.sandbox),
                None => together.push((vec![&gap.sandbox], titles, reason)),
            }
        }
        let in_words = |mut names: Vec<&'a str>| {
            names.sort_by_key(|name| peers.iter().position(|peer| peer == name));
            let names: Vec<_> = names.into_iter().map(spelling::name).collect();
            if names.len() > 1 && names.len() == peers.len() {
                return "all peers".to_owned();
            }
            names.join(", ")
        };
        together
            .into_iter()
            .map(|(names, titles, reason)| (in_words(names), titles, reason))
            .collect()
    }
}

impl Measured<'_> {
    /// From how many processes the samples are.
    pub fn processes(&self) -> usize {
        interval::processes(&self.samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sample, Series, Unit, example, metric};

    fn gap(metric: &str, sandbox: &str, reason: &str) -> Gap {
        let [metric, sandbox, reason] = [metric, sandbox, reason].map(str::to_owned);
        Gap { metric, sandbox, reason, fix: String::new() }
    }

    #[test]
    fn a_whole_question_has_its_own_title() {
        let compute = [metric::MEMORY_BANDWIDTH, metric::MEMORY_LATENCY, metric::MEMORY_TOUCH];
        assert_eq!(titles(&compute), "Memory");
        assert_eq!(titles(&compute[1..]), "latency; touch a page");
        assert_eq!(titles(&["unknown"]), "unknown");
    }

    #[test]
    fn peers_stand_in_one_order_and_what_all_of_them_lack_is_said_once() {
        let mut records = example::records();
        let mut series = |sandbox: &str| {
            records.series.push(Series {
                metric: metric::STARTUP_COLD_FIRST_BYTE.into(),
                sandbox: sandbox.into(),
                unit: Unit::Nanoseconds,
                caveat: None,
                samples: vec![Sample { value: 1.0, process: 0, round: 0 }],
                seconds: Vec::new(),
            });
        };
        ["qemu-tcg-login", "docker", "qemu-tcg", "runc"].into_iter().for_each(&mut series);
        let all = ["docker", "qemu-tcg-login", "runc", "qemu-tcg"];
        records.gaps.extend(all.map(|peer| gap(metric::CROSSING, peer, "not asked")));
        records.gaps.push(gap(metric::COMPUTE_SPIN, "docker", "no time"));
        records.gaps.push(gap(metric::COMPUTE_SPIN, "runc", "no time"));
        let comparison = Comparison::of(&records);
        assert_eq!(comparison.peers(), ["runc", "docker", "qemu-tcg", "qemu-tcg-login"]);
        let gaps = comparison.peer_gaps();
        let said: Vec<_> = gaps.iter().map(|(peers, ..)| peers.as_str()).collect();
        assert_eq!(said, ["all peers", "runc, Docker"]);
    }
}
