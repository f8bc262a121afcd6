//! Where the student sits: the course, the progress, and how answers are to look.

use std::{
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::runner::{
    Book, Error, Progress, Result,
    course::{Course, Lab},
    output::text::Style,
    progress::book::{SetAside, Why},
};
use crate::{catalogue::Language, check::BuiltIn};

/// What a command has to say.
#[derive(Debug, Clone)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// For the shell.
    pub code: u8,
}

/// Whoever is in front of the terminal, during a command that takes time.
pub trait Front {
    /// Something was done, of a work that takes a while.
    fn step(&mut self, what: &str);

    /// A part of the answer is there already.
    fn say(&mut self, line: &str);

    /// A whole answer, in the place of the one before.
    fn page(&mut self, answer: &Answer);

    /// A question is put; `None` if nobody answers with a number.
    fn ask(&mut self, question: &str, unit: &str) -> Option<f64>;

    /// Can be read once the user asks to stop.
    fn end(&self) -> Option<BorrowedFd<'_>>;
}

/// What all commands of the runner work on.
#[derive(Debug)]
pub struct LabContext {
    /// The labs.
    pub course: Course,
    /// The progress.
    pub book: Book,
    /// How answers look.
    pub style: Style,
    /// The checks that isolab itself has.
    built_in: &'static [BuiltIn],
    here: PathBuf,
}

impl LabContext {
    /// The context for the course in `labs`, or where the caller is; and what is to be said of the
    /// progress file.
    ///
    /// # Errors
    ///
    /// When there are no labs, when cargo is missing, and when no progress can be kept.
    pub fn open(
        labs: Option<&Path>,
        style: Style,
        built_in: &'static [BuiltIn],
    ) -> Result<(Self, Option<String>)> {
        let here = std::env::current_dir().map_err(Error::system("getcwd"))?;
        let course = Course::find(labs.unwrap_or(&here))?;
        let (book, aside) = Book::open()?;
        Ok((
            Self { course, book, style, built_in, here },
            aside.map(|aside| set_aside_notice(&aside, style.language)),
        ))
    }

    /// The lab that is meant: the one that is asked for, or the last one.
    ///
    /// # Errors
    ///
    /// When there is none, and when none was begun.
    pub fn lab(&self, asked: Option<&str>) -> Result<&Lab> {
        match asked {
            Some(asked) => self.course.lab(asked),
            None => self.course.lab(&self.progress()?.last.ok_or(Error::NotSaid)?),
        }
    }

    /// Refuses labs whose solutions are not here, as those of a handout.
    ///
    /// # Errors
    ///
    /// [`Error::NoSolutions`], and when there is no such lab.
    pub fn needs_solutions(&self, asked: &[String]) -> Result<()> {
        let labs: Vec<&Lab> = match asked {
            [] => self.course.labs.iter().collect(),
            asked => asked.iter().map(|asked| self.course.lab(asked)).collect::<Result<_>>()?,
        };
        match labs.iter().any(|lab| self.course.has_solution(lab)) {
            true => Ok(()),
            false => Err(Error::NoSolutions),
        }
    }

    /// The check that isolab itself has for the lab.
    pub(crate) fn built_in(&self, lab: &Lab) -> Option<&'static BuiltIn> {
        self.built_in.iter().find(|it| it.lab == lab.id && it.name == lab.name)
    }

    /// The progress as it stands.
    pub(crate) fn progress(&self) -> Result<Progress> {
        self.book.read()
    }

    /// A path as it is typed here.
    pub(crate) fn as_typed(&self, path: &Path) -> PathBuf {
        let here = self.here.canonicalize().unwrap_or_else(|_| self.here.clone());
        match path.strip_prefix(here) {
            Ok(path) if path.as_os_str().is_empty() => PathBuf::from("."),
            Ok(path) => path.to_owned(),
            Err(_) => path.to_owned(),
        }
    }
}

fn set_aside_notice(SetAside { path, why }: &SetAside, language: Language) -> String {
    let path = path.display();
    match (language, why) {
        (Language::En, Why::Version(version)) => {
            format!(
                "the progress file has version {version}; it was saved as {path}, and a new one was started"
            )
        }
        (Language::En, Why::Damaged(cause)) => {
            format!(
                "the progress file is damaged ({cause}); it was saved as {path}, and a new one was started"
            )
        }
        (Language::Zh, Why::Version(version)) => {
            format!("进度文件是版本 {version} 的，已保存为 {path}，并重新开始记录")
        }
        (Language::Zh, Why::Damaged(cause)) => {
            format!("进度文件已损坏（{cause}），已保存为 {path}，并重新开始记录")
        }
    }
}
