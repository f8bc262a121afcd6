//! The list of mounts, `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use host::read_proc;

use crate::{Error, error::file};

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// The directory within the file system that is mounted.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Options of this mount: `rw,nosuid`.
    pub options: String,
    /// Its peer groups: `shared:1 master:2`; empty for a private mount.
    pub propagation: String,
    /// The type of file system.
    pub kind: String,
    /// Options of the file system: for a cgroup hierarchy its controllers.
    pub super_options: String,
}

impl MountInfo {
    /// Whether both the mount and its file system are writable.
    pub(crate) fn is_writable(&self) -> bool {
        let read_only = |options: &str| options.split(',').any(|option| option == "ro");
        !read_only(&self.options) && !read_only(&self.super_options)
    }
}

/// All mounts that this process sees, in the order of mounting.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn all() -> Result<Vec<MountInfo>, Error> {
    let path = "/proc/self/mountinfo";
    Ok(parse(&read_proc(path).map_err(file("read", path))?))
}

/// All mounts that process `pid` sees.
///
/// # Errors
///
/// When it has ended, or `/proc` cannot be read.
pub(crate) fn of(pid: u32) -> Result<Vec<MountInfo>, Error> {
    let path = format!("/proc/{pid}/mountinfo");
    Ok(parse(&read_proc(&path).map_err(file("read", &path))?))
}

/// Skips malformed lines: a newer kernel may add fields, but does not change these.
fn parse(text: &[u8]) -> Vec<MountInfo> {
    text.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

/// Reads a line such as `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=x`;
/// `None` if it is malformed.
pub fn parse_line(line: &[u8]) -> Option<MountInfo> {
    let mut fields = line.split(|&byte| byte == b' ');
    let root = path(fields.nth(3)?);
    let point = path(fields.next()?);
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let options = text(fields.next()?);
    // Any number of optional fields, terminated by a single dash.
    let mut shared = Vec::new();
    loop {
        match fields.next()? {
            b"-" => break,
            field => shared.push(text(field)),
        }
    }
    let propagation = shared.join(" ");
    let kind = text(fields.next()?);
    let super_options = text(fields.nth(1)?);
    Some(MountInfo { root, point, options, propagation, kind, super_options })
}

/// Undoes the kernel's `\040` for space, tab, newline and backslash.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|_| first == b'\\');
        let value = digits.and_then(|digits| {
            digits.iter().try_fold(0u32, |value, digit| match digit {
                b'0'..=b'7' => Some(value * 8 + u32::from(digit - b'0')),
                _ => None,
            })
        });
        match value.and_then(|value| u8::try_from(value).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes_is_read() {
        let line = br"36 35 98:0 /mnt1 /mnt/with\040space rw,noatime shared:1 master:2 - ext3 /dev/root ro,errors=continue";
        let mount = parse_line(line).unwrap();
        assert_eq!(mount.root, PathBuf::from("/mnt1"));
        assert_eq!(mount.point, PathBuf::from("/mnt/with space"));
        assert_eq!((&*mount.kind, &*mount.super_options), ("ext3", "ro,errors=continue"));
        assert_eq!(mount.propagation, "shared:1 master:2");
        assert!(!mount.is_writable());
    }

    #[test]
    fn a_line_without_optional_fields_is_read() {
        let line = b"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu";
        let mount = parse_line(line).unwrap();
        assert_eq!((&*mount.kind, &*mount.super_options), ("cgroup", "rw,cpu"));
        assert!(mount.is_writable());
    }

    #[test]
    fn this_process_has_a_root_mount() {
        assert!(all().unwrap().iter().any(|mount| mount.point.as_os_str() == "/"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&text);
        }

        #[test]
        fn escapes_are_undone(name in "[a-z \\t\\\\]{1,20}") {
            let mut escaped = String::new();
            for byte in name.bytes() {
                match byte {
                    b' ' | b'\t' | b'\\' => escaped.push_str(&format!("\\{byte:03o}")),
                    other => escaped.push(other.into()),
                }
            }
            prop_assert_eq!(path(escaped.as_bytes()), PathBuf::from(name));
        }
    }
}
