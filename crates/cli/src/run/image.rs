//! `isolab run --image`: an image's layers as the root, and its config as what is not said.
//!
//! ```text
//!   layers     -> the lower directories of the root
//!   Entrypoint -> the program          Env        -> before --env
//!   Cmd        -> its arguments        User       -> --user
//!   WorkingDir -> --workdir            StopSignal -> --stop-signal      Labels -> --label
//!   Volumes    -> what stays writable with --read-only
//! ```

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use container::{Mount, Spec};
use image::{
    config::Execution,
    manifest::Platform,
    process::Overrides,
    reference::Reference,
    store::{Image, Lock, Store},
};
use sandbox::Program;

use super::mounts;
use crate::{failure::Failure, image as images};

#[derive(Debug, Args)]
#[command(next_help_heading = "From an image")]
pub(super) struct ImageArguments {
    /// Run this image: a name or an id. Words behind it replace its Cmd
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["root", "overlay", "initrd"])]
    pub(super) image: Option<String>,
    /// When to fetch the image from its registry [default: missing]
    #[arg(long, value_enum, value_name = "WHEN")]
    pull: Option<Pull>,
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Pull {
    /// Each time, if the registry has a newer one
    Always,
    /// If it is not on this host
    #[default]
    Missing,
    /// Not at all
    Never,
}

/// An image that is ready to run.
pub(super) struct RunImage {
    /// Its layers, the uppermost first.
    pub(super) lowers: Vec<PathBuf>,
    execution: Execution,
    /// While it is held, `isolab image prune` leaves the layers.
    _in_use: Lock,
}

impl ImageArguments {
    /// The image, fetched and unpacked if it is not. `again` is a process that another one has made
    /// for the same run: it fetches nothing.
    pub(super) fn prepare(&self, again: bool) -> Result<Option<RunImage>, Failure> {
        let Some(name) = &self.image else {
            return match self.pull {
                Some(Pull::Always | Pull::Missing) => {
                    Err(Failure::usage("--pull needs an image").help("name one with --image"))
                }
                _ => Ok(None),
            };
        };
        let store = Store::of_user()?;
        let image = self.find(&store, name, again)?;
        let in_use = store.use_image(&image)?;
        let lowers = store.unpack(&image).map_err(images::of_image)?;
        Ok(Some(RunImage { lowers, execution: image.config.config, _in_use: in_use }))
    }

    fn find(&self, store: &Store, name: &str, again: bool) -> Result<Image, Failure> {
        let pull = match again {
            true => Pull::Never,
            false => self.pull.unwrap_or_default(),
        };
        let there = || -> Result<Image, Failure> {
            let named = store.resolve(name)?;
            Ok(store.image_at(&named.descriptor, &Platform::host())?)
        };
        let fetch = || -> Result<Image, Failure> {
            let reference: Reference = name.parse().map_err(images::of_image)?;
            images::pull_for_run(store, &reference)?;
            Ok(store.image(&reference, &Platform::host())?)
        };
        match pull {
            Pull::Never => there(),
            Pull::Always => fetch(),
            // An image that is damaged is fetched again.
            Pull::Missing => there().or_else(|_| fetch()),
        }
    }
}

impl RunImage {
    /// What it runs, if these words and this entrypoint are given.
    pub(super) fn program(
        &self,
        words: &[OsString],
        entrypoint: Option<&OsStr>,
    ) -> Result<Program, Failure> {
        let text = |word: &OsStr| {
            let text = word.to_str().map(str::to_owned);
            text.ok_or_else(|| {
                Failure::usage(format!("{word:?} is not UTF-8, as an image's words are"))
            })
        };
        let overrides = Overrides {
            words: words.iter().map(|word| text(word)).collect::<Result<_, _>>()?,
            entrypoint: entrypoint.map(text).transpose()?,
        };
        let arguments = self.execution.arguments(&overrides).map_err(|error| {
            Failure::usage(error.to_string()).help("write the command behind the options")
        })?;
        Ok(Program::Command(arguments.into_iter().map(Into::into).collect()))
    }

    /// Its environment, to which the user's is added.
    pub(super) fn environment(&self) -> Vec<(OsString, OsString)> {
        let all = self.execution.environment().into_iter();
        all.map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// Its working directory, if that is not the root.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        Some(PathBuf::from(self.execution.directory())).filter(|path| path != Path::new("/"))
    }

    /// The user its program runs as, unless somebody says otherwise.
    pub(super) fn user(&self) -> Option<&str> {
        Some(self.execution.user.as_str()).filter(|user| !user.is_empty())
    }

    /// Its labels and its stop signal.
    pub(super) fn execution(&self) -> &Execution {
        &self.execution
    }

    /// With a read-only root, its volumes stay writable: they are empty, in memory, and gone with
    /// the container. Otherwise the root's own writable layer takes what is written there.
    pub(super) fn add_volumes(&self, spec: &mut Spec) {
        if !spec.inside.read_only {
            return;
        }
        for path in self.execution.volumes.keys() {
            let destination = container::without_steps_up(Path::new(path));
            let is_taken = |mount: &Mount| mount.destination == destination;
            if destination != Path::new("/") && !spec.inside.mounts.iter().any(is_taken) {
                spec.inside.mounts.push(mounts::tmpfs::empty(destination));
            }
        }
    }
}
