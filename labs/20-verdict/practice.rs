//! Data that nobody has measured, made up so that each usual mistake shows in one row.

use lab::check::Bench;
use report::{Probe, Provenance, Records, Sample, Series, Unit, VERSION};
use verdict::{Claim, Practice, ROWS, Relation, Signs};

/// A fraction from 0 to 1.
fn any(bench: &Bench) -> f64 {
    bench.random(1 << 20) as f64 / f64::from(1 << 20)
}

/// Four processes of four rounds around `centre`; with `outliers` a round of two of them is far
/// out, as when somebody else had the processor.
fn series(bench: &Bench, metric: &str, sandbox: &str, centre: f64, outliers: bool) -> Series {
    let far = bench.random(4) as u32;
    let sample = |number: u32| {
        let (process, round) = (number / 4, number % 4);
        let is_far = outliers && round == far && process % 2 == 0;
        let value = centre * (1.0 + 0.02 * any(bench));
        let value = if is_far { value * (15.0 + 10.0 * any(bench)) } else { value };
        Sample { value, process, round }
    };
    let (metric, sandbox) = (metric.to_owned(), sandbox.to_owned());
    let samples = (0..16).map(sample).collect();
    Series { metric, sandbox, unit: Unit::Count, caveat: None, samples }
}

/// Everything, in another order each time.
pub fn make(bench: &Bench) -> Practice {
    let mut metrics = ROWS.map(|(_, metric)| metric);
    for last in (1..metrics.len()).rev() {
        metrics.swap(last, bench.random(last as u64 + 1) as usize);
    }
    let [far_more, less, within_floor, unmeasured, more] = metrics;
    let mut all = Vec::new();
    let mut add = |metric: &str, again: f64, ratio: f64, outliers: [bool; 2]| {
        let centre = 10.0 + 1000.0 * any(bench);
        all.push(series(bench, metric, "process", centre, false));
        all.push(series(bench, metric, "process (again)", centre * again, false));
        all.push(series(bench, metric, "container", centre * 1.5, outliers[0]));
        all.push(series(bench, metric, "microvm", centre * 1.5 * ratio, outliers[1]));
    };
    // A mean of the first makes it three times as much; of the last, less instead of more.
    add(far_more, 1.01, 3.0 + any(bench), [false, true]);
    add(less, 1.01, 0.3 + 0.2 * any(bench), [false, false]);
    add(within_floor, 1.5 + 0.2 * any(bench), 1.15 + 0.1 * any(bench), [false, false]);
    add(unmeasured, 1.01, 2.0, [false, false]);
    add(more, 1.01, 1.4 + 0.2 * any(bench), [true, false]);
    let of = |series: &Series| series.metric == unmeasured && series.sandbox == "microvm";
    match bench.random(2) {
        0 => all.retain(|series| !of(series)),
        // Too few to say anything.
        _ => all.iter_mut().filter(|series| of(series)).for_each(|one| one.samples.truncate(3)),
    }
    let shown = bench.random(2) == 0;
    let probe = |probe: &str, exposed| {
        let (probe, sandbox, seen) = (probe.into(), "container".into(), "made up".into());
        Probe { probe, sandbox, seen, exposed }
    };
    let provenance = Provenance { command: "made up".into(), seed: 7, ..Provenance::default() };
    let records = Records {
        version: VERSION,
        provenance,
        series: all,
        gaps: Vec::new(),
        traces: Vec::new(),
        probes: vec![probe("name", shown), probe("kernel", !shown)],
    };
    let compares = |metric: &str, relation, factor, hardware| {
        let (sandbox, base) = ("microvm".into(), "container".into());
        Claim::Compares { metric: metric.into(), sandbox, base, relation, factor, hardware }
    };
    let shows = |probe: &str, exposed| Claim::Shows {
        probe: probe.into(),
        sandbox: "container".into(),
        exposed,
    };
    let claims = vec![
        compares(far_more, Relation::More, 2.0, true),
        compares(far_more, Relation::More, 2.0, false),
        compares(far_more, Relation::More, 9.0, false),
        compares(less, Relation::Less, 1.5, false),
        compares(less, Relation::More, 1.0, false),
        compares(within_floor, Relation::Same, 1.0, false),
        compares(within_floor, Relation::More, 1.1, false),
        compares(unmeasured, Relation::More, 1.5, false),
        compares(more, Relation::Less, 1.2, false),
        shows("name", shown),
        shows("kernel", shown),
        shows("marker", bench.random(2) == 0),
    ];
    Practice { records, signs: hosts(bench), claims }
}

/// Two hosts whose processor carries virtual machines and two whose processor does not.
fn hosts(bench: &Bench) -> Vec<Signs> {
    let extension = |bench: &Bench| Some(["vmx", "svm"][bench.random(2) as usize].to_owned());
    let named = |name: &str| Some(name.to_owned());
    let mut hosts = vec![
        Signs { extension: None, interprets_ring0: Some(true), hypervisor: named("KVMKVMKVM") },
        Signs {
            extension: extension(bench),
            interprets_ring0: Some(false),
            hypervisor: named("TCGTCGTCGTCG"),
        },
        Signs {
            extension: extension(bench),
            interprets_ring0: Some(false),
            hypervisor: named("KVMKVMKVM"),
        },
        Signs { extension: extension(bench), interprets_ring0: Some(false), hypervisor: None },
    ];
    hosts.rotate_left(bench.random(4) as usize);
    hosts
}
