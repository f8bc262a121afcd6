//! The folder of a snapshot: it is there whole or not at all, and is believed once it is checked.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::{
    SnapshotError, chips, cpu,
    host::Host,
    memory::{Content, Wrong},
    owner::{Birth, OwnFolder},
    plain::Hex,
};
use crate::{
    devices::bus::Saved,
    error::{Error, Result},
    linux::Recipe,
    memory::Memory,
};

/// The number of what is written here; another means that it is written in another way.
const FORMAT: u32 = 4;
const ISOLAB: &str = env!("CARGO_PKG_VERSION");

const STATE: &str = "state.json";
const MEMORY: &str = "memory";
const CHECKSUM: &str = "checksum";
/// What the memory was when it was checked last.
const CHECKED: &str = "checked";
/// How the name of a folder begins that is not all there yet.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// Two changes of a file that are this far apart have different times on any file system.
const SETTLED: Duration = Duration::from_millis(100);

/// No state of ours is longer: 254 processors have some 30 KiB each, extents of 64 GiB 10 MiB.
const LONGEST_STATE: u64 = 64 << 20;
/// A checksum, two numbers, a time, and the name of a start of the host.
const LONGEST_MARK: u64 = 1024;

/// All of a machine but what is in its memory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// When it was saved, in seconds since 1970.
    pub saved_at: u64,
    /// The processor on which it was.
    pub host: Host,
    /// How to build the machine around all this.
    pub recipe: Recipe,
    /// What KVM plays beside the processors.
    pub chips: chips::State,
    /// The processors, from number 0 on.
    pub processors: Vec<cpu::State>,
    /// The devices on the machine's buses.
    pub devices: Vec<Saved>,
    /// What is in the file of the memory.
    pub memory: Content,
    /// Which file that was; nothing where the file system does not tell files apart so far.
    pub birth: Option<Birth>,
}

/// What is looked at before the rest, which may look otherwise in another version.
#[derive(Serialize, Deserialize)]
struct Version {
    format: u32,
    isolab: String,
}

#[derive(Serialize)]
struct Whole<'s> {
    #[serde(flatten)]
    version: Version,
    state: &'s State,
}

#[derive(Deserialize)]
struct Parts {
    state: State,
}

/// A snapshot that can be restored here, as far as can be told without reading its memory.
#[derive(Debug)]
pub struct Snapshot {
    /// All but the memory.
    pub state: State,
    memory: File,
    folder: OwnFolder,
    /// Of the state, and so of all that is known of the memory.
    checksum: u64,
}

impl State {
    /// Writes it and `memory` as a new `folder`, which is there once it is whole.
    ///
    /// # Errors
    ///
    /// When there is one already, or it cannot be written.
    pub fn write(&mut self, memory: &Memory, folder: &Path) -> Result<()> {
        if folder.exists() {
            return Err(SnapshotError::Exists { folder: folder.to_owned() }.into());
        }
        let failed = |source| SnapshotError::Write { folder: folder.to_owned(), source };
        self.write_folder(memory, folder).map_err(failed)?;
        Ok(())
    }

    fn write_folder(&mut self, memory: &Memory, folder: &Path) -> io::Result<()> {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        // Only its owner may look into it, and it is removed should anything fail from here on.
        let unfinished = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        // Whoever clears up what was left by those who were killed finds this one at work.
        let at_work = File::open(unfinished.path())?;
        at_work.lock()?;
        let file = File::create_new(unfinished.path().join(MEMORY))?;
        self.memory = Content::write(memory, &file)?;
        keep(&file)?;
        self.birth = Birth::of(&file);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.saved_at = now.map_or(0, |since| since.as_secs());
        let version = Version { format: FORMAT, isolab: ISOLAB.into() };
        let text = serde_json::to_vec_pretty(&Whole { version, state: self })?;
        for (name, bytes) in [(STATE, &text), (CHECKSUM, &checksum(&text).into_bytes())] {
            let mut file = File::create_new(unfinished.path().join(name))?;
            file.write_all(bytes)?;
            keep(&file)?;
        }
        // Nobody else can have written to the file yet. From here on its mark tells if somebody does.
        settle(&file);
        if let Some(mark) = mark(&file, XxHash3_64::oneshot(&text)) {
            fs::write(unfinished.path().join(CHECKED), mark)?;
        }
        at_work.sync_all()?;
        fs::rename(unfinished.path(), folder)?;
        // Nothing is left that the folder's guard could remove, and it need not try.
        let _ = unfinished.keep();
        File::open(parent)?.sync_all()
    }
}

/// What is in a file from now on stays, on the disk and as it is.
fn keep(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o400))?;
    file.sync_all()
}

/// What the file of a memory is at this moment, with the checksum of what is known of it: another
/// when anybody writes to it. None if that was just now, for the clock of files may not have gone on
/// since.
fn mark(memory: &File, checksum: u64) -> Option<Vec<u8>> {
    unchanged_for(memory).filter(|age| *age >= SETTLED)?;
    let about = memory.metadata().ok()?;
    let changed = Duration::new(about.ctime().try_into().ok()?, about.ctime_nsec() as u32);
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let (device, inode) = (about.dev(), about.ino());
    Some(format!("{checksum:016x} {device}:{inode} {changed:?} {start}").into_bytes())
}

/// Waits until the mark of `file` is one: a moment, unless the host's clock is set meanwhile.
fn settle(file: &File) {
    if let Some(age) = unchanged_for(file) {
        thread::sleep(SETTLED.saturating_sub(age));
    }
}

/// How long ago anybody changed `file`; none if that is in the future.
fn unchanged_for(file: &File) -> Option<Duration> {
    let about = file.metadata().ok()?;
    let changed = Duration::new(about.ctime().try_into().ok()?, about.ctime_nsec() as u32);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    now.checked_sub(changed)
}

