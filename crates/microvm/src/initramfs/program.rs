//! Programs of the host, with all that they need to run in a root that has nothing else.

use std::{
    collections::HashSet,
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read as _,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Component, Path, PathBuf},
    process::Command,
};

use sandbox::environment;

use super::{
    archive::{FILE, Header},
    error::InitramfsError,
    libraries::{self, CACHE, Libraries, Needs},
    root::{ArchiveEntry, Content, MAX_LINKS, Root},
};
use crate::Result;

/// A script's interpreter may be a script, four times (execve(2)).
const MAX_INTERPRETERS: u32 = 4;
/// The longest first line of a script (`BINPRM_BUF_SIZE` of the kernel).
const FIRST_LINE: u64 = 256;

/// The files of the host that a program needs to run: itself, its dynamic linker and libraries, or
/// the interpreter of a script, each by the path at which it is looked for.
///
/// # Errors
///
/// When the program or a library is not there, or is none.
pub fn files_of_program(program: &Path) -> Result<Vec<PathBuf>> {
    let mut root = Root::new();
    let (host, added) = (Libraries::of_host(), HashSet::new());
    let mut adding = Adding { root: &mut root, host, added };
    adding.program(program, 0)?;
    let mut files: Vec<PathBuf> = adding.added.into_iter().collect();
    files.sort();
    Ok(files)
}

impl Root {
    /// Adds the program of a command, with the shared libraries that it needs, or with the
    /// interpreter of a script, each where the host has it; and says where the program is. A
    /// command without a slash is looked for in `PATH`.
    ///
    /// # Errors
    ///
    /// When the program or a library is not there, or is none.
    pub fn add_command(&mut self, words: &[impl AsRef<OsStr>]) -> Result<PathBuf> {
        let word = words.first().map_or(OsStr::new(""), AsRef::as_ref);
        let program =
            find(word).ok_or_else(|| InitramfsError::NoProgram { program: PathBuf::from(word) })?;
        Adding { root: self, host: Libraries::of_host(), added: HashSet::new() }
            .program(&program, 0)?;
        Ok(program)
    }

    /// Adds busybox, if the host has it, with a link in `/bin` for each of its commands that is not
    /// there yet; and says whether it did.
    ///
    /// # Errors
    ///
    /// When busybox cannot be read or does not say what it can do.
    pub fn add_busybox(&mut self) -> Result<bool> {
        let Some(busybox) = find(OsStr::new("busybox")) else { return Ok(false) };
        self.add_command(&[&busybox])?;
        let listed = Command::new(&busybox).arg("--list").output().map_err(reading(&busybox))?;
        for name in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
            let mut folders = ["bin", "sbin", "usr/bin", "usr/sbin"].map(Path::new).into_iter();
            if !name.contains('/') && !folders.any(|folder| self.has(folder.join(name))) {
                self.link(Path::new("bin").join(name), &busybox)?;
            }
        }
        Ok(true)
    }

    /// Adds a file of the host at the path that it has there, with the links on the way.
    ///
    /// # Errors
    ///
    /// When it is not there, or no regular file.
    pub fn add_host_file(&mut self, path: &Path) -> Result<()> {
        let path = std::path::absolute(path).map_err(reading(path))?;
        let real = self.add_way(&path)?;
        let about = fs::metadata(&real).map_err(reading(&path))?;
        if !about.is_file() {
            let why = "it is not a regular file";
            return Err(InitramfsError::NotProgram { program: path, why }.into());
        }
        // A tree that is there already may have the host's links as directories.
        for place in [&real, &path] {
            if !self.has(place) {
                let place = self.place(place)?;
                self.put(place, of_host(&real, &about)?);
            }
        }
        Ok(())
    }

    /// Adds the links and directories on the way to a path, and says where it ends.
    fn add_way(&mut self, path: &Path) -> Result<PathBuf> {
        let mut real = PathBuf::from("/");
        let parts = |path: &Path| -> Vec<OsString> {
            path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
        };
        let mut rest = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match Path::new(&part).components().next() {
                Some(Component::Normal(name)) => real.push(name),
                Some(Component::ParentDir) => drop(real.pop()),
                Some(Component::RootDir) => real = PathBuf::from("/"),
                _ => continue,
            }
            let about = fs::symlink_metadata(&real).map_err(reading(path))?;
            if about.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Err(InitramfsError::Nowhere { path: path.to_owned() }.into());
                }
                let target = fs::read_link(&real).map_err(reading(&real))?;
                if !self.has_itself(&real) {
                    self.link(&real, &target)?;
                }
                real.pop();
                rest.extend(parts(&target));
            } else if about.is_dir() && !self.has(&real) {
                self.directory(&real, about.mode())?;
            }
        }
        Ok(real)
    }

    /// Whether there is something at the path, be it a link that leads nowhere.
    fn has_itself(&self, path: &Path) -> bool {
        let parent = path.parent().and_then(|parent| self.resolve(parent).ok());
        let place = parent.zip(path.file_name()).map(|(parent, name)| parent.join(name));
        place.is_some_and(|place| self.entries.contains_key(&place))
    }
}

