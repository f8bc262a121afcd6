//! Answers as text: width, colours, language.

#[cfg(test)]
mod every_phrase;
pub(crate) mod phrases;
pub(crate) mod steps;
pub(crate) mod text;
pub(crate) mod verdict_text;
