//! What the requests of a server share.

use super::{Options, auth::Users, log::AccessLog, storage::Storage};

/// What all requests share.
pub(super) struct Registry {
    pub(super) options: Options,
    pub(super) storage: Storage,
    pub(super) users: Option<Users>,
    pub(super) log: AccessLog,
}
