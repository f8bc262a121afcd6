//! The modules of a kernel: the files of those that are needed, in the order of loading.
//!
//! A module says in itself what it needs (`depends=` in its section `.modinfo`), so no index by
//! depmod(8) is needed, which a package leaves to its installation. A kernel without a folder of
//! modules is held for monolithic, and one whose `modules.builtin` is lacking may have built in what
//! is not a file: the guest is asked then, by using it.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::KernelsError;
use crate::{
    Result,
    kernel::{self, UnpackError},
};

/// The largest module of Debian's kernel has 10 MB.
const MAX_BYTES: u64 = 256 << 20;
/// What a signed module ends in (`MODULE_SIG_STRING` of the kernel).
const SIGNATURE_MARK: &[u8] = b"~Module signature appended~\n";
/// What stands before the mark: the kind of signature and, in its last four bytes, its length
/// (`struct module_signature` of the kernel).
const SIGNATURE_BYTES: usize = 12;

/// A module's file, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// As the kernel calls it: `kvm_amd`.
    pub name: String,
    /// Its file below the folder of modules, as if it were not packed:
    /// `kernel/arch/x86/kvm/kvm-amd.ko`.
    pub path: PathBuf,
    /// What init_module(2) takes.
    pub content: Vec<u8>,
}

impl Module {
    /// The content without its signature, which takes a guest a while to check. Kernels of
    /// distributions load a module without, unless they were started with secure boot.
    pub fn unsigned(&self) -> &[u8] {
        let whole = &self.content;
        let Some(rest) = whole.strip_suffix(SIGNATURE_MARK) else { return whole };
        let Some(length) = rest.last_chunk().map(|length| u32::from_be_bytes(*length)) else {
            return whole;
        };
        let signature = (length as usize).saturating_add(SIGNATURE_BYTES);
        rest.len().checked_sub(signature).map_or(whole, |end| &rest[..end])
    }

    /// The values of `key` in its `.modinfo`, a section of strings `key=value`.
    fn information<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        // The section is found by its content: a module that was not made by the kernel's build
        // might lack the section's header, and no other part of a module has such strings.
        let key = format!("\0{key}=").into_bytes();
        let starts: Vec<usize> = memchr::memmem::find_iter(&self.content, &key).collect();
        starts.into_iter().filter_map(move |at| {
            let value = &self.content[at + key.len()..];
            let end = memchr::memchr(0, value)?;
            std::str::from_utf8(&value[..end]).ok()
        })
    }

    /// The release of the kernel that it was built for.
    pub fn release(&self) -> Option<&str> {
        self.information("vermagic").next()?.split(' ').next()
    }

    /// Whether it was built for a real-time kernel (`PREEMPT_RT`).
    pub fn is_real_time(&self) -> bool {
        self.information("vermagic").any(|words| words.split(' ').any(|word| word == "preempt_rt"))
    }

    /// What must be loaded before it, and what should be if the kernel has it.
    fn needs(&self) -> (Vec<String>, Vec<String>) {
        let depends = self.information("depends").flat_map(|value| value.split(','));
        let needed = depends.filter(|name| !name.is_empty()).map(normal).collect();
        // `pre: a b post: c`, see modprobe.d(5).
        let soft = self.information("softdep").flat_map(|value| {
            let words = value.split_whitespace().skip_while(|word| *word != "pre:").skip(1);
            words.take_while(|word| !word.ends_with(':')).map(normal)
        });
        (needed, soft.collect())
    }
}

/// The modules of these names in `folder` with all that they need, in the order of loading. What is
/// built into the kernel is left out. `room` is the memory of the guest that they are for: together
/// they unpack to no more.
///
/// # Errors
///
/// When the kernel has no such module, or when its file cannot be read or unpacked into what is left.
pub fn modules_for(folder: &Path, names: &[&str], room: u64) -> Result<Vec<Module>> {
    let mut search = Search {
        folder,
        order: fs::read_to_string(folder.join("modules.order")).unwrap_or_default(),
        files: None,
        built_in: built_in(folder)?,
        begun: HashSet::new(),
        found: Vec::new(),
        room,
    };
    for name in names {
        search.add(&normal(name))?;
    }
    Ok(search.found)
}

