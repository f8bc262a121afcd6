//! What has to be stored on the disk, in the blocks that a file system allocates.

use std::{
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
};

use sandbox::Builtin;

/// The blocks that the file system allocates for the `hello` of the sandbox with that label, in
/// bytes.
///
/// # Errors
///
/// When it cannot be stored in the folder for temporary files.
pub fn disk_bytes(label: &str) -> io::Result<f64> {
    let program = match label {
        "microvm" => Builtin::Hello.bare_elf(),
        _ => Builtin::Hello.linux_elf(),
    };
    Ok(stored_bytes(program)? as f64)
}

/// The blocks that the file system allocates for a file with this content, in bytes.
pub fn stored_bytes(content: &[u8]) -> io::Result<u64> {
    let mut file = tempfile::tempfile()?;
    file.write_all(content)?;
    // Until then a file system may not have decided where it will be.
    file.sync_all()?;
    Ok(file.metadata()?.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_counted_in_blocks() {
        let bytes = stored_bytes(&[1; 5000]).unwrap();
        assert!(bytes >= 5000 && bytes.is_multiple_of(512), "{bytes}");
        assert_eq!(stored_bytes(&[]).unwrap(), 0);
    }
}
