//! Reclaiming a launcher's memory while it only waits.
//!
//! Starting a workload runs through a megabyte or two of isolab's code, once. The pages stay mapped
//! in the launcher (and the kernel maps their neighbours with them), although the launcher only
//! waits afterwards. They belong to the page cache, so dropping them costs nothing: a page that is
//! needed again is found there.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    ops::Range,
};

use host::mappings;

/// Drops the pages of this process that are the same as in their files: its code and its constants.
/// Pages that it writes to stay.
///
/// # Errors
///
/// When `/proc/self/smaps` cannot be read (proc_pid_smaps(5)), or madvise(2) refuses.
pub fn drop_clean_pages() -> io::Result<()> {
    drop_clean_pages_with(&File::open(SMAPS)?)
}

/// The mappings of the calling process (proc_pid_smaps(5)).
pub const SMAPS: &str = "/proc/self/smaps";

/// The same for a process that cannot open files any more: it has opened [`SMAPS`] before, and the
/// kernel generates its text anew whenever it is read from the beginning.
///
/// # Errors
///
/// As of [`drop_clean_pages`].
pub fn drop_clean_pages_with(mut smaps: &File) -> io::Result<()> {
    let mut text = String::new();
    smaps.rewind()?;
    // Through `take`, which does not ask for the file's length: that takes a call with a path.
    smaps.take(u64::MAX).read_to_string(&mut text)?;
    let clean_pages = clean_pages(&text);
    // SAFETY: malloc_trim(3) takes from the heap only what is free in it.
    unsafe { libc::malloc_trim(0) };
    for pages in clean_pages {
        // SAFETY: by smaps none of these pages may be written to and none differs from its file.
        // Dropped, they read the same when they are touched again.
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
fn clean_pages(smaps: &str) -> Vec<Range<usize>> {
    let of_files = mappings(smaps)
        .filter(|mapping| !mapping.permissions.contains('w') && mapping.name.starts_with('/'));
    of_files.filter(|mapping| mapping.anonymous == Some(0)).map(|mapping| mapping.pages).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "\
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
    fn only_clean_pages_of_files_are_dropped() {
        let found = clean_pages(EXAMPLE);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0], 0x1000..0x3000);
    }

    #[test]
    fn the_process_runs_on_with_less_in_memory() {
        let mapped = || {
            let smaps = std::fs::read_to_string(SMAPS).unwrap();
            let is_code =
                |it: &host::Mapping<'_>| it.permissions == "r-xp" && it.name.starts_with('/');
            mappings(&smaps).find(is_code).unwrap().pss
        };
        // Other tests map code again meanwhile, but not ten times in a row.
        let dropped = (0..10).any(|_| {
            let before = mapped();
            drop_clean_pages().unwrap();
            mapped() < before
        });
        assert!(dropped, "as much code is mapped as before");
    }
}
