//! The disk of images: two of them on one base, as containers and as Linux microVMs.
//!
//! ```text
//!              container                         Linux microVM
//!   shared     the base, unpacked once           the guest's kernel
//!   unique     the image's own layer             its root file system, whole: an ext4 image
//!   started    what overlayfs writes above it    another root file system: each run has its own
//! ```
//!
//! isolab makes the images itself, as `isolab image import-host` and `isolab image build` do, in a
//! store that is removed afterwards. What is counted are the blocks that the kernel has allocated
//! (`st_blocks` of stat(2)); the compressed archives, from which both begin, are left out.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use container::{Container, Root, Upper};
use image::{
    manifest::Platform,
    store::{DIRECTORY_VARIABLE, Image, Store},
    usage::{Usage, disk_bytes},
};
use microvm::{kernels, linux::root_disk};
use report::{Random, Unit, metric};
use sandbox::{Sandbox as _, Workload, chain};
use tempfile::TempDir;

use crate::{
    Error, Part, Session,
    message::{Measurement, Message},
    outcome::{TIMEOUT, ensure_success},
    subjects::LINUX,
};

const CONTAINER: &str = "container";

/// The program of the base image, which every host has.
const PROGRAM: &str = "sh";
/// What each image has of its own. It cannot be compressed, as most of a real image cannot again.
const OWN_BYTES: usize = 1 << 20;

const MADE_OF_LAYERS: &str = "isolab makes a guest's root file system for one run, from the unpacked \
                              layers, which are stored as well; one that is less than a fourth of \
                              the guest's memory is packed into that memory instead";

/// Measures the disk of images wherever an image can be a root.
pub fn measure<W: Write>(session: &mut Session<W>, isolab: &Path) -> io::Result<()> {
    for (metric, text) in [
        (
            metric::IMAGES_SHARED,
            "for a container the base's unpacked layer; for a Linux microVM its kernel, since no two \
             root file systems share a block",
        ),
        (
            metric::IMAGES_UNIQUE,
            "for a container the image's own unpacked layer, of 1 MiB; for a Linux microVM an ext4 \
             image of the whole root file system, with the base in it",
        ),
        (
            metric::IMAGES_STARTED,
            "for a container its writable layer, if that is kept on the disk, before anything is \
             written; for a Linux microVM a root file system of its own",
        ),
    ] {
        session.writer.write(&Message::Fact(metric.into(), text.into()))?;
    }
    let has_container = session.subjects.iter().any(|subject| subject.label == CONTAINER);
    for subject in &session.subjects {
        let reason = match subject.label {
            "process" => "it has the host's own files, and no image",
            "microvm" => "it has one program in bare memory, and no file system",
            _ => continue,
        };
        session.writer.gaps(Part::Images.metrics(), subject.label, &Error::new(reason))?;
    }
    let labels = [has_container.then_some(CONTAINER), Some(LINUX)];
    let images = Images::make(isolab);
    for round in session.rounds_that_count() {
        for label in labels.into_iter().flatten() {
            match &images {
                Ok(images) => images.write(session, label, round)?,
                Err(error) => session.writer.gaps(Part::Images.metrics(), label, error)?,
            }
        }
        session.writer.write(&Message::Round)?;
    }
    Ok(())
}

/// Two images on one base, in a store of their own.
struct Images {
    store: Store,
    both: [Image; 2],
    /// The layers of the first, the uppermost first.
    layers: Vec<PathBuf>,
    folder: TempDir,
}

