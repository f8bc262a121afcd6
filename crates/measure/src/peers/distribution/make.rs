//! Making the disk of a distribution.
//!
//! ```text
//!   apt's sources ──> mmdebstrap ──> a directory ──> mke2fs -d ──> root.ext4
//!                     (as root of a     │                          (our file, open as its
//!                      user namespace)  └─ boot/vmlinuz-*           standard input)
//!                                          boot/initrd.img-*  ──> vmlinuz, initrd
//! ```
//!
//! mke2fs runs while the directory is still there, in a hook of mmdebstrap: there, and only there, its
//! files belong to whom they belong on the disk, also where the caller is not root.

use std::{
    fs::{self, File, Permissions},
    io,
    ops::ControlFlow,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use super::{
    ABOUT, About, Distribution, DistributionError, INITRD, KERNEL, ROOT, run::run, sources::Sources,
};
use crate::peers::definition::on_path;

/// How the names of folders begin that are not all there yet.
const UNFINISHED: &str = ".unfinished-";
/// The disk's length: the distribution takes a fifth, and what is free is a hole.
const DISK_BYTES: u64 = 2 << 30;
/// What a distribution that boots to its login prompt has beside its essential packages: an init with
/// its bus, what finds the serial port and starts a getty there, and a kernel with its initrd.
const PACKAGES: &str = "systemd-sysv,dbus,udev,initramfs-tools";

/// Makes the directory `$1` a disk, as a machine of the distribution has it. What mmdebstrap has
/// mounted below it is left out by a bind mount of its own, which ends with the namespace.
const HOOK: &str = r#"set -e
echo isolab > "$1/etc/hostname"
echo '/dev/vda / ext4 errors=remount-ro 0 1' > "$1/etc/fstab"
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*
exec unshare --mount sh -c 'mount --bind "$1" /mnt && exec "$ISOLAB_MKE2FS" -q -F -t ext4 -m 0 \
    -E lazy_itable_init=0,lazy_journal_init=0 -d /mnt /proc/self/fd/0' sh "$1""#;

/// What is being done, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Another isolab is making one, and is waited for.
    Waiting,
    /// A step of mmdebstrap, in its own words.
    Step(&'a str),
}

/// Makes a distribution of this host's apt sources, in place of the one that was made before, if any.
/// That takes minutes.
///
/// It needs no root, but the range of user ids of subuid(5) then. It is there whole or not at all; what
/// an interrupted call leaves is removed by the next one. `progress` is told what is done several times
/// a second, and may end it.
///
/// # Errors
///
/// When mmdebstrap, mke2fs or apt's lists are missing, when one of them fails, and when there is no room.
pub fn make(
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Distribution, DistributionError> {
    let [program, setpriv, unshare] = ["mmdebstrap", "setpriv", "unshare"]
        .map(|program| on_path(program).ok_or(DistributionError::NotInstalled { program }));
    let (program, setpriv, unshare) = (program?, setpriv?, unshare?);
    let mke2fs = microvm::linux::mke2fs().map_err(DistributionError::NoMke2fs)?;
    let sources = Sources::of_host()?;
    let folder = super::folder().ok_or(DistributionError::NoCache)?;
    fs::create_dir_all(&folder).map_err(writing(&folder))?;
    let _alone = alone(&folder, progress)?;
    host::remove_unfinished(&folder, UNFINISHED);
    let scratch = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&folder);
    let scratch = scratch.map_err(writing(&folder))?;
    let [new, list] = ["new", "sources.list"].map(|name| scratch.path().join(name));
    fs::create_dir(&new).map_err(writing(&new))?;
    fs::write(&list, &sources.lines).map_err(writing(&list))?;
    let disk = empty(&new.join(ROOT)).map_err(writing(&new))?;
    let is_root = nix::unistd::geteuid().is_root();
    // It ends with this process, however that ends: root's with all that it has started, and with what
    // it has mounted, which would stay in this mount namespace and lie below what the next call removes.
    let mut command = Command::new(setpriv);
    match is_root {
        true => {
            command.args(["--pdeathsig", "KILL", "--"]).arg(unshare);
            command.args(["--mount", "--pid", "--fork", "--kill-child", "--"])
        }
        false => command.args(["--pdeathsig", "TERM", "--"]),
    };
    command.arg(program).env("ISOLAB_MKE2FS", mke2fs).stdin(disk);
    command.args(["--variant=minbase", "--format=null"]);
    command.arg(format!("--include={PACKAGES},{}", sources.kernel));
    command.arg(format!("--customize-hook={HOOK}"));
    command.arg(format!("--customize-hook={}", copies_out(scratch.path())));
    match is_root {
        // Its directory is on the disk that has to have room anyway, and is removed with it.
        true => command.arg("--mode=root").env("TMPDIR", scratch.path()),
        false => command.arg("--mode=unshare"),
    };
    // No suite: the sources name them.
    command.args(["", "/dev/null"]).arg(&list);
    run("mmdebstrap", command, &mut |step| {
        // It quotes the whole hook.
        let is_hook = step.starts_with("running --customize-hook");
        progress(Progress::Step(if is_hook { "filling the disk" } else { step }))
    })?;
    arrange(scratch.path(), &new)?;
    let target = folder.join("disk");
    host::replace(&new, &target, &scratch.path().join("old")).map_err(writing(&target))?;
    Distribution::in_folder(&target).ok_or(DistributionError::Incomplete { part: "disk" })
}

/// Waits until no other isolab of this user is making one; then none is until the file is closed.
fn alone(
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<File, DistributionError> {
    let path = folder.join(".lock");
    let file = host::locked(&path, || progress(Progress::Waiting)).map_err(writing(&path))?;
    file.ok_or(DistributionError::Interrupted)
}

/// A disk with nothing on it. In a user namespace mke2fs is nobody whom this file belongs to, and opens
/// it anew by its descriptor: so everybody may write it, in a folder that nobody else can enter.
fn empty(path: &Path) -> io::Result<File> {
    let disk = File::options().read(true).write(true).create_new(true).open(path)?;
    disk.set_permissions(Permissions::from_mode(0o666))?;
    disk.set_len(DISK_BYTES)?;
    Ok(disk)
}

/// The hook that copies the kernel, its initrd and the distribution's name out of the directory, as the
/// caller: a special one of mmdebstrap's, whose words are split as a shell does.
fn copies_out(folder: &Path) -> String {
    let folder = folder.to_string_lossy().replace('\'', r"'\''");
    format!("copy-out /boot /usr/lib/os-release '{folder}'")
}

/// Puts what was copied out beside the disk.
fn arrange(copied: &Path, new: &Path) -> Result<(), DistributionError> {
    let incomplete = |part| DistributionError::Incomplete { part };
    let boot = copied.join("boot");
    let releases =
        fs::read_dir(&boot).into_iter().flatten().flatten().filter_map(|entry| {
            Some(entry.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned())
        });
    // One kernel was installed; should there be two, one of them will do.
    let kernel = releases.max().ok_or(incomplete("kernel (/boot/vmlinuz-RELEASE)"))?;
    let initrd = boot.join(format!("initrd.img-{kernel}"));
    if !initrd.is_file() {
        return Err(incomplete("initrd (/boot/initrd.img-RELEASE)"));
    }
    for (from, to) in [(boot.join(format!("vmlinuz-{kernel}")), KERNEL), (initrd, INITRD)] {
        fs::rename(from, new.join(to)).map_err(writing(new))?;
    }
    let release = fs::read_to_string(copied.join("os-release")).unwrap_or_default();
    let name = name(&release).ok_or(incomplete("name (/usr/lib/os-release)"))?;
    let about = serde_json::to_vec(&About { name, kernel }).expect("strings are JSON");
    fs::write(new.join(ABOUT), about).map_err(writing(new))?;
    let disk = new.join(ROOT);
    fs::set_permissions(&disk, Permissions::from_mode(0o644)).map_err(writing(&disk))
}

/// The name of a distribution for people; see os-release(5).
fn name(release: &str) -> Option<String> {
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let name = name.trim().trim_matches(['"', '\'']);
    let is_text = |sign: char| !sign.is_control();
    (!name.is_empty() && name.len() < 100 && name.chars().all(is_text)).then(|| name.to_owned())
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> DistributionError + use<> {
    let path = path.to_owned();
    move |source| DistributionError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_its_initrd_and_the_name_are_put_beside_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new");
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let lack = || arrange(folder.path(), &new).unwrap_err().to_string();
        fs::create_dir(&new).unwrap();
        fs::create_dir(folder.path().join("boot")).unwrap();
        empty(&new.join(ROOT)).unwrap();
        assert!(lack().contains("kernel"));
        put("boot/vmlinuz-9.9.9-cloud", "kernel");
        put("boot/initrd.img-9.9.8-cloud", "another's");
        assert!(lack().contains("initrd"));
        put("boot/initrd.img-9.9.9-cloud", "initrd");
        put("os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 99 (unborn)\"\n");
        arrange(folder.path(), &new).unwrap();
        let made = Distribution::in_folder(&new).unwrap();
        assert_eq!(made.name(), "Debian GNU/Linux 99 (unborn), Linux 9.9.9-cloud");
        assert_eq!(fs::read_to_string(made.kernel()).unwrap(), "kernel");
        assert_eq!(fs::read_to_string(made.initrd()).unwrap(), "initrd");
        let disk = made.disk().metadata().unwrap();
        assert_eq!((disk.len(), disk.permissions().mode() & 0o777), (DISK_BYTES, 0o644));
    }

    #[test]
    fn a_folder_with_a_quote_is_one_word_of_the_hook() {
        let words = copies_out(Path::new("/home/o'neill/x y"));
        assert!(words.ends_with(r"'/home/o'\''neill/x y'"), "{words}");
    }
}
