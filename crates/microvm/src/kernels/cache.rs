//! Where kernels are: the host's folders, and isolab's own.

use std::{
    ffi::OsStr,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write as _},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{Kernel, KernelsError, newest_first, write_whole};
use crate::{Result, kernel::KernelImage};

/// How the names of files begin that are not all there yet.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// The folders in which kernels are looked for and kept.
#[derive(Debug, Clone)]
pub struct KernelCache {
    /// isolab's own folder.
    pub cache: PathBuf,
    /// The root of the host, below which `/boot` and `/lib/modules` are.
    pub host: PathBuf,
}

impl KernelCache {
    /// The host's folders, and the calling user's.
    ///
    /// # Errors
    ///
    /// When neither `XDG_CACHE_HOME` nor `HOME` is set.
    pub fn of_user() -> Result<Self> {
        let caches = host::user_directory("XDG_CACHE_HOME", ".cache");
        let cache = caches.ok_or(KernelsError::NoPlace)?.join("isolab/kernels");
        Ok(Self { cache, host: "/".into() })
    }

    /// All kernels, the newest first; each name once, and then the one that was got.
    pub fn list(&self) -> Vec<Kernel> {
        let mut kernels = self.got();
        for kernel in self.of_host() {
            if kernels.iter().all(|known| known.name != kernel.name) {
                kernels.push(kernel);
            }
        }
        kernels.sort_by(newest_first);
        kernels
    }

    /// The kernel of this name, ready for use.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be unpacked.
    pub fn named(&self, name: &str) -> Result<Kernel> {
        let kernels = self.list();
        let Some(kernel) = kernels.iter().find(|kernel| kernel.name == name) else {
            let known = kernels.into_iter().map(|kernel| kernel.name).collect();
            return Err(KernelsError::Unknown { name: name.to_owned(), known }.into());
        };
        kernel.unpack()?;
        Ok(kernel.clone())
    }

    /// As [`super::chosen`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn chosen(&self) -> Result<Kernel> {
        if let Some(name) = self.choice()? {
            let gone = |error| match error {
                crate::Error::Kernels(KernelsError::Unknown { name, .. }) => {
                    KernelsError::ChosenGone { name }.into()
                }
                error => error,
            };
            return self.named(&name).map_err(gone);
        }
        let kernel = self.usual().ok_or(KernelsError::NoKernel)?;
        kernel.unpack()?;
        Ok(kernel)
    }

    /// The kernel that is used while none is chosen: the newest that was got, else the host's
    /// newest, and a real-time one only where there is no other.
    pub fn usual(&self) -> Option<Kernel> {
        let mut got = self.got();
        got.sort_by(newest_first);
        let mut kernels: Vec<Kernel> = got.into_iter().chain(self.list()).collect();
        let usual = kernels.iter().position(|kernel| !kernel.is_real_time()).unwrap_or(0);
        (usual < kernels.len()).then(|| kernels.swap_remove(usual))
    }

    /// The name that was chosen, if one was.
    ///
    /// # Errors
    ///
    /// When the note of it cannot be read.
    pub fn choice(&self) -> Result<Option<String>> {
        let path = self.cache.join("chosen");
        match fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim_end().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KernelsError::Read { path, source }.into()),
        }
    }

    /// As [`super::select`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn select(&self, name: &str) -> Result<Kernel> {
        let kernel = self.named(name)?;
        let path = self.cache.join("chosen");
        fs::create_dir_all(&self.cache)
            .and_then(|()| write_whole(&path, |file| writeln!(file, "{name}")))
            .map_err(|source| KernelsError::Write { path, source })?;
        Ok(kernel)
    }

    /// As [`Kernel::of_file`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn of_file(&self, image: &Path, room: u64) -> Result<Kernel> {
        let read = |source| KernelsError::Read { path: image.to_owned(), source };
        let kernel = KernelImage::read(image, room)?;
        let release = kernel.release().map_err(read)?;
        let modules = release.as_ref().and_then(|release| self.modules_of(release));
        let file_name = || image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_elf = kernel.packing() == crate::kernel::Packing::None;
        let vmlinux = if is_elf { image.to_owned() } else { self.unpacked(image) };
        let name = release.unwrap_or_else(file_name);
        let found = Kernel { name, image: image.to_owned(), vmlinux, modules };
        if !is_elf && !super::is_unpacked(&found.vmlinux, image) {
            super::unpack(&kernel, image, &found.vmlinux)?;
        }
        Ok(found)
    }

    /// The folder of the modules of that release.
    fn modules_of(&self, release: &str) -> Option<PathBuf> {
        let got = self.cache.join(release).join("modules");
        let [lib, usr] =
            ["lib/modules", "usr/lib/modules"].map(|path| self.host.join(path).join(release));
        [got, lib, usr].into_iter().find(|folder| folder.is_dir())
    }

    /// Those that were got.
    fn got(&self) -> Vec<Kernel> {
        let kernel = |folder: PathBuf| {
            let name = folder.file_name()?.to_str()?.to_owned();
            let [image, vmlinux] = ["vmlinuz", "vmlinux"].map(|file| folder.join(file));
            // Where it was brought unpacked, as into a place that can only be read.
            let image = if image.is_file() { image } else { vmlinux.clone() };
            let modules = Some(folder.join("modules")).filter(|modules| modules.is_dir());
            let there = !name.starts_with('.') && image.is_file();
            there.then_some(Kernel { name, image, vmlinux, modules })
        };
        entries(&self.cache).into_iter().filter_map(kernel).collect()
    }

    /// The host's own, as far as this user may read them.
    fn of_host(&self) -> Vec<Kernel> {
        let mut found = Vec::new();
        for image in entries(&self.host.join("boot")) {
            let name = image.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let release = name.strip_prefix("vmlinuz-").or(name.strip_prefix("vmlinux-"));
            if let Some(release) = release {
                found.push((release.to_owned(), image.clone()));
            }
        }
        // Where Fedora and Arch have them too, readable by everybody.
        for folder in entries(&self.host.join("lib/modules")) {
            if let Some(release) = folder.file_name().and_then(OsStr::to_str) {
                found.push((release.to_owned(), folder.join("vmlinuz")));
            }
        }
        let readable = |image: &Path| image.is_file() && File::open(image).is_ok();
        found.retain(|(_, image)| readable(image));
        let kernel = |(name, image): (String, PathBuf)| {
            let (vmlinux, modules) = (self.unpacked(&image), self.modules_of(&name));
            Kernel { name, image, vmlinux, modules }
        };
        found.into_iter().map(kernel).collect()
    }

    /// Where an image of somebody else's is kept unpacked.
    fn unpacked(&self, image: &Path) -> PathBuf {
        let path = image.canonicalize().unwrap_or_else(|_| image.to_owned());
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let mut name = path.file_name().unwrap_or_default().as_bytes().to_vec();
        name.extend_from_slice(format!("-{:016x}", hasher.finish()).as_bytes());
        self.cache.join("unpacked").join(OsStr::from_bytes(&name))
    }
}

