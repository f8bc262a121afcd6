//! From a guest's address to a physical one, as the processor goes: level after level.
//!
//! ```text
//!   47      39 38      30 29      21 20                    0
//!   +---------+----------+----------+-----------------------+
//!   |  PML4   |   PDPT   |    PD    |  offset in 2 MiB      |
//!   +---------+----------+----------+-----------------------+
//! ```

use std::fmt;

/// The entry is there.
pub const PRESENT: u64 = 1 << 0;
/// What it leads to may be written.
pub const WRITABLE: u64 = 1 << 1;
/// It leads to a page and not to a table.
pub const LARGE: u64 = 1 << 7;
/// The bits of an entry, and of CR3, that are an address.
pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// The last address bit of a large page's entry is an attribute of the page instead.
const PAGE_ATTRIBUTE: u64 = 1 << 12;
const LEVELS: [&str; 4] = ["PML4", "PDPT", "PD", "PT"];

/// One look into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// 0 for the page map, 3 for the last level.
    pub level: usize,
    /// Where the entry lies.
    pub at: u64,
    /// What it says; `None` where there is no memory.
    pub entry: Option<u64>,
}

/// The way to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The looks, from CR3 on.
    pub looks: Vec<Look>,
    /// Where it ends; `None` if it breaks off at the last look.
    pub physical: Option<u64>,
}

impl Walk {
    /// Goes to `address` by the tables from `cr3` on; `read` gives a physical word of 8 bytes.
    pub fn to(address: u64, cr3: u64, mut read: impl FnMut(u64) -> Option<u64>) -> Self {
        let mut looks = Vec::new();
        let mut table = cr3 & ADDRESS;
        for level in 0..LEVELS.len() {
            let shift = 39 - 9 * level;
            let at = table + (address >> shift & 0x1ff) * 8;
            let entry = read(at);
            looks.push(Look { level, at, entry });
            let Some(entry) = entry.filter(|entry| entry & PRESENT != 0) else { break };
            table = entry & ADDRESS;
            let is_large = entry & LARGE != 0 && (level == 1 || level == 2);
            if is_large || level == 3 {
                let page = if is_large { table & !PAGE_ATTRIBUTE } else { table };
                return Self { looks, physical: Some(page + (address & ((1 << shift) - 1))) };
            }
        }
        Self { looks, physical: None }
    }

    /// Whether one may write there: every level has to allow it.
    pub fn is_writable(&self) -> bool {
        self.looks.iter().all(|look| look.entry.is_some_and(|entry| entry & WRITABLE != 0))
    }

    /// The last look.
    pub fn last(&self) -> Option<&Look> {
        self.looks.last()
    }
}

impl Look {
    /// The table's name.
    pub fn table(&self) -> &'static str {
        LEVELS[self.level]
    }
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for look in &self.looks {
            let (table, index) = (look.table(), look.at % 4096 / 8);
            match look.entry {
                Some(entry) => write!(f, "{table}[{index}] {entry:#x} -> ")?,
                None => write!(f, "{table} at {:#x}, where no memory is", look.at)?,
            }
        }
        match (self.physical, self.looks.last()) {
            (Some(physical), _) => write!(f, "{physical:#x}"),
            (None, Some(Look { entry: Some(_), .. })) => write!(f, "not present"),
            _ => Ok(()),
        }
    }
}
