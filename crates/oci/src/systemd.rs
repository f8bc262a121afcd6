//! Question 2 on hosts where systemd is the only one to make cgroups: it is asked for a transient unit,
//! a scope, in whose cgroup the container then is (`--systemd-cgroup`; systemd's
//! docs/CGROUP_DELEGATION.md, org.freedesktop.systemd1(5)).
//!
//! A scope cannot be without a process. One that does nothing begins it, and ends when the container is
//! inside.

mod connection;
mod message;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, file, property};
use connection::Connection;
use message::Method;

pub(crate) use message::Value;

/// How long systemd may take to begin a unit.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A unit of systemd's, of which a container's cgroup is a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unit {
    /// `isolab-ID.scope`.
    pub(crate) name: String,
    /// `machine.slice`.
    pub(crate) slice: String,
}

impl Unit {
    /// The unit that `linux.cgroupsPath` names: `SLICE:PREFIX:NAME`.
    pub(crate) fn of(path: Option<&str>, id: &str) -> Result<Self> {
        let usual = if Uid::effective().is_root() { "system.slice" } else { "user.slice" };
        let wrong = |why: &str| Err(property("linux.cgroupsPath", why));
        let (slice, prefix, name) = match path.filter(|path| !path.is_empty()) {
            None => ("", "isolab", id),
            Some(path) => match path.split(':').collect::<Vec<_>>()[..] {
                [slice, prefix, name] => (slice, prefix, name),
                _ => return wrong("with --systemd-cgroup it is SLICE:PREFIX:NAME"),
            },
        };
        let slice = if slice.is_empty() { usual } else { slice };
        let is_name = |name: &str| {
            let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
            !name.is_empty() && name.len() < 256 && name.bytes().all(is_good)
        };
        let stem = slice.strip_suffix(".slice").unwrap_or_default();
        let has_empty = stem != "-" && stem.split('-').any(str::is_empty);
        if !is_name(slice) || has_empty {
            return wrong("its slice is not the name of a slice, such as machine.slice");
        }
        let name = match (prefix, name) {
            (_, name) if name.ends_with(".slice") => {
                return wrong("a container is in a scope, not in a slice of its own");
            }
            ("", name) => format!("{name}.scope"),
            (prefix, name) => format!("{prefix}-{name}.scope"),
        };
        match is_name(&name) {
            true => Ok(Self { name, slice: slice.to_owned() }),
            false => wrong("it is not the name of a unit: letters, digits and :-_.\\@"),
        }
    }

    /// The path of its cgroup: each dash in the name of a slice leads one further down
    /// (systemd.slice(5)).
    fn path(&self) -> PathBuf {
        let mut path = PathBuf::new();
        let stem = self.slice.strip_suffix(".slice").unwrap_or(&self.slice);
        if stem != "-" {
            let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
            ends.for_each(|end| path.push(format!("{}.slice", &stem[..end])));
        }
        path.join(&self.name)
    }

    /// The same from the root of each hierarchy: that of a user's systemd is below its own cgroup.
    pub(crate) fn whole_path(&self) -> Result<PathBuf> {
        if Uid::effective().is_root() {
            return Ok(Path::new("/").join(self.path()));
        }
        let arguments = [MANAGER, "ControlGroup"].map(|word| Value::Text(word.into()));
        let interface = "org.freedesktop.DBus.Properties";
        let own = call(&mut connect()?, interface, "Get", &arguments)?;
        Ok(Path::new("/").join(own.unwrap_or_default()).join(self.path()))
    }

    /// Lets systemd begin it with these properties; it lasts while there is a process in it.
    pub(crate) fn start(&self, properties: Vec<(String, Value)>) -> Result<FirstProcess> {
        let mut connection = connect()?;
        let process = FirstProcess::start()?;
        let name = |word: &str| Value::Text(word.into());
        let usual = [
            ("Description", Value::Text(format!("container {}", self.name))),
            ("Slice", name(&self.slice)),
            ("Delegate", Value::Bool(true)),
            ("DefaultDependencies", Value::Bool(false)),
            ("CollectMode", name("inactive-or-failed")),
            ("PIDs", Value::Numbers(vec![process.0.id()])),
        ];
        let usual = usual.into_iter().map(|(name, value)| (name.to_owned(), value));
        let all = Value::Properties(usual.chain(properties).collect());
        let arguments = [name(&self.name), name("fail"), all, Value::NoUnits];
        call(&mut connection, MANAGER, "StartTransientUnit", &arguments)?;
        process.wait_for(&self.name)?;
        Ok(process)
    }

