//! A reader of cpio archives of the "newc" kind that shares nothing with their writer.
//!
//! It is as the kernel's (`init/initramfs.c`), but where that one skips what it does not like, this
//! one panics.

/// `PATH_MAX`: the kernel leaves out what has a longer name or leads to a longer one.
const LONGEST: usize = 4096;
pub const KIND: u32 = 0o170_000;
pub const DIRECTORY: u32 = 0o040_000;
pub const LINK: u32 = 0o120_000;

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewcEntry {
    pub name: Vec<u8>,
    pub mode: u32,
    pub device: (u32, u32),
    pub content: Vec<u8>,
}

/// All that is in `archive`, which must be an archive and nothing else.
pub fn read(archive: &[u8]) -> Vec<NewcEntry> {
    let mut entries = Vec::new();
    let mut at = 0;
    loop {
        let header = &archive[at..at + 110];
        assert_eq!(&header[..6], b"070701");
        let field = |number: usize| {
            let digits = std::str::from_utf8(&header[6 + 8 * number..][..8]).expect("digits");
            assert!(digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            u32::from_str_radix(digits, 16).expect("eight of them")
        };
        let name_end = at + 110 + field(11) as usize;
        let content = padded(archive, name_end);
        let content_end = content + field(6) as usize;
        let Some((0, name)) = archive[at + 110..name_end].split_last() else {
            panic!("a name ends in a zero")
        };
        assert!(name.len() < LONGEST && !name.contains(&0), "a name of {} bytes", name.len());
        at = padded(archive, content_end);
        if name == b"TRAILER!!!" {
            assert_eq!((at, field(6)), (archive.len(), 0), "there is something behind the end");
            return entries;
        }
        let content = archive[content..content_end].to_vec();
        entries.push(NewcEntry {
            name: name.to_vec(),
            mode: field(1),
            device: (field(9), field(10)),
            content,
        });
    }
}

/// The next multiple of four from `at` on. Between them are zeros.
fn padded(archive: &[u8], at: usize) -> usize {
    let end = at.next_multiple_of(4);
    assert!(archive[at..end].iter().all(|byte| *byte == 0));
    end
}

/// Checks that the kernel can make every entry: each is below directories that were made before
/// it, none has the name of another, and none leads out.
pub fn check(entries: &[NewcEntry]) {
    let mut made: Vec<(&[u8], u32)> = Vec::new();
    for entry in entries {
        // What would end the archive is named so.
        let name = match entry.name.as_slice() {
            b"./TRAILER!!!" => b"TRAILER!!!",
            name => name,
        };
        for part in name.split(|byte| *byte == b'/') {
            assert!(!matches!(part, b"" | b"." | b".."), "{entry:?}");
        }
        assert!(made.iter().all(|(other, _)| *other != name), "{entry:?} is there twice");
        if let Some(slash) = name.iter().rposition(|byte| *byte == b'/') {
            let above = made.iter().find(|(other, _)| *other == &name[..slash]);
            assert_eq!(above.map(|(_, mode)| mode & KIND), Some(DIRECTORY), "{entry:?}");
        }
        assert!(entry.mode & KIND != LINK || entry.content.len() <= LONGEST, "{name:?} is lost");
        made.push((name, entry.mode));
    }
}
