//! Files, directories and mounts, by system calls.

use core::ffi::CStr;

use crate::{
    calls::{
        Errno, O_CLOEXEC, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, Result, address, call, close, open,
        write,
    },
    system::number,
};

/// Whether there is a file at `path` that may be executed.
pub fn is_program(path: &CStr) -> bool {
    const X_OK: usize = 1;
    call(number::ACCESS, [address(path), X_OK]).is_ok()
}

/// Changes the working directory to one that is open.
pub fn go_back_to(directory: usize) -> Result<()> {
    call(number::FCHDIR, [directory]).map(drop)
}

/// AT_FDCWD: paths are relative to the working directory.
pub const HERE: usize = -100_isize as usize;

/// Opens a file or a directory in an open directory for reading, but not a link.
pub fn open_at(directory: usize, name: &CStr) -> Result<usize> {
    const O_NONBLOCK: usize = 0o4000;
    const O_NOFOLLOW: usize = 0o400_000;
    let flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
    call(number::OPENAT, [directory, address(name), flags])
}

/// Reads entries of an open directory (getdents64(2)); 0 bytes at the end.
pub fn read_directory(directory: usize, entries: &mut [u8]) -> Result<usize> {
    call(number::GETDENTS64, [directory, entries.as_mut_ptr() as usize, entries.len()])
}

/// The names in entries of a directory, without `.` and `..`.
pub fn names(entries: &[u8]) -> impl Iterator<Item = &CStr> {
    let mut rest = entries;
    // struct linux_dirent64: inode, offset, its own length, kind, name.
    let names = core::iter::from_fn(move || {
        let name = CStr::from_bytes_until_nul(rest.get(19..)?).ok()?;
        let length = u16::from_le_bytes([*rest.get(16)?, *rest.get(17)?]);
        rest = rest.get(usize::from(length)..).unwrap_or(&[]);
        Some(name)
    });
    names.filter(|name| !matches!(name.to_bytes(), b"." | b".."))
}

/// The status of a file.
pub struct Status {
    /// Its kind and permissions.
    pub mode: u32,
    /// Its length.
    pub bytes: usize,
}

/// The status of an entry of an open directory, without following it if it is a link.
pub fn status(directory: usize, name: &CStr) -> Result<Status> {
    const AT_SYMLINK_NOFOLLOW: usize = 0x100;
    // struct stat: the mode is in its fourth eight bytes, the size is its seventh.
    let mut about = [0u64; 18];
    let to = &raw mut about as usize;
    call(number::NEWFSTATAT, [directory, address(name), to, AT_SYMLINK_NOFOLLOW])?;
    Ok(Status { mode: about[3] as u32, bytes: about[6] as usize })
}

/// Makes a directory and its parents, unless they exist.
pub fn make_directories(path: &CStr) -> Result<()> {
    const LONGEST: usize = 4096;
    let bytes = path.to_bytes();
    let mut above = [0; LONGEST];
    for (at, byte) in bytes.iter().enumerate() {
        // The byte after the last one stays zero: it terminates the text.
        if at + 1 >= LONGEST {
            return Err(Errno::TOO_LONG);
        }
        if *byte == b'/' && at > 0 {
            let text = CStr::from_bytes_until_nul(&above).map_err(|_| Errno::TOO_LONG)?;
            make_directory(text)?;
        }
        above[at] = *byte;
    }
    make_directory(path)
}

fn make_directory(path: &CStr) -> Result<()> {
    match call(number::MKDIR, [address(path), 0o755]) {
        Err(Errno::EXISTS) => Ok(()),
        made => made.map(drop),
    }
}

/// The bit of a flag of mount(2) by its name.
pub fn mount_flag(name: &[u8]) -> Result<usize> {
    match name {
        b"ro" => Ok(1),
        b"nosuid" => Ok(2),
        b"nodev" => Ok(4),
        b"noexec" => Ok(8),
        b"bind" => Ok(4096),
        b"move" => Ok(8192),
        _ => Err(Errno::MALFORMED),
    }
}

/// Mounts.
pub fn mount(kind: &CStr, source: &CStr, target: &CStr, data: &CStr, flags: usize) -> Result<()> {
    let [source, target, kind, data] = [source, target, kind, data].map(address);
    call(number::MOUNT, [source, target, kind, flags, data]).map(drop)
}

/// Loads a module of the kernel, unless it is loaded already.
pub fn load_module(file: &CStr, parameters: &CStr) -> Result<()> {
    let descriptor = open(file, O_RDONLY)?;
    let loaded = call(number::FINIT_MODULE, [descriptor, address(parameters), 0]);
    close(descriptor);
    match loaded {
        Err(Errno::EXISTS) => Ok(()),
        loaded => loaded.map(drop),
    }
}

/// Makes a symbolic link.
pub fn link(target: &CStr, path: &CStr) -> Result<()> {
    call(number::SYMLINK, [address(target), address(path)]).map(drop)
}

/// Makes `text` the content of a file.
pub fn write_file(path: &CStr, text: &[u8]) -> Result<()> {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC)?;
    let written = write(descriptor, text);
    close(descriptor);
    written.map(drop)
}

/// Writes a new file at `path`, replacing a file of that name or a link, which may dangle. If it is
/// a directory, or its directory does not exist, the root does not use such files, and nothing is
/// done.
pub fn put_file(path: &CStr, text: &[u8]) -> Result<()> {
    match call(number::UNLINK, [address(path)]) {
        Ok(_) | Err(Errno::NOT_THERE) => {}
        Err(Errno::IS_DIRECTORY | Errno::NO_DIRECTORY | Errno::LOOP) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    match write_file(path, text) {
        Err(Errno::NOT_THERE) => Ok(()),
        written => written,
    }
}

/// Makes `path` the root. The initial root file system cannot be replaced by `pivot_root`; the new
/// root is moved over it (Documentation/filesystems/ramfs-rootfs-initramfs.rst).
pub fn change_root(path: &CStr) -> Result<()> {
    change_directory(path)?;
    mount(c"", c".", c"/", c"", mount_flag(b"move")?)?;
    call(number::CHROOT, [address(c".")])?;
    change_directory(c"/")
}

/// Changes the working directory.
pub fn change_directory(path: &CStr) -> Result<()> {
    call(number::CHDIR, [address(path)]).map(drop)
}
