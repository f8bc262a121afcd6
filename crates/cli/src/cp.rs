//! `isolab cp`: files between the host and a container that runs.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use clap::Args;
use container::transfer::{self, CopyPath};

use crate::{background, failure::Failure, output};

/// Copy files between the host and a container that runs. A directory that is there is copied into;
/// of `DIRECTORY/.` its contents are copied. Symbolic links are copied as links. What comes out
/// belongs to the caller, without set-user bits; devices, FIFOs and sockets are left out. What goes in
/// belongs to root there.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What is copied: PATH, or NAME:PATH in a container
    #[arg(value_name = "[NAME:]FROM")]
    from: OsString,
    /// Where to
    #[arg(value_name = "[NAME:]TO")]
    to: OsString,
}

/// Copies and says what was left out.
pub fn cp(arguments: &Arguments) -> Result<u8, Failure> {
    let (from, to) = (end(&arguments.from)?, end(&arguments.to)?);
    if matches!((&from, &to), (CopyPath::Host(_), CopyPath::Host(_))) {
        return Err(Failure::usage("neither path is in a container")
            .help("one of them is NAME:PATH; a file of the host's that has a colon is ./FILE"));
    }
    for left_out in transfer::copy(&from, &to)? {
        output::remark(&format!("isolab: left out {}\n", left_out.escape_debug()));
    }
    Ok(0)
}

/// What a word means: as with Docker, a word that begins with `/` or `.` is a path of the host's.
fn end(word: &OsStr) -> Result<CopyPath, Failure> {
    let bytes = word.as_bytes();
    if bytes == b"-" {
        return Err(Failure::usage("`-` is for tar archives, which isolab does not read or write")
            .help("`isolab exec NAME tar -c PATH` writes one, if tar is in the container"));
    }
    let colon = bytes.iter().position(|byte| *byte == b':');
    let name = colon.and_then(|colon| std::str::from_utf8(&bytes[..colon]).ok());
    let (Some(name), Some(colon)) = (name, colon) else { return Ok(CopyPath::Host(word.into())) };
    if name.is_empty() || name.starts_with(['/', '.']) || name.contains('/') {
        return Ok(CopyPath::Host(word.into()));
    }
    let path = PathBuf::from(OsStr::from_bytes(&bytes[colon + 1..]));
    if path.as_os_str().is_empty() {
        return Err(Failure::usage(format!("{word:?} names no path in {name}")));
    }
    let entry = background::find_running(name)?;
    match entry.sandbox.as_str() {
        "container" => Ok(CopyPath::Inside(Box::new(entry), path)),
        "process" => {
            Err(Failure::refused(format!("{name} is a process: its files are the host's"))
                .help("`cp` copies them"))
        }
        kind => Err(Failure::refused(format!(
            "{name} is a {kind}: its files are known to its guest alone"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_hosts_may_have_a_colon() {
        for word in ["/a:b", "./a:b", "a/b:c", "plain", ":x", "../x:y"] {
            assert_eq!(end(word.as_ref()).unwrap(), CopyPath::Host(word.into()), "{word}");
        }
        for word in ["-", "isolab-nobody:", "isolab-nobody:/x"] {
            assert!(end(word.as_ref()).is_err(), "{word}");
        }
    }
}