    /// Changes its properties while it runs.
    pub(crate) fn set(&self, properties: Vec<(String, Value)>) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        let arguments = [
            Value::Text(self.name.clone()),
            Value::Bool(true), // until it ends
            Value::Properties(properties),
        ];
        call(&mut connect()?, MANAGER, "SetUnitProperties", &arguments).map(drop)
    }

    /// Ends it, if it has not ended by itself with its last process.
    pub(crate) fn stop(&self) -> Result<()> {
        let arguments = [&*self.name, "replace"].map(|word| Value::Text(word.into()));
        match call(&mut connect()?, MANAGER, "StopUnit", &arguments) {
            Err(Error::Systemd { name, .. }) if name.ends_with(".NoSuchUnit") => Ok(()),
            stopped => stopped.map(drop),
        }
    }
}

/// The process with which a scope begins; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct FirstProcess(Child);

impl FirstProcess {
    /// A process that waits for the end of its standard input: it does not outlive this one.
    fn start() -> Result<Self> {
        let own = env::current_exe().map_err(file("find", "/proc/self/exe"))?;
        let mut command = Command::new(&own);
        // It may be a part of another program.
        let is_part = own.file_name().is_some_and(|name| name == "isolab");
        command
            .args(is_part.then_some("oci"))
            .arg("hold")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .env_clear();
        command.spawn().map(Self).map_err(file("start a process of", own))
    }

    /// Waits until systemd has put it into the unit.
    fn wait_for(&self, unit: &str) -> Result<()> {
        let path = PathBuf::from(format!("/proc/{}/cgroup", self.0.id()));
        let end = Instant::now() + TIMEOUT;
        let is_inside = |text: String| {
            text.lines().any(|line| line.ends_with(unit) && line.contains(&format!("/{unit}")))
        };
        while !is_inside(fs::read_to_string(&path).map_err(file("read", &path))?) {
            if Instant::now() > end {
                return Err(Error::Systemd {
                    method: "StartTransientUnit".into(),
                    name: "timeout".into(),
                    why: format!("{unit} has not begun: see `systemctl status {unit}`"),
                });
            }
            sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// What it does.
pub(crate) fn hold() -> Result<()> {
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop).map_err(file("read", "standard input"))
}

impl Drop for FirstProcess {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait(); // it ends at the end of its input
    }
}

const MANAGER: &str = "org.freedesktop.systemd1.Manager";

fn call(
    connection: &mut Connection,
    interface: &str,
    name: &str,
    arguments: &[Value],
) -> Result<Option<String>> {
    let (destination, path) = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1");
    connection.call(&Method { destination, path, interface, name }, arguments)
}

/// The systemd of the host, or of the user.
fn connect() -> Result<Connection> {
    let runs = Path::new("/run/systemd/system").is_dir(); // sd_booted(3)
    let sockets: Vec<(PathBuf, bool)> = if Uid::effective().is_root() {
        // systemd's own socket first, as in systemctl: nobody is between.
        let sockets = [("/run/systemd/private", false), ("/run/dbus/system_bus_socket", true)];
        sockets.map(|(path, is_bus)| (path.into(), is_bus)).into()
    } else {
        let directory = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).unwrap_or_default();
        vec![(directory.join("systemd/private"), false), (directory.join("bus"), true)]
    };
    let found = sockets.iter().find(|(path, _)| runs && path.is_absolute() && path.exists());
    match found {
        Some((path, is_bus)) => Connection::open(path, *is_bus),
        None => Err(Error::Unsupported {
            what: "--systemd-cgroup",
            why: "systemd does not run here, or its D-Bus is out of reach; configure the engine with the \
                  cgroupfs driver",
        }),
    }
}

/// Whether it can be asked; the reason if not.
pub(crate) fn check() -> Result<()> {
    connect().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_slice_and_a_scope() {
        for (path, cgroup) in [
            ("machine.slice:libpod:7", "machine.slice/libpod-7.scope"),
            ("a-b-c.slice::x", "a.slice/a-b.slice/a-b-c.slice/x.scope"),
            ("-.slice:p:x", "p-x.scope"),
            (":p:x", "system.slice/p-x.scope"),
            ("", "system.slice/isolab-id.scope"),
        ] {
            if !Uid::effective().is_root() && cgroup.starts_with("system") {
                continue; // a user has other slices
            }
            assert_eq!(Unit::of(Some(path), "id").unwrap().path(), Path::new(cgroup), "{path}");
        }
        for path in
            ["/a/b", "a:b", "x:a:b", "a--b.slice:a:b", "a.slice:b:../c", "a.slice:b:c.slice"]
        {
            assert!(Unit::of(Some(path), "id").is_err(), "{path}");
        }
    }
}
