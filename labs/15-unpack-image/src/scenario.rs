//! What the check wants unpacked: random layers, and images that must be refused. Nobody can know
//! them beforehand.

mod archive;
mod attack;
mod simple;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Descriptor, Digest};
pub use archive::{ArchiveEntry, Layer};
use archive::{compressed, tar};
pub use attack::Attack;
pub use simple::Simple;

/// An image layout, file by file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestImage {
    /// The directory that it is written to.
    pub name: String,
    /// Its files, by paths relative to the layout.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

/// What is to be found under a path of an unpacked image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A directory with these permissions.
    Directory(u32),
    /// A file with this content and these permissions.
    File(String, u32),
    /// A symbolic link to there.
    Symlink(PathBuf),
    /// The same file as the one of that path.
    SameAs(PathBuf),
}

/// An image, and what comes of it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The layout.
    pub image: TestImage,
    /// What is in the root afterwards.
    pub expected: BTreeMap<PathBuf, Expected>,
    /// A file that is in each layer, each time another.
    pub shared: PathBuf,
    /// The file of the image for no platform, for another processor, and for another system.
    pub foreign: [PathBuf; 3],
    /// A file that a whiteout hides.
    pub hidden: PathBuf,
    /// A file that a whiteout beside it hides, in a directory.
    pub hidden_below: PathBuf,
    /// A symbolic link to nowhere that a whiteout hides.
    pub hidden_link: PathBuf,
    /// A file that its own layer has, with a whiteout of the same name.
    pub own: PathBuf,
    /// Where a symbolic link of the base leads, beside the root; the top has a file of its name.
    pub dangling: PathBuf,
    /// A directory that a whiteout hides.
    pub hidden_directory: PathBuf,
    /// A directory that is opaque.
    pub opaque: PathBuf,
    /// A directory that a later layer has too.
    pub kept: PathBuf,
}

