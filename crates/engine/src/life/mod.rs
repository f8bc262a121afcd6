//! A container's life.
//!
//! | File | |
//! |---|---|
//! | `create` | from a client's words to a record |
//! | `volume_content` | what a new volume begins with |
//! | `links` | what it asks of networks |
//! | `start` | the supervisor, the launcher, and the first process |
//! | `announce` | the events of what it uses |
//! | `health` | checks while it runs |
//! | `update` | other limits while it runs |
//! | `stop` | signals, and waiting for the end |
//! | `end` | what happens when the first process has ended |
//! | `restart` | what its policy starts again |
//! | `remove` | nothing of it is left |
//! | `adopt` | what an earlier daemon has left |

mod adopt;
mod announce;
mod create;
mod end;
mod health;
mod links;
mod remove;
mod restart;
mod start;
mod stop;
mod update;
mod volume_content;

pub use adopt::adopt_all;
pub(crate) use announce::network as announce_network;
pub use create::{Created, create};
pub(crate) use links::{endpoint as endpoint_request, failed as network_failed};
pub use remove::{Removal, remove, users as users_of_volume};
pub use restart::restart_all;
pub use start::start;
pub use stop::{kill, stop, wait_for_end};
pub use update::update;
