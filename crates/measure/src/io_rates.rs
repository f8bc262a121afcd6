//! A file written to the disk and read again: bytes a second, in every sandbox that has files.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

use report::{Unit, metric};

use crate::{Error, Session, Subject, Value, message::Message};

/// Writes a file, waits until the disk has it, and reads it again. What dd writes about itself is
/// measured, not the start around it.
const SCRIPT: &str = "dd if=/dev/zero of=\"$1/file\" bs=1M count=\"$2\" conv=fsync && \
                      dd if=\"$1/file\" of=/dev/null bs=1M && rm \"$1/file\"";

/// Writes and reads a file in every sandbox that has files.
pub fn measure<W: Write>(session: &mut Session<W>, isolab: &Path, quick: bool) -> io::Result<()> {
    let mebibytes = if quick { 16 } else { 64 };
    let folder = tempfile::tempdir()?;
    let text = format!(
        "{mebibytes} MiB by dd, written and flushed to the disk (fsync), then read again, mostly from \
         the page cache: twice that by the sum of the two times that dd gives; on {}, which a \
         container has as a volume",
        filesystem(folder.path())
    );
    session.writer.write(&Message::Fact(metric::IO_DISK.into(), text))?;
    let none = Error::new("it has no file system: its memory holds one program");
    if session.subjects.iter().any(|subject| subject.label == "microvm") {
        session.writer.gaps(&[metric::IO_DISK], "microvm", &none)?;
        session.subjects.retain(|subject| subject.label != "microvm");
    }
    session.rounds(|subject| rate(isolab, subject, folder.path(), mebibytes))
}

fn rate(
    isolab: &Path,
    subject: &Subject,
    folder: &Path,
    mebibytes: u32,
) -> Result<Vec<Value>, Error> {
    let kind = subject.sandbox.name();
    let shown = folder.to_string_lossy();
    let mut command = Command::new(isolab);
    command.args(["run", "--in", kind, "--deadline", "60s"]);
    if kind == "container" {
        command.args(["-v", &format!("{shown}:{shown}")]);
    }
    command.args(["--", "sh", "-c", SCRIPT, "sh", &*shown, &mebibytes.to_string()]);
    command.env("LC_ALL", "C").stdin(Stdio::null());
    let ended = command.output()?;
    if !ended.status.success() {
        return Err(Error::of_command("dd", ended.status, &ended.stderr));
    }
    let seconds = seconds(&String::from_utf8_lossy(&ended.stderr));
    let [written, read] = seconds[..] else {
        return Err(Error::new("this host's dd does not say how long it took"));
    };
    let bytes = 2.0 * f64::from(mebibytes) * f64::from(1 << 20);
    Ok(vec![(metric::IO_DISK, Unit::BytesPerSecond, bytes / (written + read))])
}

/// The times that dd gives: `1048576 bytes (1.0 MB, 1.0 MiB) copied, 0.00123 s, 852 MB/s`.
fn seconds(text: &str) -> Vec<f64> {
    let of_line = |line: &str| -> Option<f64> {
        let (_, rest) = line.split_once(" copied, ")?;
        rest.split_whitespace().next()?.parse().ok().filter(|seconds: &f64| *seconds > 0.0)
    };
    text.lines().filter_map(of_line).collect()
}

/// The kind of file system that a folder is on, by the longest mount point above it.
fn filesystem(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let of_line = |line: &str| -> Option<(usize, String)> {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        folder.starts_with(point).then(|| (point.len(), kind.to_owned()))
    };
    let longest = mounts.lines().filter_map(of_line).max_by_key(|(length, _)| *length);
    longest.map_or_else(|| "an unknown file system".into(), |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_dd_are_read() {
        let text = "64+0 records in\n64+0 records out\n\
                    67108864 bytes (67 MB, 64 MiB) copied, 0.25 s, 268 MB/s\n\
                    67108864 bytes (64.0MB) copied, 0.5 seconds, 128.0MB/s\n";
        assert_eq!(seconds(text), [0.25, 0.5]);
        assert!(seconds("dd: no space").is_empty());
    }

    #[test]
    fn the_file_system_of_proc_is_proc() {
        assert_eq!(filesystem(Path::new("/proc/self")), "proc");
    }
}
