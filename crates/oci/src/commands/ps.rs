//! `ps`: the processes of a container, by the host's numbers.

use std::process::Command;

use crate::{
    error::{Result, file},
    options::{Format, Ps},
    output,
    record::Record,
    store::Store,
};

pub(super) fn ps(store: &Store, options: &Ps) -> Result<()> {
    let record = Record::of(store, &options.id)?;
    let mut pids = record.made()?.processes();
    pids.sort_unstable();
    if options.format == Format::Json {
        output::line(format_args!("{}", serde_json::json!(pids)))?;
        return Ok(());
    }
    let usual = ["-ef".to_owned()];
    let words = if options.ps_options.is_empty() { &usual[..] } else { &options.ps_options };
    let output = Command::new("ps").args(words).output().map_err(file("execute", "ps"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let Some(heading) = lines.next() else { return Ok(()) };
    output::line(format_args!("{heading}"))?;
    let column = heading.split_whitespace().position(|word| word == "PID").unwrap_or(1);
    let is_ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        pid.is_some_and(|pid: u32| pids.binary_search(&pid).is_ok())
    };
    lines.filter(is_ours).try_for_each(|line| output::line(format_args!("{line}")))
}