fn keep_mark(folder: &Path, mark: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::with_prefix_in(UNFINISHED, folder)?;
    file.write_all(mark)?;
    file.persist(folder.join(CHECKED))?;
    Ok(())
}

fn checksum(text: &[u8]) -> String {
    format!("{:016x}  {STATE}\n", XxHash3_64::oneshot(text))
}

impl Snapshot {
    /// Opens the snapshot in `folder` and checks all but what is in its memory.
    ///
    /// # Errors
    ///
    /// When there is none, it is damaged, or another isolab wrote it.
    pub fn open(folder: &Path) -> Result<Self, SnapshotError> {
        let folder = OwnFolder::open(folder)?;
        let text = read(&folder, STATE, LONGEST_STATE)?;
        let sum = checksum(&text).into_bytes();
        let file = folder.path().join(STATE);
        if read(&folder, CHECKSUM, sum.len() as u64)? != sum {
            return Err(SnapshotError::Damaged { file, at: Hex(0) });
        }
        let no_state = |source| SnapshotError::State { file: file.clone(), source };
        let wrote: Version = serde_json::from_slice(&text).map_err(no_state)?;
        if (wrote.format, &*wrote.isolab) != (FORMAT, ISOLAB) {
            let say = |format, isolab: &str| format!("isolab {isolab:?}, format {format}");
            let (wrote, reads) = (say(wrote.format, &wrote.isolab), say(FORMAT, ISOLAB));
            return Err(SnapshotError::Version { wrote, reads });
        }
        let Parts { state } = serde_json::from_slice(&text).map_err(no_state)?;
        let nonsense = |what| Err(SnapshotError::Nonsense { file: file.clone(), what });
        if !state.memory.is_sound() {
            return nonsense("a memory that cannot be");
        }
        if !(1..=crate::linux::cpus::MOST as usize).contains(&state.processors.len()) {
            return nonsense("a number of processors that cannot be");
        }
        let (memory, bytes) = folder.file(MEMORY)?;
        match state.memory.bytes {
            expected if expected == bytes => {
                let checksum = XxHash3_64::oneshot(&text);
                Ok(Self { state, memory, folder, checksum })
            }
            expected => {
                let file = folder.path().join(MEMORY);
                Err(SnapshotError::Length { file, bytes, expected })
            }
        }
    }

    /// Whether it lies where it was saved: it was neither copied nor brought from elsewhere. Only
    /// then is it its user who has named the files of the host that it names.
    pub fn is_original(&self) -> bool {
        self.state.birth.is_some() && self.state.birth == Birth::of(&self.memory)
    }

    /// Checks what is in its memory, all of it, unless it was written or checked since the host
    /// started and nobody has changed the file since. What a disk loses later is not noticed before
    /// it starts again; nor would it be by a check, for the file is in the host's memory then.
    ///
    /// # Errors
    ///
    /// When it is damaged.
    pub fn check_memory(&self) -> Result<(), SnapshotError> {
        let mark = mark(&self.memory, self.checksum);
        if mark.is_some() && read(&self.folder, CHECKED, LONGEST_MARK).ok() == mark {
            return Ok(());
        }
        self.read_memory()?;
        if let Some(mark) = mark {
            // Where it cannot be kept, the next one checks again.
            let _ = keep_mark(&self.folder.by_descriptor(), &mark);
        }
        Ok(())
    }

    fn read_memory(&self) -> Result<(), SnapshotError> {
        let file = || self.folder.path().join(MEMORY);
        self.state.memory.check(&self.memory).map_err(|wrong| match wrong {
            Wrong::Here(at) => SnapshotError::Damaged { file: file(), at: Hex(at) },
            Wrong::Unreadable(source) => SnapshotError::Read { file: file(), source },
        })
    }

    /// Refuses another processor than `here`, or a kernel that gives guests another one.
    ///
    /// # Errors
    ///
    /// When it is one.
    pub fn check_host(&self, here: &Host) -> Result<(), SnapshotError> {
        let there = &self.state.host;
        if there.gives_the_same_as(here) {
            return Ok(());
        }
        match there.is_the_same_processor_as(here) && there.kernel != here.kernel {
            true => Err(self.other_kernel(here, None)),
            false => Err(SnapshotError::Processor {
                there: Box::new(there.clone()),
                here: Box::new(here.clone()),
            }),
        }
    }

    /// What a failure to restore comes from, where the host's kernel is another now.
    pub fn blame_kernel(&self, error: Error, here: &Host) -> Error {
        match &error {
            Error::Kvm { .. } if self.state.host.kernel != here.kernel => {
                self.other_kernel(here, Some(Box::new(error))).into()
            }
            _ => error,
        }
    }

    fn other_kernel(&self, here: &Host, source: Option<Box<Error>>) -> SnapshotError {
        let (there, here) = (self.state.host.kernel.clone(), here.kernel.clone());
        SnapshotError::HostKernel { there, here, source }
    }

    /// The file of its memory.
    pub fn memory(&self) -> &File {
        &self.memory
    }
}

/// A file of the folder, of at most so many bytes.
fn read(folder: &OwnFolder, name: &str, most: u64) -> Result<Vec<u8>, SnapshotError> {
    let (file, bytes) = folder.file(name)?;
    let path = || folder.path().join(name);
    if bytes > most {
        return Err(SnapshotError::Length { file: path(), bytes, expected: most });
    }
    let mut text = Vec::new();
    let unreadable = |source| SnapshotError::Read { file: path(), source };
    file.take(most).read_to_end(&mut text).map_err(unreadable)?;
    Ok(text)
}
