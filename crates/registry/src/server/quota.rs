//! How much a registry may keep: bytes are counted before they are written, so that any number of
//! uploads at the same time stays within it.
//!
//! ```text
//!   bytes arrive ── reserve ──> upload ── verified ──> blob       the reservation is the blob's
//!                                  └── ended ── release           or is given back
//! ```

use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;

use super::error::ApiError;

/// The bytes of blobs, manifests and unfinished uploads, and the most of them.
#[derive(Debug)]
pub(super) struct Quota {
    most: Option<u64>,
    taken: Mutex<u64>,
}

impl Quota {
    /// A quota of `most` bytes. Without a limit nothing is counted.
    pub(super) fn new(most: Option<u64>) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// Counts what is there already, also if it is more than there may be.
    pub(super) fn begin_with(&self, bytes: u64) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    /// Takes room for `bytes` more.
    ///
    /// # Errors
    ///
    /// When there is less.
    pub(super) fn reserve(&self, bytes: u64) -> Result<(), ApiError> {
        self.with_room(bytes, |taken| *taken += bytes)
    }

    /// Refuses what there is no room for now, before it is sent.
    ///
    /// # Errors
    ///
    /// When there is less room.
    pub(super) fn ensure_room(&self, bytes: u64) -> Result<(), ApiError> {
        self.with_room(bytes, |_| {})
    }

    fn with_room(&self, bytes: u64, take: impl FnOnce(&mut u64)) -> Result<(), ApiError> {
        let Some(most) = self.most else { return Ok(()) };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.checked_add(bytes).is_none_or(|after| after > most) {
            let message = format!("the registry may keep {most} bytes, and has {taken}");
            return Err(ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "DENIED", message));
        }
        take(&mut taken);
        Ok(())
    }

    /// Gives room back.
    pub(super) fn release(&self, bytes: u64) {
        if self.most.is_some() {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            *taken = taken.saturating_sub(bytes);
        }
    }

    /// How many bytes are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> u64 {
        *self.taken.lock().unwrap()
    }
}