struct Search<'a> {
    folder: &'a Path,
    /// The modules of the kernel's own build, a path a line.
    order: String,
    /// All modules, once one was wanted that is not among them.
    files: Option<HashMap<String, PathBuf>>,
    /// `None` where nobody has written what is built in.
    built_in: Option<HashSet<String>>,
    begun: HashSet<String>,
    found: Vec<Module>,
    /// So many bytes more.
    room: u64,
}

impl Search<'_> {
    fn add(&mut self, name: &str) -> Result<()> {
        let is_built_in = self.built_in.as_ref().is_some_and(|names| names.contains(name));
        if is_built_in || !self.begun.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(path) = self.file(name)? else {
            if self.built_in.is_none() {
                return Ok(());
            }
            let (folder, module) = (self.folder.to_owned(), name.to_owned());
            return Err(KernelsError::NoModule { folder, module }.into());
        };
        let module = read(self.folder, name, &path, self.room)?;
        self.room -= module.content.len() as u64;
        let (needed, soft) = module.needs();
        for name in soft {
            if self.file(&name)?.is_some() {
                self.add(&name)?;
            }
        }
        needed.iter().try_for_each(|name| self.add(name))?;
        self.found.push(module);
        Ok(())
    }

    /// Where that module is. Those of the kernel's own build are listed; a walk through thousands of
    /// files is for the others.
    fn file(&mut self, name: &str) -> Result<Option<PathBuf>> {
        let is_called = |path: &&str| {
            let file = path.rsplit('/').next().unwrap_or(path);
            file.strip_suffix(".ko").is_some_and(|file| {
                let letters = file.bytes().map(|byte| if byte == b'-' { b'_' } else { byte });
                letters.eq(name.bytes())
            })
        };
        let listed = self.order.lines().find(is_called).and_then(|path| {
            let packed = ["", ".xz", ".zst", ".gz"].map(|ending| format!("{path}{ending}"));
            packed.into_iter().map(PathBuf::from).find(|path| self.folder.join(path).is_file())
        });
        match (listed, &mut self.files) {
            (Some(path), _) => Ok(Some(path)),
            (None, Some(files)) => Ok(files.get(name).cloned()),
            (None, unknown) => Ok(unknown.insert(files(self.folder)?).get(name).cloned()),
        }
    }
}

fn read(folder: &Path, name: &str, path: &Path, room: u64) -> Result<Module> {
    let file = folder.join(path);
    let limit = room.min(MAX_BYTES);
    let bytes = contents(&file, limit)?;
    let content = kernel::unpack(&bytes, limit).map_err(|source| match source {
        UnpackError::TooLarge { limit } => KernelsError::LargeModule { path: file, limit },
        source => KernelsError::DamagedModule { path: file, source },
    })?;
    let path = match path.extension() {
        Some(extension) if extension != "ko" => path.with_extension(""),
        _ => path.to_owned(),
    };
    Ok(Module { name: name.to_owned(), path, content })
}

/// What is in a module's file, packed or not. It has no more than what comes out of it may have.
fn contents(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let (file, about) = kernel::open_file(path).map_err(reading(path))?;
    if !about.is_file() {
        return Err(reading(path)(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(reading(path))?;
    match bytes.len() as u64 <= limit {
        true => Ok(bytes),
        false => Err(KernelsError::LargeModule { path: path.to_owned(), limit }.into()),
    }
}

/// The files of all modules by name.
fn files(folder: &Path) -> Result<HashMap<String, PathBuf>> {
    let mut files = HashMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside).map_err(reading(&inside))? {
            let entry = entry.map_err(reading(&inside))?;
            // `build` and `source` are links to the kernel's source.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    if let Some(name) = entry.file_name().to_str().and_then(module_name) {
                        let path = entry.path();
                        let below = path.strip_prefix(folder).unwrap_or(&path);
                        files.insert(name, below.to_owned());
                    }
                }
                _ => {}
            }
        }
    }
    Ok(files)
}

