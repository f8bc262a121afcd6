//! `isolab cp`: files between the host and a container that runs.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write as _},
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::PathBuf,
};

use clap::Args;
use container::transfer::{self, CopyPath};

use crate::{background, blocking::Blocking, failure::Failure, stderr};

/// Copy files between the host and a running container.
///
/// An existing directory is copied into; `DIRECTORY/.` copies its contents. Symbolic links are copied
/// as links. What comes out belongs to the caller, without set-user bits; devices, FIFOs and sockets
/// are left out. What goes in belongs to root there. With `-` for FROM, a tar archive from standard
/// input is unpacked into a directory of the container; with `-` for TO, one is written to standard
/// output.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to copy: PATH, NAME:PATH in a container, or - for a tar archive
    #[arg(value_name = "[NAME:]FROM")]
    from: OsString,
    /// Where to copy it to
    #[arg(value_name = "[NAME:]TO")]
    to: OsString,
}

/// Copies and says what was left out.
pub fn cp(arguments: &Arguments) -> Result<u8, Failure> {
    let left_out = match (is_stream(&arguments.from), is_stream(&arguments.to)) {
        (false, false) => copy(arguments)?,
        (true, false) => unpack(&inside(&arguments.to)?)?,
        (false, true) if io::stdout().is_terminal() => {
            return Err(Failure::usage("refusing to write a tar archive to a terminal")
                .help("redirect standard output: `isolab cp NAME:PATH - > FILE`"));
        }
        (false, true) => pack(&inside(&arguments.from)?)?,
        (true, true) => {
            return Err(Failure::usage("both paths are `-`").help("write one of them as NAME:PATH"));
        }
    };
    for left_out in left_out {
        stderr::remark(&format!("isolab: left out {}\n", left_out.escape_debug()));
    }
    Ok(0)
}

/// Whether it is standard input or output.
fn is_stream(word: &OsStr) -> bool {
    word == "-"
}

/// The end in a container of a copy whose other end is an archive.
fn inside(word: &OsStr) -> Result<CopyPath, Failure> {
    match end(word)? {
        CopyPath::Host(path) => Err(Failure::usage(format!("{path:?} is not in a container"))
            .help("write NAME:PATH; for files of the host, use tar(1)")),
        inside => Ok(inside),
    }
}

/// Unpacks standard input.
fn unpack(to: &CopyPath) -> Result<Vec<String>, Failure> {
    Ok(transfer::unpack(Blocking(io::stdin().lock()), to)?)
}

/// Packs to standard output, past the library's buffer, which looks for lines.
fn pack(from: &CopyPath) -> Result<Vec<String>, Failure> {
    let failed = || Failure::at("write to standard output");
    let output = io::stdout().as_fd().try_clone_to_owned().map_err(failed())?;
    let mut output = BufWriter::new(Blocking(File::from(output)));
    let left_out = transfer::pack(from, &mut output)?;
    output.flush().map_err(failed())?;
    Ok(left_out)
}

fn copy(arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let (from, to) = (end(&arguments.from)?, end(&arguments.to)?);
    if matches!((&from, &to), (CopyPath::Host(_), CopyPath::Host(_))) {
        return Err(Failure::usage("neither path is in a container").help(
            "write one of them as NAME:PATH; a file of the host with a colon in its name is ./FILE",
        ));
    }
    Ok(transfer::copy(&from, &to)?)
}

/// What a word means: as with Docker, a word that begins with `/` or `.` is a path of the host's.
fn end(word: &OsStr) -> Result<CopyPath, Failure> {
    let bytes = word.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':');
    let name = colon.and_then(|colon| std::str::from_utf8(&bytes[..colon]).ok());
    let (Some(name), Some(colon)) = (name, colon) else { return Ok(CopyPath::Host(word.into())) };
    if name.is_empty() || name.starts_with(['/', '.']) || name.contains('/') {
        return Ok(CopyPath::Host(word.into()));
    }
    let path = PathBuf::from(OsStr::from_bytes(&bytes[colon + 1..]));
    if path.as_os_str().is_empty() {
        return Err(Failure::usage(format!("{word:?} has no path after the colon")));
    }
    let entry = background::find_running(name)?;
    match entry.sandbox.as_str() {
        "container" => Ok(CopyPath::Inside(Box::new(entry), path)),
        "process" => {
            Err(Failure::refused(format!("{name} is a process: its files are the host's"))
                .help("`cp` copies them"))
        }
        kind => {
            Err(Failure::refused(format!("{name} is a {kind}: only its guest can reach its files")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_hosts_may_have_a_colon() {
        for word in ["/a:b", "./a:b", "a/b:c", "plain", ":x", "../x:y"] {
            let found = end(word.as_ref()).unwrap();
            assert!(matches!(found, CopyPath::Host(path) if path.as_os_str() == word), "{word}");
        }
        for word in ["isolab-nobody:", "isolab-nobody:/x"] {
            assert!(end(word.as_ref()).is_err(), "{word}");
        }
    }
}
