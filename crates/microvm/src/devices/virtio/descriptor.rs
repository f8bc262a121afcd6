//! An entry of the descriptor table: a buffer of the guest's (virtio, section 2.7.5).

/// A buffer, as the driver describes it: address:64 length:32 flags:16 next:16.
pub(super) struct Descriptor(pub(super) u128);

impl Descriptor {
    pub fn address(&self) -> u64 {
        self.0 as u64
    }

    pub fn length(&self) -> u32 {
        (self.0 >> 64) as u32
    }

    fn has(&self, flag: u16) -> bool {
        (self.0 >> 96) as u16 & flag != 0
    }

    pub fn next(&self) -> Option<u16> {
        self.has(1).then_some((self.0 >> 112) as u16)
    }

    pub fn is_writable(&self) -> bool {
        self.has(2)
    }

    pub fn is_indirect(&self) -> bool {
        self.has(4)
    }
}
