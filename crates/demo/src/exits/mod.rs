//! The exits of a microVM: why its guest stopped, who handled that, and how many exits each kind
//! of I/O needs.
//!
//! ```text
//!   guest    out 0x3f8, al
//!              v  exit
//!   KVM      in the kernel: handles the exit itself, which it only counts, or
//!              v  KVM_RUN returns
//!   isolab   QEMU's role: emulates the device, and can report every exit
//! ```

mod boxes;
mod draw;
mod guests;
mod notes;
mod numbers;
mod page;
mod source;
mod stream;

use serde::{Deserialize, Serialize};

pub use draw::{draw, summary};
pub use notes::SCRIPT;
pub use source::ExitsDemo;

use sandbox::ExitReason;

use crate::{Language, script::Words};

/// How many bytes leave the guest, or how often it asks for the processor's name.
pub const TIMES: u32 = 1000;

/// What the guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Full virtualization: its bytes leave through a serial port.
    Full,
    /// Paravirtualization: through memory that both sides share, and a doorbell.
    Para,
    /// Passthrough: into the page of a device of its own.
    Direct,
    /// No I/O: `cpuid`, of which isolab never hears. KVM answers it where it can intercept it.
    Cpuid,
}

impl Way {
    /// All, in the order of the lesson.
    pub const ALL: [Self; 4] = [Self::Full, Self::Para, Self::Direct, Self::Cpuid];

    fn key(self) -> char {
        match self {
            Self::Full => 'f',
            Self::Para => 'p',
            Self::Direct => 'd',
            Self::Cpuid => 'k',
        }
    }

    /// Its short name.
    fn name(self) -> Words {
        match self {
            Self::Full => Words("full", "全虚拟化"),
            Self::Para => Words("para", "半虚拟化"),
            Self::Direct => Words("passthrough", "直通"),
            Self::Cpuid => Words("no I/O: cpuid", "不做 I/O：cpuid"),
        }
    }

    fn words(self) -> Words {
        match self {
            Self::Full => Words(
                "full virtualization: the guest sees a serial port; every byte is a VM exit",
                "全虚拟化：客户机看到一个串口，每个字节引起一次退出",
            ),
            Self::Para => Words(
                "paravirtualization: bytes go into shared memory, then one doorbell write",
                "半虚拟化：字节先写入共享内存，最后写一次门铃端口",
            ),
            Self::Direct => Words(
                "passthrough: the device's page is mapped into the guest; no VM exits",
                "直通：设备的页映射进客户机内存，不需要退出",
            ),
            Self::Cpuid => Words(
                "1000 times cpuid, invisible to isolab: does KVM or the processor execute it?",
                "执行 1000 次 cpuid，isolab 看不到：由 KVM 处理，还是处理器直接执行？",
            ),
        }
    }

    /// What the guest's program does, in its own words.
    fn code(self) -> Words {
        match self {
            Self::Full => Words("1000 x  out 0x3f8, al", "1000 次  out 0x3f8, al"),
            Self::Para => {
                Words("1000 stores, then out 0x10, eax", "1000 次写内存，再 out 0x10, eax")
            }
            Self::Direct => Words("1000 stores to the device's page", "向设备的页写 1000 个字节"),
            Self::Cpuid => Words("1000 x  cpuid", "1000 次  cpuid"),
        }
    }

    /// What the guest takes the world for.
    fn belief(self) -> Words {
        match self {
            Self::Full => Words("sees a serial port, as on any PC", "看到一个串口，与普通 PC 相同"),
            Self::Para => Words("knows that it is a guest", "知道自己是客户机"),
            Self::Direct => Words("has a device of its own", "有自己独占的设备"),
            Self::Cpuid => Words("asks what processor this is", "查询这是什么处理器"),
        }
    }
}

/// What is known of the exits at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exits {
    /// What the guest does; `None` before the first one.
    pub way: Option<Way>,
    /// How many times slower than it ran it is shown; `None` when all of it was.
    pub slower: Option<u32>,
    /// How many exits isolab has handled so far, without the last one.
    pub answered: u32,
    /// How many of the bytes have arrived on the host.
    pub arrived: u32,
    /// The latest exits that isolab handled, the newest first.
    pub stream: Vec<Exit>,
    /// What was measured, in the order of [`Way::ALL`].
    pub counts: Vec<Count>,
    /// Why the picture is not the one that was asked for.
    pub note: Option<String>,
}

/// An exit that isolab handled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// When it came, in microseconds since the guest was entered.
    pub at: f32,
    /// Why: `out 0x3f8`.
    pub reason: ExitReason,
    /// What in isolab answered it.
    pub device: String,
    /// How long that took, in microseconds.
    pub took: f32,
}

/// What one whole run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// Of what.
    pub way: Way,
    /// The exits that isolab handled, without the guest's last one.
    pub answered: u32,
    /// The exits that KVM handled itself; `None` where it does not count them.
    pub by_kvm: Option<u64>,
    /// From the first instruction to the guest's end, in microseconds.
    pub took: f32,
    /// The vendor that `cpuid` returned to the guest, empty where it returned none; `None` for a
    /// guest that did not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
}

/// Who answered the guest's `cpuid`.
///
/// VMX intercepts every `cpuid`, and KVM has SVM do so. A KVM without them (PVM) needs a processor
/// that can have `cpuid` fault in ring 3; on another one the processor itself answers. It gives
/// itself away: isolab gives its guests no leaf 0, so the vendor that KVM returns is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answerer<'count> {
    /// KVM, in the kernel.
    Kvm,
    /// The processor, whose own vendor `cpuid` returned.
    Processor(&'count str),
}

impl Count {
    /// Whether KVM counted an exit for each time.
    fn is_counted(&self) -> bool {
        self.by_kvm.is_some_and(|count| count >= TIMES.into())
    }

    /// Who answered `cpuid`; `None` where there was none, or nothing shows it.
    fn answerer(&self) -> Option<Answerer<'_>> {
        match &self.vendor {
            _ if self.way != Way::Cpuid => None,
            _ if self.is_counted() => Some(Answerer::Kvm),
            Some(vendor) if vendor.is_empty() => Some(Answerer::Kvm),
            Some(vendor) => Some(Answerer::Processor(vendor)),
            None => None,
        }
    }
}

impl Exits {
    pub(crate) fn page(&self, language: Language) -> String {
        page::page(self, language)
    }

    pub(crate) fn is_on(&self, key: char) -> bool {
        self.way.is_some_and(|way| way.key() == key)
    }

    /// What was measured of `way`.
    fn count(&self, way: Way) -> Option<&Count> {
        self.counts.iter().find(|count| count.way == way)
    }
}
