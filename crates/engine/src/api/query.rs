//! The query of a request: flags, numbers, and the filters that the docker command sends as JSON.

use crate::{
    error::{ApiError, Result},
    filters::Filters,
};

/// The parameters of a request, in their order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what is behind the question mark.
    pub(super) fn read(text: &str) -> Result<Self> {
        let bad = || ApiError::invalid("the query is not valid UTF-8");
        let mut all = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(&name.replace('+', " ")).ok_or_else(bad)?;
            all.push((name, decode(&value.replace('+', " ")).ok_or_else(bad)?));
        }
        Ok(Self(all))
    }

    /// The value of a parameter, unless it is missing or empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is true, as dockerd understands it: set, and not one of the words for no.
    pub(super) fn flag(&self, name: &str) -> bool {
        let word = self.text(name).unwrap_or_default().trim().to_ascii_lowercase();
        !matches!(word.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// A number; `None` if it is missing.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse();
        let bad = || {
            format!("invalid value for {name}: strconv.Atoi: parsing \"{text}\": invalid syntax")
        };
        number.map(Some).map_err(|_| ApiError::invalid(bad()))
    }

    /// The filters, if they have only these keys.
    pub(super) fn filters(&self, known: &[&str]) -> Result<Filters> {
        Filters::parse(self.text("filters").unwrap_or_default(), known)
    }
}

/// Text with `%XX` in it.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(left.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        left = &left[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded() {
        let query = Query::read("t=1&name=a%2Fb+c&x&f=false").unwrap();
        assert_eq!(query.text("name"), Some("a/b c"));
        assert_eq!((query.flag("t"), query.flag("f"), query.flag("x")), (true, false, false));
        assert!(Query::read("a=%ff").is_err() && Query::read("a=%4").is_err());
        assert!(query.number::<u32>("name").is_err());
    }
}
