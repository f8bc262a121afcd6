//! The languages of messages to the user.

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
    /// By the locale: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is not empty
    /// (locale(7)).
    pub fn of_locale() -> Self {
        let names = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
        let mut values =
            names.filter_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        match values.next() {
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
