//! `isolab image import-host`: an image of programs of this host and what they link to, so that a
//! class without a hub has a base image in a second.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use clap::Args;
use image::{
    config::{History, ImageConfig},
    layer::{Attributes, LayerWriter},
    one_layer,
    store::Store,
};
use microvm::initramfs::files_of_program;
use oci_spec::image::Descriptor;
use serde_json::json;

use super::{names::name_to_give, store};
use crate::{failure::Failure, output, units};

/// As many links as the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";

/// Make an image of programs of this host.
///
/// It has the programs, the libraries and the interpreters that they need, each at its place, and a
/// root without anything else. With busybox among them, its commands are there by their own names. A
/// container of it runs the first program.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name for the image
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
    /// Programs, by name or path
    #[arg(required = true, last = true, value_name = "PROGRAM")]
    programs: Vec<PathBuf>,
    /// Print the image as a JSON object
    #[arg(long)]
    json: bool,
}

/// What is at a path of the image.
enum Node {
    Directory(u32),
    Link(PathBuf),
    /// A file of the host.
    HostFile(PathBuf),
    Text(&'static str),
}

/// Makes it.
pub fn import_host(arguments: &Arguments) -> Result<u8, Failure> {
    let name = name_to_give(&arguments.name)?;
    let mut tree = Tree::default();
    let mut first = None;
    for word in &arguments.programs {
        let program = find(word).ok_or_else(|| {
            Failure::usage(format!("no program {} on this host", word.display()))
                .help("check the name, or give the program's path")
        })?;
        tree.add_program(&program)?;
        first.get_or_insert(program);
    }
    let first = first.expect("the parser demands one");
    let store = store()?;
    let (descriptor, bytes) = tree.keep(&store, &arguments.programs, &first)?;
    store.tag(&name, &descriptor)?;
    let digest = descriptor.digest().to_string();
    match arguments.json {
        true => output::print_json(
            &json!({ "name": name.familiar(), "digest": digest, "bytes": bytes }),
        )?,
        false => output::print(&format!("{}  {}\n", name.familiar(), units::show_size(bytes)))?,
    }
    Ok(0)
}

/// A program by its path, or by its name in PATH.
fn find(word: &Path) -> Option<PathBuf> {
    if word.components().count() > 1 {
        return word.is_file().then(|| std::path::absolute(word).ok())?;
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let all: Vec<PathBuf> = env::split_paths(&folders).chain(env::split_paths(usual)).collect();
    all.into_iter()
        .map(|folder| folder.join(word))
        .find(|path| path.is_absolute() && path.is_file())
}

/// What is at which path, without a slash at the beginning.
struct Tree(BTreeMap<PathBuf, Node>);

impl Default for Tree {
    fn default() -> Self {
        let mut tree = Self(BTreeMap::new());
        for (path, mode) in [
            ("root", 0o700),
            ("tmp", 0o1777),
            ("etc", 0o755),
            ("proc", 0o555),
            ("sys", 0o555),
            ("dev", 0o755),
        ] {
            tree.0.insert(path.into(), Node::Directory(mode));
        }
        // As this host has them: on most, links into /usr.
        for name in ["bin", "sbin", "lib", "lib64"] {
            if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
                let real = target.strip_prefix("/").unwrap_or(&target).to_owned();
                tree.0.insert(real, Node::Directory(0o755));
                tree.0.insert(name.into(), Node::Link(target));
            }
        }
        tree.0.insert("etc/passwd".into(), Node::Text(PASSWD));
        tree.0.insert("etc/group".into(), Node::Text(GROUP));
        tree
    }
}

impl Tree {
    fn add_program(&mut self, program: &Path) -> Result<(), Failure> {
        for file in files_of_program(program)? {
            self.add_host_file(&file)?;
        }
        let target = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        if target.file_name() == Some(OsStr::new("busybox")) {
            self.add_applets(&target)?;
        }
        Ok(())
    }

