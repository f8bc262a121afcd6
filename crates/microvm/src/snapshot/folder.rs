//! The folder of a snapshot, which is believed once it is checked.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::{
    SnapshotError, chips, cpu,
    host::Host,
    mark::mark,
    memory::{Content, Wrong},
    owner::{Birth, OwnFolder},
};
use crate::{devices::bus::Saved, error::Error, hex::Hex, linux::Recipe};

/// The number of what is written here; another means that it is written in another way.
pub(super) const FORMAT: u32 = 4;
pub(super) const ISOLAB: &str = env!("CARGO_PKG_VERSION");

pub(super) const STATE: &str = "state.json";
pub(super) const MEMORY: &str = "memory";
pub(super) const CHECKSUM: &str = "checksum";
/// What the memory was when it was checked last.
pub(super) const CHECKED: &str = "checked";
/// How the name of a folder begins that is not all there yet.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// No state of ours is longer: 254 processors have some 30 KiB each, extents of 64 GiB 10 MiB.
pub(super) const LONGEST_STATE: u64 = 64 << 20;
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
    /// Which file that was; nothing where the file system does not tell files apart so far, and of
    /// a guest that was running: what that names is not its user's word.
    pub birth: Option<Birth>,
}

/// What is looked at before the rest, which may look otherwise in another version.
#[derive(Serialize, Deserialize)]
pub(super) struct Version {
    pub format: u32,
    pub isolab: String,
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

fn keep_mark(folder: &Path, mark: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::with_prefix_in(UNFINISHED, folder)?;
    file.write_all(mark)?;
    file.persist(folder.join(CHECKED))?;
    Ok(())
}

pub(super) fn checksum(text: &[u8]) -> String {
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

    /// Whether it lies where it was saved: it was neither copied nor brought from elsewhere, nor taken
    /// of a running guest. Only then is it its user who has named the files of the host that it names.
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
                self.other_kernel(here, Some(error.into())).into()
            }
            _ => error,
        }
    }

    fn other_kernel(
        &self,
        here: &Host,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> SnapshotError {
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
