//! Which packages of a distribution have the programs that a nest needs.

/// How to install `program`.
pub(crate) fn how_to_install(program: &str) -> &'static str {
    match program {
        "qemu-system-x86_64" => {
            "sudo apt-get install qemu-system-x86 (on Fedora: dnf install qemu-system-x86-core)"
        }
        "setpriv" => "sudo apt-get install util-linux",
        "mke2fs" => "sudo apt-get install e2fsprogs",
        _ => "sudo apt-get install busybox-static",
    }
}
