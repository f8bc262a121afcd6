//! A connection to a D-Bus: that of the system or of a user, or systemd's own socket.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::Uid;

use super::message::{self, Answer, HEAD, Method, Value};
use crate::error::{Error, Result, file};

/// A bus that does not answer has this long, as in libdbus.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A connection that has said who it is.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    path: PathBuf,
    serial: u32,
}

impl Connection {
    /// Connects to the bus at `path`. With `is_bus` it gets a name there, which systemd's own socket does
    /// not give.
    pub(super) fn open(path: &Path, is_bus: bool) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(file("connect to the D-Bus at", path))?;
        let failed = || file("speak with the D-Bus at", path);
        stream.set_read_timeout(Some(TIMEOUT)).map_err(failed())?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(failed())?;
        let mut connection = Self { stream, path: path.to_owned(), serial: 0 };
        connection.say_who().map_err(failed())?;
        if is_bus {
            let name = "org.freedesktop.DBus";
            let path = "/org/freedesktop/DBus";
            connection
                .call(&Method { destination: name, path, interface: name, name: "Hello" }, &[])?;
        }
        Ok(connection)
    }

    /// The kernel vouches for the user (D-Bus specification, "EXTERNAL").
    fn say_who(&mut self) -> io::Result<()> {
        let digits = Uid::effective().to_string();
        let user: String = digits.bytes().map(|digit| format!("{digit:02x}")).collect();
        // All at once, as in sd-bus: systemd's own socket would leave a call unread that comes together
        // with the last line.
        self.stream.write_all(format!("\0AUTH EXTERNAL {user}\r\nBEGIN\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.extend(byte);
            if line.len() > 1024 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        match line.starts_with(b"OK ") {
            true => Ok(()),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Calls a method, and returns the first text of its answer.
    pub(super) fn call(
        &mut self,
        method: &Method<'_>,
        arguments: &[Value],
    ) -> Result<Option<String>> {
        let path = self.path.clone();
        let failed = || file("speak with the D-Bus at", &path);
        self.serial += 1;
        let request = message::call(method, self.serial, arguments);
        self.stream.write_all(&request).map_err(failed())?;
        loop {
            let mut head = [0; HEAD];
            self.stream.read_exact(&mut head).map_err(failed())?;
            let rest = message::rest(&head);
            let rest = rest.ok_or_else(|| failed()(io::ErrorKind::InvalidData.into()))?;
            let mut bytes = vec![0; rest];
            self.stream.read_exact(&mut bytes).map_err(failed())?;
            match message::answer(&head, &bytes) {
                Some(Answer { to, error, text }) if to == self.serial => {
                    let Some(name) = error else { return Ok(text) };
                    let why = text.unwrap_or_default();
                    return Err(Error::Systemd { method: method.name.into(), name, why });
                }
                // A signal, or an answer that nobody waits for.
                _ => {}
            }
        }
    }
}
