//! Docker's own daemon, where it serves: it belongs to others, and keeps nothing of the measurement.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::{IMAGE, http::Http, import};
use crate::Error;

/// Where it listens unless `DOCKER_HOST` says otherwise.
pub(crate) const SOCKET: &str = "/var/run/docker.sock";

/// How to have one.
pub(crate) const START: &str = "start dockerd, or name its socket: DOCKER_HOST=unix:///PATH";

/// Docker's daemon with the image, which is removed with this.
pub struct Dockerd {
    socket: PathBuf,
}

impl Dockerd {
    /// Finds it by `DOCKER_HOST` or at its usual socket, and gives it the image.
    ///
    /// # Errors
    ///
    /// When it is not here.
    pub fn find() -> Result<Self, Error> {
        let socket = socket(env::var("DOCKER_HOST").ok().as_deref())?;
        let absent = |why: String| {
            let reason = format!("not here: {}: {why}", socket.display());
            Error { reason, fix: START.into() }
        };
        let mut http = Http::connect(&socket).map_err(|error| absent(error.to_string()))?;
        let version = http.request("GET", "/version").and_then(|answer| answer.json(200));
        let version = version.map_err(|error| absent(error.to_string()))?;
        if version["Platform"]["Name"] == "isolab" {
            return Err(absent("isolab's own engine answers there".into()));
        }
        import(&mut http)?;
        Ok(Self { socket })
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let removed = Http::connect(&self.socket);
        // An image without a container; what cannot be removed is a few kilobytes.
        let _ = removed.and_then(|mut http| http.request("DELETE", &format!("/images/{IMAGE}")));
    }
}

/// The socket that `DOCKER_HOST` names.
fn socket(host: Option<&str>) -> Result<PathBuf, Error> {
    match host.filter(|host| !host.is_empty()) {
        None => Ok(SOCKET.into()),
        Some(host) => host.strip_prefix("unix://").map(PathBuf::from).ok_or_else(|| {
            Error::new(format!("not here: DOCKER_HOST={host} is no socket of this host"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_of_this_host_is_asked() {
        assert_eq!(socket(None).unwrap(), Path::new(SOCKET));
        assert_eq!(socket(Some("")).unwrap(), Path::new(SOCKET));
        assert_eq!(socket(Some("unix:///run/x")).unwrap(), Path::new("/run/x"));
        assert!(socket(Some("tcp://10.0.0.1:2375")).unwrap_err().reason.starts_with("not here"));
    }
}
