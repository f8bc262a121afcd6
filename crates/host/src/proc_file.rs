//! Reading a file of `/proc`, and lines of the form `Name:   12 kB`; see proc(5).

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Reads a file of `/proc` in as few calls as possible. Its length is unknown before it is read, so
/// [`std::fs::read`] begins with 32 bytes, and the kernel formats the whole text again for many
/// of the following reads.
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

/// The field `name` in bytes, in the text of `/proc/meminfo`, `/proc/PID/status` or
/// `/proc/PID/smaps_rollup`.
pub fn memory_field(text: &str, name: &str) -> Option<u64> {
    text.lines().filter_map(kilobytes).find(|(key, _)| *key == name).map(|(_, bytes)| bytes)
}

/// A line `Name:   12 kB`, in bytes.
pub(crate) fn kilobytes(line: &str) -> Option<(&str, u64)> {
    let (key, value) = line.split_once(':')?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((key.trim(), kilobytes.checked_mul(1024)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,400}", lines in "(Pss: |[0-9 kB=:\n]){0,40}") {
            memory_field(&text, "Pss");
            memory_field(&lines, "Pss");
        }

        #[test]
        fn a_field_is_found_on_any_line(value in 0u64..1 << 40, before in 0usize..5) {
            let mut text = "Other:  7 kB\n".repeat(before);
            text.push_str(&format!("Slab:    {value} kB\n"));
            prop_assert_eq!(memory_field(&text, "Slab"), Some(value << 10));
        }
    }
}
