//! Options that a runtime cannot keep: asking for one is an error, never silently something else.

use bollard_stubs::models::HostConfig;

use crate::error::{ApiError, Result};

/// An option, whether the client has given it, and why the runtime cannot keep it.
pub(super) type Asked<'a> = (&'a str, bool, &'a str);

/// 400 for the first option that was given.
pub(super) fn refuse(runtime: &str, asked: &[Asked<'_>]) -> Result<()> {
    match asked.iter().find(|(_, is_given, _)| *is_given) {
        None => Ok(()),
        Some((option, _, why)) => {
            Err(ApiError::invalid(format!("the runtime {runtime} cannot keep {option}: {why}")))
        }
    }
}

/// Whether a mode asks for something else than what all of the host's processes have.
pub(super) fn is_other_than_hosts(mode: Option<&str>) -> bool {
    !matches!(mode, None | Some("" | "host"))
}

/// Whether a list was given that has something in it.
pub(super) fn any<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

/// Whether ports are to be published.
pub(super) fn publishes(host: &HostConfig) -> bool {
    host.publish_all_ports == Some(true)
        || host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty())
}
