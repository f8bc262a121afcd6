//! The languages in which people are spoken to.

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese, simplified.
    Zh,
}

impl Language {
    /// By the locale: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that says something
    /// (locale(7)).
    pub fn of_locale() -> Self {
        let names = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
        let mut said =
            names.filter_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        match said.next() {
            Some(locale) if locale.starts_with("zh") => Self::Zh,
            _ => Self::En,
        }
    }

    /// One of two texts.
    pub fn either<'a>(self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }
}
