//! The program that is taken into the nest: what runs of it, and no more.
//!
//! A program that was built for debugging is mostly names and line numbers, 60 MB that an emulated
//! processor would have to copy. The kernel runs an ELF file by its segments alone, and what
//! explains them to a debugger comes behind the last one.

use std::{fs, path::Path};

use object::{
    LittleEndian,
    elf::{FileHeader64, PT_INTERP},
    read::elf::{FileHeader as _, ProgramHeader as _},
};

use crate::{Error, Result};

/// Where an ELF header has the number of section headers and of the one with their names.
const SECTIONS: std::ops::Range<usize> = 60..64;
/// Where it has the offset of the section headers.
const SECTIONS_OFFSET: std::ops::Range<usize> = 40..48;

/// The program in `file`, without what is not needed to run it.
///
/// # Errors
///
/// When it cannot be read, or is not a statically linked program for this processor.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>> {
    let mut bytes =
        fs::read(file).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    match end_of_segments(&bytes) {
        Ok(end) => {
            bytes.truncate(end);
            bytes[SECTIONS_OFFSET].fill(0);
            bytes[SECTIONS].fill(0);
            Ok(bytes)
        }
        Err(why) => Err(Error::NotStatic { program: file.to_owned(), why }),
    }
}

/// How much of the file its segments take, with the headers before them.
fn end_of_segments(bytes: &[u8]) -> std::result::Result<usize, &'static str> {
    let no_elf = |_| "not an ELF file for x86-64";
    let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(no_elf)?;
    let segments = header.program_headers(LittleEndian, bytes).map_err(no_elf)?;
    let mut end = SECTIONS.end;
    for segment in segments {
        if segment.p_type(LittleEndian) == PT_INTERP {
            return Err("it is dynamically linked, and its libraries are not in the nest");
        }
        let (offset, length) = segment.file_range(LittleEndian);
        let last = offset.checked_add(length).and_then(|end| usize::try_from(end).ok());
        end = end.max(last.filter(|end| *end <= bytes.len()).ok_or("the file is truncated")?);
    }
    let headers = header.e_phoff.get(LittleEndian) as usize + size_of_val(segments);
    Ok(end.max(headers))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, process::Command};

    use super::*;

    #[test]
    fn what_is_left_runs_as_before_and_is_shorter() {
        let this = std::env::current_exe().unwrap();
        let left = read(&this).unwrap();
        assert!((left.len() as u64) < fs::metadata(&this).unwrap().len());
        let folder = tempfile::tempdir().unwrap();
        let shorter = folder.path().join("program");
        fs::write(&shorter, left).unwrap();
        fs::set_permissions(&shorter, fs::Permissions::from_mode(0o755)).unwrap();
        let listed = |program: &Path| Command::new(program).arg("--list").output().unwrap().stdout;
        assert_eq!(listed(&shorter), listed(&this));
    }

    #[test]
    fn a_program_that_needs_libraries_is_refused() {
        let error = read(Path::new("/bin/ls")).unwrap_err();
        assert!(error.to_string().contains("dynamically linked"), "{error}");
        let error = read(Path::new("/etc/passwd")).unwrap_err();
        assert!(error.to_string().contains("not an ELF file"), "{error}");
    }
}
