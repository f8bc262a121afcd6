//! Says hello.

use crate::host::Host;

pub fn run(host: &mut impl Host) -> u8 {
    host.write(b"hello\n");
    0
}
