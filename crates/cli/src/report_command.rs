//! `isolab report`: a report drawn anew from its records.

use std::path::PathBuf;

use report::Records;

use crate::{compare, failure::Failure};

/// The arguments of `isolab report`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of a report, or its records.json
    records: PathBuf,
    /// Output directory [default: that of the records]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Draws the report and prints the table, the page's path last.
pub fn report(arguments: &Arguments) -> Result<u8, Failure> {
    let given = &arguments.records;
    let file = if given.is_dir() { given.join("records.json") } else { given.clone() };
    let records = Records::read(&file)?;
    let beside = file.parent().map(PathBuf::from).unwrap_or_default();
    compare::show(&records, arguments.out.as_ref().unwrap_or(&beside), false)?;
    Ok(0)
}