/// Adding a program, and so what it needs, and so on.
struct Adding<'a> {
    root: &'a mut Root,
    host: Libraries,
    /// The libraries, linkers and programs that were added.
    added: HashSet<PathBuf>,
}

impl Adding<'_> {
    fn program(&mut self, program: &Path, interpreters: u32) -> Result<()> {
        self.root.add_host_file(program)?;
        self.added.insert(program.to_owned());
        let not = |why| InitramfsError::NotProgram { program: program.to_owned(), why }.into();
        if let Some(needs) = Needs::of(program) {
            if let Some(interpreter) = &needs.interpreter {
                // The program names it, and must not fetch any file of the host into its machine.
                if Needs::of(interpreter).is_none() {
                    return Err(not("the dynamic linker that it names is none on this host"));
                }
                self.root.add_host_file(interpreter)?;
                self.added.insert(interpreter.clone());
            }
            let rpath = if needs.runpath.is_empty() { needs.rpath.clone() } else { Vec::new() };
            return self.libraries(program, &needs, &rpath);
        }
        match interpreter(program)? {
            None => Err(not("it is neither a script nor an ELF file for x86-64")),
            Some(_) if interpreters == MAX_INTERPRETERS => {
                Err(not("its interpreters are scripts without end"))
            }
            Some(words) => words.iter().try_for_each(|word| {
                let found = find(word);
                let program = found.ok_or(InitramfsError::NoProgram { program: word.into() })?;
                self.program(&program, interpreters + 1)
            }),
        }
    }

    /// Adds the libraries that `file` needs, and what they need.
    fn libraries(&mut self, file: &Path, needs: &Needs, rpath: &[PathBuf]) -> Result<()> {
        for name in &needs.libraries {
            let Some(library) = self.host.find(name, needs, rpath) else {
                let (program, library) = (file.to_owned(), name.clone());
                return Err(InitramfsError::NoLibrary { program, library }.into());
            };
            if !self.added.insert(library.clone()) {
                continue;
            }
            self.root.add_host_file(&library)?;
            // What lies elsewhere is found inside by the same cache.
            let folder = library.parent().unwrap_or(Path::new("/"));
            if !libraries::USUAL_FOLDERS.iter().any(|usual| folder == Path::new(usual))
                && Path::new(CACHE).is_file()
            {
                self.root.add_host_file(Path::new(CACHE))?;
            }
            // find() has looked at it.
            if let Some(needs) = Needs::of(&library) {
                self.libraries(&library, &needs, rpath)?;
            }
        }
        Ok(())
    }
}

/// The programs in a script's first line: its interpreter, and what env(1) is to look for. `None`
/// if there is no such line.
fn interpreter(script: &Path) -> Result<Option<Vec<OsString>>> {
    let mut line = Vec::new();
    let file = File::open(script).map_err(reading(script))?;
    file.take(FIRST_LINE).read_to_end(&mut line).map_err(reading(script))?;
    let Some(line) = line.strip_prefix(b"#!") else { return Ok(None) };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
        .map(|word| OsStr::from_bytes(word).to_owned());
    let Some(interpreter) = words.next() else { return Ok(None) };
    let is_env = Path::new(&interpreter).file_name() == Some(OsStr::new("env"));
    // Options and NAME=VALUE come first.
    let named =
        words.find(|word| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'='));
    Ok(Some([Some(interpreter), named.filter(|_| is_env)].into_iter().flatten().collect()))
}

/// The absolute path of a program of the host.
fn find(word: &OsStr) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if word.is_empty() {
        return None;
    }
    if word.as_bytes().contains(&b'/') {
        return std::path::absolute(word).ok().filter(is_program);
    }
    let path = env::var_os("PATH").unwrap_or_else(|| environment::PATH.into());
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(word))
        .find(is_program)
}

/// An entry of root's for a file of the host.
fn of_host(path: &Path, about: &fs::Metadata) -> Result<ArchiveEntry> {
    let too_large = |_| InitramfsError::TooLarge { path: path.to_owned(), bytes: about.len() };
    let bytes = u32::try_from(about.len()).map_err(too_large)?;
    let header = Header { mode: FILE | about.mode() & 0o7777, ..Header::default() };
    Ok(ArchiveEntry {
        about: header,
        content: Content::HostFile { path: path.to_owned(), bytes },
        inode: None,
    })
}

fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> crate::Error + use<> {
    let path = path.to_owned();
    move |source| InitramfsError::Read { path, source }.into()
}
