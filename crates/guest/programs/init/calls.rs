//! The system calls of the steps (arch/x86/entry/syscalls/syscall_64.tbl).

use core::ffi::CStr;

use crate::system::system_call;

/// An error number of Linux.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The line is not written as a plan is: EINVAL.
    pub const GARBLED: Self = Self(22);
    /// There is no such step: ENOSYS.
    pub const UNKNOWN_STEP: Self = Self(38);
    /// There is no such file: ENOENT.
    pub const NOT_THERE: Self = Self(2);
    const NO_SUCH: Self = Self(6);
    const NO_DEVICE: Self = Self(19);
    const NO_DIRECTORY: Self = Self(20);
    const IS_DIRECTORY: Self = Self(21);
    const LOOP: Self = Self(40);
    /// A path or a nesting of directories is too long: ENAMETOOLONG.
    pub const TOO_LONG: Self = Self(36);
    /// A file is too large: EFBIG.
    pub const TOO_LARGE: Self = Self(27);
    /// There is nothing now, or no room: EAGAIN.
    pub const AGAIN: Self = Self(11);
    /// There are so many already: EBUSY.
    pub const BUSY: Self = Self(16);
    /// Too many words, or too long: E2BIG.
    pub const TOO_MANY_WORDS: Self = Self(7);
    const EXISTS: Self = Self(17);
    const NO_MEMORY: Self = Self(12);
}

pub type Result<T> = core::result::Result<T, Errno>;

/// Makes a system call with these arguments, the missing ones 0.
pub fn call<const COUNT: usize>(number: usize, given: [usize; COUNT]) -> Result<usize> {
    let mut arguments = [0; 6];
    for (argument, given) in arguments.iter_mut().zip(given) {
        *argument = given;
    }
    match system_call(number, arguments) {
        result @ -4095..0 => Err(Errno(-result as i32)),
        result => Ok(result as usize),
    }
}

fn address(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// Writes, maybe not all of it.
pub fn write(descriptor: usize, bytes: &[u8]) -> Result<usize> {
    const WRITE: usize = 1;
    call(WRITE, [descriptor, bytes.as_ptr() as usize, bytes.len()])
}

/// Reads into `bytes`; 0 at the end.
pub fn read(descriptor: usize, bytes: &mut [u8]) -> Result<usize> {
    const READ: usize = 0;
    call(READ, [descriptor, bytes.as_mut_ptr() as usize, bytes.len()])
}

/// Closes a descriptor.
pub fn close(descriptor: usize) {
    const CLOSE: usize = 3;
    let _ = call(CLOSE, [descriptor]); // it is gone either way
}

const O_RDONLY: usize = 0;
const O_WRONLY: usize = 1;
const O_RDWR: usize = 2;
const O_CREAT: usize = 0o100;
const O_NOCTTY: usize = 0o400;
const O_TRUNC: usize = 0o1000;
const O_CLOEXEC: usize = 0o2_000_000;

/// Opens a file for reading.
pub fn open_to_read(path: &CStr) -> Result<usize> {
    open(path, O_RDONLY)
}

fn open(path: &CStr, flags: usize) -> Result<usize> {
    const OPEN: usize = 2;
    call(OPEN, [address(path), flags | O_CLOEXEC, 0o644])
}

/// Opens a device for reading and writing. One that its driver is only about to make is waited
/// for: a port of virtio is there when the host has said its name.
pub fn open_device(path: &CStr) -> Result<usize> {
    wait_for_device(|| open(path, O_RDWR | O_NOCTTY))
}

/// Tries until there is such a device, for five seconds at most.
pub fn wait_for_device(mut find: impl FnMut() -> Result<usize>) -> Result<usize> {
    const TRIES: usize = 10_000;
    for _ in 1..TRIES {
        match find() {
            Err(Errno::NOT_THERE | Errno::NO_SUCH | Errno::NO_DEVICE) => sleep_a_moment(),
            found => return found,
        }
    }
    find()
}

/// Sleeps for half a millisecond.
pub fn sleep_a_moment() {
    const NANOSLEEP: usize = 35;
    let time: [usize; 2] = [0, 500_000];
    let _ = call(NANOSLEEP, [&raw const time as usize, 0]); // waking early only asks again early
}

/// Opens descriptors 0 to 2 where the kernel had no console for them, so that no later descriptor
/// takes one of these numbers.
pub fn fill_standard_streams() {
    while let Ok(descriptor) = open(c"/", O_RDONLY) {
        if descriptor > 2 {
            return close(descriptor);
        }
    }
}

/// Fresh memory that is never given back: a plan is short, and so is the life of this program.
fn map(length: usize, descriptor: usize) -> Result<*mut u8> {
    const MMAP: usize = 9;
    const PROT_READ_WRITE: usize = 3;
    const MAP_PRIVATE: usize = 2;
    const MAP_ANONYMOUS: usize = 0x20;
    let flags = MAP_PRIVATE | if descriptor == usize::MAX { MAP_ANONYMOUS } else { 0 };
    Ok(call(MMAP, [0, length, PROT_READ_WRITE, flags, descriptor, 0])? as *mut u8)
}

/// The content of a file, in memory of our own.
pub fn read_file(path: &CStr) -> Result<&'static mut [u8]> {
    const LSEEK: usize = 8;
    const SEEK_END: usize = 2;
    let descriptor = open(path, O_RDONLY)?;
    let length = call(LSEEK, [descriptor, 0, SEEK_END])?;
    let bytes = map(length, descriptor)?;
    close(descriptor);
    // SAFETY: the mapping is fresh and private, of that length, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(bytes, length) })
}