/// What is in a folder; nothing, if it cannot be read or is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// A place in a folder of its own, with a kernel got and two of the host's.
    fn cache() -> (tempfile::TempDir, KernelCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache =
            KernelCache { cache: folder.path().join("cache"), host: folder.path().join("host") };
        let kernel = crate::kernel::tests::bzimage_packed();
        for file in ["cache/6.1.0-7-lab/vmlinuz", "host/boot/vmlinuz-6.1.0-7-lab"] {
            write(folder.path(), file, &kernel);
        }
        write(folder.path(), "host/boot/vmlinuz-6.2.0", &kernel);
        write(folder.path(), "host/boot/initrd.img-6.2.0", b"");
        write(folder.path(), "host/lib/modules/6.2.0/modules.order", b"");
        write(folder.path(), "cache/unpacked/x", b"");
        write(folder.path(), "cache/.unfinished-1/vmlinuz", b"");
        (folder, cache)
    }

    fn write(root: &Path, file: &str, bytes: &[u8]) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn names(cache: &KernelCache) -> Vec<String> {
        cache.list().into_iter().map(|kernel| kernel.name).collect()
    }

    #[test]
    fn every_kernel_is_listed_once_the_newest_first() {
        let (_folder, cache) = cache();
        assert_eq!(names(&cache), ["6.2.0", "6.1.0-7-lab"]);
        let [host, got] = cache.list().try_into().unwrap();
        assert_eq!(got.image, cache.cache.join("6.1.0-7-lab/vmlinuz"));
        assert_eq!(host.modules, Some(cache.host.join("lib/modules/6.2.0")));
        assert!(!host.vmlinux.exists());
    }

    #[test]
    fn what_was_got_is_used_until_another_is_chosen() {
        let (_folder, cache) = cache();
        assert_eq!(cache.chosen().unwrap().name, "6.1.0-7-lab");
        let selected = cache.select("6.2.0").unwrap();
        assert_eq!(cache.chosen().unwrap(), selected);
        assert!(fs::read(&selected.vmlinux).unwrap().starts_with(b"\x7fELF"));
        fs::remove_file(&selected.image).unwrap();
        let gone = cache.chosen().unwrap_err();
        assert_eq!(gone.to_string(), "the chosen kernel \"6.2.0\" no longer exists");
        assert!(gone.fix().unwrap().contains("isolab kernel use NAME"));
    }

    #[test]
    fn a_real_time_kernel_is_used_where_there_is_no_other() {
        let (folder, cache) = cache();
        let real_time = crate::kernel::tests::bzimage_of("6.9.0-rt (x@y) #1 SMP PREEMPT_RT");
        write(folder.path(), "cache/6.9.0-rt/vmlinuz", &real_time);
        assert_eq!(cache.usual().unwrap().name, "6.1.0-7-lab");
        fs::remove_dir_all(cache.cache.join("6.1.0-7-lab")).unwrap();
        assert_eq!(cache.usual().unwrap().name, "6.2.0");
        fs::remove_dir_all(cache.host.join("boot")).unwrap();
        assert_eq!(cache.usual().unwrap().name, "6.9.0-rt");
    }

    #[test]
    fn modules_are_found_in_a_folder_that_is_named() {
        let (folder, cache) = cache();
        let module = |release: &str| format!("\x7fELF..\0vermagic={release} SMP \0").into_bytes();
        for root in ["initrd/lib/modules/6.2.0", "initrd/usr/lib/modules/6.2.0", "6.2.0", "own"] {
            write(folder.path(), &format!("{root}/kernel/a.ko"), &module("6.2.0"));
        }
        let kernel = cache.named("6.2.0").unwrap();
        for (named, expected) in
            [("initrd", "initrd/lib/modules/6.2.0"), ("", "6.2.0"), ("own", "own")]
        {
            let found = kernel.clone().with_modules(&folder.path().join(named)).unwrap();
            assert_eq!(found.modules, Some(folder.path().join(expected)), "{named}");
        }
        write(folder.path(), "own/kernel/a.ko", &module("6.3.0"));
        let error = kernel.clone().with_modules(&folder.path().join("own")).unwrap_err();
        let file = kernel.image.to_str().unwrap();
        assert!(error.to_string().contains("for the kernel 6.3.0"), "{error}");
        assert!(error.to_string().contains(file), "{error}");
        for named in ["host/boot", "nowhere"] {
            assert!(kernel.clone().with_modules(&folder.path().join(named)).is_err());
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let (_folder, cache) = cache();
        let error = cache.select("6.3").unwrap_err();
        assert_eq!(error.to_string(), "unknown kernel \"6.3\"");
        assert_eq!(error.fix().unwrap(), "there is 6.2.0, 6.1.0-7-lab");
        assert_eq!(cache.choice().unwrap(), None);
    }

    #[test]
    fn no_kernel_at_all_says_how_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let cache =
            KernelCache { cache: folder.path().join("none"), host: folder.path().to_owned() };
        assert!(cache.chosen().unwrap_err().fix().unwrap().contains("isolab kernel get"));
    }

    #[test]
    fn a_replaced_image_is_unpacked_again() {
        let (folder, cache) = cache();
        let kernel = cache.named("6.2.0").unwrap();
        let first = fs::metadata(&kernel.vmlinux).unwrap().ino();
        kernel.unpack().unwrap();
        assert_eq!(fs::metadata(&kernel.vmlinux).unwrap().ino(), first);
        // The clock of a file system goes in ticks of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        write(folder.path(), "host/boot/vmlinuz-6.2.0", &crate::kernel::tests::bzimage_packed());
        kernel.unpack().unwrap();
        assert_ne!(fs::metadata(&kernel.vmlinux).unwrap().ino(), first);
    }

    #[test]
    fn a_file_finds_its_modules_by_its_release() {
        let (folder, cache) = cache();
        write(folder.path(), "host/lib/modules/6.1.0-7-lab/modules.order", b"");
        write(folder.path(), "mine", &crate::kernel::tests::bzimage_packed());
        let kernel = cache.of_file(&folder.path().join("mine"), 1 << 20).unwrap();
        assert_eq!(kernel.name, "6.1.0-7-lab");
        assert_eq!(kernel.modules, Some(cache.host.join("lib/modules/6.1.0-7-lab")));
        assert_ne!(kernel.vmlinux, kernel.image);
        let again = cache.of_file(&kernel.vmlinux, 1 << 20).unwrap();
        assert_eq!(again.vmlinux, again.image);
    }
}