/// The names of what is built in; `None` where no file says it.
fn built_in(folder: &Path) -> Result<Option<HashSet<String>>> {
    let list = folder.join("modules.builtin");
    match fs::read_to_string(&list) {
        Ok(text) => Ok(Some(
            text.lines()
                .filter_map(|path| module_name(path.rsplit('/').next().unwrap_or(path)))
                .collect(),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(reading(&list)(error)),
    }
}

/// Some module in `folder`; `None` if there is none.
///
/// # Errors
///
/// When the folder or the module cannot be read.
pub(super) fn any_module(folder: &Path) -> Result<Option<Module>> {
    let first = files(folder)?.into_iter().min();
    first.map(|(name, path)| read(folder, &name, &path, MAX_BYTES)).transpose()
}

/// `kvm_amd` of `kvm-amd.ko.xz`; `None` of what is no module.
fn module_name(file: &str) -> Option<String> {
    let (name, packed) = file.split_once(".ko")?;
    (packed.is_empty() || matches!(packed, ".xz" | ".zst" | ".gz")).then(|| normal(name))
}

/// A name as the kernel has it, which does not tell dashes from underscores.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn reading(path: &Path) -> impl FnOnce(io::Error) -> crate::Error + use<> {
    let path = path.to_owned();
    move |source| KernelsError::Read { path, source }.into()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use super::*;

    const ROOM: u64 = 1 << 20;

    fn module(information: &[&str]) -> Vec<u8> {
        let strings: String = information.iter().map(|text| format!("{text}\0")).collect();
        format!("\x7fELF...\0license=GPL\0{strings}").into_bytes()
    }

    fn folder_of(modules: &[(&str, &[&str])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, information) in modules {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let mut content = module(information);
            if path.ends_with(".gz") {
                let level = flate2::Compression::fast();
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
                packer.write_all(&content).unwrap();
                content = packer.finish().unwrap();
            }
            fs::write(file, content).unwrap();
        }
        fs::write(folder.path().join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
        folder
    }

    fn names(folder: &Path, wanted: &[&str]) -> Vec<String> {
        modules_for(folder, wanted, ROOM).unwrap().into_iter().map(|module| module.name).collect()
    }

    #[test]
    fn every_module_comes_once_and_after_what_it_needs() {
        let folder = folder_of(&[
            ("kernel/kvm/kvm-amd.ko", &["depends=kvm,irqbypass"]),
            ("kernel/kvm/kvm.ko.gz", &["depends=irqbypass", "softdep=pre: early none post: late"]),
            ("kernel/lib/irqbypass.ko", &["depends="]),
            ("updates/early.ko", &["name=early"]),
            ("updates/late.ko", &[]),
            ("updates/other.ko", &[]),
        ]);
        let expected = ["early", "irqbypass", "kvm", "kvm_amd"];
        assert_eq!(names(folder.path(), &["kvm-amd", "ext4", "kvm"]), expected);
        let found = modules_for(folder.path(), &["kvm"], ROOM).unwrap();
        assert_eq!(found[2].path, Path::new("kernel/kvm/kvm.ko"));
        assert!(found[2].content.starts_with(b"\x7fELF"));
    }

    #[test]
    fn modules_that_need_each_other_are_each_found_once() {
        let folder = folder_of(&[("a.ko", &["depends=b"]), ("b.ko", &["depends=a"])]);
        assert_eq!(names(folder.path(), &["a"]), ["b", "a"]);
    }

    #[test]
    fn a_missing_module_is_named() {
        let folder = folder_of(&[("a.ko", &["depends=b"])]);
        let error = modules_for(folder.path(), &["a"], ROOM).unwrap_err();
        assert!(error.to_string().ends_with("has no b, neither built in nor as a module"));
        fs::write(folder.path().join("b.ko"), b"junk").unwrap();
        let error = modules_for(folder.path(), &["a"], ROOM).unwrap_err();
        assert!(error.to_string().starts_with("unpack the module"), "{error}");
    }

    #[test]
    fn what_is_no_file_may_be_built_in_where_nobody_says_what_is() {
        let folder = folder_of(&[("a.ko", &["depends=b"])]);
        fs::remove_file(folder.path().join("modules.builtin")).unwrap();
        assert_eq!(names(folder.path(), &["a", "c"]), ["a"]);
    }

    #[test]
    fn modules_have_together_no_more_than_the_guest() {
        let folder = folder_of(&[("a.ko", &["depends=b"]), ("b.ko", &["depends="])]);
        let both: u64 = modules_for(folder.path(), &["a"], ROOM)
            .unwrap()
            .iter()
            .map(|module| module.content.len() as u64)
            .sum();
        assert!(modules_for(folder.path(), &["a"], both).is_ok());
        for room in [both - 1, both / 2, 0] {
            let error = modules_for(folder.path(), &["a"], room).unwrap_err();
            assert!(error.to_string().contains("ko\" has more than"), "{error}");
            assert!(error.fix().unwrap().contains("--memory"));
        }
    }

    /// 1 MiB in a thousandth of it.
    #[test]
    fn a_module_that_grows_when_it_is_unpacked_is_refused() {
        let folder = folder_of(&[]);
        let level = flate2::Compression::best();
        let mut packer = flate2::write::GzEncoder::new(
            File::create(folder.path().join("a.ko.gz")).unwrap(),
            level,
        );
        packer.write_all(&vec![0; ROOM as usize + 1]).unwrap();
        packer.finish().unwrap();
        let error = modules_for(folder.path(), &["a"], ROOM).unwrap_err();
        assert!(error.to_string().ends_with("a.ko.gz\" has more than 1024 KiB"), "{error}");
    }

    #[test]
    fn a_pipe_is_no_module_and_nobody_waits_for_its_writer() {
        let folder = folder_of(&[]);
        fs::write(folder.path().join("modules.order"), "a.ko\n").unwrap();
        let pipe = folder.path().join("a.ko");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = contents(&pipe, ROOM).unwrap_err();
        assert!(
            std::error::Error::source(&error).unwrap().to_string().contains("not a regular file")
        );
    }

    #[test]
    fn a_module_names_the_kernel_that_it_is_for() {
        let folder = folder_of(&[
            ("usual.ko", &["vermagic=6.1.0-7-lab SMP mod_unload modversions "]),
            ("real.ko", &["vermagic=6.1.0-7-rt SMP preempt_rt mod_unload "]),
        ]);
        let modules = modules_for(folder.path(), &["usual", "real"], ROOM).unwrap();
        assert_eq!(modules[0].release(), Some("6.1.0-7-lab"));
        assert_eq!([0, 1].map(|index| modules[index].is_real_time()), [false, true]);
        assert_eq!(any_module(folder.path()).unwrap().unwrap().name, "real");
    }

    #[test]
    fn a_signature_is_cut_off_and_nothing_else() {
        let signed = |end: &[u8]| Module {
            name: "x".into(),
            path: "x.ko".into(),
            content: [b"\x7fELF body", end].concat(),
        };
        let mark = SIGNATURE_MARK;
        let right = [b"signature", &[0; 8][..], &9u32.to_be_bytes(), mark].concat();
        assert_eq!(signed(&right).unsigned(), b"\x7fELF body");
        let long = [b"signature", &[0; 8][..], &u32::MAX.to_be_bytes(), mark].concat();
        for end in [&b""[..], mark, &long] {
            let module = signed(end);
            assert_eq!(module.unsigned(), module.content);
        }
    }
}
