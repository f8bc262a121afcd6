//! `--lang`: the language of what is said.

use clap::{Args, ValueEnum};
use host::Language;

/// The option.
#[derive(Debug, Clone, Copy, Args)]
pub struct Spoken {
    /// The language of what is said [default: that of the locale]
    #[arg(long, global = true, value_name = "LANGUAGE")]
    lang: Option<Lang>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    En,
    Zh,
}

impl Spoken {
    /// What was asked for, or what the locale says.
    pub fn language(self) -> Language {
        match self.lang {
            Some(Lang::En) => Language::En,
            Some(Lang::Zh) => Language::Zh,
            None => Language::of_locale(),
        }
    }
}
