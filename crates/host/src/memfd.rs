//! A program in memory, executed through its descriptor: no file, no path, nothing to clean up;
//! see memfd_create(2).

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsRawFd as _,
};

use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};

/// Copies `program` into memory, to be executed through the descriptor. It is sealed: a process that
/// runs from it cannot change what runs from it next.
///
/// # Errors
///
/// Those of reading `program`, of `memfd_create(2)` and of sealing it.
pub fn sealed_memfd(mut program: impl Read) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut written = File::from(memfd_create(c"isolab-program", flags)?);
    io::copy(&mut program, &mut written)?;
    let size = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    let content = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(&written, FcntlArg::F_ADD_SEALS(size | content))?;
    // Linux refuses to execute a file that is open for writing (ETXTBSY): reopen it for reading.
    File::open(format!("/proc/self/fd/{}", written.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::fd::AsRawFd as _};

    use super::*;

    #[test]
    fn a_program_in_memory_is_as_it_was_given_and_stays_so() {
        let mut image = sealed_memfd(&b"program"[..]).unwrap();
        let path = format!("/proc/self/fd/{}", image.as_raw_fd());
        // Opening may be refused as well; writing always is.
        let written = File::options().write(true).open(path).and_then(|mut file| file.write(b"x"));
        assert!(written.is_err());
        let mut text = String::new();
        image.read_to_string(&mut text).unwrap();
        assert_eq!(text, "program");
    }
}
