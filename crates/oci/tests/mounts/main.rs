//! Question 3 in a bundle: what `mounts`, `root` and `linux` of config.json say of files is what the
//! container finds, and no link in its root leads out of it.

mod bundle;
mod options;
mod parts;
mod places;
mod users;

use std::{fs, path::Path};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// The options of the mount at `/x`.
const OPTIONS: &str = "while read a b c d e f g; do if test $e = /x; then echo $f; fi; done \
                       < /proc/self/mountinfo";

/// The peer groups of the mount at `/x`, without their numbers.
const PEERS: &str = "while read a b c d e f g; do test $e = /x && echo ${g%% - *}; done \
                     < /proc/self/mountinfo | busybox sed 's/:[0-9]*//g; s/^- .*//'";

/// A mount of the host that is unmounted when it is dropped.
struct HostMount<'a>(&'a Path);

impl<'a> HostMount<'a> {
    fn tmpfs(path: &'a Path) -> Self {
        fs::create_dir_all(path).unwrap();
        let (none, flags) = (None::<&str>, MsFlags::empty());
        mount(Some("test"), path, Some("tmpfs"), flags, none).unwrap();
        Self(path)
    }

    fn shared(self) -> Self {
        let none = None::<&str>;
        mount(none, self.0, none, MsFlags::MS_SHARED, none).unwrap();
        self
    }
}

impl Drop for HostMount<'_> {
    fn drop(&mut self) {
        umount2(self.0, MntFlags::MNT_DETACH).unwrap();
    }
}
