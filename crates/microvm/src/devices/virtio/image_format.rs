//! Telling a disk image that is not raw from one that is.
//!
//! Virtual disks are passed on in a dozen formats, with a header, tables and the content in pieces.
//! A guest that got such a file byte for byte would see a broken disk. Each begins with a magic
//! number, or ends with it, so it can be named and the command that converts it too.
//!
//! A guest can write such a number to its own raw disk. All that it gains is that the next guest is
//! refused the disk, until its user insists: nothing else in the file is ever looked at. A file
//! whose name ends in `.raw` is taken at its word.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

/// A format whose bytes are not those of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageFormat {
    /// What it is called.
    pub name: &'static str,
    /// Where its magic number is.
    at: At,
    magic: &'static [u8],
    tool: Tool,
}

/// Where in a file a magic number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start(usize),
    /// So many bytes before the end.
    FromEnd(usize),
}

/// What makes a raw image of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    /// qemu-img(1), by its own word for the format. It does not recognize all by themselves.
    QemuImg(&'static str),
    /// A command that takes the file's name.
    Command(&'static str),
}

const fn image(
    name: &'static str,
    word: &'static str,
    at: At,
    magic: &'static [u8],
) -> ImageFormat {
    ImageFormat { name, at, magic, tool: Tool::QemuImg(word) }
}

const fn packed(name: &'static str, magic: &'static [u8], command: &'static str) -> ImageFormat {
    ImageFormat { name, at: At::Start(0), magic, tool: Tool::Command(command) }
}

/// The formats; QEMU's block drivers (`block/*.c`) have the numbers of virtual disks, magic(5) the
/// others.
const FORMATS: [ImageFormat; 22] = [
    image("a qcow2 image", "qcow2", At::Start(0), b"QFI\xfb\0\0\0\x02"),
    image("a qcow2 image", "qcow2", At::Start(0), b"QFI\xfb\0\0\0\x03"),
    image("a qcow image", "qcow", At::Start(0), b"QFI\xfb\0\0\0\x01"),
    image("a qcow2 image", "qcow2", At::Start(0), b"QFI\xfb"),
    image("a QED image", "qed", At::Start(0), b"QED\0"),
    image("a VMDK image", "vmdk", At::Start(0), b"KDMV"),
    image("a VMDK image", "vmdk", At::Start(0), b"COWD"),
    image("the description of a VMDK image", "vmdk", At::Start(0), b"# Disk DescriptorFile"),
    image("a VHDX image", "vhdx", At::Start(0), b"vhdxfile"),
    image("a VHD image", "vpc", At::Start(0), b"conectix"),
    image("a VHD image", "vpc", At::FromEnd(512), b"conectix"),
    image("a VDI image", "vdi", At::Start(64), b"\x7f\x10\xda\xbe"),
    image("a Parallels image", "parallels", At::Start(0), b"WithoutFreeSpace"),
    image("a Parallels image", "parallels", At::Start(0), b"WithouFreSpacExt"),
    image("a Bochs image", "bochs", At::Start(0), b"Bochs Virtual HD Image"),
    image("a DMG image", "dmg", At::FromEnd(512), b"koly\0\0\0\x04"),
    packed("an EWF image", b"EVF\x09\x0d\x0a\xff\x00", "ewfexport -f raw"),
    packed("compressed by gzip", b"\x1f\x8b\x08", "gunzip -k"),
    packed("compressed by xz", b"\xfd7zXZ\0", "xz -dk"),
    packed("compressed by zstd", b"\x28\xb5\x2f\xfd", "zstd -d"),
    packed("compressed by bzip2", b"BZh", "bunzip2 -k"),
    packed("a zip archive", b"PK\x03\x04", "unzip"),
];

/// Enough of a file's start for all magic numbers there.
const START: usize = 128;

impl ImageFormat {
    /// The format of `file`, which has so many bytes; nothing if it may be raw.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn of(file: &File, bytes: u64) -> io::Result<Option<Self>> {
        let mut start = [0; START];
        let length = START.min(usize::try_from(bytes).unwrap_or(START));
        file.read_exact_at(&mut start[..length], 0)?;
        for format in FORMATS {
            let found = match format.at {
                At::Start(offset) => start[..length].get(offset..).unwrap_or_default().to_vec(),
                At::FromEnd(offset) => {
                    let mut found = vec![0; format.magic.len()];
                    match bytes.checked_sub(offset as u64) {
                        Some(at) => file.read_exact_at(&mut found, at)?,
                        None => continue,
                    }
                    found
                }
            };
            if found.starts_with(format.magic) {
                return Ok(Some(format));
            }
        }
        Ok(None)
    }

    /// The command that makes a raw image of `file`.
    pub fn conversion(&self, file: &Path) -> String {
        let (old, new) = (quoted(file), quoted(&file.with_extension("raw")));
        match self.tool {
            Tool::QemuImg(word) => format!("qemu-img convert -f {word} -O raw {old} {new}"),
            Tool::Command(command) => format!("{command} {old}"),
        }
    }
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte);
    match text.bytes().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn format(content: &[u8]) -> Option<ImageFormat> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        ImageFormat::of(&file, content.len() as u64).unwrap()
    }

    #[test]
    fn each_format_is_known_by_its_magic_at_its_place() {
        for expected in FORMATS {
            let mut content = vec![0; 4096];
            let at = match expected.at {
                At::Start(offset) => offset,
                At::FromEnd(offset) => content.len() - offset,
            };
            content[at..at + expected.magic.len()].copy_from_slice(expected.magic);
            assert_eq!(format(&content).map(|it| it.name), Some(expected.name));
            // Elsewhere it is content like any other.
            content.splice(0..0, [0; 512]);
            content.extend([0; 512]);
            assert_eq!(format(&content), None, "{}", expected.name);
        }
    }

    #[test]
    fn a_partition_table_a_file_system_and_a_cd_are_raw() {
        let mut content = vec![0; 64 << 10];
        assert_eq!(format(&content), None);
        content[510..512].copy_from_slice(&[0x55, 0xaa]);
        content[1080..1082].copy_from_slice(&[0x53, 0xef]);
        content[0x8001..0x8006].copy_from_slice(b"CD001");
        assert_eq!(format(&content), None);
        assert_eq!(format(b""), None);
        assert_eq!(format(b"QF"), None);
    }

    #[test]
    fn the_conversion_can_be_pasted_into_a_shell() {
        let vhd = FORMATS.into_iter().find(|it| it.at == At::FromEnd(512)).unwrap();
        assert_eq!(
            vhd.conversion(Path::new("/tmp/my disk.vhd")),
            "qemu-img convert -f vpc -O raw '/tmp/my disk.vhd' '/tmp/my disk.raw'"
        );
        let gzip = FORMATS.into_iter().find(|it| it.name.contains("gzip")).unwrap();
        assert_eq!(gzip.conversion(Path::new("a'b.gz")), r"gunzip -k 'a'\''b.gz'");
    }

    proptest! {
        #[test]
        fn any_content_is_looked_at_without_a_panic(
            content in prop::collection::vec(any::<u8>(), 0..1200)
        ) {
            format(&content);
        }
    }
}
