//! What the functions are tried on before there are data: hosts, sandboxes and claims, each usual
//! mistake visible in one of them.

use lab::check::Bench;
use report::{Probe, Provenance, Records, VERSION};
use verdict::{Carrier, Claim, PROBES, Practice, Relation, SandboxView, Signs, VisibleState};

use super::{
    carriers::carrier,
    series::{self, Kind, Table, shuffle},
};

/// What is given to the program, and what the rows of its records are for.
pub struct MadeUp {
    pub practice: Practice,
    pub rows: Vec<(Kind, String)>,
}

/// Everything, different each time.
pub fn make(bench: &Bench) -> MadeUp {
    let Table { rows, series, seed } = series::make(bench);
    let provenance = Provenance { command: "made up".into(), seed, ..Provenance::default() };
    let shown = bench.random(2) == 0;
    let probe = |probe: &str, sandbox: &str, exposed| {
        let (probe, sandbox, seen) = (probe.into(), sandbox.into(), "made up".into());
        Probe { probe, sandbox, seen, exposed }
    };
    let mut probes = vec![
        probe("name", "container", shown),
        probe("name", "microvm", !shown),
        probe("kernel", "container", !shown),
        probe("kernel", "microvm", shown),
        probe("launcher", "microvm", shown),
    ];
    shuffle(bench, &mut probes);
    let (gaps, traces) = (Vec::new(), Vec::new());
    let records = Records { version: VERSION, provenance, series, gaps, traces, probes };
    let signs = hosts(bench);
    let kinds =
        [Carrier::Hardware, Carrier::EmulatedProcessor, Carrier::Interpreter, Carrier::Unknown];
    let first = |kind| signs.iter().position(|signs| carrier(signs) == kind);
    let judged_on = kinds.into_iter().filter_map(first).collect();
    let names = rows.iter().map(|(_, metric)| metric.clone()).collect();
    let claims = claims(bench, &rows, shown);
    let states = states(bench);
    MadeUp { practice: Practice { records, rows: names, signs, judged_on, states, claims }, rows }
}

/// Every combination of the signs.
fn hosts(bench: &Bench) -> Vec<Signs> {
    let word = |word: &str| Some(word.to_owned());
    let below = [None, word("KVMKVMKVM"), word("VMwareVMware"), word("TCGTCGTCGTCG")];
    let mut hosts = Vec::new();
    for extension in [None, word("vmx"), word("svm")] {
        for interprets_ring0 in [None, Some(false), Some(true)] {
            for hypervisor in below.clone() {
                let extension = extension.clone();
                hosts.push(Signs { extension, interprets_ring0, hypervisor });
            }
        }
    }
    shuffle(bench, &mut hosts);
    hosts
}

/// Each of the four things the host's own, another, missing inside, on the host, and on both sides:
/// never two of them alike, so that one taken for another shows.
fn states(bench: &Bench) -> Vec<SandboxView> {
    const PAIRS: usize = 5;
    let pair = |which: usize| {
        let word = Some(bench.token());
        match which % PAIRS {
            0 => (word.clone(), word),
            1 => (word, Some(bench.token())),
            2 => (None, word),
            3 => (None, None),
            _ => (word, None),
        }
    };
    let mut views: Vec<SandboxView> = (0..PAIRS)
        .map(|view| {
            let [kernel, name, launcher, marker] =
                std::array::from_fn::<_, { PROBES.len() }, _>(|probe| pair(view + probe));
            let inside = VisibleState {
                kernel: kernel.0,
                name: name.0,
                launcher: launcher.0,
                marker: marker.0,
            };
            let host = VisibleState {
                kernel: kernel.1,
                name: name.1,
                launcher: launcher.1,
                marker: marker.1,
            };
            let sandbox = ["container", "microvm"][view % 2].to_owned();
            SandboxView { sandbox, inside, host }
        })
        .collect();
    shuffle(bench, &mut views);
    views
}

/// In the order in which they are judged: a later one is only about its own mistake.
fn claims(bench: &Bench, rows: &[(Kind, String)], shown: bool) -> Vec<Claim> {
    use Relation::{Less, More, Same};
    let compares = |kind, (sandbox, base): (&str, &str), relation, factor, hardware| {
        let row = rows.iter().find(|(row, _)| *row == kind);
        let metric = row.map_or(String::new(), |(_, metric)| metric.clone());
        let (sandbox, base) = (sandbox.into(), base.into());
        Claim::Compares { metric, sandbox, base, relation, factor, hardware }
    };
    let shows = |probe: &str, sandbox: &str, exposed| Claim::Shows {
        probe: probe.into(),
        sandbox: sandbox.into(),
        exposed,
    };
    let (both, other) = (("microvm", "container"), ("container", "process"));
    let hard = |relation| compares(Kind::FarMore, both, relation, 2.0, true);
    let soft = |kind, relation, factor| compares(kind, both, relation, factor, false);
    let first = [hard(More), hard(Less)];
    let probed = [
        shows("name", "container", true),
        shows("name", "container", false),
        shows("name", "microvm", shown),
        shows("kernel", "microvm", shown),
        shows("launcher", "container", bench.random(2) == 0),
        shows("marker", "microvm", bench.random(2) == 0),
    ];
    let compared = [
        soft(Kind::Missing, More, 1.5),
        soft(Kind::Few, Less, 1.5),
        // Found: More, by about 2.6.
        soft(Kind::FarMore, More, 2.0),
        soft(Kind::FarMore, Less, 1.2),
        soft(Kind::FarMore, Same, 1.0),
        soft(Kind::FarMore, More, 9.0),
        // Found: Less, by about 2.7.
        soft(Kind::Less, More, 1.0),
        soft(Kind::Less, Less, 1.7),
        soft(Kind::Less, Less, 6.0),
        soft(Kind::Less, Less, 4.0),
        soft(Kind::Half, Less, 2.0),
        soft(Kind::WithinFloor, More, 1.1),
        soft(Kind::WideInterval, More, 1.1),
        soft(Kind::WithinFloor, Same, 1.0),
        soft(Kind::More, Less, 1.2),
        compares(Kind::Less, other, More, 1.2, false),
        compares(Kind::FarMore, other, More, 2.2, false),
    ];
    first.into_iter().chain(probed).chain(compared).collect()
}
