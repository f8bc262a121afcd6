//! Question 3: what does it find inside? The kernels that this host has for Linux guests, and how to
//! get one.
//!
//! They are where distributions put them, or in isolab's own folder, where [`get`] leaves them:
//!
//! ```text
//!   /boot/vmlinuz-RELEASE, /lib/modules/RELEASE     the host's own, where they can be read
//!   ~/.cache/isolab/kernels/                        $XDG_CACHE_HOME instead of ~/.cache
//!     RELEASE/vmlinuz, vmlinux, modules/, package   one that was got, and where from
//!     unpacked/                                     the host's own, unpacked when first used
//!     chosen                                        the name of the one to use
//! ```

mod cache;
mod error;
mod get;
mod modules;
mod packages;

use std::{
    cmp::Ordering,
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{
    Result,
    kernel::{KernelImage, MAX_UNPACKED_BYTES},
};

pub use cache::KernelCache;
pub use error::KernelsError;
pub use get::{Progress, get};
pub use modules::{Module, modules_for};
pub use packages::Package;

/// A kernel, with all that is known of it without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as in `uname -r`; of a file that names none, the file's own name.
    pub name: String,
    /// Its file, as the distribution made it.
    pub image: PathBuf,
    /// The same as an ELF file. It is there once [`Kernel::unpack`] was called, as it was for those
    /// that [`get`], [`chosen`], [`select`] and [`Kernel::of_file`] return.
    pub vmlinux: PathBuf,
    /// The folder of its modules, as `/lib/modules/RELEASE`, if there is one.
    pub modules: Option<PathBuf>,
}

/// The kernels of this host, the newest first.
///
/// # Errors
///
/// When it is not known where to look; see [`KernelCache::of_user`].
pub fn list() -> Result<Vec<Kernel>> {
    Ok(KernelCache::of_user()?.list())
}

/// The kernel that was chosen; without a choice, the newest that was got, or else the host's newest.
///
/// # Errors
///
/// When there is no kernel, when the chosen one is gone, or when it cannot be unpacked.
pub fn chosen() -> Result<Kernel> {
    KernelCache::of_user()?.chosen()
}

/// Chooses the kernel of that name, for all runs of this user.
///
/// # Errors
///
/// When there is none of that name, or when the choice cannot be kept.
pub fn select(name: &str) -> Result<Kernel> {
    KernelCache::of_user()?.select(name)
}

impl Kernel {
    /// The kernel in a file of the user's, for a guest whose memory is `room`. Its modules are found by its release, among those of the
    /// other kernels and in `/lib/modules`.
    ///
    /// # Errors
    ///
    /// When it is no kernel, or cannot be unpacked into so much.
    pub fn of_file(image: &Path, room: u64) -> Result<Self> {
        KernelCache::of_user()?.of_file(image, room)
    }

    /// Makes [`Kernel::vmlinux`], unless it is there and was made from the image as it is.
    ///
    /// # Errors
    ///
    /// When the image is no kernel, or its unpacked form cannot be kept.
    pub fn unpack(&self) -> Result<()> {
        if self.vmlinux == self.image || is_unpacked(&self.vmlinux, &self.image) {
            return Ok(());
        }
        unpack(&KernelImage::read(&self.image, MAX_UNPACKED_BYTES)?, &self.image, &self.vmlinux)
    }

    /// The same kernel with the modules in `folder`: as `/lib/modules/RELEASE`, or a root file
    /// system, an unpacked initrd for instance, that has it there.
    ///
    /// # Errors
    ///
    /// When there are none in it, or they are another kernel's.
    pub fn with_modules(self, folder: &Path) -> Result<Self> {
        let below = [Path::new("lib/modules"), Path::new("usr/lib/modules"), Path::new("")];
        let below = below.map(|path| folder.join(path).join(&self.name));
        let found = below.into_iter().find(|path| path.is_dir()).unwrap_or(folder.to_owned());
        let none = || KernelsError::NoModules { folder: folder.to_owned() };
        let module = modules::any_module(&found)?.ok_or_else(none)?;
        match module.release() {
            Some(release) if release != self.name => {
                let (kernel, of) = (self.image, release.to_owned());
                Err(KernelsError::OthersModules { folder: found, of, kernel, name: self.name }
                    .into())
            }
            _ => Ok(Self { modules: Some(found), ..self }),
        }
    }

