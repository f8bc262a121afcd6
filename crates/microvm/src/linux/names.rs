//! The names by which a guest finds its disks and shared directories.

/// What a guest is told of the disk at that place in the list: its `serial` in `/sys/block`. Which of
/// them is called `/dev/vda` inside depends on which its driver finds first.
pub fn disk_name(number: usize) -> String {
    format!("isolab{number}")
}

/// By what name a guest mounts the shared directory at that place in the list.
pub fn share_tag(number: usize) -> String {
    format!("isolab{number}")
}
