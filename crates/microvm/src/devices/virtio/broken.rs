//! What a driver can do wrong, so that nothing it says can be believed any more.

/// The driver broke the rules of a queue, or of a device's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A queue that was to be used and cannot be.
    #[error(
        "invalid queue of {size} descriptors: its size is not a power of two, or it is misaligned or outside guest memory"
    )]
    Setup {
        /// Its size.
        size: u16,
    },
    /// More chains than there can be.
    #[error("{waiting} chains are pending in a queue of {size}")]
    TooMany {
        /// So many.
        waiting: u16,
        /// The queue's size.
        size: u16,
    },
    /// A descriptor beyond the table.
    #[error("descriptor {index} does not exist in a queue of {size}")]
    NoDescriptor {
        /// Its number.
        index: u16,
        /// The queue's size.
        size: u16,
    },
    /// A chain that comes back to itself.
    #[error("a chain of descriptors has no end")]
    Endless,
    /// A chain with a buffer for the device to read after one for it to write.
    #[error("a readable buffer follows a writable one")]
    Order,
    /// A table of descriptors where none was agreed on.
    #[error("a descriptor is indirect, which the device does not offer")]
    Indirect,
    /// More bytes than any driver puts into one request.
    #[error("a chain has more than {limit} bytes")]
    TooLong {
        /// The most there may be.
        limit: u64,
    },
    /// A buffer that is not, or not wholly, in the guest's memory.
    #[error("{length} bytes at {address:#x} are outside memory")]
    Outside {
        /// Where it begins.
        address: u64,
        /// How long it is.
        length: u64,
    },
    /// A request without the parts that this device's requests have.
    #[error("a request has no {0}")]
    Malformed(&'static str),
}