    /// The modules of these names with all that they need, in the order of loading; what is built
    /// into the kernel is left out, which is all of it where the kernel has no modules.
    ///
    /// # Errors
    ///
    /// When the kernel has no such module, its file is damaged, or all of them have more than `room`
    /// bytes.
    pub fn modules_for(&self, names: &[&str], room: u64) -> Result<Vec<Module>> {
        self.modules.as_deref().map_or(Ok(Vec::new()), |folder| modules_for(folder, names, room))
    }

    /// Whether it is a real-time kernel, as far as its image says. The KVM of such a one wants a
    /// time stamp counter that no emulated processor has.
    pub fn is_real_time(&self) -> bool {
        crate::kernel::version(&self.image).is_some_and(|text| text.contains("PREEMPT_RT"))
    }
}

/// Whether `vmlinux` was unpacked from `image` as it is now: it has the time at which the image
/// came to where it is, which unlike the time of its making no package brings along.
fn is_unpacked(vmlinux: &Path, image: &Path) -> bool {
    let unpacked = vmlinux.metadata().and_then(|about| about.modified());
    matches!((unpacked, arrival(image)), (Ok(unpacked), Ok(arrival)) if unpacked == arrival)
}

fn arrival(image: &Path) -> io::Result<SystemTime> {
    let about = image.metadata()?;
    let since = Duration::new(about.ctime().max(0) as u64, about.ctime_nsec() as u32);
    Ok(SystemTime::UNIX_EPOCH + since)
}

/// Writes the kernel of the file `image` unpacked to `vmlinux`, which is there whole or not at all.
fn unpack(kernel: &KernelImage, image: &Path, vmlinux: &Path) -> Result<()> {
    let failed = |source| KernelsError::Write { path: vmlinux.to_owned(), source };
    fs::create_dir_all(vmlinux.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    write_whole(vmlinux, |file| {
        kernel.write_elf(file)?;
        file.set_modified(arrival(image)?)
    })
    .map_err(failed)?;
    Ok(())
}

/// Makes a file that appears under its name once all of it is there.
fn write_whole(path: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::Builder::new().prefix(cache::UNFINISHED).tempfile_in(folder)?;
    write(new.as_file_mut())?;
    new.as_file_mut().flush()?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Puts a greater release first: `6.10.2` before `6.9.9`, whatever is not a number by its letters.
fn newest_first(one: &Kernel, other: &Kernel) -> Ordering {
    parts(&other.name).cmp(&parts(&one.name))
}

/// A release in pieces of digits, compared as numbers, and of other characters.
fn parts(release: &str) -> Vec<(u64, &str)> {
    let pieces = release.split_inclusive(|sign: char| !sign.is_ascii_digit());
    pieces
        .map(|piece| {
            let digits = piece.trim_end_matches(|sign: char| !sign.is_ascii_digit());
            (digits.parse().unwrap_or(0), &piece[digits.len()..])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Kernel {
        Kernel { name: name.into(), image: PathBuf::new(), vmlinux: PathBuf::new(), modules: None }
    }

    #[test]
    fn a_release_is_newer_by_its_numbers() {
        let mut kernels =
            ["6.9.9-1-amd64", "6.10.2-1-amd64", "6.10.2-12-amd64", "5.15.0", "lab"].map(named);
        kernels.sort_by(newest_first);
        let names = kernels.map(|kernel| kernel.name);
        let expected = ["6.10.2-12-amd64", "6.10.2-1-amd64", "6.9.9-1-amd64", "5.15.0", "lab"];
        assert_eq!(names, expected);
    }
}
