//! Why a virtual CPU left the guest for its VMM.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// Why `KVM_RUN` returned (the kernel's Documentation/virt/kvm/api.rst, `exit_reason`). It is
/// stored as it is shown: `out 0x3f8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum ExitReason {
    /// The guest wrote to an I/O port.
    Out {
        /// The port.
        port: u16,
    },
    /// It read from an I/O port.
    In {
        /// The port.
        port: u16,
    },
    /// It wrote to a guest physical address that is not memory.
    MmioWrite {
        /// The address.
        address: u64,
    },
    /// It read from such an address.
    MmioRead {
        /// The address.
        address: u64,
    },
    /// It executed `hlt`.
    Halt,
    /// It caused an exception while the processor was calling the handler of a double fault.
    TripleFault,
    /// Another one, by KVM's name for it; or all that are not counted one by one.
    Other(Cow<'static, str>),
}

const OUT: &str = "out ";
const IN: &str = "in ";
const MMIO_WRITE: &str = "mmio write ";
const MMIO_READ: &str = "mmio read ";
const HALT: &str = "hlt";
const TRIPLE_FAULT: &str = "triple fault";

impl fmt::Display for ExitReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Out { port } => write!(formatter, "{OUT}{port:#x}"),
            Self::In { port } => write!(formatter, "{IN}{port:#x}"),
            Self::MmioWrite { address } => write!(formatter, "{MMIO_WRITE}{address:#x}"),
            Self::MmioRead { address } => write!(formatter, "{MMIO_READ}{address:#x}"),
            Self::Halt => formatter.write_str(HALT),
            Self::TripleFault => formatter.write_str(TRIPLE_FAULT),
            Self::Other(name) => formatter.write_str(name),
        }
    }
}

impl From<ExitReason> for String {
    fn from(reason: ExitReason) -> Self {
        reason.to_string()
    }
}

impl From<String> for ExitReason {
    fn from(text: String) -> Self {
        let number = |prefix: &str| {
            let digits = text.strip_prefix(prefix)?.strip_prefix("0x")?;
            u64::from_str_radix(digits, 16).ok()
        };
        let port = |prefix: &str| number(prefix)?.try_into().ok();
        match &*text {
            HALT => return Self::Halt,
            TRIPLE_FAULT => return Self::TripleFault,
            _ => {}
        }
        port(OUT)
            .map(|port| Self::Out { port })
            .or_else(|| port(IN).map(|port| Self::In { port }))
            .or_else(|| number(MMIO_WRITE).map(|address| Self::MmioWrite { address }))
            .or_else(|| number(MMIO_READ).map(|address| Self::MmioRead { address }))
            .unwrap_or(Self::Other(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_back_from_what_was_stored() {
        let reasons = [
            ExitReason::Out { port: 0x3f8 },
            ExitReason::In { port: 0xffff },
            ExitReason::MmioWrite { address: 0xd000_0050 },
            ExitReason::MmioRead { address: u64::MAX },
            ExitReason::Halt,
            ExitReason::TripleFault,
            ExitReason::Other("KVM_EXIT_FAIL_ENTRY".into()),
            ExitReason::Other("out 0x10000".into()),
        ];
        for reason in reasons {
            let stored = serde_json::to_string(&reason).unwrap();
            assert_eq!(stored, format!("\"{reason}\""));
            assert_eq!(serde_json::from_str::<ExitReason>(&stored).unwrap(), reason);
        }
    }
}