/// A list of `length` nulls.
pub fn list(length: usize) -> Result<&'static mut [usize]> {
    let bytes = length.checked_mul(8).ok_or(Errno::NO_MEMORY)?;
    let words = map(bytes, usize::MAX)?.cast::<usize>();
    // SAFETY: the mapping is fresh, zeroed, page-aligned, of that length, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(words, length) })
}

/// Fresh bytes, all zero.
pub fn buffer(length: usize) -> Result<&'static mut [u8]> {
    let bytes = map(length, usize::MAX)?;
    // SAFETY: the mapping is fresh, zeroed, of that length, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(bytes, length) })
}

/// Gives the memory of a list back. Nobody may look at it any more.
pub fn forget(list: &'static mut [usize]) {
    const MUNMAP: usize = 11;
    let bytes = size_of_val(list);
    let _ = call(MUNMAP, [list.as_mut_ptr() as usize, bytes]); // at worst it stays
}

/// The bytes of a list.
pub fn bytes_of(list: &mut [usize]) -> &mut [u8] {
    let length = size_of_val(list);
    // SAFETY: any bytes are words and any words are bytes; the list is borrowed for as long.
    unsafe { core::slice::from_raw_parts_mut(list.as_mut_ptr().cast(), length) }
}

/// Whether there is a file at `path` that may be executed.
pub fn is_program(path: &CStr) -> bool {
    const ACCESS: usize = 21;
    const X_OK: usize = 1;
    call(ACCESS, [address(path), X_OK]).is_ok()
}

/// Opens a new terminal (pts(4)): where its user is, and where its program is.
pub fn open_terminal() -> Result<[usize; 2]> {
    const IOCTL: usize = 16;
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTPEER: usize = 0x5441;
    let master = open(c"/dev/ptmx", O_RDWR | O_NOCTTY)?;
    let unlocked = 0u32;
    let opened = call(IOCTL, [master, TIOCSPTLCK, &raw const unlocked as usize])
        .and_then(|_| call(IOCTL, [master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC]));
    match opened {
        Ok(slave) => Ok([master, slave]),
        Err(errno) => {
            close(master);
            Err(errno)
        }
    }
}

/// Lets nobody wait who reads or writes this open file.
pub fn do_not_wait(descriptor: usize) -> Result<()> {
    const FCNTL: usize = 72;
    const F_GETFL: usize = 3;
    const F_SETFL: usize = 4;
    const O_NONBLOCK: usize = 0o4000;
    let flags = call(FCNTL, [descriptor, F_GETFL])?;
    call(FCNTL, [descriptor, F_SETFL, flags | O_NONBLOCK]).map(drop)
}

/// Changes the working directory to one that is open.
pub fn go_back_to(directory: usize) -> Result<()> {
    const FCHDIR: usize = 81;
    call(FCHDIR, [directory]).map(drop)
}

/// Where paths begin that no directory was named for: AT_FDCWD.
pub const HERE: usize = -100_isize as usize;

