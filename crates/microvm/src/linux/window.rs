//! The window of the launcher's terminal: its size, and news of it.

use std::time::Duration;

use crate::{
    devices::virtio::{Transport, console::Console, events::EventLoop},
    error::Result,
};

/// So often it is looked at: SIGWINCH belongs to the program that uses this library.
const LOOK: Duration = Duration::from_millis(250);

/// Rows and columns; those of a VT100 where nobody knows.
pub fn size() -> (u16, u16) {
    match rustix::termios::tcgetwinsize(std::io::stdin()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
        _ => (24, 80),
    }
}

/// Tells the guest whenever its window has another size.
///
/// # Errors
///
/// When this process cannot have another descriptor.
pub fn watch(events: &mut EventLoop, console: Transport<Console>) -> Result<()> {
    let mut known = size();
    events.every(LOOK, move || {
        let now = size();
        if now != known {
            known = now;
            console.configure(|console| console.resize(now.1, now.0));
        }
    })
}
