//! `isolab compare --nest`: the whole comparison in an emulated computer that has hardware
//! virtualization, so that Linux guests have their rows on every host.

use std::{
    env, io,
    process::{Command, Stdio},
};

use report::Records;

use super::CompareArgs;
use crate::failure::Failure;

/// What stands at every number.
const EMULATED: &str = "emulated: in a nest, whose clock counts instructions, one a nanosecond; \
                        compares only with the other columns of this report";

/// Measures in a nest, and returns what was measured there, each series marked.
///
/// # Errors
///
/// When the nest fails or is interrupted, or brings no records.
pub fn records(args: &CompareArgs, command: String) -> Result<Records, Failure> {
    let folder =
        tempfile::tempdir().map_err(Failure::at("make a folder for the nest's records"))?;
    let mut nest = Command::new(env::current_exe().map_err(Failure::at("find isolab's program"))?);
    nest.args(["nest", "--icount", "--memory", "2G", "--deadline", "30m", "--out"]);
    nest.arg(folder.path()).args(["--", "compare", "--peers", "none", "--out", "/out/report"]);
    nest.args(args.quick.then_some("--quick"));
    nest.args(args.seed.map(|seed| format!("--seed={seed}")));
    nest.args(args.rounds.map(|rounds| format!("--rounds={rounds}")));
    // The table is printed here, with the marks.
    let status = nest.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.map_err(Failure::at("start isolab nest"))?;
    if !status.success() {
        let failed = io::Error::other(format!("isolab nest ended with {status}"));
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        let failure = Failure::at("measure in a nest")(failed);
        return Err(code.map_or_else(|| Failure::refused("interrupted"), |code| failure.code(code)));
    }
    let mut records = Records::read(&folder.path().join("report"))?;
    mark(&mut records, command);
    Ok(records)
}

/// Says of every number where it comes from.
fn mark(records: &mut Records, command: String) {
    for series in &mut records.series {
        series.caveat = Some(match series.caveat.take() {
            Some(caveat) if caveat != EMULATED => format!("{EMULATED}; {caveat}"),
            _ => EMULATED.to_owned(),
        });
    }
    records.provenance.command = command;
    records.provenance.host.insert("machine".into(), EMULATED.into());
}

#[cfg(test)]
mod tests {
    use report::{Provenance, Sample, Series, Unit, VERSION};

    use super::*;

    #[test]
    fn every_number_of_a_nest_is_marked() {
        let series = |caveat: Option<&str>| Series {
            metric: "x".into(),
            sandbox: "process".into(),
            unit: Unit::Count,
            caveat: caveat.map(str::to_owned),
            samples: vec![Sample { value: 1.0, process: 0, round: 0 }],
            seconds: vec![0.0],
        };
        let mut records = Records {
            version: VERSION,
            provenance: Provenance::default(),
            series: vec![series(None), series(Some("other"))],
            gaps: Vec::new(),
            traces: Vec::new(),
            probes: Vec::new(),
        };
        mark(&mut records, "isolab compare --nest".into());
        for series in &records.series {
            assert!(series.caveat.as_ref().unwrap().starts_with("emulated"));
        }
        assert!(records.series[1].caveat.as_ref().unwrap().ends_with("other"));
        assert!(records.provenance.host.contains_key("machine"));
    }
}