impl Scenario {
    /// A scenario by the numbers that `random` gives, each below the one that it is asked for.
    pub fn random(random: impl Fn(u64) -> u64) -> Self {
        let word = |kind: &str| format!("{kind}-{:06x}", random(1 << 24));
        let file = |path: &str| {
            (path.to_owned(), ArchiveEntry::File(format!("{}\n", word("text")), 0o644))
        };
        let directory = |path: &str| (path.to_owned(), ArchiveEntry::Directory(0o755));
        let [shared, hidden, gone, opaque, link, kept, turned, flat] =
            ["shared", "hidden", "gone", "opaque", "conf", "kept", "turned", "flat"].map(word);
        let [dangling, escaped, own, stale] = ["dangling", "escaped", "own", "stale"].map(word);
        let inner = word("inner");
        let program = |path: String| {
            (path, ArchiveEntry::File(word("text"), [0o755, 0o700][random(2) as usize]))
        };

        let mut base = vec![file(&shared), file(&hidden), directory(&gone), directory(&kept)];
        base.extend([file(&format!("{gone}/{inner}")), directory(&format!("{gone}/sub"))]);
        base.extend([file(&format!("{gone}/sub/{inner}")), file(&format!("{kept}/{inner}"))]);
        base.extend([directory(&opaque), file(&format!("{opaque}/{inner}"))]);
        base.extend([file(&format!("{opaque}/{}", word("below"))), file(&turned)]);
        base.extend([(link.clone(), ArchiveEntry::Symlink("../victim".into())), directory(&flat)]);
        base.extend([file(&format!("{flat}/{inner}")), program(word("program"))]);
        let hidden_below = format!("{kept}/{}", word("deep"));
        base.extend([file(&hidden_below), file(&own)]);
        let to_nowhere = ArchiveEntry::Symlink(format!("../{escaped}"));
        base.push((dangling.clone(), to_nowhere.clone()));
        base.push((stale.clone(), to_nowhere));
        let twin = (word("twin"), ArchiveEntry::HardLink(format!("{kept}/{inner}")));
        base.push(twin);

        let mut middle =
            vec![file(&shared), directory(&opaque), file(&format!("{opaque}/{inner}"))];
        // After the layer's own files: it must not take those.
        middle.push((format!("{opaque}/.wh..wh..opq"), ArchiveEntry::Whiteout));
        middle.push((format!(".wh.{hidden}"), ArchiveEntry::Whiteout));
        middle.push((format!(".wh.{gone}"), ArchiveEntry::Whiteout));
        middle.push((format!(".wh.{stale}"), ArchiveEntry::Whiteout));
        let beside = Path::new(&hidden_below).file_name().map(|name| name.display().to_string());
        middle.push((format!("{kept}/.wh.{}", beside.unwrap_or_default()), ArchiveEntry::Whiteout));
        middle.extend([file(&own), (format!(".wh.{own}"), ArchiveEntry::Whiteout)]);
        middle.extend([
            (kept.clone(), ArchiveEntry::Directory(0o700)),
            file(&format!("{kept}/{}", word("new"))),
        ]);
        middle.push((word("link"), ArchiveEntry::Symlink("/etc/passwd".into())));

        let mut top = vec![file(&shared), file(&link), file(&dangling), directory(&turned)];
        top.extend([file(&format!("{turned}/{inner}")), file(&flat)]);
        top.extend((0..2 + random(3)).map(|_| file(&word("file"))));

        let mut image = TestImage::new("good");
        let layers = [base, middle, top];
        let manifest = image.manifest_of(&layers);
        let foreign = [(); 3].map(|()| word("foreign"));
        let [none, processor, system] =
            foreign.each_ref().map(|name| image.manifest_of(&[vec![file(name)]]));
        let mut others = [entry(&processor, "linux", "arm64"), entry(&system, "windows", "amd64")];
        if random(2) == 0 {
            others.reverse();
        }
        // Neither the first nor the last one.
        let mut all = vec![entry(&none, "unknown", "unknown")];
        all.extend(others);
        all.push(entry(&manifest, "linux", "amd64"));
        all.push(entry(&processor, "linux", "s390x"));
        image.index(&all);
        Self {
            image,
            expected: archive::apply(&layers),
            shared: shared.into(),
            foreign: foreign.map(PathBuf::from),
            hidden: hidden.into(),
            hidden_below: hidden_below.into(),
            hidden_link: stale.into(),
            own: own.into(),
            dangling: escaped.into(),
            hidden_directory: gone.into(),
            opaque: opaque.into(),
            kept: kept.into(),
        }
    }
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn describe(media_type: &str, blob: &[u8]) -> Descriptor {
    let (digest, size) = (Digest::of(blob), blob.len() as u64);
    Descriptor { media_type: media_type.into(), digest, size }
}

fn entry(manifest: &Descriptor, os: &str, architecture: &str) -> Value {
    let mut entry = json!(manifest);
    entry["platform"] = json!({ "architecture": architecture, "os": os });
    entry
}

fn path_of(digest: &Digest) -> PathBuf {
    Path::new("blobs/sha256").join(digest.hex())
}

impl TestImage {
    fn new(name: &str) -> Self {
        let layout = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
        Self { name: name.into(), files: [("oci-layout".into(), layout)].into() }
    }

    /// As the line that the program is told.
    ///
    /// # Errors
    ///
    /// None that could be: it is a map with paths of letters.
    pub fn line(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    fn add(&mut self, media_type: &str, blob: Vec<u8>) -> Descriptor {
        let descriptor = describe(media_type, &blob);
        self.files.insert(path_of(&descriptor.digest), blob);
        descriptor
    }

    fn manifest_of(&mut self, layers: &[Layer]) -> Descriptor {
        let layers: Vec<Descriptor> =
            layers.iter().map(|layer| self.add(LAYER, compressed(&tar(layer)))).collect();
        self.manifest(&layers)
    }

    fn manifest(&mut self, layers: &[Descriptor]) -> Descriptor {
        let config = json!({ "architecture": "amd64", "os": "linux" }).to_string();
        let config = self.add("application/vnd.oci.image.config.v1+json", config.into());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        self.add(MANIFEST, manifest.to_string().into())
    }

    fn index(&mut self, entries: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": entries });
        self.files.insert("index.json".into(), index.to_string().into());
    }
}
