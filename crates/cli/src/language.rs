//! `--lang`: the language of messages.

use clap::{Args, ValueEnum};
use host::Language;

/// The option.
#[derive(Debug, Clone, Copy, Args)]
pub struct LanguageOption {
    /// Language of messages [default: that of the locale]
    #[arg(long, global = true, value_name = "LANGUAGE")]
    lang: Option<Lang>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    En,
    Zh,
}

impl LanguageOption {
    /// The language of the option, or else that of the locale.
    pub fn chosen(self) -> Language {
        match self.lang {
            Some(Lang::En) => Language::En,
            Some(Lang::Zh) => Language::Zh,
            None => Language::of_locale(),
        }
    }
}
