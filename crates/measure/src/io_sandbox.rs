//! A sandbox with what it has for a disk and for a network, and the program that uses both.

use std::{
    cell::RefCell,
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use microvm::linux::mke2fs;
use sandbox::chain;

use crate::{
    Error, Subject, error::known, io_client::IoClient, session::Labelled, subjects::LINUX,
};

/// Where isolab's own program is in a container.
const PROGRAM: &str = "/isolab-measure";
/// A guest's disk, and where it is mounted.
const DISK: &str = "/dev/vda";
const FOLDER: &str = "/disk";
/// The memory of a guest: a file is cached in a part of it, and written early once it fills more than
/// a fifth (dirty_ratio of the kernel's documentation on vm).
const MEMORY: &str = "1G";
/// A sandbox whose measuring process was killed, and which does not end with its input, ends then.
const DEADLINE: &str = "60m";

/// A sandbox of isolab's in which the program runs that writes, reads and sends.
pub struct IoSandbox {
    subject: Subject,
    client: Result<RefCell<IoClient>, Error>,
    /// The directory inside that is on a disk of the host.
    folder: Result<PathBuf, Error>,
    /// Where the program is to listen, unless that is at its own link.
    network: Result<Option<SocketAddr>, Error>,
}

impl Labelled for IoSandbox {
    fn label(&self) -> &str {
        self.subject.label
    }

    fn caveat(&self) -> Option<String> {
        self.subject.caveat.clone()
    }
}

impl IoSandbox {
    /// Starts it by the executable `isolab`. Its files are below `folder`, and have at most so many
    /// bytes. What it lacks is an error once it is asked for.
    pub fn start(isolab: &Path, subject: Subject, folder: &Path, bytes: u64) -> Self {
        let has_link = subject.sandbox.name() != "process";
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut network = Ok((!has_link).then_some(loopback));
        let disk = match subject.label {
            LINUX => guest_disk(folder, bytes).map(Some),
            _ => Ok(None),
        };
        let image = disk.as_ref().ok().and_then(Option::as_deref);
        let start = |has_link| {
            IoClient::start(&mut command(isolab, subject.sandbox.name(), folder, image, has_link))
        };
        let mut client = start(has_link);
        if let (Err(error), true) = (&client, has_link) {
            // It may have a disk all the same.
            network = Err(error.clone());
            client = start(false);
        }
        let folder = match (disk, &mut client) {
            (Ok(Some(_)), Ok(client)) => {
                client.mount(DISK.as_ref(), FOLDER.as_ref()).map(|()| FOLDER.into())
            }
            (disk, _) => disk.map(|_| folder.to_owned()),
        };
        Self { subject, client: client.map(RefCell::new), folder, network }
    }

    /// Bytes a second of a file of so many bytes, which is written, and read again.
    ///
    /// # Errors
    ///
    /// When it has no disk, or that fails.
    pub fn disk_rate(&self, bytes: u64) -> Result<f64, Error> {
        let (client, folder) = (known(&self.client)?, known(&self.folder)?);
        let seconds = client.borrow_mut().write_and_read(folder, bytes)?;
        Ok(2.0 * bytes as f64 / seconds)
    }

    /// Bytes a second of so many bytes from inside to the host.
    ///
    /// # Errors
    ///
    /// When it has no network, or that fails.
    pub fn network_rate(&self, bytes: u64) -> Result<f64, Error> {
        let (client, at) = (known(&self.client)?, known(&self.network)?);
        Ok(client.borrow_mut().receive(*at, bytes)?.rate())
    }
}

/// The command that starts the sandbox with the program.
fn command(
    isolab: &Path,
    kind: &str,
    folder: &Path,
    disk: Option<&Path>,
    has_link: bool,
) -> Command {
    let mut command = Command::new(isolab);
    command.args(["run", "--in", kind, "--deadline", DEADLINE]);
    command.args(has_link.then_some("--network=veth"));
    let mut program = isolab;
    match kind {
        "container" => {
            let shown = folder.display();
            command.args(["-v", &format!("{shown}:{shown}")]);
            command.args(["-v", &format!("{}:{PROGRAM}:ro", isolab.display())]);
            program = PROGRAM.as_ref();
        }
        LINUX => {
            command.args(["--memory", MEMORY]);
            command.args(disk.into_iter().flat_map(|disk| ["--disk".as_ref(), disk.as_os_str()]));
        }
        _ => {}
    }
    command.arg("--").arg(program).arg("measure-io").env("LC_ALL", "C");
    command
}

/// An image with an empty ext4 file system on it, in which a file of so many bytes has room twice.
fn guest_disk(folder: &Path, bytes: u64) -> Result<PathBuf, Error> {
    const ROOM: u64 = 64 << 20;
    let program =
        mke2fs().map_err(|error| Error::new(format!("make its disk: {}", chain(&error))))?;
    let image = folder.join("disk.raw");
    File::create(&image)?.set_len((2 * bytes + ROOM).next_multiple_of(1 << 20))?;
    let made = Command::new(program)
        .args(["-q", "-F", "-t", "ext4"])
        // Nothing is left for the guest's kernel to do while it is measured.
        .args(["-E", "lazy_itable_init=0,lazy_journal_init=0"])
        .arg(&image)
        .stdin(Stdio::null())
        .output()?;
    match made.status.success() {
        true => Ok(image),
        false => Err(Error::of_command("mke2fs", made.status, &made.stderr)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> String {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn each_sandbox_has_its_own_disk_and_link() {
        let of = |kind, disk, has_link| {
            words(&command("/bin/isolab".as_ref(), kind, "/tmp/x".as_ref(), disk, has_link))
        };
        let disk: &Path = "/tmp/x/disk.raw".as_ref();
        assert!(!of("process", None, false).contains("--network"));
        let container = of("container", None, true);
        assert!(container.contains("--network=veth -v /tmp/x:/tmp/x "), "{container}");
        assert!(container.ends_with("-- /isolab-measure measure-io"), "{container}");
        let guest = of(LINUX, Some(disk), true);
        assert!(guest.contains("--disk /tmp/x/disk.raw -- /bin/isolab measure-io"), "{guest}");
        assert!(!of(LINUX, None, false).contains("--disk"));
    }

    #[test]
    fn what_was_not_made_is_an_error_each_time() {
        let lacks = || Error::new("only root may");
        let subject = crate::again();
        let sandbox = IoSandbox {
            subject,
            client: Err(Error::new("it did not start")),
            folder: Ok("/".into()),
            network: Err(lacks()),
        };
        for _ in 0..2 {
            assert_eq!(sandbox.disk_rate(1).unwrap_err().reason, "it did not start");
        }
    }

    #[test]
    fn a_guests_disk_has_an_empty_file_system() {
        if let Err(error) = mke2fs() {
            return println!("skipped: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let image = guest_disk(folder.path(), 1 << 20).unwrap();
        let bytes = std::fs::read(image).unwrap();
        // The mark of an ext4 superblock.
        assert_eq!(bytes[0x438..0x43a], [0x53, 0xef]);
    }
}
