//! `-H`: where a daemon listens.

use std::{
    net::{AddrParseError, IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// At a unix socket.
    Unix(PathBuf),
    /// At an address of the network, with TLS.
    Tcp(SocketAddr),
}

/// The port that is registered for Docker's API with TLS.
const TLS_PORT: u16 = 2376;

impl FromStr for Listen {
    type Err = String;

    /// `unix:///run/x.sock` as docker takes it, or the path alone; `tcp://127.0.0.1:2376`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(at) = text.strip_prefix("tcp://") {
            let address = at.parse().or_else(|_| Ok((at.parse::<IpAddr>()?, TLS_PORT).into()));
            return address.map(Self::Tcp).map_err(|_: AddrParseError| {
                format!("{at} is no address: use tcp://ADDRESS:PORT, as in tcp://127.0.0.1:2376")
            });
        }
        let path = text.strip_prefix("unix://").unwrap_or(text);
        match path.starts_with('/') {
            true => Ok(Self::Unix(path.into())),
            false => Err("use unix:///ABSOLUTE/PATH or tcp://ADDRESS:PORT".into()),
        }
    }
}

/// The unix socket that a client of the daemon names.
pub fn unix(text: &str) -> Result<PathBuf, String> {
    match text.parse()? {
        Listen::Unix(path) => Ok(path),
        Listen::Tcp(_) => Err("use unix:///ABSOLUTE/PATH".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_a_path_with_or_without_a_scheme_or_an_address() {
        let listen = |text: &str| text.parse::<Listen>();
        assert_eq!(listen("unix:///run/x").unwrap(), Listen::Unix("/run/x".into()));
        assert_eq!(listen("/run/x").unwrap(), Listen::Unix("/run/x".into()));
        let at = |text: &str| Listen::Tcp(text.parse().unwrap());
        assert_eq!(listen("tcp://127.0.0.1").unwrap(), at("127.0.0.1:2376"));
        assert_eq!(listen("tcp://[::1]:99").unwrap(), at("[::1]:99"));
        for text in ["x", "", "tcp://", "tcp://host", "tcp://:2376", "http://127.0.0.1:1"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }
}
