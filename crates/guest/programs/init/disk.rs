//! Finds a disk by one of its attributes.
//!
//! Its name does not identify it: `nvme0n2` is the disk that the driver found second. Linux probes
//! several at once, and a disk appears in `/sys/class/block` before it can be opened.

use core::ffi::CStr;

use crate::{
    calls::{self, Errno, Result},
    files,
};

const FOLDER: &[u8] = b"/sys/class/block/";
const DEVICES: &[u8] = b"/dev/";

/// Makes `path` a link to the disk whose `attribute` is `value`, once it can be opened.
pub fn link(attribute: &CStr, value: &CStr, path: &CStr) -> Result<()> {
    let mut device = Path::new();
    let disk = calls::wait_for_device(|| find(attribute, value, &mut device))?;
    calls::close(disk);
    files::link(device.text()?, path)
}

/// Opens the disk, if it exists, and stores its path in `device`.
fn find(attribute: &CStr, value: &CStr, device: &mut Path) -> Result<usize> {
    let folder = calls::open_to_read(c"/sys/class/block")?;
    let mut entries = [0; 1024];
    let mut found = Err(Errno::NOT_THERE);
    while let Ok(count @ 1..) = files::read_directory(folder, &mut entries) {
        for name in files::names(entries.get(..count).unwrap_or_default()) {
            let (mut about, name) = (Path::new(), name.to_bytes());
            about.set(&[FOLDER, name, b"/", attribute.to_bytes()])?;
            if has(about.text()?, value) {
                device.set(&[DEVICES, name])?;
                found = calls::open_to_read(device.text()?);
            }
        }
    }
    calls::close(folder);
    found
}

/// Whether the file has that content, up to the end of its first line.
fn has(file: &CStr, value: &CStr) -> bool {
    let mut content = [0; 64];
    let Ok(descriptor) = calls::open_to_read(file) else { return false };
    let count = calls::read(descriptor, &mut content);
    calls::close(descriptor);
    let content = content.get(..count.unwrap_or(0)).unwrap_or_default();
    content.strip_suffix(b"\n").unwrap_or(content) == value.to_bytes()
}

/// A path in memory of a fixed length.
struct Path([u8; 256]);

impl Path {
    fn new() -> Self {
        Self([0; 256])
    }

    fn set(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.0 = [0; 256];
        let mut bytes = parts.iter().copied().flatten();
        for (place, byte) in self.0.iter_mut().zip(&mut bytes) {
            *place = *byte;
        }
        if bytes.next().is_some() { Err(Errno::TOO_LONG) } else { Ok(()) }
    }

    fn text(&self) -> Result<&CStr> {
        CStr::from_bytes_until_nul(&self.0).map_err(|_| Errno::TOO_LONG)
    }
}
