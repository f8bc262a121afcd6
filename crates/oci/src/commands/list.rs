//! `list`: all containers of this `--root`.

use crate::{
    error::{Error, Result},
    log::Log,
    options::{Format, List},
    output,
    record::Record,
    store::Store,
};

pub(super) fn list(store: &Store, log: &Log, options: &List) -> Result<()> {
    let mut records = Vec::new();
    for id in store.ids()? {
        match Record::of(store, &id) {
            Ok(record) => records.push(record),
            // One that is removed meanwhile is not there.
            Err(Error::Unknown { .. }) => {}
            Err(damaged) => log.warning(&damaged.to_string()),
        }
    }
    if options.quiet {
        return records.iter().try_for_each(|record| output::line(format_args!("{}", record.id)));
    }
    let states: Vec<_> = records.iter().map(Record::as_json).collect();
    if options.format == Format::Json {
        output::line(format_args!("{}", serde_json::Value::from(states)))?;
        return Ok(());
    }
    let widest = records.iter().map(|record| record.id.len()).max().unwrap_or(0).max(2);
    output::line(format_args!(
        "{:widest$}  {:7}  {:8}  {:30}  BUNDLE",
        "ID", "PID", "STATUS", "CREATED"
    ))?;
    for (record, state) in records.iter().zip(&states) {
        let status = record.status().word();
        let (id, created, bundle) = (&record.id, &record.created, record.bundle.display());
        output::line(format_args!(
            "{id:widest$}  {:7}  {status:8}  {created:30}  {bundle}",
            state["pid"].to_string()
        ))?;
    }
    Ok(())
}
