//! A line of `/proc/PID/mountinfo`.

use std::path::Path;

use container::mounts::parse_line;

/// A mount as `/proc/PID/mountinfo` tells it (proc_pid_mountinfo(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What of the file system is mounted.
    pub root: String,
    /// Where.
    pub point: String,
    /// `shared:1`, `master:2`, or empty: private.
    pub propagation: String,
    /// Its own options: `rw,nosuid`.
    pub flags: String,
    /// Its type.
    pub kind: String,
    /// The options of the file system, such as `lowerdir=`.
    pub options: String,
    /// The whole line.
    pub line: String,
}

impl Mount {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mount = parse_line(line.as_bytes())?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Some(Self {
            root: text(&mount.root),
            point: text(&mount.point),
            propagation: mount.propagation,
            flags: mount.options,
            kind: mount.kind,
            options: mount.super_options,
            line: line.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_with_its_propagation() {
        let line = "36 35 98:0 /r /mnt rw,noatime shared:1 master:2 - ext3 /dev/root rw,x=y";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((&*mount.root, &*mount.point, &*mount.kind), ("/r", "/mnt", "ext3"));
        assert_eq!((&*mount.propagation, &*mount.options), ("shared:1 master:2", "rw,x=y"));
    }
}
