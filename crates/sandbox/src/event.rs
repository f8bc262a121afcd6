//! What a trace records.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::ExitReason;

/// Something that isolab did for a run, or the run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A system call with the operands that matter, or a few that belong together:
    /// `mount proc on /proc`.
    Syscall {
        /// The call and its operands.
        call: Cow<'static, str>,
    },
    /// A request to KVM.
    KvmCall(KvmCall),
    /// Work that takes no call, such as writing page tables to guest memory, or a fact that is worth
    /// a line.
    Note {
        /// What was done or found.
        text: Cow<'static, str>,
    },
    /// A virtual CPU left the guest, and went back.
    VmExit {
        /// Why.
        reason: ExitReason,
        /// The device that handled it, if there is one at that port or address.
        device: Option<Cow<'static, str>>,
    },
}

impl Event {
    /// An event without a call.
    pub fn note(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Note { text: text.into() }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syscall { call: text } | Self::Note { text } => formatter.write_str(text),
            Self::KvmCall(call) => call.fmt(formatter),
            Self::VmExit { reason, device } => {
                write!(formatter, "KVM_RUN -> {reason}: {}", device.as_deref().unwrap_or("nobody"))
            }
        }
    }
}

impl From<&'static str> for Event {
    fn from(call: &'static str) -> Self {
        Self::Syscall { call: call.into() }
    }
}

impl From<String> for Event {
    fn from(call: String) -> Self {
        Self::Syscall { call: call.into() }
    }
}

impl From<Cow<'static, str>> for Event {
    fn from(call: Cow<'static, str>) -> Self {
        Self::Syscall { call }
    }
}

impl From<&KvmCall> for Event {
    fn from(call: &KvmCall) -> Self {
        Self::KvmCall(call.clone())
    }
}

/// A request to KVM, an ioctl(2) of one of its descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvmCall {
    /// Its name in the kernel's documentation: `KVM_CREATE_VCPU`.
    pub name: Cow<'static, str>,
    /// The operands that matter, and what they mean; shown after the name as they are.
    pub operands: Cow<'static, str>,
}

impl KvmCall {
    /// The request `name`; `operands` begin with what separates them from it.
    pub fn new(name: &'static str, operands: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), operands: operands.into() }
    }
}

impl fmt::Display for KvmCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.name, self.operands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_shown_in_a_line() {
        let exit = |device| Event::VmExit { reason: ExitReason::Out { port: 0x3f8 }, device };
        assert_eq!(exit(Some("serial".into())).to_string(), "KVM_RUN -> out 0x3f8: serial");
        assert_eq!(exit(None).to_string(), "KVM_RUN -> out 0x3f8: nobody");
        let call = KvmCall::new("KVM_CREATE_VCPU", " 0");
        assert_eq!(Event::from(&call).to_string(), "KVM_CREATE_VCPU 0");
    }
}