/// Opens a file or a directory in an open directory for reading, and no link.
pub fn open_at(directory: usize, name: &CStr) -> Result<usize> {
    const OPENAT: usize = 257;
    const O_NONBLOCK: usize = 0o4000;
    const O_NOFOLLOW: usize = 0o400_000;
    let flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
    call(OPENAT, [directory, address(name), flags])
}

/// Reads entries of an open directory (getdents64(2)); 0 bytes at the end.
pub fn read_directory(directory: usize, entries: &mut [u8]) -> Result<usize> {
    const GETDENTS64: usize = 217;
    call(GETDENTS64, [directory, entries.as_mut_ptr() as usize, entries.len()])
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

/// What is known of a file without opening it.
pub struct Status {
    /// Its kind and permissions.
    pub mode: u32,
    /// Its length.
    pub bytes: usize,
}

/// Looks at what has that name in an open directory, be it a link.
pub fn status(directory: usize, name: &CStr) -> Result<Status> {
    const NEWFSTATAT: usize = 262;
    const AT_SYMLINK_NOFOLLOW: usize = 0x100;
    // struct stat: the mode is in its fourth eight bytes, the size is its seventh.
    let mut about = [0u64; 18];
    let to = &raw mut about as usize;
    call(NEWFSTATAT, [directory, address(name), to, AT_SYMLINK_NOFOLLOW])?;
    Ok(Status { mode: about[3] as u32, bytes: about[6] as usize })
}

/// Makes a directory where there is none, and those above it.
pub fn make_directories(path: &CStr) -> Result<()> {
    const LONGEST: usize = 4096;
    let bytes = path.to_bytes();
    let mut above = [0; LONGEST];
    for (at, byte) in bytes.iter().enumerate() {
        // The place after the last byte stays zero: it ends the text.
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
    const MKDIR: usize = 83;
    match call(MKDIR, [address(path), 0o755]) {
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
        _ => Err(Errno::GARBLED),
    }
}

/// Mounts.
pub fn mount(kind: &CStr, source: &CStr, target: &CStr, data: &CStr, flags: usize) -> Result<()> {
    const MOUNT: usize = 165;
    let [source, target, kind, data] = [source, target, kind, data].map(address);
    call(MOUNT, [source, target, kind, flags, data]).map(drop)
}

/// Loads a module of the kernel; one that is there already is as good.
pub fn load_module(file: &CStr, parameters: &CStr) -> Result<()> {
    const FINIT_MODULE: usize = 313;
    let descriptor = open(file, O_RDONLY)?;
    let loaded = call(FINIT_MODULE, [descriptor, address(parameters), 0]);
    close(descriptor);
    match loaded {
        Err(Errno::EXISTS) => Ok(()),
        loaded => loaded.map(drop),
    }
}

/// Makes a symbolic link.
pub fn link(target: &CStr, path: &CStr) -> Result<()> {
    const SYMLINK: usize = 88;
    call(SYMLINK, [address(target), address(path)]).map(drop)
}

/// Makes `text` the content of a file.
pub fn write_file(path: &CStr, text: &[u8]) -> Result<()> {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC)?;
    let written = write(descriptor, text);
    close(descriptor);
    written.map(drop)
}

/// Puts a file at `path`, in place of what has that name: a link there may lead nowhere. Where a
/// directory has it, or where there is no directory for it, the root is not one with such files.
pub fn put_file(path: &CStr, text: &[u8]) -> Result<()> {
    const UNLINK: usize = 87;
    match call(UNLINK, [address(path)]) {
        Ok(_) | Err(Errno::NOT_THERE) => {}
        Err(Errno::IS_DIRECTORY | Errno::NO_DIRECTORY | Errno::LOOP) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    match write_file(path, text) {
        Err(Errno::NOT_THERE) => Ok(()),
        written => written,
    }
}

/// Makes `path` the root. The first file system of a kernel cannot be exchanged by `pivot_root`;
/// the new root is moved over it (Documentation/filesystems/ramfs-rootfs-initramfs.rst).
pub fn change_root(path: &CStr) -> Result<()> {
    const CHROOT: usize = 161;
    change_directory(path)?;
    mount(c"", c".", c"/", c"", mount_flag(b"move")?)?;
    call(CHROOT, [address(c".")])?;
    change_directory(c"/")
}

/// Changes the working directory.
pub fn change_directory(path: &CStr) -> Result<()> {
    const CHDIR: usize = 80;
    call(CHDIR, [address(path)]).map(drop)
}

/// Tells a terminal how large it is (ioctl_tty(2)).
pub fn set_window(terminal: usize, rows: u16, columns: u16) -> Result<()> {
    const IOCTL: usize = 16;
    const TIOCSWINSZ: usize = 0x5414;
    let size = [rows, columns, 0, 0];
    call(IOCTL, [terminal, TIOCSWINSZ, &raw const size as usize]).map(drop)
}

/// Lets a terminal pass bytes on as they are (termios(3), `OPOST`).
pub fn make_plain(terminal: usize) -> Result<()> {
    const IOCTL: usize = 16;
    const TCGETS: usize = 0x5401;
    const TCSETS: usize = 0x5402;
    const OPOST: u32 = 1;
    // struct termios of the kernel: flags for input, output, control, the line; characters.
    let mut modes = [0u32; 9];
    call(IOCTL, [terminal, TCGETS, &raw mut modes as usize])?;
    modes[1] &= !OPOST;
    call(IOCTL, [terminal, TCSETS, &raw const modes as usize]).map(drop)
}

/// Maps physical memory that the host sees too (mem(4)).
pub fn map_physical(address: usize, length: usize) -> Result<*mut u8> {
    const MMAP: usize = 9;
    const PROT_READ_WRITE: usize = 3;
    const MAP_SHARED: usize = 1;
    let descriptor = open(c"/dev/mem", O_RDWR)?;
    let mapped = call(MMAP, [0, length, PROT_READ_WRITE, MAP_SHARED, descriptor, address]);
    close(descriptor);
    Ok(mapped? as *mut u8)
}

/// Permits this process to use `count` I/O ports.
pub fn allow_ports(port: u16, count: usize) -> Result<()> {
    const IOPERM: usize = 173;
    call(IOPERM, [port.into(), count, 1]).map(drop)
}

/// Mixes `seed` into the kernel's random numbers, believes that nobody knows it, and has them begin
/// anew with it (random(4)).
pub fn seed_random_numbers(seed: [u32; 8]) -> Result<()> {
    const IOCTL: usize = 16;
    const RNDADDENTROPY: usize = 0x4008_5203;
    const RNDRESEEDCRNG: usize = 0x5207;
    let bytes = size_of_val(&seed) as u32;
    // struct rand_pool_info: bits that count, bytes, the bytes.
    let mut pool = [8 * bytes, bytes, 0, 0, 0, 0, 0, 0, 0, 0];
    pool[2..].copy_from_slice(&seed);
    let device = open(c"/dev/urandom", O_WRONLY)?;
    let seeded = call(IOCTL, [device, RNDADDENTROPY, &raw const pool as usize])
        .and_then(|_| call(IOCTL, [device, RNDRESEEDCRNG]));
    close(device);
    seeded.map(drop)
}

/// Sets the clock to so many nanoseconds since 1970.
pub fn set_clock(nanoseconds: u64) -> Result<()> {
    const CLOCK_SETTIME: usize = 227;
    const CLOCK_REALTIME: usize = 0;
    const SECOND: u64 = 1_000_000_000;
    let time = [nanoseconds / SECOND, nanoseconds % SECOND];
    call(CLOCK_SETTIME, [CLOCK_REALTIME, &raw const time as usize]).map(drop)
}

/// Forbids this process all I/O ports.
pub fn forbid_ports() -> Result<()> {
    const IOPERM: usize = 173;
    call(IOPERM, [0, 65536, 0]).map(drop)
}

/// Writes all that is still in memory to the disks.
pub fn sync() {
    const SYNC: usize = 162;
    let _ = call(SYNC, []);
}

/// Reboots the machine, if it can.
pub fn reboot() {
    request_of_reboot(0x0123_4567);
}

/// Switches the machine off, if it can.
pub fn power_off() {
    request_of_reboot(0x4321_fedc);
}

fn request_of_reboot(request: usize) {
    const REBOOT: usize = 169;
    const MAGIC: [usize; 2] = [0xfee1_dead, 0x2812_1969];
    let _ = call(REBOOT, [MAGIC[0], MAGIC[1], request]);
}
