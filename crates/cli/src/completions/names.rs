//! The names that a shell completes: of runs, snapshots, kernels, images, labs and demos, as they are now.

use std::{env, fs};

use clap::{Args, ValueEnum};
use demo::Demo;
use image::store::Store;
use microvm::{kernels::KernelCache, snapshot::SnapshotStore};
use sandbox::Ledger;

use crate::{failure::Failure, output};

/// What has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Named {
    Runs,
    Snapshots,
    Kernels,
    Images,
    Labs,
    Demos,
}

/// The commands whose first words are names, each as the words behind `isolab`.
pub const COMMANDS: [(Named, &[&str]); 6] = [
    (
        Named::Runs,
        &[
            "exec", "stop", "logs", "attach", "wait", "kill", "rm", "top", "stats", "inspect",
            "cp", "pause", "unpause", "resume", "dump",
        ],
    ),
    (Named::Snapshots, &["snapshot restore", "snapshot rm"]),
    (Named::Kernels, &["kernel use"]),
    (
        Named::Images,
        &[
            "image list",
            "image ls",
            "image inspect",
            "image history",
            "image explain",
            "image tag",
            "image push",
            "image pull",
            "image save",
            "image export",
            "image diff",
            "image verify",
            "image rm",
            "image remove",
        ],
    ),
    (
        Named::Labs,
        &[
            "lab start",
            "lab check",
            "lab watch",
            "lab hint",
            "lab why",
            "lab reset",
            "lab solution",
            "lab verify",
        ],
    ),
    (Named::Demos, &["demo"]),
];

/// Print the names for a shell's completion, one per line.
#[derive(Debug, Args)]
pub struct Arguments {
    named: Named,
}

/// Prints them. What cannot be read has no names: a shell that completes a word shows no errors.
pub fn print(arguments: &Arguments) -> Result<u8, Failure> {
    output::print(&list(arguments.named).into_iter().map(|name| name + "\n").collect::<String>())?;
    Ok(0)
}

fn list(named: Named) -> Vec<String> {
    match named {
        Named::Runs => {
            let entries = Ledger::open().and_then(|ledger| ledger.entries()).unwrap_or_default();
            entries.into_iter().map(|entry| entry.name).collect()
        }
        Named::Snapshots => {
            let list = SnapshotStore::of_user().map(|store| store.list()).unwrap_or_default();
            list.into_iter().map(|snapshot| snapshot.name).collect()
        }
        Named::Kernels => {
            let list = KernelCache::of_user().map(|cache| cache.list()).unwrap_or_default();
            list.into_iter().map(|kernel| kernel.name).collect()
        }
        Named::Images => {
            let list = Store::of_user().and_then(|store| store.references()).unwrap_or_default();
            list.into_iter().map(|(reference, _)| reference.familiar()).collect()
        }
        Named::Labs => labs(),
        Named::Demos => {
            let words = ["list", "tour"].into_iter();
            words.chain(Demo::ALL.map(Demo::name)).map(str::to_owned).collect()
        }
    }
}

/// The folders of the labs in this checkout: `08-own-name`. Nothing in it is read or run.
fn labs() -> Vec<String> {
    let here = env::current_dir().unwrap_or_default();
    let is_course = |folder: &&std::path::Path| folder.join("Cargo.toml").is_file();
    let course = here.ancestors().filter(is_course).find(|folder| folder.join("labs").is_dir());
    let folders = course.and_then(|folder| fs::read_dir(folder.join("labs")).ok());
    let names = folders.into_iter().flatten().flatten();
    let is_lab = |name: &String| {
        name.split_once('-').is_some_and(|(number, _)| number.parse::<u8>().is_ok())
    };
    let mut labs: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).filter(is_lab).collect();
    labs.sort();
    labs
}
