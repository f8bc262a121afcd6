//! Which shared libraries a program needs, and where the host has them.
//!
//! The dynamic linker could be asked; but it is the program that names its linker, and what is put
//! into a virtual machine because it is not trusted must not choose what runs outside of it. So the
//! rules of ld.so(8) are followed here: `DT_RPATH`, `DT_RUNPATH`, the cache, the usual folders.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use object::{
    LittleEndian as LE, elf,
    read::{
        ReadCache, ReadRef, StringTable,
        elf::{Dyn as _, FileHeader as _, ProgramHeader as _},
    },
};

/// The linker's cache: which library is in which file (ldconfig(8)).
pub(super) const CACHE: &str = "/etc/ld.so.cache";
/// Where linkers look by themselves, on the distributions that there are.
pub(super) const USUAL_FOLDERS: [&str; 6] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];
/// Programs have some ten segments, and some hundred entries for the linker.
const MAX_SEGMENTS: u16 = 256;
const MAX_DYNAMIC_BYTES: u64 = 1 << 20;

type Header = elf::FileHeader64<LE>;

/// What an ELF file says about what it needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The dynamic linker; static programs have none.
    pub(super) interpreter: Option<PathBuf>,
    /// The names of libraries.
    pub(super) libraries: Vec<String>,
    /// Folders to look in for these and for what they need in turn, if it has no `runpath`.
    pub(super) rpath: Vec<PathBuf>,
    /// Folders to look in for these.
    pub(super) runpath: Vec<PathBuf>,
}

impl Needs {
    /// Reads the file of a program or library; `None` if not an ELF file for x86-64.
    pub(super) fn of(path: &Path) -> Option<Self> {
        // The path may be one that a program names, which is not trusted: to open a device may do
        // something, and a pipe would wait for somebody at its other end.
        if !fs::metadata(path).ok()?.is_file() {
            return None;
        }
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
        let file = ReadCache::new(file);
        let needs = read(&file)?;
        Some(needs.with_origin(path.parent().unwrap_or(Path::new("/"))))
    }

    /// Puts the program's folder in the place of `$ORIGIN`.
    fn with_origin(mut self, origin: &Path) -> Self {
        for folder in self.rpath.iter_mut().chain(&mut self.runpath) {
            let text = folder.to_string_lossy();
            if text.contains('$') {
                let origin = origin.to_string_lossy();
                *folder = text
                    .replace("${ORIGIN}", &origin)
                    .replace("$ORIGIN", &origin)
                    .replace("${LIB}", "lib64")
                    .replace("$LIB", "lib64")
                    .into();
            }
        }
        self
    }
}

