//! Cargo, as the owner of the checkout.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Error, Person, Result};

/// A cargo, and as whom it is run.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    cargo: PathBuf,
    owner: Person,
    root: PathBuf,
}

impl Toolchain {
    /// The cargo for the checkout in `root`.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let owner = Person::owner_of(root).map_err(Error::file("look at", root))?;
        let there = |path: &PathBuf| owner.acting(|| path.is_file());
        let cargo = candidates(&owner).into_iter().find(there);
        let cargo = cargo.ok_or_else(|| Error::NoCargo { user: owner.name.clone() })?;
        Ok(Self { cargo, owner, root: root.to_owned() })
    }

    /// A call of cargo in the checkout.
    pub(crate) fn cargo(&self) -> Command {
        self.command(self.cargo.as_os_str().to_owned())
    }

    /// A call of another program there, as the same user.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root).stdin(Stdio::null());
        self.owner.dress(&mut command);
        command
    }

    /// Whose checkout it is.
    pub(crate) fn owner(&self) -> &Person {
        &self.owner
    }

    /// Why cargo could not even be started.
    pub(crate) fn no_start(&self, error: &std::io::Error) -> Error {
        Error::Cargo { said: format!("{}: {error}", self.cargo.display()) }
    }
}

fn candidates(owner: &Person) -> Vec<PathBuf> {
    let own = owner.home.as_ref().map(|home| home.join(".cargo/bin/cargo"));
    // Who was started by cargo is told which one that was.
    let said = env::var_os("CARGO").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> =
        env::split_paths(&path).map(|folder| folder.join("cargo")).collect();
    match owner.is_not_root_here() {
        true => own.into_iter().chain(said).chain(on_path).collect(),
        false => said.into_iter().chain(on_path).chain(own).collect(),
    }
}
