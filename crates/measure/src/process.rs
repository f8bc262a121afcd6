//! A measuring process: one part of the comparison, all sandboxes in turn.

use std::{
    io::{self, Write},
    path::Path,
    process::Command,
};

use crate::{
    MeasureOptions, Part, Session, cold, density, footprint, images, io_rates, linux,
    message::{Message, MessageWriter},
    probes, programs, slices, startup,
};

/// Measures one part and writes what it finds to `output`, a [`Message`](crate::Message) a line.
/// The start of a whole `isolab run` is measured with the executable `isolab`.
///
/// # Errors
///
/// When `output` cannot be written, or when the host's clocks cannot be read.
pub fn measure(options: &MeasureOptions, isolab: &Path, output: impl Write) -> io::Result<()> {
    let mut session = Session::new(options, output);
    match options.part {
        Part::Probes => probes::look(&mut session),
        Part::Startup => startup::warm(&mut session),
        Part::Cold => cold::measure(&mut session, isolab, options),
        Part::Programs => programs::measure(&mut session, options),
        Part::Footprint => footprint::measure(&mut session, isolab, options),
        Part::Images => images::measure(&mut session, isolab),
        Part::Density => density::measure(&mut session, options),
        Part::Slices => slices::measure(&mut session, options.quick),
        Part::Io => io_rates::measure(&mut session, isolab, options),
        Part::Linux => linux::measure(&mut session, options.in_nest),
    }
}

/// Measures one part in several fresh processes, one after the other, which write to standard output
/// themselves; `output`, before each of them, says which it is. One that fails does not keep the
/// next ones from measuring.
///
/// # Errors
///
/// When one could not be started or failed, or when `output` cannot be written.
pub fn in_turn(
    options: &MeasureOptions,
    output: impl Write,
    command: impl Fn(&MeasureOptions) -> Command,
) -> io::Result<()> {
    let mut writer = MessageWriter::new(output);
    let mut failed = None;
    for process in options.process..options.process + options.processes {
        writer.write(&Message::Process(process))?;
        let options = MeasureOptions { process, processes: 1, ..*options };
        let status = command(&options).status()?;
        if !status.success() {
            failed = Some(format!("measuring process {process} ended with {status}"));
        }
    }
    failed.map_or(Ok(()), |failed| Err(io::Error::other(failed)))
}
