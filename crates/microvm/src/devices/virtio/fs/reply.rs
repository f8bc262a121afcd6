//! What a guest is answered, as FUSE lays it out (Linux, `include/uapi/linux/fuse.h`).

use rustix::{
    fs::{FileType, Stat, StatFs},
    io::Errno,
};

use super::super::Buffers;

/// The length of what every answer begins with: length:32 error:32 unique:64.
pub const HEADER: usize = 16;

/// For so many seconds a guest's kernel believes what it was told of a file. What the host changes
/// meanwhile it sees later, or when it opens the file.
const BELIEVED: u64 = 1;

/// The header of an answer of so many bytes behind it.
pub fn header(unique: u64, result: Result<usize, Errno>) -> [u8; HEADER] {
    let (error, count) = match result {
        Ok(count) => (0, count),
        Err(errno) => (-errno.raw_os_error(), 0),
    };
    let mut bytes = [0; HEADER];
    bytes[..4].copy_from_slice(&((HEADER + count) as u32).to_ne_bytes());
    bytes[4..8].copy_from_slice(&error.to_ne_bytes());
    bytes[8..].copy_from_slice(&unique.to_ne_bytes());
    bytes
}

/// Bytes that are written one after the other.
#[derive(Debug, Default)]
pub struct Reply(Vec<u8>);

impl Reply {
    /// Adds words of 32 bits.
    pub fn words(mut self, words: &[u32]) -> Self {
        words.iter().for_each(|word| self.0.extend(word.to_ne_bytes()));
        self
    }

    /// Adds words of 64 bits.
    pub fn longs(mut self, longs: &[u64]) -> Self {
        longs.iter().for_each(|long| self.0.extend(long.to_ne_bytes()));
        self
    }

    /// A file that was found (`struct fuse_entry_out`).
    pub fn entry(self, node: u64, inode: u64, stat: &Stat) -> Self {
        // The number of a node is never used again, so it needs no generation.
        self.longs(&[node, 0, BELIEVED, BELIEVED]).words(&[0, 0]).attributes(inode, stat)
    }

    /// What is known of a file (`struct fuse_attr_out`).
    pub fn attributes_alone(self, inode: u64, stat: &Stat) -> Self {
        self.longs(&[BELIEVED]).words(&[0, 0]).attributes(inode, stat)
    }

    /// `struct fuse_attr`.
    fn attributes(self, inode: u64, stat: &Stat) -> Self {
        let times = [stat.st_atime, stat.st_mtime, stat.st_ctime].map(|time| time as u64);
        let parts = [stat.st_atime_nsec, stat.st_mtime_nsec, stat.st_ctime_nsec];
        self.longs(&[inode, stat.st_size as u64, stat.st_blocks as u64])
            .longs(&times)
            .words(&parts.map(|part| part as u32))
            .words(&[stat.st_mode, stat.st_nlink as u32, stat.st_uid, stat.st_gid])
            .words(&[device_number(stat.st_rdev), stat.st_blksize as u32, 0])
    }

    /// What was opened (`struct fuse_open_out`).
    pub fn opened(self, handle: u64) -> Self {
        self.longs(&[handle]).words(&[0, 0])
    }

    /// How full a file system is (`struct fuse_kstatfs`).
    pub fn file_system(self, about: &StatFs) -> Self {
        self.longs(&[about.f_blocks, about.f_bfree, about.f_bavail, about.f_files, about.f_ffree])
            .words(&[about.f_bsize as u32, about.f_namelen as u32, about.f_frsize as u32, 0])
            .words(&[0; 6])
    }

    /// Adds an entry of a directory (`struct fuse_dirent`); gives `false`, and adds nothing, if with
    /// it the answer had more than `most` bytes.
    pub fn name(&mut self, most: usize, entry: &DirectoryEntry<'_>) -> bool {
        const ALIGNMENT: usize = 8;
        let length = (24 + entry.name.len()).next_multiple_of(ALIGNMENT);
        let end = self.0.len() + length;
        if end > most {
            return false;
        }
        let bytes = std::mem::take(self).longs(&[entry.inode, entry.next]);
        let kind = entry.kind.as_raw_mode() >> 12; // DT_* of <dirent.h>
        *self = bytes.words(&[entry.name.len() as u32, kind]);
        self.0.extend(entry.name);
        self.0.resize(end, 0);
        true
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds bytes as they are.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Puts it where the guest wants its answer, and gives its length.
    ///
    /// # Errors
    ///
    /// EINVAL if the guest has not left enough room.
    pub fn put(&self, room: &Buffers<'_>) -> Result<usize, Errno> {
        match self.0.len() <= room.length() {
            true => Ok(room.copy_from(&self.0)),
            false => Err(Errno::INVAL),
        }
    }
}

/// An entry of a directory.
pub struct DirectoryEntry<'e> {
    /// Its number on the host.
    pub inode: u64,
    /// Where the next one begins.
    pub next: u64,
    /// What it is.
    pub kind: FileType,
    /// Its name.
    pub name: &'e [u8],
}

/// A device's number in the 32 bits that FUSE has for it (`new_encode_dev`, Linux,
/// `include/linux/kdev_t.h`).
fn device_number(device: u64) -> u32 {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_lengths_that_the_kernel_expects() {
        let stat = rustix::fs::stat("/").unwrap();
        assert_eq!(Reply::default().entry(1, 2, &stat).0.len(), 128);
        assert_eq!(Reply::default().attributes_alone(2, &stat).0.len(), 104);
        assert_eq!(Reply::default().opened(1).0.len(), 16);
        let about = rustix::fs::statfs("/").unwrap();
        assert_eq!(Reply::default().file_system(&about).0.len(), 80);
    }

    #[test]
    fn a_header_has_the_error_as_a_negative_number() {
        let bytes = header(7, Err(Errno::ROFS));
        assert_eq!(bytes[..8], [&16u32.to_ne_bytes()[..], &(-30i32).to_ne_bytes()].concat());
        assert_eq!(header(7, Ok(100))[..4], 116u32.to_ne_bytes());
    }

    #[test]
    fn names_are_aligned_and_none_is_cut() {
        let mut reply = Reply::default();
        let entry = |name| DirectoryEntry { inode: 1, next: 2, kind: FileType::Directory, name };
        assert!(reply.name(64, &entry(b"12345678")));
        assert_eq!(reply.0.len(), 32);
        assert_eq!(reply.0[16..24], [8, 0, 0, 0, 4, 0, 0, 0]);
        assert!(reply.name(64, &entry(b"1234567")));
        assert!(!reply.name(64, &entry(b"1")));
        assert_eq!(reply.0.len(), 64);
    }

    #[test]
    fn a_device_is_named_as_linux_names_it() {
        assert_eq!(device_number(rustix::fs::makedev(1, 3)), 0x103);
        assert_eq!(device_number(rustix::fs::makedev(8, 0x1234)), 0x0120_0834);
    }
}
