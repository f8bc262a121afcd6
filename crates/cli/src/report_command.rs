//! `isolab report`: a report drawn anew, checked, compared with another, exported.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use report::{
    Records,
    difference::difference,
    export::{Format, export},
    verify::{Verification, verify},
};

use crate::{compare, failure::Failure, output};

/// The arguments of `isolab report`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Directory of a report, or its records.json
    #[arg(required = true)]
    records: Option<PathBuf>,
    /// Output directory [default: that of the records]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Recompute every figure of a report from its raw samples; exit code 1 if any differs
    Verify {
        /// Directory of the report, or its records.json
        folder: PathBuf,
    },
    /// Show what changed between two runs beyond the noise of both
    Diff {
        /// Directory or records.json of the first run
        first: PathBuf,
        /// Directory or records.json of the second run
        second: PathBuf,
    },
    /// Print the figures of a report for other programs
    Export(ExportArgs),
    /// Draw a series of runs, one in each directory, as history.html
    History {
        /// Directory that holds the directories of the runs
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// Directory of a report, or its records.json
    records: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct FormatArgs {
    /// Comma-separated values (RFC 4180)
    #[arg(long)]
    csv: bool,
    /// A table of Markdown
    #[arg(long)]
    markdown: bool,
    /// A JSON array of objects
    #[arg(long)]
    json: bool,
}

/// The exit code of a report that does not follow from its records.
const DIFFERS: u8 = 1;

/// Does what is asked for; returns the exit code.
pub fn report(arguments: &Arguments) -> Result<u8, Failure> {
    match (&arguments.action, &arguments.records) {
        (Some(Action::Verify { folder }), _) => verified(folder),
        (Some(Action::Diff { first, second }), _) => {
            let (first, second) = (Records::read(first)?, Records::read(second)?);
            output::print(&difference(&first, &second).text(compare::columns()))?;
            Ok(0)
        }
        (Some(Action::Export(ExportArgs { records, format })), _) => {
            let format = match format {
                FormatArgs { csv: true, .. } => Format::Csv,
                FormatArgs { markdown: true, .. } => Format::Markdown,
                FormatArgs { .. } => Format::Json,
            };
            output::print(&export(&Records::read(records)?, format))?;
            Ok(0)
        }
        (Some(Action::History { folder }), _) => compare::draw_history(folder),
        (None, records) => {
            let records = records.as_deref().expect("clap demands it without a subcommand");
            draw(records, arguments.out.as_deref())
        }
    }
}

/// Draws the report and prints the table, the page's path last.
fn draw(given: &Path, out: Option<&Path>) -> Result<u8, Failure> {
    let file = if given.is_dir() { given.join("records.json") } else { given.to_owned() };
    let records = Records::read(&file)?;
    let beside = file.parent().map(PathBuf::from).unwrap_or_default();
    compare::show(&records, out.unwrap_or(&beside), false)?;
    Ok(0)
}

fn verified(given: &Path) -> Result<u8, Failure> {
    let folder = if given.is_file() { given.parent().unwrap_or(given) } else { given };
    let Verification { figures, faults, remarks } = verify(folder)?;
    let mut text = String::new();
    for (place, words) in &faults {
        writeln!(text, "{}: {}", printable(place), printable(words)).ok();
    }
    for remark in &remarks {
        writeln!(text, "note: {}", printable(remark)).ok();
    }
    let verdict = match faults.len() {
        0 => "all of it follows from the records".to_owned(),
        1 => "1 fault".to_owned(),
        count => format!("{count} faults"),
    };
    writeln!(text, "{figures} figures recomputed from the raw samples: {verdict}").ok();
    output::print(&text)?;
    Ok(if faults.is_empty() { 0 } else { DIFFERS })
}

/// Text of somebody's records without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '·' } else { letter }).collect()
}
