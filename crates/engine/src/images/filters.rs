//! Which images a list shows and a prune removes.

use image::{dockerfile::pattern::Pattern, reference::Reference, store::Store};

use super::{
    catalog::StoredImage,
    error::{ImageError, Result},
    names,
};
use crate::filters::Filters;

/// Which images a request is about.
#[derive(Debug, Default)]
pub struct Criteria {
    filters: Filters,
    dangling: Option<bool>,
    /// Older than this.
    before: Option<i64>,
    since: Option<i64>,
    patterns: Vec<Pattern>,
}

impl Criteria {
    /// What a list may be filtered by.
    pub const OF_LIST: &[&str] =
        &["dangling", "label", "label!", "before", "since", "until", "reference"];
    /// What is pruned may be filtered by.
    pub const OF_PRUNE: &[&str] = &["dangling", "label", "label!", "until"];

    /// Those that `filters` say, among `images`.
    ///
    /// # Errors
    ///
    /// 400 when a value is invalid, 404 when an image that one names does not exist.
    pub fn new(filters: &Filters, images: &[StoredImage], store: &Store) -> Result<Self> {
        let created = |name: &str| -> Result<Vec<i64>> {
            let find = |text: &String| names::find_in(images.to_vec(), store, text);
            filters.values(name).iter().map(|text| Ok(find(text)?.image.created())).collect()
        };
        let before = created("before")?.into_iter().chain(filters.instant("until")?).min();
        let pattern = |text: &String| {
            let malformed = |error| ImageError::Invalid(format!("invalid pattern: {error}"));
            Pattern::of_names(text).map_err(malformed)
        };
        Ok(Self {
            dangling: filters.flag("dangling")?,
            filters: filters.clone(),
            before,
            since: created("since")?.into_iter().max(),
            patterns: filters.values("reference").iter().map(pattern).collect::<Result<_>>()?,
        })
    }

    /// Whether it is about this image.
    pub fn fits(&self, image: &StoredImage) -> bool {
        let labels = &image.image.config.config.labels;
        self.dangling.is_none_or(|dangling| dangling == image.is_dangling())
            && self.filters.labels(|key| labels.get(key))
            && self.before.is_none_or(|before| image.created() < before)
            && self.since.is_none_or(|since| image.created() > since)
            && (self.patterns.is_empty()
                || image.references.iter().any(|(name, _)| self.fits_name(name)))
    }

    /// Whether a list shows this name of an image that fits: `docker images busybox` shows no others.
    pub fn fits_name(&self, name: &Reference) -> bool {
        let (whole, repository) = (name.familiar(), name.familiar_name());
        let fits = |pattern: &Pattern| pattern.matches(&whole) || pattern.matches(&repository);
        self.patterns.is_empty() || self.patterns.iter().any(fits)
    }

    /// The same with that value of `dangling`.
    #[must_use]
    pub(super) fn dangling(self, dangling: Option<bool>) -> Self {
        Self { dangling, ..self }
    }
}
