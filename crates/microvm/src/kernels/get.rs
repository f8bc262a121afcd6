//! Getting the distribution's kernel for virtual machines into isolab's own folder.

use std::{
    fs::{self, File},
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{
    Kernel, KernelsError,
    cache::{KernelCache, UNFINISHED},
    packages, unpack,
};
use crate::{
    Result,
    kernel::{KernelImage, MAX_UNPACKED_BYTES},
};

/// What is being done, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Another isolab is getting a kernel, and is waited for.
    Waiting,
    /// The lists of packages are asked which kernel there is.
    Asking,
    /// The packages of this kernel come.
    Downloading {
        /// Its release.
        kernel: &'a str,
        /// How many bytes are there.
        bytes: u64,
        /// How many there will be.
        total: u64,
    },
    /// The packages of this kernel are unpacked, and then the kernel itself.
    Unpacking {
        /// Its release.
        kernel: &'a str,
    },
    /// This kernel is there, and was there before.
    AlreadyThere {
        /// Its release.
        kernel: &'a str,
    },
}

/// Gets the distribution's newest kernel for virtual machines, unless it is there.
///
/// It comes through the distribution's own package client, which needs no root for that. It is
/// there whole or not at all; what an interrupted call leaves is removed by the next one. `progress`
/// is told what is done several times a second, and may end it.
///
/// # Errors
///
/// When the host has no client that is known here, when that knows no kernel or fails, and when
/// there is no room.
pub fn get(progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>) -> Result<Kernel> {
    let cache = KernelCache::of_user()?;
    fs::create_dir_all(&cache.cache).map_err(writing(&cache.cache))?;
    let _alone = alone(&cache, progress)?;
    host::remove_unfinished(&cache.cache, UNFINISHED);
    tell(progress, Progress::Asking)?;
    let packages = packages::find()?;
    // That with the kernel comes first, and find() gives no empty list.
    let Some(release) = packages[0].release() else {
        return Err(KernelsError::NoKernel.into());
    };
    let origin: String =
        packages.iter().map(|package| format!("{}={}\n", package.name, package.version)).collect();
    let target = cache.cache.join(release);
    if fs::read_to_string(target.join("package")).is_ok_and(|known| known == origin) {
        tell(progress, Progress::AlreadyThere { kernel: release })?;
        return cache.named(release);
    }
    let scratch = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(&cache.cache)
        .map_err(writing(&cache.cache))?;
    let [debs, root, new] = ["packages", "root", "kernel"].map(|name| scratch.path().join(name));
    for folder in [&debs, &root, &new] {
        fs::create_dir(folder).map_err(writing(folder))?;
    }
    let total = packages.iter().map(|package| package.bytes).sum();
    packages::download(&packages, &debs, |bytes| {
        progress(Progress::Downloading { kernel: release, bytes: bytes.min(total), total })
    })?;
    packages::unpack(&debs, &root, || progress(Progress::Unpacking { kernel: release }))?;
    arrange(&root, &new, &packages[0].name)?;
    let (image, vmlinux) = (new.join("vmlinuz"), new.join("vmlinux"));
    unpack(&KernelImage::read(&image, MAX_UNPACKED_BYTES)?, &image, &vmlinux)?;
    fs::write(new.join("package"), origin).map_err(writing(&new))?;
    // There may be an older one of the same release.
    host::replace(&new, &target, &scratch.path().join("old")).map_err(writing(&target))?;
    cache.named(release)
}

/// Waits until no other isolab of this user is getting a kernel; then none is until the file is
/// closed.
fn alone(
    cache: &KernelCache,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<File> {
    let path = cache.cache.join(".lock");
    let file = host::locked(&path, || progress(Progress::Waiting)).map_err(writing(&path))?;
    file.ok_or_else(|| KernelsError::Interrupted.into())
}

fn tell(
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    news: Progress<'_>,
) -> Result<()> {
    match progress(news) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(KernelsError::Interrupted.into()),
    }
}

/// Moves the kernel and its modules out of what the packages held. Distributions have the kernel in
/// `/boot` or beside its modules, and those in `/lib` or, since that is a link, in `/usr/lib`.
fn arrange(root: &Path, new: &Path, package: &str) -> Result<()> {
    let incomplete = |part| KernelsError::Incomplete { package: package.to_owned(), part };
    let first = |folder: &Path, prefix: &str| -> Option<PathBuf> {
        let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let entry =
            entries.find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))?;
        Some(entry.path())
    };
    let folders = ["lib/modules", "usr/lib/modules"];
    let modules = folders.iter().find_map(|folder| first(&root.join(folder), ""));
    let modules = modules.ok_or_else(|| incomplete("modules (lib/modules/RELEASE)"))?;
    let image = [(root.join("boot"), "vmlinuz-"), (modules.clone(), "vmlinuz")];
    let image = image.iter().find_map(|(folder, prefix)| first(folder, prefix));
    let image = image.ok_or_else(|| incomplete("kernel (boot/vmlinuz-RELEASE)"))?;
    for (from, to) in [(image, new.join("vmlinuz")), (modules, new.join("modules"))] {
        fs::rename(&from, &to).map_err(writing(&to))?;
    }
    Ok(())
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> crate::Error + use<> {
    let path = path.to_owned();
    move |source| KernelsError::Write { path, source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What packages with these files are arranged to: the files, sorted.
    fn arranged(files: &[&str]) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let [root, new] = ["root", "new"].map(|name| folder.path().join(name));
        fs::create_dir_all(&new).unwrap();
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        arrange(&root, &new, "linux-image-1")?;
        let mut found: Vec<String> = ["", "modules"]
            .iter()
            .flat_map(|below| fs::read_dir(new.join(below)).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        Ok(found)
    }

    #[test]
    fn a_kernel_is_found_wherever_distributions_put_it() {
        let modules = "lib/modules/1/modules.builtin";
        let expected = ["modules", "modules.builtin", "vmlinuz"];
        assert_eq!(arranged(&["boot/vmlinuz-1", modules]).unwrap(), expected);
        let usr = ["usr/lib/modules/1/vmlinuz", "usr/lib/modules/1/modules.builtin"];
        assert_eq!(arranged(&usr).unwrap(), expected);
        assert_eq!(arranged(&["boot/vmlinuz-1", usr[1]]).unwrap(), expected);
    }

    #[test]
    fn packages_without_a_kernel_or_its_modules_are_refused() {
        for files in [&["boot/vmlinuz-1"][..], &["usr/lib/modules/1/modules.builtin"], &[]] {
            assert!(arranged(files).unwrap_err().to_string().contains("linux-image-1"));
        }
    }
}
