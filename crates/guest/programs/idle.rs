//! Nothing, until it is told to stop.

use crate::host::Host;

pub fn run(host: &mut impl Host) -> u8 {
    host.write(b"idle\n");
    host.wait_for_stop();
    0
}
