//! What a guest asks for: messages of FUSE, the protocol between a kernel and a file system that is
//! not in it (Linux, `include/uapi/linux/fuse.h`).
//!
//! ```text
//!   length:32 opcode:32 unique:64 node:64 uid:32 gid:32 pid:32 extensions:16 0:16   [arguments]
//! ```
//!
//! All numbers are those of the processor, names end in a zero. What a kernel of Linux sends is
//! well-formed; a guest sends what it likes.

use rustix::io::Errno;

/// The length of what every message begins with.
pub const HEADER: usize = 40;
/// Messages that can be asked for have no more bytes: a name twice, or a list of nodes to forget.
pub const LONGEST: usize = 64 << 10;
/// The longest name of a file (`NAME_MAX`, limits.h(0P)).
const NAME: usize = 255;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'b> {
    /// What its answer is told apart by.
    pub unique: u64,
    /// The file that it is about.
    pub node: u64,
    /// What is to be done, if it is sound.
    pub operation: Result<Operation<'b>, Errno>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation<'b> {
    /// Agree on a version, and on features.
    Init {
        /// The version, before the point.
        major: u32,
        /// So much may be read ahead of what a program reads.
        max_readahead: u32,
        /// The features that the guest has.
        flags: u32,
    },
    /// Find a file in a directory; the guest knows it from then on.
    Lookup(&'b [u8]),
    /// The guest no longer knows these files, as often as it says. There is no answer.
    Forget(Vec<Forgotten>),
    /// What is known of a file without its content; of an open one where its handle is given.
    GetAttributes(Option<u64>),
    /// The text of a symbolic link.
    ReadLink,
    /// Open a file; with what flags of open(2).
    Open(u32),
    /// Open a directory.
    OpenDirectory,
    /// Read a file that is open.
    Read(Span),
    /// Read a directory that is open.
    ReadDirectory(Span),
    /// Close a file or a directory.
    Release(u64),
    /// How full the file system is.
    FileSystem,
    /// The guest has taken the mount away.
    Destroy,
}

/// Which bytes of what is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What is open.
    pub handle: u64,
    /// Where it begins; of a directory, what the entry before gave.
    pub offset: u64,
    /// No more bytes than these.
    pub size: u32,
}

/// A file that the guest looked up so many times and knows no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// The file.
    pub node: u64,
    /// So many times.
    pub count: u64,
}

/// Numbers of operations.
mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const READLINK: u32 = 5;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const DESTROY: u32 = 38;
    pub const BATCH_FORGET: u32 = 42;

    /// Everything that would change something: SETATTR, SYMLINK, MKNOD, MKDIR, UNLINK, RMDIR, RENAME,
    /// LINK, WRITE, SETXATTR, REMOVEXATTR, CREATE, FALLOCATE, RENAME2, COPY_FILE_RANGE, TMPFILE.
    pub const CHANGES: [u32; 16] = [4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 24, 35, 43, 45, 47, 51];
}

/// In the flags of GETATTR: the handle counts.
const BY_HANDLE: u32 = 1;

impl<'b> Request<'b> {
    /// The message in these bytes, which are the first of `length`; `None` if they are not even a
    /// header.
    pub fn of(bytes: &'b [u8], length: usize) -> Option<Self> {
        let (header, arguments) = bytes.split_at_checked(HEADER)?;
        let mut header = Fields(header);
        let (said, code) = (header.u32().ok()?, header.u32().ok()?);
        let (unique, node) = (header.u64().ok()?, header.u64().ok()?);
        let operation = match said as usize == length {
            true => Operation::of(code, node, Fields(arguments)),
            false => Err(Errno::INVAL),
        };
        Some(Self { unique, node, operation })
    }
}

impl<'b> Operation<'b> {
    fn of(code: u32, node: u64, mut fields: Fields<'b>) -> Result<Self, Errno> {
        Ok(match code {
            opcode::INIT => {
                let (major, _minor) = (fields.u32()?, fields.u32()?);
                Self::Init { major, max_readahead: fields.u32()?, flags: fields.u32()? }
            }
            opcode::LOOKUP => Self::Lookup(fields.name()?),
            opcode::FORGET => Self::Forget(vec![Forgotten { node, count: fields.u64()? }]),
            opcode::BATCH_FORGET => Self::Forget(fields.forgotten()?),
            opcode::GETATTR => {
                let (flags, _, handle) = (fields.u32()?, fields.u32()?, fields.u64()?);
                Self::GetAttributes((flags & BY_HANDLE != 0).then_some(handle))
            }
            opcode::READLINK => Self::ReadLink,
            opcode::OPEN => Self::Open(fields.u32()?),
            opcode::OPENDIR => Self::OpenDirectory,
            opcode::READ => Self::Read(fields.span()?),
            opcode::READDIR => Self::ReadDirectory(fields.span()?),
            opcode::RELEASE | opcode::RELEASEDIR => Self::Release(fields.u64()?),
            opcode::STATFS => Self::FileSystem,
            opcode::DESTROY => Self::Destroy,
            code if opcode::CHANGES.contains(&code) => return Err(Errno::ROFS),
            // The guest's kernel does without, and does not ask again.
            _ => return Err(Errno::NOSYS),
        })
    }
}

