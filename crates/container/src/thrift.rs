//! What a launcher's own memory costs while it does nothing but wait.
//!
//! Starting a workload runs through a megabyte or two of isolab's code, once. The pages stay mapped
//! in the launcher (and the kernel maps their neighbours with them), though all that is left to
//! do is to wait. They are the page cache's, so giving them back costs nothing: one that is needed
//! again is found there.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    ops::Range,
};

use host::mappings;

/// Gives back the pages of this process that hold nothing but what is in their files: its code and
/// its constants. What it writes to is left alone.
///
/// # Errors
///
/// When `/proc/self/smaps` cannot be read (proc_pid_smaps(5)), or madvise(2) refuses.
pub fn give_back_code() -> io::Result<()> {
    give_back_code_by(&File::open(SMAPS)?)
}

/// What the kernel says of the calling process's mappings (proc_pid_smaps(5)).
pub const SMAPS: &str = "/proc/self/smaps";

/// The same, of a process that can open no file any more, by [`SMAPS`] that it opened before: the
/// file is written anew whenever it is read from its beginning.
///
/// # Errors
///
/// As of [`give_back_code`].
pub fn give_back_code_by(mut smaps: &File) -> io::Result<()> {
    let mut text = String::new();
    smaps.rewind()?;
    // Through `take`, which does not ask for the file's length: that takes a call with a path.
    smaps.take(u64::MAX).read_to_string(&mut text)?;
    let unwritten = unwritten(&text);
    // SAFETY: malloc_trim(3) takes from the heap only what is free in it.
    unsafe { libc::malloc_trim(0) };
    for pages in unwritten {
        // SAFETY: the kernel says of these pages that none may be written to and none differs from
        // its file. Dropped, they read the same when they are touched again.
        let result = unsafe {
            libc::madvise(pages.start as *mut libc::c_void, pages.len(), libc::MADV_DONTNEED)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The mappings of files that cannot be written to, and in which no page has been replaced by one
/// that was (as relocation does with the tables that are protected after it).
fn unwritten(smaps: &str) -> Vec<Range<usize>> {
    let of_files = mappings(smaps)
        .filter(|mapping| !mapping.permissions.contains('w') && mapping.name.starts_with('/'));
    of_files.filter(|mapping| mapping.anonymous == Some(0)).map(|mapping| mapping.pages).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
1000-3000 r-xp 00000000 fe:01 12                         /usr/bin/isolab
Rss:                   8 kB
Anonymous:             0 kB
Swap:                  0 kB
3000-4000 r--p 00002000 fe:01 12                         /usr/bin/isolab
Anonymous:             4 kB
4000-5000 rw-p 00003000 fe:01 12                         /usr/bin/isolab
Anonymous:             0 kB
5000-6000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
6000-7000 r--p 00000000 00:00 0 
Anonymous:             0 kB
";

    #[test]
    fn only_unwritten_pages_of_files_are_given_back() {
        let found = unwritten(SMAPS);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0], 0x1000..0x3000);
    }

    #[test]
    fn the_process_runs_on_with_less_in_memory() {
        let mapped = || {
            let rollup = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let of_files = |line: &&str| line.contains("r-xp") && line.contains('/');
            let mut lines = rollup.lines().skip_while(|line| !of_files(line));
            let rss = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
            rss.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        // Tests beside this one bring code back meanwhile; not ten times more than goes.
        let gone = (0..10).any(|_| {
            let before = mapped();
            give_back_code().unwrap();
            mapped() < before
        });
        assert!(gone, "as much code is mapped as before");
    }
}
