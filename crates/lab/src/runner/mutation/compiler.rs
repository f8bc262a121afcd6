//! Compiling further programs of a lab without cargo: hundreds of them, each in half a second.

use std::{
    collections::VecDeque,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, mpsc},
    thread,
};

use tempfile::TempDir;

use crate::runner::{
    Error, Front, Result,
    build::kit::Kit,
    course::{Course, Lab},
    privilege::environment::temporary_folder,
};

/// Sources of a lab's programs, by their numbers, and what compiles them.
pub(super) struct Compiler<'a> {
    course: &'a Course,
    pub(super) lab: &'a Lab,
    kit: Kit,
    /// It has the kit's libraries.
    _libraries: TempDir,
    /// The folder of the sources and the programs.
    folder: PathBuf,
    count: usize,
}

impl<'a> Compiler<'a> {
    /// Writes these sources into a folder of the checkout's owner.
    pub(super) fn of(
        course: &'a Course,
        lab: &'a Lab,
        sources: &[String],
        front: &mut dyn Front,
    ) -> Result<Self> {
        let libraries = temporary_folder()?;
        // The owner of the checkout compiles.
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(libraries.path(), mode)
            .map_err(Error::file("chmod", libraries.path()))?;
        let mut kit = Kit::new(libraries.path().join("libraries"));
        kit.add(course, lab, front)?;
        let folder = course.target.join("changed").join(&lab.id);
        let count = sources.len();
        let compiler = Self { course, lab, kit, _libraries: libraries, folder, count };
        let write = || {
            // What an interrupted survey has left is written anew.
            let _ = fs::remove_dir_all(&compiler.folder);
            fs::create_dir_all(&compiler.folder)?;
            let numbered = sources.iter().enumerate();
            numbered.into_iter().try_for_each(|(number, source)| {
                fs::write(compiler.program(number).with_extension("rs"), source)
            })
        };
        lab.owner.acting(write).map_err(Error::file("write to", &compiler.folder))?;
        Ok(compiler)
    }

    /// How many sources there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How far the work is with this number.
    pub(super) fn progress(&self, number: usize) -> String {
        format!("{} {}/{}", self.lab.id, number + 1, self.count)
    }

    /// Compiles on all processors, and gives the number and the path of each program that there is
    /// then to `take`.
    pub(super) fn compile_all(
        &self,
        mut take: impl FnMut(usize, &Path) -> Result<()>,
    ) -> Result<()> {
        let open: Mutex<VecDeque<usize>> = Mutex::new((0..self.count).collect());
        let next = || open.lock().ok()?.pop_front();
        let (send, receive) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                let send = send.clone();
                scope.spawn(move || {
                    while let Some(number) = next() {
                        // Nobody takes more once something has failed.
                        if send.send((number, self.compile(number))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            for (number, made) in receive {
                if made? {
                    take(number, &self.program(number))?;
                }
            }
            Ok(())
        })
    }

    /// Whether the compiler takes the source.
    fn compile(&self, number: usize) -> Result<bool> {
        let program = self.program(number);
        let source = program.with_extension("rs");
        let [source, program, libraries] =
            [&source, &program, &self.kit.libraries].map(|path| path.to_string_lossy());
        let words = self.kit.arguments(&self.lab.id, &source, &program, &libraries);
        let words = words.expect("the lab was added");
        let mut rustc = self.course.toolchain.rustc();
        rustc.args(words).arg("--cap-lints=allow").stdout(Stdio::null()).stderr(Stdio::null());
        let ended = rustc.status().map_err(|error| self.course.toolchain.no_start(&error))?;
        Ok(ended.success())
    }

    fn program(&self, number: usize) -> PathBuf {
        self.folder.join(format!("lab{}-changed-{number:03}", self.lab.id))
    }
}

impl Drop for Compiler<'_> {
    fn drop(&mut self) {
        // In the way of nobody if it stays: the next survey of the lab removes it.
        let _ = self.lab.owner.acting(|| fs::remove_dir_all(&self.folder));
    }
}