    /// A file of the host at its place, with the links on the way.
    fn add_host_file(&mut self, path: &Path) -> Result<(), Failure> {
        let failed = || Failure::at(format!("look at {}", path.display()));
        let mut rest: Vec<PathBuf> = parts(path);
        let mut at = PathBuf::new();
        let mut links = 0;
        while !rest.is_empty() {
            let part = rest.remove(0);
            if part == Path::new("..") {
                at.pop();
                continue;
            }
            let next = at.join(part);
            let on_host = Path::new("/").join(&next);
            let about = fs::symlink_metadata(&on_host).map_err(failed())?;
            if about.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Err(failed()(io::Error::other("too many symbolic links")));
                }
                let target = fs::read_link(&on_host).map_err(failed())?;
                if target.is_absolute() {
                    at = PathBuf::new();
                }
                rest.splice(0..0, parts(&target));
                self.0.insert(next, Node::Link(target));
                continue;
            }
            if about.is_dir() {
                self.0.entry(next.clone()).or_insert(Node::Directory(0o755));
            } else {
                self.0.insert(next.clone(), Node::HostFile(on_host));
            }
            at = next;
        }
        Ok(())
    }

    /// The commands of busybox by their names, as far as nothing else has them.
    fn add_applets(&mut self, busybox: &Path) -> Result<(), Failure> {
        let listed = std::process::Command::new(busybox).arg("--list").output();
        let listed = listed.map_err(Failure::at("ask busybox for its commands"))?;
        for name in
            String::from_utf8_lossy(&listed.stdout).lines().filter(|name| !name.contains('/'))
        {
            let bin = if self.0.contains_key(Path::new("bin")) { "bin" } else { "usr/bin" };
            // /bin may be a link to usr/bin.
            let folder = match self.0.get(Path::new(bin)) {
                Some(Node::Link(target)) => target.strip_prefix("/").unwrap_or(target).to_owned(),
                _ => bin.into(),
            };
            let path = folder.join(name);
            self.0.entry(path).or_insert_with(|| Node::Link(busybox.to_owned()));
        }
        Ok(())
    }

    /// Keeps the image in the store; its manifest, and the bytes of its layer.
    fn keep(
        &self,
        store: &Store,
        words: &[PathBuf],
        first: &Path,
    ) -> Result<(Descriptor, u64), Failure> {
        let mut config = ImageConfig::scratch();
        config.config.cmd = Some(vec![first.to_string_lossy().into_owned()]);
        config.config.env = vec![format!("PATH={}", image::process::USUAL_PATH)];
        let words: Vec<String> = words.iter().map(|word| word.display().to_string()).collect();
        let created_by = format!("isolab image import-host: {}", words.join(" "));
        config.history.push(History { created_by, ..History::default() });
        Ok(one_layer::keep(store, config, |output| self.write(output).map(drop))?)
    }

    fn write<W: io::Write>(&self, output: W) -> io::Result<W> {
        let mut writer = LayerWriter::new(output);
        let of = |mode| Attributes { mode, ..Attributes::default() };
        for (path, node) in &self.0 {
            let name = path.as_os_str().as_bytes();
            match node {
                Node::Directory(mode) => writer.directory(name, &of(*mode))?,
                Node::Link(target) => {
                    writer.symbolic_link(name, &of(0o777), target.as_os_str().as_bytes())?;
                }
                Node::Text(text) => {
                    writer.file(name, &of(0o644), text.len() as u64, text.as_bytes())?;
                }
                Node::HostFile(host) => {
                    let file = File::open(host)?;
                    let about = file.metadata()?;
                    // No set-user-ID bits of this host.
                    writer.file(name, &of(about.mode() & 0o755), about.len(), file)?;
                }
            }
        }
        writer.finish()
    }
}

fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.map(|part| PathBuf::from(part.as_os_str())).collect()
}
