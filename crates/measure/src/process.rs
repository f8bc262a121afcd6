//! A measuring process: one part of the comparison, all sandboxes in turn.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    MeasureOptions, Part, Session, cold, density, footprint, images, io_rates, linux, probes,
    programs, slices, startup,
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
        Part::Programs => programs::measure(&mut session, options.quick),
        Part::Footprint => footprint::measure(&mut session, isolab, options),
        Part::Images => images::measure(&mut session, isolab),
        Part::Density => density::measure(&mut session, options),
        Part::Slices => slices::measure(&mut session, options.quick),
        Part::Io => io_rates::measure(&mut session, isolab, options),
        Part::Linux => linux::measure(&mut session, options.in_nest),
    }
}
