//! The disks of a nest: what is too large for its memory, and what comes out of it.
//!
//! ```text
//!   1      the kernel and its modules, for `isolab run --in linux` inside; ext4, kept in
//!          ~/.cache/isolab/nest from one nest to the next
//!   2 ..   large trees that were added; ext4, in a file without a name
//!   last   an archive of the files that come out; in a file without a name
//! ```
//!
//! The number is the disk's namespace on the NVMe controller, by which it is found inside: the names
//! `/dev/nvme0n1 ..` are given in the order in which the kernel finds them, which changes.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use microvm::{
    kernels::{Kernel, KernelCache},
    linux::mke2fs,
};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags},
    unistd::linkat,
};
use tempfile::TempDir;

use crate::{Error, Nest, Result, error::call};

/// What is larger goes on a disk, and is only read as far as it is needed.
const LARGE_BYTES: u64 = 32 << 20;
/// How much can come out; the file has holes where nothing was written.
const OUT_BYTES: u64 = 4 << 30;

/// The disks of one nest, in their order.
pub(crate) struct Disks {
    /// Those with a file system.
    pub(crate) read_only: Vec<Disk>,
    /// The one for what comes out.
    pub(crate) out: Option<File>,
}

/// A disk with a file system, and where it is mounted inside.
pub(crate) struct Disk {
    pub(crate) file: File,
    pub(crate) inside: PathBuf,
}

/// The number of a namespace on the controller, for the disk at that index in the list.
pub(crate) fn namespace(index: usize) -> usize {
    index + 1
}

/// The name inside of the disk at that index in the list.
pub(crate) fn device(index: usize) -> String {
    format!("/dev/disk{}", namespace(index))
}

impl Disks {
    /// All of them.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.read_only.iter().map(|disk| &disk.file).chain(&self.out)
    }

    pub(crate) fn of(nest: &Nest) -> Result<Self> {
        let mut read_only = vec![of_kernel(&nest.kernel)?];
        for path in &nest.add {
            if path.is_dir() && bytes_of(path)? > LARGE_BYTES {
                let file = tempfile::tempfile().map_err(call("make a temporary file"))?;
                let read = |source| Error::Read { path: path.clone(), source };
                make(&path.canonicalize().map_err(read)?, &file)?;
                read_only.push(Disk { file, inside: path.clone() });
            }
        }
        let out = match nest.out {
            Some(_) => Some(empty().map_err(call("make a temporary file"))?),
            None => None,
        };
        Ok(Self { read_only, out })
    }

    /// Whether what is added is on one of them.
    pub(crate) fn have(&self, added: &Path) -> bool {
        self.read_only.iter().any(|disk| disk.inside == added)
    }
}

fn empty() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    file.set_len(OUT_BYTES)?;
    Ok(file)
}

/// The disk with this kernel and its modules, where isolab looks for kernels that were got.
fn of_kernel(kernel: &Kernel) -> Result<Disk> {
    let kernels = KernelCache::of_user()?;
    let inside = Path::new("/root/.cache/isolab/kernels").join(&kernel.name);
    let kept = kernels.cache.with_file_name("nest");
    let path = kept.join(name_of(kernel)?);
    if let Ok(file) = File::open(&path) {
        return Ok(Disk { file, inside });
    }
    let write = |source| Error::Write { path: path.clone(), source };
    fs::create_dir_all(&kept).map_err(write)?;
    // Without a name until it is whole.
    let file = tempfile::tempfile_in(&kept).map_err(write)?;
    match kernel.vmlinux.parent() {
        Some(folder) if is_all_of(folder, kernel) => make(folder, &file)?,
        _ => make(gather(kernel, &kept).map_err(write)?.path(), &file)?,
    }
    remove_older(&kept, &kernel.name);
    match linkat(AT_FDCWD, &*by_descriptor(&file), AT_FDCWD, &path, AtFlags::AT_SYMLINK_FOLLOW) {
        // Another nest was faster.
        Ok(()) | Err(Errno::EEXIST) => Ok(Disk { file, inside }),
        Err(errno) => Err(write(errno.into())),
    }
}

