//! The container's terminal: this process has its master (pty(7)).

use crate::{
    calls::{Descriptor, call},
    system::number,
};

/// A terminal, perhaps before it is there, and its size.
#[derive(Default)]
pub struct Terminal {
    master: Option<Descriptor>,
    rows: u16,
    columns: u16,
}

impl Terminal {
    /// The terminal is there now.
    pub fn open(&mut self, master: Descriptor) {
        self.master = Some(master);
        self.apply();
    }

    /// Gives it this size; the kernel tells its foreground processes (SIGWINCH).
    pub fn resize(&mut self, rows: u16, columns: u16) {
        (self.rows, self.columns) = (rows, columns);
        self.apply();
    }

    fn apply(&self) {
        const TIOCSWINSZ: usize = 0x5414;
        let Some(master) = self.master.as_ref().filter(|_| self.rows > 0 && self.columns > 0)
        else {
            return;
        };
        // struct winsize: rows, columns, and a size in pixels.
        let size = [self.rows, self.columns, 0, 0];
        // A terminal that is closed needs no size.
        let _ = call(number::IOCTL, [master.number(), TIOCSWINSZ, size.as_ptr() as usize]);
    }
}
