//! News of the window of the launcher's terminal.

use std::time::Duration;

use host::terminal_size;

use crate::{
    devices::virtio::{Transport, console::Console, events::EventLoop},
    error::Result,
};

/// So often it is looked at: SIGWINCH belongs to the program that uses this library.
const LOOK: Duration = Duration::from_millis(250);

/// Tells the guest whenever its window has another size.
///
/// # Errors
///
/// When this process cannot have another descriptor.
pub fn watch(events: &mut EventLoop, console: Transport<Console>) -> Result<()> {
    let mut known = terminal_size();
    events.every(LOOK, move || {
        let now = terminal_size();
        if now != known {
            known = now;
            console.configure(|console| console.resize(now.1, now.0));
        }
    })
}
