//! The student's probes, beside what there is.

use lab::check::{Checked, ensure, fail};
use report::Probe;
use verdict::{PROBES, SandboxView};

/// What one of the four things is, as somebody else sees it.
pub struct Fact {
    pub exposed: bool,
    /// In words.
    pub words: String,
    /// Whether neither side has anything.
    pub is_nothing: bool,
}

/// The four things of a view.
pub fn facts(view: &SandboxView) -> [Fact; 4] {
    let (inside, host) = (&view.inside, &view.host);
    let pairs = [
        (&inside.kernel, &host.kernel),
        (&inside.name, &host.name),
        (&inside.launcher, &host.launcher),
        (&inside.marker, &host.marker),
    ];
    pairs.map(|(inside, host)| {
        let or_nothing = |what: &Option<String>| what.clone().unwrap_or_else(|| "nothing".into());
        Fact {
            exposed: inside.is_some() && inside == host,
            words: format!("inside: {}, on the host: {}", or_nothing(inside), or_nothing(host)),
            is_nothing: inside.is_none() && host.is_none(),
        }
    })
}

/// Whether the probes of a sandbox are these.
pub fn ensure_probes(sandbox: &str, said: &[Probe], facts: &[Fact; 4]) -> Checked<()> {
    let mut names: Vec<String> =
        said.iter().map(|probe| format!("{}/{}", probe.sandbox, probe.probe)).collect();
    names.sort_unstable();
    let mut wanted = PROBES.map(|probe| format!("{sandbox}/{probe}"));
    wanted.sort_unstable();
    ensure(names == wanted, || {
        let names = if names.is_empty() { "none".into() } else { names.join(", ") };
        fail("L20-probe-names").fact("names", names).fact("wanted", wanted.join(", "))
    })?;
    for (name, fact) in PROBES.iter().zip(facts) {
        let said = said.iter().any(|probe| probe.probe == *name && probe.exposed);
        ensure(said == fact.exposed, || {
            let id = match said {
                true if fact.is_nothing => "L20-probe-nothing",
                true => "L20-probe",
                false => "L20-probe-missed",
            };
            let finding = fail(id).fact("probe", name).fact("sandbox", sandbox);
            finding.fact("said", said).fact("wanted", fact.exposed).fact("facts", &fact.words)
        })?;
    }
    Ok(())
}
