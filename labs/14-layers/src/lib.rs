//! Lab 14: layers. The part that makes the layers that the check asks for, mounts them twice by the
//! student's function, and edits what is seen there.

pub mod look;
mod sample;
mod scenario;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::program::{Host, Trouble, run};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
use rustix::mount::{FsOpenFlags, fsopen};
use serde::{Deserialize, Serialize};

pub use sample::{Abilities, Sample};
pub use scenario::{Edit, File, Scenario};

/// The student's functions.
pub struct Answer {
    /// Layers, the directory that takes what is written, overlayfs's own directory, and where.
    pub mount_overlay: fn(&[PathBuf], &Path, &Path, &Path) -> nix::Result<()>,
    /// In an upper layer, a file of a lower one is no more.
    pub delete_file: fn(&Path, &Path) -> nix::Result<()>,
    /// What an upper layer changes.
    pub changes: fn(&Path) -> io::Result<Vec<Change>>,
}

/// A change that an upper layer makes to what lies below it. Paths are relative to the layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change {
    /// A file is new, or other than it was: a layer alone does not tell which.
    Written(PathBuf),
    /// What was there is gone.
    Deleted(PathBuf),
    /// A directory begins anew: nothing shows through it from below.
    Replaced(PathBuf),
}

/// The value of an extended attribute of a file or directory (xattr(7)), if it has it.
pub fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}

/// The program.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        host.step("unshare the mounts", || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        })?;
        let layers: Vec<Vec<File>> = match host.argument("layers") {
            "" => some_layers(),
            from_check => host.step("read the layers", || serde_json::from_str(from_check))?,
        };
        let tree = host.step("make the layers", || Tree::build(&layers))?;
        host.say("tree", tree.path.display());
        // Whether this kernel lets root of a user namespace have an overlay at all.
        let opened = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC);
        host.say("overlayfs", opened.map_or_else(|error| error.to_string(), |_| "works".into()));
        host.meet("built");

        // The second container's image takes a file away.
        let (one, two) = (tree.path.join("one"), tree.path.join("two"));
        let hidden = match host.argument("hidden") {
            "" => "lib/runtime",
            from_check => from_check,
        };
        let (upper, hidden) = (two.join("upper"), Path::new(hidden));
        host.step("make the directory of that file", || {
            fs::create_dir_all(upper.join(hidden).parent().unwrap_or(&upper))
        })?;
        host.step("delete_file", || (answer.delete_file)(&upper, hidden))?;
        host.meet("deleted");
        for container in [&one, &two] {
            let [upper, work, merged] =
                ["upper", "work", "merged"].map(|name| container.join(name));
            host.step("mount_overlay", || {
                (answer.mount_overlay)(&tree.lowers(layers.len()), &upper, &work, &merged)
            })?;
            host.meet("mounted");
        }
        let from_check = host.meet("ready");
        let edits: Vec<Edit> = match &*from_check {
            "" => Vec::new(),
            from_check => host.step("read the edits", || serde_json::from_str(from_check))?,
        };
        for edit in &edits {
            let merged = one.join("merged");
            host.step("edit in the overlay", || apply(edit, &merged))?;
        }
        host.meet("edited");

        let word = host.argument("word");
        let sample = tree.path.join("sample/upper");
        let sample = host.step("make a sample", || Sample::build(&sample, word))?;
        listed(host, answer, "sample", sample.top())?;
        for (name, container) in [("one", &one), ("two", &two)] {
            listed(host, answer, name, &container.join("upper"))?;
        }
        Ok(())
    })
}

fn listed(host: &Host, answer: &Answer, name: &str, layer: &Path) -> Result<(), Trouble> {
    let mut changes = host.step("changes", || (answer.changes)(layer))?;
    changes.sort();
    host.say(name, host.step("tell them", || serde_json::to_string(&changes))?);
    host.meet("listed");
    Ok(())
}

fn apply(edit: &Edit, root: &Path) -> io::Result<()> {
    match edit {
        Edit::Add(path, text) => fs::write(root.join(path), text),
        Edit::Append(path, text) => {
            let mut file = fs::File::options().append(true).open(root.join(path))?;
            file.write_all(text.as_bytes())
        }
        Edit::Delete(path) => fs::remove_file(root.join(path)),
        Edit::Replace(directory, file, text) => {
            let directory = root.join(directory);
            fs::remove_dir_all(&directory)?;
            fs::create_dir(&directory)?;
            fs::write(directory.join(file), text)
        }
    }
}

/// For a start by hand.
fn some_layers() -> Vec<Vec<File>> {
    let layer = |files: &[(&str, &str)]| {
        files.iter().map(|(path, text)| (path.into(), format!("{text}\n"))).collect()
    };
    vec![
        layer(&[("name", "the top layer's"), ("application", "1.0")]),
        layer(&[("name", "the middle layer's"), ("lib/runtime", "3.2")]),
        layer(&[("name", "the base's"), ("lib/libc", "2.36"), ("etc/hosts", "127.0.0.1")]),
    ]
}

/// The layers, and for each of two containers the directories for its overlay:
///
/// ```text
///   layers/0  layers/1  layers/2        the lower layers, 0 uppermost
///   one/upper  one/work  one/merged     the first container
///   two/upper  two/work  two/merged     the second
///   sample/upper                        a layer for `changes` alone
/// ```
struct Tree {
    path: PathBuf,
}

impl Tree {
    fn build(layers: &[Vec<File>]) -> io::Result<Self> {
        let path = PathBuf::from(format!("/tmp/lab14-{}", std::process::id()));
        fs::create_dir(&path)?;
        let tree = Self { path };
        for (lower, files) in tree.lowers(layers.len()).iter().zip(layers) {
            fs::create_dir_all(lower)?;
            for (name, text) in files {
                let file = lower.join(name);
                fs::create_dir_all(file.parent().unwrap_or(lower))?;
                fs::write(file, text)?;
            }
        }
        for container in ["one", "two"] {
            for directory in ["upper", "work", "merged"] {
                fs::create_dir_all(tree.path.join(container).join(directory))?;
            }
        }
        Ok(tree)
    }

    fn lowers(&self, count: usize) -> Vec<PathBuf> {
        (0..count).map(|number| self.path.join(format!("layers/{number}"))).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for container in ["one", "two"] {
            let merged = self.path.join(container).join("merged");
            let _ = umount2(&merged, MntFlags::MNT_DETACH);
        }
        // Never through a mount.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        if !mounts.contains(&format!(" {}/", self.path.display())) {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
