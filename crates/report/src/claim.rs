//! A claim of the textbook, and what was measured beside it.

use crate::comparison::{Evidence, Missing};

/// A claim of the textbook beside the measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// What it is about.
    pub subject: &'static str,
    /// What the textbook says.
    pub claim: &'static str,
    /// What was measured; empty if nothing was.
    pub measured: String,
    /// Whether that is the same, or what is missing to tell.
    pub conclusion: Evidence<Conclusion>,
    /// How far the measurement is from the claim, such as `900 times faster than a second`; empty
    /// where the claim holds.
    pub distance: String,
    /// What has to be known to read the two side by side; empty if nothing.
    pub note: &'static str,
}

/// What complete data say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// As the textbook says.
    Holds,
    /// The order is right, the size is not.
    InDirection,
    /// Something else was measured.
    Otherwise,
}

impl Conclusion {
    pub(crate) fn holds_if(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Otherwise }
    }
}

impl Claim {
    /// The conclusion, if this run allows one.
    pub fn concluded(&self) -> Option<Conclusion> {
        self.conclusion.get().ok().copied()
    }

    /// The verdict in words.
    pub fn verdict(&self) -> String {
        match self.concluded() {
            Some(Conclusion::Holds) => "holds".to_owned(),
            Some(Conclusion::InDirection) if self.distance.is_empty() => {
                "holds in direction, not in size".to_owned()
            }
            Some(Conclusion::InDirection) => {
                format!("holds in direction; measured: {}", self.distance)
            }
            Some(Conclusion::Otherwise) => format!("measured: {}", self.distance),
            None => "this run cannot tell".to_owned(),
        }
    }

    /// What is missing for a verdict, if anything is, and what was measured.
    pub fn basis(&self) -> String {
        match self.conclusion.get().map_err(Missing::words) {
            Ok(_) => self.measured.clone(),
            Err(missing) if self.measured.is_empty() => format!("missing: {missing}"),
            Err(missing) => format!("missing: {missing}; measured: {}", self.measured),
        }
    }
}
