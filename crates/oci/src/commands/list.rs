//! `list`: all containers of this `--root`.

use crate::{
    error::{Error, Result},
    log::Log,
    options::{Format, List},
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
        records.iter().for_each(|record| println!("{}", record.id));
        return Ok(());
    }
    let states: Vec<_> = records.iter().map(Record::as_json).collect();
    if options.format == Format::Json {
        println!("{}", serde_json::Value::from(states));
        return Ok(());
    }
    let widest = records.iter().map(|record| record.id.len()).max().unwrap_or(0).max(2);
    println!("{:widest$}  {:7}  {:8}  {:30}  BUNDLE", "ID", "PID", "STATUS", "CREATED");
    for (record, state) in records.iter().zip(&states) {
        let status = record.status().word();
        let (id, created, bundle) = (&record.id, &record.created, record.bundle.display());
        println!(
            "{id:widest$}  {:7}  {status:8}  {created:30}  {bundle}",
            state["pid"].to_string()
        );
    }
    Ok(())
}