/// A name that changes with the kernel.
fn name_of(kernel: &Kernel) -> Result<String> {
    let read = |source| Error::Read { path: kernel.image.clone(), source };
    let about = kernel.image.metadata().map_err(read)?;
    let mut hasher = DefaultHasher::new();
    (&kernel.image, &kernel.modules, about.ino(), about.ctime(), about.ctime_nsec())
        .hash(&mut hasher);
    Ok(format!("{}-{:016x}.ext4", kernel.name, hasher.finish()))
}

/// Removes the disks of what was this kernel before.
fn remove_older(kept: &Path, name: &str) {
    for entry in fs::read_dir(kept).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if file.strip_prefix(name).is_some_and(|rest| rest.len() == "-0123456789abcdef.ext4".len())
        {
            // What stays takes room and does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether the folder has all parts of the kernel, by the names that isolab gives them.
fn is_all_of(folder: &Path, kernel: &Kernel) -> bool {
    let modules = kernel.modules.as_ref();
    kernel.image == folder.join("vmlinuz")
        && kernel.vmlinux == folder.join("vmlinux")
        && modules.is_none_or(|modules| *modules == folder.join("modules"))
}

/// Copies the parts of a kernel that are here and there into one folder.
fn gather(kernel: &Kernel, kept: &Path) -> io::Result<TempDir> {
    let folder = tempfile::tempdir_in(kept)?;
    let (image, vmlinux) = (folder.path().join("vmlinuz"), folder.path().join("vmlinux"));
    fs::copy(&kernel.image, &image)?;
    fs::copy(&kernel.vmlinux, &vmlinux)?;
    // Thus isolab knows that it is the same kernel unpacked.
    File::options().write(true).open(&vmlinux)?.set_modified(image_arrival(&image)?)?;
    if let Some(modules) = &kernel.modules {
        copy_tree(modules, &folder.path().join("modules"))?;
    }
    Ok(folder)
}

fn image_arrival(image: &Path) -> io::Result<SystemTime> {
    let about = image.metadata()?;
    let since = Duration::new(about.ctime().max(0) as u64, about.ctime_nsec() as u32);
    Ok(SystemTime::UNIX_EPOCH + since)
}

/// Copies the directories and files; links, such as to the kernel's source, stay behind.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &path)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), path)?;
        }
    }
    Ok(())
}

/// Makes `file` a file system with all that is in the directory `tree`. That needs no root.
fn make(tree: &Path, file: &File) -> Result<()> {
    let failed = |stderr: String| Error::NoDisk { tree: tree.to_owned(), stderr };
    // A tenth and some for what the file system itself takes.
    let kibibytes = bytes_of(tree)? / 1024 / 10 * 11 + (8 << 10);
    let mke2fs = mke2fs().map_err(|source| microvm::Error::RootDisk {
        tree: tree.to_owned(),
        enough_memory: None,
        source,
    })?;
    let ended = Command::new(&mke2fs)
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0"])
        .args(["-O", "^has_journal,^resize_inode", "-E", "root_owner=0:0", "-d"])
        .arg(tree)
        .arg(by_descriptor(file))
        .arg(format!("{kibibytes}k"))
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start { program: mke2fs, source })?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&ended.stderr).trim().to_owned())),
    }
}

/// A path at which other processes of this user find an open file while this one lives.
pub(crate) fn by_descriptor(file: &impl AsRawFd) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

/// What a tree takes in blocks of 4 KiB, its inodes included.
fn bytes_of(tree: &Path) -> Result<u64> {
    let read = |source| Error::Read { path: tree.to_owned(), source };
    let mut bytes = 4096;
    for entry in fs::read_dir(tree).map_err(read)? {
        let entry = entry.map_err(read)?;
        let about = entry.metadata().map_err(read)?;
        bytes += match about.is_dir() {
            true => bytes_of(&entry.path())?,
            false => about.len().next_multiple_of(4096) + 512,
        };
    }
    Ok(bytes)
}