impl Images {
    fn make(isolab: &Path) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("images");
        let run = |words: &[&str], directory: &Path| {
            let mut command = Command::new(isolab);
            command.arg("image").args(words).env(DIRECTORY_VARIABLE, &path);
            let ended = command.current_dir(directory).stdin(Stdio::null()).output()?;
            match ended.status.success() {
                true => Ok(()),
                false => Err(Error::of_command("isolab image", ended.status, &ended.stderr)),
            }
        };
        run(&["import-host", "base", "--", PROGRAM], folder.path())?;
        let mut random = Random::new(1);
        for name in ["one", "other"] {
            let context = folder.path().join(name);
            fs::create_dir(&context)?;
            fs::write(context.join("Dockerfile"), "FROM base\nCOPY own /own\n")?;
            let own: Vec<u8> = (0..OWN_BYTES).map(|_| random.below(256) as u8).collect();
            fs::write(context.join("own"), own)?;
            run(&["build", "--quiet", "--tag", name, "."], &context)?;
        }
        let store = Store::open(&path).map_err(failed)?;
        let image = |name: &str| -> Result<(Image, Vec<PathBuf>), Error> {
            let at = store.resolve(name).map_err(failed)?.descriptor;
            let image = store.image_at(&at, &Platform::host()).map_err(failed)?;
            let layers = store.unpack(&image).map_err(failed)?;
            Ok((image, layers))
        };
        let ((one, layers), (other, _)) = (image("one")?, image("other")?);
        Ok(Self { store, both: [one, other], layers, folder })
    }

    /// Writes the three numbers of one sandbox, or why there is none.
    fn write<W: Write>(
        &self,
        session: &mut Session<W>,
        label: &'static str,
        round: u32,
    ) -> io::Result<()> {
        let is_linux = label == LINUX;
        let [shared, unique] = match is_linux {
            true => [kernel_bytes(), self.disk_bytes()],
            false => [|it: Usage| it.unpacked_shared, |it: Usage| it.unpacked_unique]
                .map(|of| self.usage().map(of)),
        };
        let started = if is_linux { self.disk_bytes() } else { self.started_bytes(round) };
        for (metric, bytes) in [
            (metric::IMAGES_SHARED, shared),
            (metric::IMAGES_UNIQUE, unique),
            (metric::IMAGES_STARTED, started),
        ] {
            let is_disk = is_linux && metric != metric::IMAGES_SHARED;
            match bytes {
                Ok(bytes) => session.writer.write(&Message::Measured(Measurement {
                    metric: metric.into(),
                    sandbox: label.into(),
                    unit: Unit::Bytes,
                    value: bytes as f64,
                    round,
                    caveat: is_disk.then(|| MADE_OF_LAYERS.into()),
                }))?,
                Err(error) => session.writer.gaps(&[metric], label, &error)?,
            }
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage, Error> {
        let usages = self.store.usage(&self.both).map_err(failed)?;
        usages.first().copied().ok_or_else(|| Error::new("the store has lost an image"))
    }

    /// What the root file system of a guest has allocated.
    fn disk_bytes(&self) -> Result<u64, Error> {
        let disk = root_disk(&self.layers).map_err(without_path)?;
        Ok(disk.metadata()?.blocks() * 512)
    }

    /// What a container of the image has on the disk once its program has started.
    fn started_bytes(&self, round: u32) -> Result<u64, Error> {
        let kept = self.folder.path().join(format!("container-{round}"));
        for name in ["upper", "work"] {
            fs::create_dir_all(kept.join(name))?;
        }
        let upper = Upper::Kept(kept.clone());
        let root = Root::Overlay { lowers: self.layers.clone(), upper };
        let workload = Workload::command([PROGRAM, "-c", ":"]).deadline(TIMEOUT);
        ensure_success(Container::default().root(root).run(&workload)?)?;
        // Without root overlayfs makes its own directory so that nobody may look into it.
        fs::set_permissions(kept.join("work/work"), Permissions::from_mode(0o700))?;
        Ok(disk_bytes(&kept)?)
    }
}

/// What the kernel of a guest has on the disk.
fn kernel_bytes() -> Result<u64, Error> {
    let kernel = kernels::chosen().map_err(sandbox::Error::from)?;
    Ok(fs::metadata(&kernel.image)?.blocks() * 512)
}

/// The error without the directory that isolab itself has made, and the size of a guest's memory.
fn without_path(error: microvm::Error) -> Error {
    let cause = match &error {
        microvm::Error::RootDisk { source, .. } => Some(chain(source)),
        _ => None,
    };
    let error = Error::from(sandbox::Error::from(error));
    match cause {
        Some(cause) => Error { reason: format!("make a root file system: {cause}"), ..error },
        None => error,
    }
}

fn failed(error: impl std::error::Error) -> Error {
    Error::new(chain(&error))
}
