//! Cargo, as the owner of the checkout.
//!
//! What a build runs is what the checkout says: build scripts, wrappers, linkers. So root builds as
//! root only what root alone can change, and everything else as the checkout's owner.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::Uid;

use crate::runner::{
    Error, LocalUser, Result,
    privilege::{environment, trust},
};

/// A cargo, and as whom it is run.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    cargo: PathBuf,
    owner: LocalUser,
    root: PathBuf,
}

impl Toolchain {
    /// The cargo for the checkout in `root`.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let owner = LocalUser::owner_of(root).map_err(Error::file("look at", root))?;
        if is_roots(&owner) {
            trust::tree(root).map_err(Error::Shared)?;
            for (name, usual) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
                let usual = || Some(owner.home.as_ref()?.join(usual));
                let home = env::var_os(name).map(PathBuf::from).or_else(usual);
                if let Some(home) = home.filter(|home| home.exists()) {
                    trust::path(&home).map_err(Error::Shared)?;
                }
            }
        }
        let there = |path: &PathBuf| owner.acting(|| path.is_file());
        // Another user's cargo is nothing to root but a word that this user is to execute.
        let usable = |path: &PathBuf| !is_roots(&owner) || environment::may_run(path);
        let cargo = candidates(&owner).into_iter().filter(there).find(usable);
        let cargo = cargo.ok_or_else(|| Error::NoCargo { user: owner.name.clone() })?;
        Ok(Self { cargo, owner, root: root.to_owned() })
    }

    /// A call of cargo on the checkout.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        self.cargo_in(&self.root, subcommand)
    }

    /// A call of cargo on a workspace in the checkout.
    pub(crate) fn cargo_in(&self, workspace: &Path, subcommand: &str) -> Command {
        let program = self.cargo.as_os_str().to_owned();
        if !is_roots(&self.owner) {
            let mut cargo = self.command_in(program, workspace);
            cargo.arg(subcommand);
            return cargo;
        }
        // Cargo and rustup heed files of all folders above the one they are called in, where others
        // may have put them: /tmp/.cargo/config.toml.
        let mut cargo = self.command_in(program, Path::new("/"));
        for config in [".cargo/config.toml", ".cargo/config"].map(|path| self.root.join(path)) {
            if config.is_file() {
                cargo.arg("--config").arg(config);
            }
        }
        cargo.args([subcommand, "--manifest-path"]).arg(workspace.join("Cargo.toml"));
        cargo
    }

    /// A call of another program there, as the same user.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = self.command_in(program, &self.root);
        if is_roots(&self.owner) {
            // A repository above the checkout may be somebody else's, and has programs to run.
            command.env("GIT_CEILING_DIRECTORIES", self.root.parent().unwrap_or(&self.root));
        }
        command
    }

    fn command_in(&self, program: impl Into<OsString>, folder: &Path) -> Command {
        let mut command = self.owner.command(&program.into(), folder);
        command.stdin(Stdio::null());
        command
    }

    /// A call of the compiler, in the checkout's root.
    pub(crate) fn rustc(&self) -> Command {
        // Beside cargo, where rustup and distributions have it.
        let beside = self.cargo.with_file_name("rustc");
        let is_there = self.owner.acting(|| beside.is_file());
        let is_usable = is_there && (!is_roots(&self.owner) || environment::may_run(&beside));
        self.command(if is_usable { beside.into_os_string() } else { "rustc".into() })
    }

    /// What the compiler says of itself.
    pub(crate) fn rustc_version(&self) -> Result<String> {
        self.rustc_says(&["-vV"])
    }

    /// The folder of the compiler and its own libraries.
    pub(crate) fn sysroot(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(self.rustc_says(&["--print", "sysroot"])?.trim_end()))
    }

    fn rustc_says(&self, words: &[&str]) -> Result<String> {
        let ended = self.rustc().args(words).output().map_err(|error| self.no_start(&error))?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match ended.status.success() {
            true => Ok(said(&ended.stdout)),
            false => Err(Error::Cargo { said: said(&ended.stderr) }),
        }
    }

    /// Makes sure that nobody else has put something where root's cargo puts what it builds, and
    /// takes it from there.
    pub(crate) fn trust(&self, target: &Path) -> Result<()> {
        if !is_roots(&self.owner) || target.starts_with(&self.root) {
            return Ok(());
        }
        // Once it is there, and root's, nobody else can put another one in its place.
        fs::create_dir_all(target).map_err(Error::file("create", target))?;
        trust::tree(target).map_err(Error::Shared)
    }

    /// Refuses what only the checkout's owner may do: what is built from it goes to others. The words
    /// say how that user does it, in both languages.
    pub(crate) fn ensure_own(&self, en: &str, zh: &str) -> Result<()> {
        let name = &self.owner.name;
        match self.owner.is_not_root_here() {
            true => Err(Error::Usage {
                en: format!("the checkout is {name}'s: {en} as that user"),
                zh: format!("这份仓库属于 {name}：请以该用户的身份{zh}"),
            }),
            false => Ok(()),
        }
    }

    /// Whose checkout it is.
    pub(crate) fn owner(&self) -> &LocalUser {
        &self.owner
    }

    /// Why cargo could not even be started.
    pub(crate) fn no_start(&self, error: &io::Error) -> Error {
        Error::Cargo { said: format!("{}: {error}", self.cargo.display()) }
    }
}

/// Whether root works on what is root's.
fn is_roots(owner: &LocalUser) -> bool {
    Uid::effective().is_root() && !owner.is_not_root_here()
}

fn candidates(owner: &LocalUser) -> Vec<PathBuf> {
    let own = owner.home.as_ref().map(|home| home.join(".cargo/bin/cargo"));
    // Who was started by cargo is told which one that was.
    let said = env::var_os("CARGO").map(PathBuf::from);
    let path = environment::search_path(owner);
    let on_path: Vec<PathBuf> =
        env::split_paths(&path).map(|folder| folder.join("cargo")).collect();
    match owner.is_not_root_here() {
        true => own.into_iter().chain(said).chain(on_path).collect(),
        false => said.into_iter().chain(on_path).chain(own).collect(),
    }
}
