//! `isolab image`: the images of this host.

mod archive;
mod build;
mod connection;
mod explain;
mod export;
mod history;
mod import_host;
mod inspect;
mod list;
mod login;
mod names;
mod progress;
mod prune;
mod transfer;

use clap::{Args, Subcommand};
use image::store::{Store, StoreError};

pub use transfer::pull_for_run;

use crate::failure::Failure;

/// Build, fetch, keep and exchange images.
///
/// An image is a template: read-only layers and the config of what to run. `isolab run --image` makes
/// a container or, with `--in linux`, a microVM of it. Images are kept in /var/lib/isolab/images for
/// root, otherwise in ~/.local/share/isolab/images ($XDG_DATA_HOME instead of ~/.local/share, if set);
/// ISOLAB_IMAGES names another directory.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build an image by a Dockerfile
    Build(build::Arguments),
    /// Fetch an image from a registry
    Pull(transfer::PullArguments),
    /// Send an image to a registry
    Push(transfer::PushArguments),
    /// List images
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Print details of images as JSON
    Inspect(inspect::Arguments),
    /// Show how an image was built
    History(history::Arguments),
    /// Show what an image consists of, and compute its digests anew
    Explain(explain::Arguments),
    /// Give an image another name
    Tag(names::TagArguments),
    /// Remove names of images, and images without one
    #[command(visible_alias = "remove")]
    Rm(names::RmArguments),
    /// Write images to an archive
    Save(archive::SaveArguments),
    /// Load images from an archive
    Load(archive::LoadArguments),
    /// Write the root file system of an image as a tar archive
    Export(export::ExportArguments),
    /// Make an image of a root file system's tar archive
    Import(export::ImportArguments),
    /// Make an image of programs of this host
    ImportHost(import_host::Arguments),
    /// Show what differs between two images
    Diff(export::DiffArguments),
    /// Remove images without a name, and what no image needs
    Prune(prune::PruneArguments),
    /// Compute the digests of images anew
    Verify(prune::VerifyArguments),
    /// Log in to a registry
    Login(login::LoginArguments),
    /// Log out of a registry
    Logout(login::LogoutArguments),
}

/// Carries out one of them.
pub fn image(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Command::Build(arguments) => build::build(arguments),
        Command::Pull(arguments) => transfer::pull(arguments),
        Command::Push(arguments) => transfer::push(arguments),
        Command::List(arguments) => list::list(arguments),
        Command::Inspect(arguments) => inspect::inspect(arguments),
        Command::History(arguments) => history::history(arguments),
        Command::Explain(arguments) => explain::explain(arguments),
        Command::Tag(arguments) => names::tag(arguments),
        Command::Rm(arguments) => names::rm(arguments),
        Command::Save(arguments) => archive::save(arguments),
        Command::Load(arguments) => archive::load(arguments),
        Command::Export(arguments) => export::export(arguments),
        Command::Import(arguments) => export::import(arguments),
        Command::ImportHost(arguments) => import_host::import_host(arguments),
        Command::Diff(arguments) => export::diff(arguments),
        Command::Prune(arguments) => prune::prune(arguments),
        Command::Verify(arguments) => prune::verify(arguments),
        Command::Login(arguments) => login::login(arguments),
        Command::Logout(arguments) => login::logout(arguments),
    }
}

fn store() -> Result<Store, Failure> {
    Ok(Store::of_user()?)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        of_image(error)
    }
}

/// The errors of the image crates end in the way out, on a line of its own.
pub fn of_image(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let text = sandbox::chain(&error);
    match text.split_once('\n') {
        Some((message, help)) => Failure::refused(message).help(help),
        None => Failure::refused(text),
    }
}