fn read<'a, R: ReadRef<'a>>(file: R) -> Option<Needs> {
    let header = Header::parse(file).ok()?;
    let is_program = matches!(header.e_type.get(LE), elf::ET_EXEC | elf::ET_DYN);
    if header.e_machine.get(LE) != elf::EM_X86_64
        || !is_program
        || header.e_phnum.get(LE) > MAX_SEGMENTS
    {
        return None;
    }
    let segments = header.program_headers(LE, file).ok()?;
    let mut needs = Needs::default();
    let mut dynamic: &[elf::Dyn64<LE>] = &[];
    for segment in segments {
        match segment.p_type(LE) {
            elf::PT_INTERP if segment.p_filesz(LE) <= super::archive::MAX_NAME as u64 => {
                let name = segment.interpreter(LE, file).ok()??;
                needs.interpreter = Some(OsStr::from_bytes(name).into());
            }
            elf::PT_DYNAMIC if segment.p_filesz(LE) <= MAX_DYNAMIC_BYTES => {
                dynamic = segment.dynamic(LE, file).ok()??;
            }
            _ => {}
        }
    }
    let end = dynamic.iter().position(|entry| entry.d_tag(LE) == elf::DT_NULL);
    let dynamic = &dynamic[..end.unwrap_or(dynamic.len())];
    let value = |tag| {
        let entry = dynamic.iter().find(|entry| entry.d_tag(LE) == tag)?;
        Some(entry.d_val(LE))
    };
    let (Some(address), Some(length)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else {
        return Some(needs);
    };
    // The linker's entries give addresses in memory; the segments say where these are in the file.
    let start = segments.iter().find_map(|segment| {
        let inside = address.checked_sub(segment.p_vaddr(LE))?;
        let here = segment.p_type(LE) == elf::PT_LOAD && inside < segment.p_filesz(LE);
        here.then(|| segment.p_offset(LE).checked_add(inside))?
    })?;
    let strings = StringTable::new(file, start, start.checked_add(length)?);
    for entry in dynamic {
        let text = || {
            let text = strings.get(u32::try_from(entry.d_val(LE)).ok()?).ok()?;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        match entry.d_tag(LE) {
            elf::DT_NEEDED => needs.libraries.push(text()?),
            elf::DT_RPATH => needs.rpath = folders(&text()?),
            elf::DT_RUNPATH => needs.runpath = folders(&text()?),
            _ => {}
        }
    }
    Some(needs)
}

fn folders(list: &str) -> Vec<PathBuf> {
    // A relative folder depends on where the program is started.
    list.split(':').filter(|folder| folder.starts_with(['/', '$'])).map(PathBuf::from).collect()
}

/// Where the host has its libraries.
#[derive(Debug)]
pub(super) struct Libraries {
    cache: HashMap<String, PathBuf>,
}

impl Libraries {
    /// Of this host.
    pub(super) fn of_host() -> Self {
        Self { cache: read_cache(&fs::read(CACHE).unwrap_or_default()).unwrap_or_default() }
    }

    /// The file of the library `name` that a file with these needs would get, if its program has
    /// this `rpath`.
    pub(super) fn find(&self, name: &str, needs: &Needs, rpath: &[PathBuf]) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(PathBuf::from(name)).filter(|path| Needs::of(path).is_some());
        }
        let rpath = if needs.runpath.is_empty() { rpath } else { &[] };
        let named = needs.rpath.iter().chain(rpath).chain(&needs.runpath);
        let named = named.map(|folder| folder.join(name));
        let cached = self.cache.get(name).cloned();
        let usual = USUAL_FOLDERS.iter().map(|folder| Path::new(folder).join(name));
        let mut places = named.chain(cached).chain(usual);
        // One for another processor is passed over.
        places.find(|path| path.is_file() && Needs::of(path).is_some())
    }
}

