//! The program inside: one attempt, by its name, and what came of it.

use std::{fmt, io, process::exit};

use nix::errno::Errno;

/// The first word of its command line.
pub const ROLE: &str = "--attempt";

/// An attempt with its words. What it gained is `Ok`; it must not end like that, unless the test says
/// that there is nothing in it.
pub type Attempt = fn(&[String]) -> Result<String, Failed>;

/// Why an attempt failed: the name of the error.
#[derive(Debug)]
pub struct Failed(String);

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self(format!("{errno:?}"))
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Errno::from_raw(number).into(),
            None => Self(error.to_string()),
        }
    }
}

impl From<&str> for Failed {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// `done`, or the name of the error.
pub fn describe<T>(result: Result<T, impl Into<Failed>>) -> String {
    match result {
        Ok(_) => "done".into(),
        Err(failed) => failed.into().to_string(),
    }
}

/// What each of several ways came to: `NAME=EPERM NAME=done`.
pub fn each<'a, T, F: Into<Failed>>(
    ways: impl IntoIterator<Item = (&'a str, Result<T, F>)>,
) -> Result<String, Failed> {
    let description = ways.into_iter().map(|(name, way)| format!("{name}={}", describe(way)));
    Ok(description.collect::<Vec<_>>().join(" "))
}

/// All attempts of all kinds, by name.
fn find(name: &str) -> Option<Attempt> {
    let all = [
        crate::above::ATTEMPTS,
        crate::cgroups::ATTEMPTS,
        crate::devices::ATTEMPTS,
        crate::files::ATTEMPTS,
        crate::joined::ATTEMPTS,
        crate::kernel::ATTEMPTS,
        crate::limits::ATTEMPTS,
        crate::links::ATTEMPTS,
        crate::mounts::ATTEMPTS,
        crate::namespaces::ATTEMPTS,
        crate::network::ATTEMPTS,
        crate::processes::ATTEMPTS,
        crate::races::ATTEMPTS,
        crate::report::ATTEMPTS,
    ];
    let mut all = all.into_iter().flatten();
    all.find(|(known, _)| *known == name).map(|(_, attempt)| *attempt)
}

/// Makes the attempt that the words name, and says on one line of standard output what came of it.
pub fn play(words: &[String]) -> ! {
    let Some((name, words)) = words.split_first() else { exit(2) };
    let Some(attempt) = find(name) else {
        println!("there is no attempt {name:?}");
        exit(2);
    };
    match attempt(words) {
        Ok(gained) => println!("{gained}"),
        Err(failed) => println!("{failed}"),
    }
    exit(0)
}
