//! Terminals, by requests of ioctl_tty(2).

use crate::{
    calls::{O_CLOEXEC, O_NOCTTY, O_RDWR, Result, call, close, open},
    system::number,
};

/// Opens a new pseudo-terminal (pts(4)): the master and the slave.
pub fn open_terminal() -> Result<[usize; 2]> {
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTPEER: usize = 0x5441;
    let master = open(c"/dev/ptmx", O_RDWR | O_NOCTTY)?;
    let unlocked = 0u32;
    let opened = call(number::IOCTL, [master, TIOCSPTLCK, &raw const unlocked as usize])
        .and_then(|_| call(number::IOCTL, [master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC]));
    match opened {
        Ok(slave) => Ok([master, slave]),
        Err(errno) => {
            close(master);
            Err(errno)
        }
    }
}

/// Sets the window size of a terminal (ioctl_tty(2)).
pub fn set_window(terminal: usize, rows: u16, columns: u16) -> Result<()> {
    const TIOCSWINSZ: usize = 0x5414;
    let size = [rows, columns, 0, 0];
    call(number::IOCTL, [terminal, TIOCSWINSZ, &raw const size as usize]).map(drop)
}

/// Makes a terminal pass on bytes unchanged (termios(3), `OPOST`).
pub fn make_plain(terminal: usize) -> Result<()> {
    const TCGETS: usize = 0x5401;
    const TCSETS: usize = 0x5402;
    const OPOST: u32 = 1;
    // struct termios of the kernel: flags for input, output, control, the line; characters.
    let mut modes = [0u32; 9];
    call(number::IOCTL, [terminal, TCGETS, &raw mut modes as usize])?;
    modes[1] &= !OPOST;
    call(number::IOCTL, [terminal, TCSETS, &raw const modes as usize]).map(drop)
}
