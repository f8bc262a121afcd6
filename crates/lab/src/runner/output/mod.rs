//! Answers as text: width, colours, language.

pub(crate) mod steps;
pub(crate) mod text;
pub(crate) mod verdict_text;
