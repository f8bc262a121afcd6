//! A line of `/proc/PID/mountinfo`.

/// A mount as `/proc/PID/mountinfo` tells it (proc_pid_mountinfo(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What of the file system is mounted.
    pub root: String,
    /// Where.
    pub point: String,
    /// `shared:1`, `master:2`, or empty: private.
    pub propagation: String,
    /// Its type.
    pub kind: String,
    /// The options of the file system, such as `lowerdir=`.
    pub options: String,
    /// The whole line.
    pub line: String,
}

impl Mount {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?.to_owned(), left.next()?.to_owned());
        let propagation = left.skip(1).collect::<Vec<_>>().join(" ");
        let mut right = right.split(' ');
        let kind = right.next()?.to_owned();
        let options = right.nth(1).unwrap_or_default().to_owned();
        Some(Self { root, point, propagation, kind, options, line: line.to_owned() })
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
