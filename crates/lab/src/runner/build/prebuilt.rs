//! A student's program from the libraries that a handout has compiled already.
//!
//! Cargo would compile them once more: the folder in which packages of others lie is a part of what
//! it tells one build from another by. The compiler itself reads them wherever they are.

use std::{fs, path::PathBuf, process::Stdio};

use super::{
    compile::{Built, Folders, Words},
    kit::Kit,
    lines::{file_for_words, lines_of, words_in},
};
use crate::runner::{
    Error, Front, Result,
    course::{Course, Lab},
};

/// The folder of a handout's kit.
pub(crate) const FOLDER: &str = "kit";

/// Compiles the student's own file; `None` where there are no libraries for it, or other ones.
pub(crate) fn build(
    course: &Course,
    lab: &Lab,
    colours: bool,
    front: &mut dyn Front,
) -> Result<Option<Built>> {
    let (folder, owner) = (course.root.join(FOLDER), course.toolchain.owner());
    if !owner.acting(|| folder.is_dir()) {
        return Ok(None);
    }
    let Some(kit) = Kit::open(&folder, course).filter(|kit| kit.is_current(lab)) else {
        return Ok(None);
    };
    let bin = lab.bin("");
    let programs: PathBuf = course.target.join("kit");
    let made = owner.acting(|| fs::create_dir_all(&programs));
    made.map_err(Error::file("create", &programs))?;
    let program = programs.join(&bin);
    let file = lab.work_file();
    let source = file.strip_prefix(&course.root).unwrap_or(&file).display().to_string();
    let arguments = kit.arguments(&lab.id, &source, &program.display().to_string(), FOLDER);
    let Some(arguments) = arguments else { return Ok(None) };
    front.step(&bin);
    let mut rustc = course.toolchain.rustc();
    rustc.args(arguments);
    if colours {
        rustc.arg("--json=diagnostic-rendered-ansi");
    }
    let (words, errors) = file_for_words()?;
    rustc.stdout(Stdio::piped()).stderr(errors);
    let mut child = rustc.spawn().map_err(|error| course.toolchain.no_start(&error))?;
    let status = lines_of(&mut child, front, &mut |_, _| {})?;
    let said = words_in(words)?;
    let mut built = Built::default();
    let folders = Folders { root: &course.root, workspace: &course.root };
    for line in said.split(|byte| *byte == b'\n') {
        if let Ok(words) = serde_json::from_slice::<Words>(line) {
            built.take_words(&bin, words, &folders);
        }
    }
    match (status.success(), built.errors.is_empty()) {
        (true, _) => drop(built.programs.insert(bin, program)),
        // Not the student's fault, as far as the compiler says: cargo may do better.
        (false, true) => return Ok(None),
        (false, false) => {}
    }
    Ok(Some(built))
}
