//! `/proc/PID/smaps` and `smaps_rollup`: the memory that a process has mapped; see
//! proc_pid_smaps(5).

use std::{io, iter, ops::Range};

use crate::proc_file::{kilobytes, memory_field, read_proc};

/// One mapping of `/proc/PID/smaps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// Its addresses.
    pub pages: Range<usize>,
    /// `r-xp`: read, write, execute; private or shared.
    pub permissions: &'a str,
    /// Its path or name; empty if it has none.
    pub name: &'a str,
    /// Its length in bytes.
    pub size: u64,
    /// Its share of memory: every page divided by the number of processes that map it.
    pub pss: u64,
    /// How many bytes of it are no longer those of its file; `None` where the kernel does not say.
    pub anonymous: Option<u64>,
}

/// The mappings in the text of `/proc/PID/smaps`.
pub fn mappings(smaps: &str) -> impl Iterator<Item = Mapping<'_>> {
    let mut lines = smaps.lines().peekable();
    iter::from_fn(move || {
        let mut mapping = lines.find_map(Mapping::of_first_line)?;
        while let Some(line) = lines.next_if(|line| Mapping::of_first_line(line).is_none()) {
            mapping.read_line(line);
        }
        Some(mapping)
    })
}

impl<'a> Mapping<'a> {
    /// `START-END PERMISSIONS OFFSET DEVICE INODE NAME`.
    fn of_first_line(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let pages = address(start)?..address(end)?;
        let mut fields = rest.splitn(5, ' ');
        let permissions = fields.next().unwrap_or("");
        let name = fields.nth(3).unwrap_or("").trim();
        Some(Self { pages, permissions, name, size: 0, pss: 0, anonymous: None })
    }

    fn read_line(&mut self, line: &str) {
        match kilobytes(line) {
            Some(("Size", bytes)) => self.size = bytes,
            Some(("Pss", bytes)) => self.pss = bytes,
            Some(("Anonymous", bytes)) => self.anonymous = Some(bytes),
            _ => {}
        }
    }
}

/// The proportional share of memory of process `pid`, by its `smaps_rollup`.
///
/// # Errors
///
/// When there is no such process, it belongs to somebody else, or it has no memory any more.
pub fn pss(pid: u32) -> io::Result<u64> {
    let text = read_proc(format!("/proc/{pid}/smaps_rollup"))?;
    let none = || io::Error::new(io::ErrorKind::InvalidData, "smaps_rollup has no line Pss");
    memory_field(&String::from_utf8_lossy(&text), "Pss").ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMAPS: &str = "\
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/a program
Size:                328 kB
Rss:                 192 kB
Pss:                  96 kB
Pss_Dirty:             4 kB
Anonymous:             4 kB
VmFlags: rd ex mr mw me
7f1c00000000-7f1c10000000 rw-s 00000000 00:01 42  /memfd:guest (deleted)
Size:             262144 kB
Pss:                2048 kB
7ffd1000-7ffd2000 rw-p 00000000 00:00 0
Pss:                   8 kB
";

    #[test]
    fn mappings_are_read_with_their_names() {
        let found: Vec<_> = mappings(SMAPS).collect();
        let names: Vec<_> = found.iter().map(|mapping| mapping.name).collect();
        assert_eq!(names, ["/usr/bin/a program", "/memfd:guest (deleted)", ""]);
        let pss: Vec<_> = found.iter().map(|mapping| mapping.pss).collect();
        assert_eq!(pss, [96 << 10, 2 << 20, 8 << 10]);
        assert_eq!(found[1].size, 256 << 20);
        assert_eq!((found[0].permissions, found[0].pages.start), ("r-xp", 0x40_0000));
        assert_eq!((found[0].anonymous, found[1].anonymous), (Some(4 << 10), None));
    }

    #[test]
    fn the_share_of_this_process_is_that_of_its_mappings() {
        // Others map and unmap the same files meanwhile.
        let agree = (0..10).any(|_| {
            let rollup = pss(std::process::id()).unwrap();
            let text = String::from_utf8(read_proc("/proc/self/smaps").unwrap()).unwrap();
            let sum: u64 = mappings(&text).map(|mapping| mapping.pss).sum();
            rollup > 0 && sum.abs_diff(rollup) <= rollup / 4
        });
        assert!(agree);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,400}", lines in "(a-b |Pss: |[0-9 kB=:\n]){0,40}") {
            mappings(&text).count();
            mappings(&lines).count();
        }

        #[test]
        fn every_mapping_is_found(pss in prop::collection::vec(0u64..1 << 40, 0..20)) {
            let text: String = pss
                .iter()
                .enumerate()
                .map(|(at, pss)| format!("{at:x}000-{at:x}fff rw-p 0 00:00 0\nPss: {pss} kB\n"))
                .collect();
            let found: Vec<u64> = mappings(&text).map(|mapping| mapping.pss >> 10).collect();
            prop_assert_eq!(found, pss);
        }
    }
}
