//! Files of `NAME=VALUE` lines, as `--env-file` and `--label-file` take them.
//!
//! The format is Docker's: a line is `NAME=VALUE` without quotes, `NAME`, or a comment behind `#`.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use crate::failure::Failure;

/// The size of the largest file that is read: no program can be given more (execve(2), "Limits on
/// size of arguments and environment").
const LARGEST_FILE: u64 = 6 << 20;

/// The text of such a file.
pub struct LineFile(Vec<u8>);

impl LineFile {
    /// Reads the file that `option` names.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is larger than any use of it.
    pub fn read(option: &str, path: &Path) -> Result<Self, Failure> {
        let mut text = Vec::new();
        let failed = || Failure::at(format!("read {option} {path:?}"));
        let read = |file: File| file.take(LARGEST_FILE + 1).read_to_end(&mut text);
        File::open(path).and_then(read).map_err(failed())?;
        if text.len() as u64 > LARGEST_FILE {
            let error = io::Error::from(io::ErrorKind::FileTooLarge);
            return Err(failed()(error).help("it must be at most 6 MiB"));
        }
        Ok(Self(text))
    }

    /// The lines that say something, with their numbers: not the empty ones and the comments.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let text = self.0.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.0);
        let lines = text.split(|byte| *byte == b'\n').map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            line.trim_ascii_start()
        });
        (1..).zip(lines).filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
    }
}

/// `NAME=VALUE` or `NAME`.
pub fn split(text: &[u8]) -> (&OsStr, Option<&OsStr>) {
    let mut parts = text.splitn(2, |byte| *byte == b'=').map(OsStr::from_bytes);
    (parts.next().unwrap_or_default(), parts.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_never_ends_is_not_read_for_ever() {
        let failure = LineFile::read("--env-file", "/dev/zero".as_ref()).err().unwrap().to_string();
        assert!(failure.contains("--env-file \"/dev/zero\""), "{failure}");
        assert!(failure.contains("help: "), "{failure}");
        assert!(LineFile::read("--env-file", "/nonexistent".as_ref()).is_err());
    }
}
