//! The machine as a whole: memory of the kernel, pressure, stolen time; see proc(5).

use crate::memory_field;

/// What the kernel itself holds: slabs, stacks, page tables (those of virtual machines too), and
/// what it keeps once for each CPU; from the text of `/proc/meminfo`.
pub fn kernel_bytes(meminfo: &str) -> Option<u64> {
    let field = |name| memory_field(meminfo, name);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernels_memory_is_the_sum_of_its_kinds() {
        let text =
            "MemTotal: 9 kB\nSlab:  100 kB\nKernelStack: 10 kB\nPageTables: 20 kB\nPercpu: 1 kB\n";
        assert_eq!(kernel_bytes(text), Some(131 << 10));
        assert_eq!(kernel_bytes("Slab: 100 kB\n"), None);
    }

    #[test]
    fn pressure_and_stolen_time_are_read() {
        let text = "some avg10=1.15 avg60=1.66 avg300=0.78 total=9785236\nfull avg10=0.00 ...\n";
        assert_eq!(pressure(text), Some(1.15));
        assert_eq!(stolen("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1"), Some((8, 36)));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,400}", lines in "(some |cpu |[0-9 kB=:\n]){0,40}") {
            for text in [text, lines] {
                kernel_bytes(&text);
                pressure(&text);
                stolen(&text);
            }
        }
    }
}
