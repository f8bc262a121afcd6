//! The labs of a checkout: what cargo knows of their packages, and what their folders say.

pub(crate) mod manifest;
mod metadata;
pub(crate) mod needs;
pub(crate) mod skeleton;
pub(crate) mod work;

use std::path::{Path, PathBuf};

use crate::catalogue::{About, Catalogue, Language};
use crate::runner::{
    Error, LocalUser, Progress, Result, build::toolchain::Toolchain, progress::State,
};
use manifest::{Dependency, WorkspaceManifest};
use metadata::{Metadata, Package};
use needs::Need;

/// One semester in this order; the others are optional.
const ORDER: [&str; 15] =
    ["01", "08", "09", "02", "03", "10", "12", "14", "05", "15", "06", "16", "17", "18", "20"];

/// A checkout and its labs.
#[derive(Debug)]
pub struct Course {
    /// The folder of the workspace.
    pub root: PathBuf,
    pub(crate) toolchain: Toolchain,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    pub(crate) manifest: WorkspaceManifest,
    /// The labs, by number.
    pub labs: Vec<Lab>,
}

/// One lab.
#[derive(Debug, Clone)]
pub struct Lab {
    /// Its number, two digits: `08`.
    pub id: String,
    /// Its name, which is its package's: `own-name`.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// `container`, `microvm` or `measuring`.
    pub track: String,
    /// How long a student takes.
    pub minutes: u32,
    /// What it takes of the host.
    pub(crate) needs: Vec<Need>,
    /// Whether its verdict depends on measured times.
    pub timing: bool,
    /// Whether it is verified in the nest too.
    pub nest: bool,
    /// Whether it needs a nest whose clock counts instructions: an emulated processor's own time is
    /// too uneven to see slices in it.
    pub counted: bool,
    pub(crate) mutants: Vec<Mutant>,
    /// The folder of the student's own file.
    pub(crate) work: PathBuf,
    /// What its package needs.
    pub(crate) dependencies: Vec<Dependency>,
    /// Whose files these are, with whose rights they are read.
    pub(crate) owner: LocalUser,
}

/// A wrong answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutant {
    /// Its program.
    pub(crate) bin: String,
    /// The message that it must be given.
    pub(crate) caught_as: String,
    /// Whether its mistake can be made in the nest too.
    pub(crate) nest: bool,
}

impl Course {
    /// The course in `from` or the nearest folder above it that has one.
    ///
    /// # Errors
    ///
    /// When there is none, and when cargo is missing or cannot read it.
    pub fn find(from: &Path) -> Result<Self> {
        let start = from.canonicalize().map_err(Error::file("look at", from))?;
        let is_course =
            |folder: &&Path| folder.join("labs").is_dir() && folder.join("Cargo.toml").is_file();
        let root = start.ancestors().find(is_course);
        let root = root.ok_or_else(|| Error::NoCheckout { from: start.clone() })?.to_owned();
        let toolchain = Toolchain::of(&root)?;
        let manifest = WorkspaceManifest::read(&root, toolchain.owner())?;
        if manifest.has_member(work::MEMBERS) {
            work::make_folder(&root, toolchain.owner())?;
        }
        let metadata = Metadata::of(&toolchain)?;
        toolchain.trust(&metadata.target_directory)?;
        let lab = |package: &Package| package.lab(&root, toolchain.owner());
        let mut labs: Vec<Lab> = metadata.packages.iter().filter_map(lab).collect();
        labs.sort_by(|one, other| one.id.cmp(&other.id));
        if labs.is_empty() {
            return Err(Error::NoCheckout { from: start });
        }
        Ok(Self { root, toolchain, target: metadata.target_directory, manifest, labs })
    }

    /// The lab with that number or name.
    ///
    /// # Errors
    ///
    /// When there is none, and when its folder is called otherwise than it.
    pub fn lab(&self, asked: &str) -> Result<&Lab> {
        let number = asked.split_once('-').map_or(asked, |(number, _)| number);
        let number = number.parse::<u8>().map(|number| format!("{number:02}"));
        let found = self
            .labs
            .iter()
            .find(|lab| lab.name == asked || number.as_ref().is_ok_and(|number| *number == lab.id));
        let lab = found.ok_or_else(|| Error::NoLab {
            asked: asked.to_owned(),
            known: self.labs.iter().map(|lab| lab.id.clone()).collect(),
        })?;
        match lab.is_renamed() {
            None => Ok(lab),
            Some(expected) => Err(Error::Renamed { found: lab.folder.clone(), expected }),
        }
    }

    /// The folder that an editor opens: of the workspace with the students' files.
    pub(crate) fn editor_folder(&self) -> PathBuf {
        match self.manifest.has_member(work::MEMBERS) {
            true => self.root.clone(),
            false => self.root.join(work::FOLDER),
        }
    }

    /// Whether the lab's solution is here; a handout has none.
    pub(crate) fn has_solution(&self, lab: &Lab) -> bool {
        let path = lab.solution();
        lab.owner.acting(|| path.is_file())
    }

    /// The labs that have not passed, in the order of the semester, then the others.
    pub fn open(&self, progress: &Progress) -> Vec<&Lab> {
        let others = self.labs.iter().map(|lab| lab.id.as_str()).filter(|id| !ORDER.contains(id));
        let order = ORDER.into_iter().chain(others);
        let labs = order.filter_map(|id| self.labs.iter().find(|lab| lab.id == id));
        labs.filter(|lab| progress.of(&lab.id).state() != State::Passed).collect()
    }
}

impl Lab {
    /// The skeleton, which git has.
    pub fn student(&self) -> PathBuf {
        self.folder.join("src/student.rs")
    }

    /// The student's own file, if there is one.
    pub fn work_file(&self) -> PathBuf {
        self.work.join("student.rs")
    }

    /// Whether there is one.
    pub fn has_work(&self) -> bool {
        let file = self.work_file();
        self.owner.acting(|| file.is_file())
    }

    /// The file that is judged: the student's own, or else the skeleton.
    pub fn judged_file(&self) -> PathBuf {
        if self.has_work() { self.work_file() } else { self.student() }
    }

    /// The solution.
    pub(crate) fn solution(&self) -> PathBuf {
        self.folder.join("src/solution.rs")
    }

    /// The package of the student's own file.
    pub(crate) fn work_package(&self) -> String {
        format!("my-{}", self.name)
    }

    /// All that it has to say.
    ///
    /// # Errors
    ///
    /// When its messages are missing or damaged.
    pub fn catalogue(&self) -> Result<Catalogue> {
        let text = self.owner.read_text(&self.folder.join("messages.toml"));
        text.and_then(|text| Catalogue::of_lab(&text)).map_err(|error| Error::Damaged {
            path: self.folder.join("messages.toml"),
            cause: error.to_string().trim_end().to_owned(),
        })
    }

    /// What it says of itself.
    pub(crate) fn about(&self, language: Language) -> Option<About> {
        Some(self.catalogue().ok()?.lab?.get(language).clone())
    }

    /// The program of the student, of the solution, of the check.
    pub(crate) fn bin(&self, suffix: &str) -> String {
        format!("lab{}{suffix}", self.id)
    }

    /// `08-own-name`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}-{}", self.id, self.name)
    }

    fn is_renamed(&self) -> Option<String> {
        let expected = self.full_name();
        (self.folder.file_name()? != expected.as_str()).then_some(expected)
    }
}
