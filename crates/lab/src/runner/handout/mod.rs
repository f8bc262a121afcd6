//! A handout: what a student gets, whole, for a room without a network.
//!
//! ```text
//!   isolab                    this very program: it judges
//!   labs/NN-name/             the chosen labs, without solutions and wrong answers
//!   crates/                   the crates that they need
//!   vendor/                   the packages of others that those need
//!   kit/                      all that programs link, compiled: for whoever has the same rustc
//!   work/                     empty: `isolab lab start` puts the student's files there
//! ```
//!
//! `check.rs` stays: it says in code what must be true, and a check builds nothing of it, for the
//! judge is in isolab. What a library of this course does for an answer stays readable too, since
//! programs link it.

mod packages;
mod readme;
mod tree;
mod vendor;

use std::{fs, path::Path, process::Stdio};

use serde_json::json;

use crate::runner::{
    Answer, Error, Front, LabContext, Result,
    build::{kit::Kit, prebuilt},
    course::{Course, Lab, work},
};
use packages::Metadata;

/// The folder in the archive.
const NAME: &str = "isolab-labs";

/// Makes a handout of these labs, of all if none is named, in a folder or in an archive
/// (`.tar.gz`, `.tar.zst`).
///
/// # Errors
///
/// When the checkout is another user's, when something cannot be read, written or built.
pub fn handout(
    context: &LabContext,
    asked: &[String],
    out: &Path,
    with_kit: bool,
    front: &mut dyn Front,
) -> Result<Answer> {
    let course = &context.course;
    course.toolchain.ensure_own("make the handout", "制作")?;
    let labs: Vec<&Lab> = match asked {
        [] => course.labs.iter().collect(),
        asked => asked.iter().map(|asked| course.lab(asked)).collect::<Result<_>>()?,
    };
    let pack = Pack::of(out)?;
    let (_stage, folder) = match &pack {
        None => (None, out.to_owned()),
        Some(_) => {
            let parent = out.parent().filter(|it| !it.as_os_str().is_empty());
            let stage = tempfile::tempdir_in(parent.unwrap_or(Path::new(".")));
            let stage = stage.map_err(Error::file("create a folder beside", out))?;
            let folder = stage.path().join(NAME);
            (Some(stage), folder)
        }
    };
    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    if fs::read_dir(&folder).map_err(Error::file("read", &folder))?.next().is_some() {
        return Err(Error::Usage {
            en: format!("{} is not empty", folder.display()),
            zh: format!("{} 不是空目录", folder.display()),
        });
    }
    let folder = folder.canonicalize().map_err(Error::file("look at", &folder))?;
    front.step("crates");
    let packages =
        packages::needed(&Metadata::of(&course.toolchain, &course.root, &["--no-deps"])?, &labs);
    tree::write(course, &packages, &labs, &folder)?;
    let own = Course::find(&folder)?;
    front.step("vendor");
    let vendored = vendor::vendor(&own)?;
    if with_kit {
        let mut kit = Kit::new(own.root.join(prebuilt::FOLDER));
        own.labs.iter().try_for_each(|lab| kit.add(&own, lab, front))?;
        kit.save(&own)?;
        // What cargo has built is of use in this very folder only.
        fs::remove_dir_all(&own.target).map_err(Error::file("remove", &own.target))?;
    }
    ensure_whole(&own)?;
    let program = folder.join("isolab");
    fs::copy("/proc/self/exe", &program).map_err(Error::file("copy", &program))?;
    readme::write(&folder, &own)?;
    if let Some(pack) = &pack {
        front.step("tar");
        pack.write(&folder, out)?;
    }
    let bytes = if pack.is_some() { fs::metadata(out).map_or(0, |it| it.len()) } else { 0 };
    let text = match context.style.either("en", "zh") {
        "en" => format!(
            "{}: {} labs, {} crates, {vendored} packages of others{}\n",
            out.display(),
            labs.len(),
            packages.len(),
            size(bytes, ", {} MB")
        ),
        _ => format!(
            "{}：{} 个实验，{} 个 crate，{vendored} 个外部软件包{}\n",
            out.display(),
            labs.len(),
            packages.len(),
            size(bytes, "，{} MB")
        ),
    };
    let ids: Vec<&String> = labs.iter().map(|lab| &lab.id).collect();
    let json = json!({ "written": out, "labs": ids, "vendored": vendored, "bytes": bytes });
    Ok(Answer { text, json, code: 0 })
}

fn size(bytes: u64, form: &str) -> String {
    match bytes {
        0 => String::new(),
        bytes => form.replace("{}", &bytes.div_ceil(1_000_000).to_string()),
    }
}

/// Has cargo read the whole as a student's will, without the network; then the students' files go
/// again, so that a newer handout can be unpacked over this one.
fn ensure_whole(course: &Course) -> Result<()> {
    Metadata::of(&course.toolchain, &course.root, &["--locked"])?;
    course
        .labs
        .iter()
        .try_for_each(|lab| fs::remove_dir_all(&lab.work).map_err(Error::file("remove", &lab.work)))
}

/// How an archive is compressed.
#[derive(Debug)]
struct Pack(&'static [&'static str]);

impl Pack {
    /// By the file's name; `None` for a folder.
    fn of(out: &Path) -> Result<Option<Self>> {
        let name = out.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name {
            name if name.ends_with(".tar.gz") || name.ends_with(".tgz") => Ok(Some(Self(&["-z"]))),
            name if name.ends_with(".tar.zst") => Ok(Some(Self(&["-I", "zstd -9 -T0"]))),
            name if name.ends_with(".zip")
                || name.ends_with(".tar.xz")
                || name.ends_with(".tar") =>
            {
                Err(Error::Usage {
                    en: format!("{name}: a handout is a folder, a .tar.gz or a .tar.zst"),
                    zh: format!("{name}：只能写成目录、.tar.gz 或 .tar.zst"),
                })
            }
            _ => Ok(None),
        }
    }

    /// Times stay: what was built is newer than its sources.
    fn write(&self, folder: &Path, out: &Path) -> Result<()> {
        let parent = folder.parent().unwrap_or(Path::new("/"));
        let mut tar = std::process::Command::new("tar");
        // A colon in a name is no host's (tar(1)).
        tar.args(["--force-local", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(self.0);
        tar.arg("-cf").arg(out).arg("-C").arg(parent).arg(NAME).stdin(Stdio::null());
        let ended = tar.output().map_err(Error::system("start tar"))?;
        match ended.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
                Err(Error::System { call: "tar", source: std::io::Error::other(said) })
            }
        }
    }
}

/// Puts the students' packages there, for as long as versions are chosen and things are built.
fn furnish(course: &Course) -> Result<()> {
    course.labs.iter().try_for_each(|lab| {
        fs::create_dir_all(&lab.work).map_err(Error::file("create", &lab.work))?;
        fs::copy(lab.student(), lab.work_file()).map_err(Error::file("copy", lab.student()))?;
        work::furnish(course, lab).map(drop)
    })
}
