//! The programs of others that took part, beside isolab's own sandboxes.

use super::{Comparison, Measured, Row};
use crate::{
    Gap, Records, catalogue, interval,
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
    let known = |name: &str| {
        let rest = sandbox.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ' ']))
    };
    records.provenance.subjects.contains_key(sandbox) || PEERS.iter().any(|name| known(name))
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
    /// The names of the peers with samples or gaps, in the order of their first appearance.
    pub fn peers(&self) -> Vec<&'a str> {
        let mut peers = Vec::new();
        let series = self.records.series.iter().map(|series| series.sandbox.as_str());
        for name in series.chain(self.records.gaps.iter().map(|gap| gap.sandbox.as_str())) {
            let again = is_second_run(name) || peers.contains(&name);
            if !again && is_peer(self.records, name) {
                peers.push(name);
            }
        }
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
        let mut groups: Vec<(&Gap, Vec<&str>)> = Vec::new();
        for gap in self.records.gaps.iter().filter(|gap| is_peer(self.records, &gap.sandbox)) {
            let title = catalogue::find(&gap.metric).map_or(&*gap.metric, |(_, known)| known.title);
            let same = |known: &Gap| known.sandbox == gap.sandbox && known.reason == gap.reason;
            match groups.iter_mut().find(|(known, _)| same(known)) {
                Some((_, titles)) => titles.push(title),
                None => groups.push((gap, vec![title])),
            }
        }
        let mut together: Vec<(String, String, String)> = Vec::new();
        for (gap, titles) in groups {
            let reason = match gap.fix.as_str() {
                "" => prose(&gap.reason),
                fix => format!("{}: {fix}", prose(&gap.reason)),
            };
            let (peer, titles) = (spelling::name(&gap.sandbox), titles.join("; "));
            match together.iter_mut().find(|known| (&known.1, &known.2) == (&titles, &reason)) {
                Some((peers, ..)) => *peers = format!("{peers}, {peer}"),
                None => together.push((peer.to_owned(), titles, reason)),
            }
        }
        together
    }
}

impl Measured<'_> {
    /// From how many processes the samples are.
    pub fn processes(&self) -> usize {
        interval::processes(&self.samples)
    }
}
