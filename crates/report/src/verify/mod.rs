//! Whether a report follows from its records, worked out a second time.
//!
//! ```text
//!   records.json ──> raw: own reading, own medians, own intervals ──┐
//!                                                                   ├──> what differs
//!   index.html, README.md ──> figures: read back from the text ─────┘
//! ```
//! Nothing of [`Comparison`](crate::Comparison) or of the statistics of this crate is used for the
//! figures. Sentences and charts are held against what the records draw now.

mod figures;
mod page;
mod raw;
mod readme;
mod sentences;
mod terminal;
mod whole;

use std::{fs, path::Path};

pub(crate) use figures::Figure;

use crate::{
    Records, RecordsError,
    file::{self, NAME},
    table,
    write::{PAGE, README, digest, draw},
};
use raw::Raw;

/// What a check of a report found.
#[derive(Debug, Default)]
pub struct Verification {
    /// How many figures were recomputed.
    pub figures: usize,
    /// What differs or is not whole: place and words. A report without faults follows from its
    /// records.
    pub faults: Vec<(String, String)>,
    /// What a reader should know, though nothing is wrong with it.
    pub remarks: Vec<String>,
}

/// Faults of one kind beyond this many are only counted.
const MOST: usize = 20;

impl Verification {
    /// Notes what differs in one of the files.
    fn fault(&mut self, place: &str, words: impl Into<String>) {
        self.faults.push((place.to_owned(), words.into()));
    }

    /// Notes several of them; the rest is counted.
    fn faults_of(&mut self, place: &str, all: Vec<String>) {
        let more = all.len().saturating_sub(MOST);
        all.into_iter().take(MOST).for_each(|words| self.fault(place, words));
        if more > 0 {
            self.fault(place, format!("and {more} more"));
        }
    }
}

/// Recomputes every figure of the report in `folder` from its raw samples, and checks that records,
/// page, README and charts belong together.
///
/// # Errors
///
/// When the records cannot be read, or hold what no measurement gives. A page or README that is not
/// there is a fault, not an error.
pub fn verify(folder: &Path) -> Result<Verification, RecordsError> {
    // Read once: what is checked is what the figures are held against.
    let (path, bytes) = file::bytes(&folder.join(NAME))?;
    // What is too large, too new or nonsense is refused before it is worked on.
    let records = Records::parse(path.clone(), &bytes)?;
    let raw = Raw::of(&bytes).map_err(|error| RecordsError::Read { path, source: error.into() })?;
    let mut found = Verification::default();
    whole::check(&raw, &mut found);
    let digest = digest(&bytes);
    let drawn = draw(&records, &digest)?;
    for (name, drawn) in [(PAGE, &drawn.page), (README, &drawn.readme)] {
        let text = match fs::read_to_string(folder.join(name)) {
            Ok(text) => text,
            Err(error) => {
                found.fault(name, format!("cannot be read: {error}"));
                continue;
            }
        };
        let own = if name == PAGE { page::digest(&text) } else { readme::digest(&text) };
        match own {
            Some(own) if own == digest => {}
            Some(_) => found.fault(name, "was made from other records: the digest differs"),
            None => found.fault(name, "does not name the digest of its records"),
        }
        let figures =
            if name == PAGE { page::figures(&text) } else { readme::figures(&text, &raw) };
        found.figures += figures.iter().map(Figure::count).sum::<usize>();
        found.faults_of(name, figures::check(&raw, &figures));
        found.faults_of(name, sentences::differing(&text, drawn, &digest));
    }
    let table = terminal::figures(&table(&records, 110, false), &raw);
    found.figures += table.iter().map(Figure::count).sum::<usize>();
    found.faults_of("table", table.iter().flat_map(|it| figures::check_one(&raw, it)).collect());
    for (name, drawn) in &drawn.charts {
        match fs::read_to_string(folder.join(name)) {
            Ok(text) if text == *drawn => {}
            Ok(_) => found.fault(name, "is not the chart that the records draw"),
            Err(error) => found.fault(name, format!("cannot be read: {error}")),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