/// Reads the cache, as glibc has written it since 1999 (`struct cache_file_new` of
/// `sysdeps/generic/dl-cache.h`): a header, entries of 24 bytes, strings.
fn read_cache(file: &[u8]) -> Option<HashMap<String, PathBuf>> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const HEADER_BYTES: usize = 48;
    const ENTRY_BYTES: usize = 24;
    /// For the C library that there is now, of x86-64.
    const FLAGS: u32 = 0x0303;
    // An older format may stand before it.
    let cache = &file[memchr::memmem::find(file, MAGIC)?..];
    let number = |at: usize| Some(u32::from_le_bytes(*cache.get(at..)?.first_chunk()?));
    let string = |at: usize| {
        let text = cache.get(number(at)? as usize..)?;
        text.get(..memchr::memchr(0, text)?)
    };
    let count = number(MAGIC.len())? as usize;
    let entries = cache.get(HEADER_BYTES..)?.len() / ENTRY_BYTES;
    let mut found = HashMap::new();
    for index in 0..count.min(entries) {
        let at = HEADER_BYTES + index * ENTRY_BYTES;
        // One for processors with more abilities than the first of their kind has a word that says
        // so; the guest's processor may not have them.
        let for_all = number(at + 16)? == 0 && number(at + 20)? == 0;
        if number(at)? == FLAGS && for_all {
            let name = String::from_utf8_lossy(string(at + 4)?).into_owned();
            let path = PathBuf::from(OsStr::from_bytes(string(at + 8)?));
            // The linker's order: the first is the best.
            found.entry(name).or_insert(path);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The program that runs this test, or any other of the host that is linked dynamically.
    fn dynamic_program() -> Option<(PathBuf, Needs)> {
        let programs = ["/bin/sh", "/bin/ls", "/usr/bin/env"].map(PathBuf::from);
        let with_needs =
            programs.into_iter().filter_map(|path| Some((path.clone(), Needs::of(&path)?)));
        with_needs.into_iter().find(|(_, needs)| needs.interpreter.is_some())
    }

    #[test]
    fn what_a_program_needs_is_what_its_linker_finds() {
        let Some((path, needs)) = dynamic_program() else {
            eprintln!("skipped: this host has no dynamically linked program in /bin");
            return;
        };
        let linker = needs.interpreter.clone().unwrap();
        let said = std::process::Command::new(linker).arg("--list").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let host = Libraries::of_host();
        assert!(!needs.libraries.is_empty());
        for library in &needs.libraries {
            let found = host.find(library, &needs, &[]).unwrap();
            let line = said.lines().find(|line| line.contains(library.as_str())).unwrap();
            let theirs = line.split_whitespace().find(|word| word.starts_with('/')).unwrap();
            assert_eq!(found.canonicalize().unwrap(), Path::new(theirs).canonicalize().unwrap());
        }
    }

    #[test]
    fn a_static_program_needs_nothing() {
        let needs = read(guest::Builtin::Hello.linux_elf()).unwrap();
        assert_eq!(needs, Needs::default());
        assert_eq!(read(&b"#!/bin/sh"[..]), None);
    }

    #[test]
    fn origin_is_where_the_program_is() {
        let needs = Needs { runpath: folders("$ORIGIN/../lib:rel:${ORIGIN}"), ..Needs::default() };
        let folders = needs.with_origin(Path::new("/opt/x/bin")).runpath;
        assert_eq!(folders, ["/opt/x/bin/../lib", "/opt/x/bin"].map(PathBuf::from));
    }

    fn cache_of(entries: &[(u32, &str, &str, u64)]) -> Vec<u8> {
        let mut cache = b"glibc-ld.so.cache1.1".to_vec();
        cache.extend((entries.len() as u32).to_le_bytes());
        cache.resize(48, 0);
        let mut strings = Vec::new();
        let mut place = |text: &str| {
            let at = 48 + 24 * entries.len() + strings.len();
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at as u32
        };
        for (flags, name, path, abilities) in entries {
            for number in [*flags, place(name), place(path), 0] {
                cache.extend(number.to_le_bytes());
            }
            cache.extend(abilities.to_le_bytes());
        }
        [cache, strings].concat()
    }

    #[test]
    fn the_cache_gives_the_library_that_every_processor_can_use() {
        let cache = cache_of(&[
            (0x303, "libx.so.1", "/v3/libx.so.1", 1 << 62),
            (0x003, "libx.so.1", "/32/libx.so.1", 0),
            (0x303, "libx.so.1", "/lib/libx.so.1", 0),
            (0x303, "libx.so.1", "/later/libx.so.1", 0),
        ]);
        let found = read_cache(&[b"ld.so-1.7.0".to_vec(), cache].concat()).unwrap();
        assert_eq!(found["libx.so.1"], Path::new("/lib/libx.so.1"));
    }

    #[test]
    fn a_library_that_is_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let found = Libraries::of_host().find(pipe.to_str().unwrap(), &Needs::default(), &[]);
        assert_eq!(found, None);
    }

    proptest! {
        #[test]
        fn no_damage_makes_it_panic(
            damage in prop::collection::vec((0usize..1024, any::<u8>()), 1..12),
            length in 0usize..4096,
        ) {
            let cache = cache_of(&[(0x303, "libx.so.1", "/lib/libx.so.1", 0); 3]);
            let program = guest::Builtin::Hello.linux_elf().to_vec();
            let dynamic = dynamic_program().map(|(path, _)| fs::read(path).unwrap());
            for mut file in [cache, program, dynamic.unwrap_or_default()] {
                for (at, byte) in &damage {
                    if let Some(place) = file.get_mut(*at) {
                        *place = *byte;
                    }
                }
                file.truncate(file.len().max(length));
                let _ = read_cache(&file);
                let _ = read(&*file);
            }
        }
    }
}
