//! Files of `/proc` that are lists of names and numbers; see proc(5).

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Reads a file of `/proc` in as few calls as it takes. The kernel does not say how long such a file
/// is, so that [`std::fs::read`] begins with 32 bytes, and the kernel makes the text anew for many.
///
/// # Errors
///
/// Those of open(2) and read(2).
pub fn read_proc(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    const USUAL: usize = 16 << 10;
    let mut text = Vec::with_capacity(USUAL);
    // Without `take` the file would be asked for its length first.
    File::open(path)?.take(u64::MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// One mapping of `/proc/PID/smaps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its path or name; empty if it has none.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its share of memory: every page divided by the number of processes that map it.
    pub pss: u64,
}

/// The mappings in the text of `/proc/PID/smaps`.
pub fn mappings(smaps: &str) -> Vec<Mapping> {
    let mut found: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        if let Some(name) = mapping_name(line) {
            found.push(Mapping { name, size: 0, pss: 0 });
        } else if let (Some(mapping), Some((key, bytes))) = (found.last_mut(), kilobytes(line)) {
            match key {
                "Size" => mapping.size = bytes,
                "Pss" => mapping.pss = bytes,
                _ => {}
            }
        }
    }
    found
}

/// The name in the first line of a mapping: `START-END PERMISSIONS OFFSET DEVICE INODE NAME`.
fn mapping_name(line: &str) -> Option<String> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    u64::from_str_radix(start, 16).ok()?;
    u64::from_str_radix(end, 16).ok()?;
    let name = rest.splitn(5, ' ').nth(4).unwrap_or("");
    Some(name.trim().to_owned())
}

/// A line `Name:   12 kB`, in bytes.
fn kilobytes(line: &str) -> Option<(&str, u64)> {
    let (key, value) = line.split_once(':')?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((key.trim(), kilobytes.checked_mul(1024)?))
}

/// The field `name` of `/proc/meminfo`, in bytes.
pub fn meminfo(text: &str, name: &str) -> Option<u64> {
    text.lines().filter_map(kilobytes).find(|(key, _)| *key == name).map(|(_, bytes)| bytes)
}

/// What the kernel itself holds: slabs, stacks, page tables (those of virtual machines too), and
/// what it keeps once for each CPU.
pub fn kernel_bytes(meminfo_text: &str) -> Option<u64> {
    let field = |name| meminfo(meminfo_text, name);
    // Older kernels have no line for the page tables of virtual machines.
    let tables = field("PageTables")? + field("SecPageTables").unwrap_or(0);
    Some(field("Slab")? + field("KernelStack")? + tables + field("Percpu")?)
}

/// The share of the last ten seconds in which something waited, from a file of `/proc/pressure`.
pub fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let average = some.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?;
    average.parse().ok().filter(|percent: &f64| percent.is_finite())
}

/// CPU time that the host of this virtual machine gave to others, and all CPU time, in clock
/// ticks: fields 8 and the sum of the first line of `/proc/stat`.
pub fn stolen(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // Guest time, fields 9 and 10, is part of user time.
    let all = fields.iter().take(8).copied().fold(0, u64::saturating_add);
    Some((*fields.get(7)?, all))
}

/// The parent's number in the text of `/proc/PID/stat`.
pub fn parent(stat: &str) -> Option<u32> {
    // The second field is the name in parentheses and may hold anything, parentheses too.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
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
VmFlags: rd ex mr mw me
7f1c00000000-7f1c10000000 rw-s 00000000 00:01 42  /memfd:guest (deleted)
Size:             262144 kB
Pss:                2048 kB
7ffd1000-7ffd2000 rw-p 00000000 00:00 0
Pss:                   8 kB
";

    #[test]
    fn mappings_are_read_with_their_names() {
        let found = mappings(SMAPS);
        let names: Vec<_> = found.iter().map(|mapping| &*mapping.name).collect();
        assert_eq!(names, ["/usr/bin/a program", "/memfd:guest (deleted)", ""]);
        let pss: Vec<_> = found.iter().map(|mapping| mapping.pss).collect();
        assert_eq!(pss, [96 << 10, 2 << 20, 8 << 10]);
        assert_eq!(found[1].size, 256 << 20);
    }

    #[test]
    fn the_kernels_memory_is_the_sum_of_its_kinds() {
        let text =
            "MemTotal: 9 kB\nSlab:  100 kB\nKernelStack: 10 kB\nPageTables: 20 kB\nPercpu: 1 kB\n";
        assert_eq!(kernel_bytes(text), Some(131 << 10));
        assert_eq!(kernel_bytes("Slab: 100 kB\n"), None);
    }

    #[test]
    fn pressure_and_theft_are_read() {
        let text = "some avg10=1.15 avg60=1.66 avg300=0.78 total=9785236\nfull avg10=0.00 ...\n";
        assert_eq!(pressure(text), Some(1.15));
        assert_eq!(stolen("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1"), Some((8, 36)));
        assert_eq!(parent("7 (a) b) S 3 7 7"), Some(3));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,400}", lines in "(some |cpu |a-b |Pss: |[0-9 kB=:\n]){0,40}") {
            for text in [text, lines] {
                mappings(&text);
                kernel_bytes(&text);
                pressure(&text);
                stolen(&text);
                parent(&text);
            }
        }

        #[test]
        fn every_mapping_is_found(pss in prop::collection::vec(0u64..1 << 40, 0..20)) {
            let text: String = pss
                .iter()
                .enumerate()
                .map(|(at, pss)| format!("{at:x}000-{at:x}fff rw-p 0 00:00 0\nPss: {pss} kB\n"))
                .collect();
            let found: Vec<u64> = mappings(&text).iter().map(|mapping| mapping.pss >> 10).collect();
            prop_assert_eq!(found, pss);
        }

        #[test]
        fn a_field_of_meminfo_is_found_wherever_it_stands(value in 0u64..1 << 40, before in 0usize..5) {
            let mut text = "Other:  7 kB\n".repeat(before);
            text.push_str(&format!("Slab:    {value} kB\n"));
            prop_assert_eq!(meminfo(&text, "Slab"), Some(value << 10));
        }
    }
}
