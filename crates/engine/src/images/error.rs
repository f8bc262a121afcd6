//! Why an operation on images fails: in the words and with the status that dockerd has for it.

use std::{error::Error, io};

use image::{
    archive::ArchiveError, gc::CollectError, manifest::ManifestError, reference::ReferenceError,
    store::StoreError, unpacked::UnpackError,
};

use crate::error::ApiError;

/// An operation on images that failed. What it displays is the `message` of Docker's API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The request cannot be understood.
    #[error("{0}")]
    Invalid(String),
    /// The registry does not accept the credentials.
    #[error("{0}")]
    Unauthorized(String),
    /// What it names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// A container, or another name, needs it.
    #[error("{0}")]
    Conflict(String),
    /// A command of `RUN` failed.
    #[error("{message}")]
    Command {
        /// The command and how it ended.
        message: String,
        /// Its exit code.
        code: i64,
    },
    /// The engine, the kernel or a registry failed.
    #[error("{0}")]
    Failed(String),
    /// The engine does not have this.
    #[error("{0}")]
    Unsupported(String),
    /// The client has closed its connection; nobody reads this.
    #[error("the client has closed the connection")]
    ClientGone,
}

/// The result of an operation on images.
pub type Result<T, E = ImageError> = std::result::Result<T, E>;

impl ImageError {
    /// The status of HTTP's response.
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::Unauthorized(_) => 401,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::Failed(_) | Self::Command { .. } => 500,
            Self::Unsupported(_) => 501,
            // As nginx logs it.
            Self::ClientGone => 499,
        }
    }

    /// A failure with all its causes, without the advice that is for users of `isolab image`.
    pub fn failed(error: &(dyn Error + 'static)) -> Self {
        Self::Failed(chain(error))
    }

    /// `action` failed, and why.
    pub fn io(action: &str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Failed(format!("{action}: {error}"))
    }

    /// There is no image of this name or id.
    pub fn no_image(name: &str) -> Self {
        let name: String = name.chars().take(300).collect();
        Self::NotFound(format!("No such image: {name}"))
    }
}

/// `A: B: C`, an error and its causes. The crates below end a message in the way out, on a line of its
/// own, which names options of another program.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        // One that is transparent says what its cause says.
        if !parts.last().is_some_and(|last| last.ends_with(line)) {
            parts.push(line.to_owned());
        }
        next = error.source();
    }
    parts.join(": ")
}

impl From<ApiError> for ImageError {
    /// Of a request that cannot be understood.
    fn from(error: ApiError) -> Self {
        Self::Invalid(error.message)
    }
}

impl From<StoreError> for ImageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoImage { name } => Self::no_image(&name),
            StoreError::Manifest(error) => error.into(),
            other => Self::failed(&other),
        }
    }
}

impl From<ManifestError> for ImageError {
    fn from(error: ManifestError) -> Self {
        match &error {
            ManifestError::Platform { platform, found } => Self::NotFound(format!(
                "no matching manifest for {platform} in the manifest list entries: there is {found}"
            )),
            _ => Self::failed(&error),
        }
    }
}

impl From<ReferenceError> for ImageError {
    fn from(error: ReferenceError) -> Self {
        let why = match error {
            ReferenceError::Grammar { why, .. } => why.to_owned(),
            ReferenceError::Digest { source, .. } => source.to_string(),
        };
        Self::Invalid(format!("invalid reference format: {why}"))
    }
}

impl From<UnpackError> for ImageError {
    fn from(error: UnpackError) -> Self {
        Self::failed(&error)
    }
}

impl From<CollectError> for ImageError {
    fn from(error: CollectError) -> Self {
        match &error {
            CollectError::Busy { .. } => Self::Conflict(
                "the images are in use by a pull, a push or a build: try again when it has ended"
                    .into(),
            ),
            _ => Self::failed(&error),
        }
    }
}

impl From<ArchiveError> for ImageError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Store(error) => error.into(),
            other => Self::failed(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_status_of_dockerd_and_no_advice_for_others() {
        let error = ImageError::from(StoreError::NoImage { name: "x:latest".into() });
        assert_eq!((error.status(), &*error.to_string()), (404, "No such image: x:latest"));
        let error =
            ImageError::from("UPPER/x:y:z".parse::<image::reference::Reference>().unwrap_err());
        assert_eq!(error.status(), 400);
        assert!(error.to_string().starts_with("invalid reference format: "), "{error}");
        let error = ImageError::from(StoreError::NoDirectory);
        assert_eq!(error.status(), 500);
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}