/// Arguments that are still to be read.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Errno> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, Errno> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Result<u64, Errno> {
        self.take().map(u64::from_ne_bytes)
    }

    fn span(&mut self) -> Result<Span, Errno> {
        Ok(Span { handle: self.u64()?, offset: self.u64()?, size: self.u32()? })
    }

    fn forgotten(&mut self) -> Result<Vec<Forgotten>, Errno> {
        let (count, _) = (self.u32()?, self.u32()?);
        // No more than there are: the list's length is that of the message.
        let most = self.0.len() / size_of::<[u64; 2]>();
        let each = |_| Ok(Forgotten { node: self.u64()?, count: self.u64()? });
        (0..(count as usize).min(most)).map(each).collect()
    }

    /// One name of one file: nothing that leads anywhere else.
    fn name(&mut self) -> Result<&'b [u8], Errno> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Errno::INVAL)?;
        match &self.0[..end] {
            b"" | b"." | b".." => Err(Errno::INVAL),
            name if name.contains(&b'/') => Err(Errno::INVAL),
            name if name.len() > NAME => Err(Errno::NAMETOOLONG),
            name => Ok(name),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as Linux writes it.
    pub fn message(code: u32, node: u64, arguments: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + arguments.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(code.to_ne_bytes());
        bytes.extend(77u64.to_ne_bytes());
        bytes.extend(node.to_ne_bytes());
        bytes.extend([0; 16]);
        bytes.extend(arguments);
        bytes
    }

    fn operation(code: u32, arguments: &[u8]) -> Result<Operation<'_>, Errno> {
        Operation::of(code, 5, Fields(arguments))
    }

    #[test]
    fn a_message_names_its_file_and_what_is_to_be_done() {
        let bytes = message(1, 9, b"name\0");
        let request = Request::of(&bytes, bytes.len()).unwrap();
        assert_eq!((request.unique, request.node), (77, 9));
        assert_eq!(request.operation, Ok(Operation::Lookup(b"name")));
        let words = [3u64, 4096, 1 << 16].map(u64::to_ne_bytes).concat();
        let span = Span { handle: 3, offset: 4096, size: 1 << 16 };
        assert_eq!(operation(15, &words), Ok(Operation::Read(span)));
        let one = Forgotten { node: 5, count: 3 };
        assert_eq!(operation(2, &words[..8]), Ok(Operation::Forget(vec![one])));
    }

    #[test]
    fn no_name_leads_anywhere_else() {
        for name in [&b"\0"[..], b".\0", b"..\0", b"a/b\0", b"/\0", b"../x\0", b"/etc/passwd\0"] {
            assert_eq!(operation(1, name), Err(Errno::INVAL), "{name:?}");
        }
        assert_eq!(operation(1, b"without its end"), Err(Errno::INVAL));
        assert_eq!(operation(1, &[&[b'x'; 256][..], &[0]].concat()), Err(Errno::NAMETOOLONG));
        let longest = [&[b'x'; 255][..], &[0]].concat();
        assert_eq!(operation(1, &longest), Ok(Operation::Lookup(&longest[..255])));
        assert_eq!(operation(1, b"\xff \n\0rest"), Ok(Operation::Lookup(b"\xff \n")));
    }

    #[test]
    fn whatever_would_change_something_is_refused() {
        for code in [4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 24, 35, 43, 45, 47, 51] {
            assert_eq!(operation(code, &[0; 200]), Err(Errno::ROFS), "{code}");
        }
        for code in [0, 7, 19, 22, 23, 25, 31, 34, 36, 39, 44, 46, 48, 50, 52, 4096, u32::MAX] {
            assert_eq!(operation(code, &[0; 200]), Err(Errno::NOSYS), "{code}");
        }
    }

    #[test]
    fn a_list_that_says_more_than_there_is_has_what_there_is() {
        let mut list = [u32::MAX, 0].map(u32::to_ne_bytes).concat();
        list.extend([7u64, 1, 8, 2].map(u64::to_ne_bytes).concat());
        let all = [(7, 1), (8, 2)].map(|(node, count)| Forgotten { node, count });
        assert_eq!(operation(42, &list), Ok(Operation::Forget(all.to_vec())));
        assert_eq!(operation(42, &list[..20]), Ok(Operation::Forget(Vec::new())));
    }

    #[test]
    fn a_length_that_is_not_the_messages_is_refused() {
        let bytes = message(17, 1, &[]);
        for length in [0, 39, 41, 1 << 20] {
            let request = Request::of(&bytes, length).unwrap();
            assert_eq!(request.operation, Err(Errno::INVAL), "{length}");
        }
        assert_eq!(Request::of(&bytes[..39], 39), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(
            code in 0..60u32, bytes in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = Request::of(&bytes, bytes.len());
            let whole = message(code, 1, &bytes);
            prop_assert!(Request::of(&whole, whole.len()).is_some());
            for cut in 0..bytes.len() {
                let _ = operation(code, &bytes[..cut]);
            }
        }
    }
}
