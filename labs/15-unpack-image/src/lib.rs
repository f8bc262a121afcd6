//! Lab 15: an image is a list of hashes. The part that keeps the images and leads the student's
//! functions from the index to the last layer.
//!
//! ```text
//!   layout/index.json              one manifest a platform          choose_manifest
//!   layout/blobs/sha256/3b1f..     the manifest: a list of layers   read_blob, layers
//!   layout/blobs/sha256/9f86..     a layer: tar, compressed         read_blob, unpack_layer
//! ```

mod scenario;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::program::{Host, Trouble, run};
use serde::{Deserialize, Serialize};

pub use image::digest::Digest;
pub use scenario::{Attack, Expected, Scenario, Simple, TestImage};

/// Where a blob is, and how to know that it is the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What is in it.
    pub media_type: String,
    /// The hash of its bytes. It is hexadecimal, which was checked: it can be a file name.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

/// The student's functions.
pub struct Answer {
    /// The bytes of a blob of the layout in that directory, verified.
    pub read_blob: fn(&Path, &Descriptor) -> io::Result<Vec<u8>>,
    /// From an index, the manifest for 64-bit x86 Linux.
    pub choose_manifest: fn(&[u8]) -> io::Result<Descriptor>,
    /// From a manifest, the layers.
    pub layers: fn(&[u8]) -> io::Result<Vec<Descriptor>>,
    /// Applies a layer's archive to a directory.
    pub unpack_layer: fn(&[u8], &Path) -> io::Result<()>,
}

/// The program: unpacks one image after the other, as the check gives them, and says how it went.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        if !host.is_checked() {
            return by_hand(host, answer);
        }
        let work = host.step("make a directory", Work::new)?;
        host.say("work", work.0.display());
        let mut given = host.meet("ready");
        while !given.is_empty() {
            let image: TestImage = host.step("read the image", || serde_json::from_str(&given))?;
            let place = work.0.join(&image.name);
            host.step("write the image", || image.write(&place))?;
            let done = unpack(host, answer, &place.join("layout"), &place.join("root"));
            match done {
                Ok(()) => host.say("outcome", "unpacked"),
                Err((step, error)) => host.say("outcome", format!("{step}\t{error}")),
            }
            given = host.meet("unpacked");
        }
        Ok(())
    })
}

/// Unpacks the image in `layout=DIRECTORY` into `root=DIRECTORY`.
fn by_hand(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let (layout, root) = (host.argument("layout"), host.argument("root"));
    if layout.is_empty() || root.is_empty() {
        let usage = "usage: lab15 layout=DIRECTORY root=DIRECTORY";
        return host.step("read the arguments", || Err(io::Error::other(usage)));
    }
    host.step("make the root", || fs::create_dir(root))?;
    let done = unpack(host, answer, Path::new(layout), Path::new(root));
    done.or_else(|(step, error)| host.step(step, || Err(error)))
}

/// The step that refused it, and why.
type Refusal = (&'static str, io::Error);

fn unpack(host: &Host, answer: &Answer, layout: &Path, root: &Path) -> Result<(), Refusal> {
    let at = |step: &'static str| move |error| (step, error);
    let index = fs::read(layout.join("index.json")).map_err(at("read index.json"))?;
    let chosen = (answer.choose_manifest)(&index).map_err(at("choose_manifest"))?;
    let manifest = (answer.read_blob)(layout, &chosen).map_err(at("read_blob, of a manifest"))?;
    for layer in (answer.layers)(&manifest).map_err(at("layers"))? {
        if !host.is_checked() {
            host.say("layer", &layer.digest);
        }
        let blob = (answer.read_blob)(layout, &layer).map_err(at("read_blob, of a layer"))?;
        let tar = decompressed(&blob).map_err(at("decompress a layer"))?;
        (answer.unpack_layer)(&tar, root).map_err(at("unpack_layer"))?;
    }
    Ok(())
}

/// The archive that is in a layer's blob. For a real image it would be read piece by piece.
pub fn decompressed(blob: &[u8]) -> io::Result<Vec<u8>> {
    const MAGIC: [u8; 2] = [0x1f, 0x8b];
    let mut tar = Vec::new();
    if blob.starts_with(&MAGIC) {
        flate2::read::GzDecoder::new(blob).read_to_end(&mut tar)?;
    } else {
        tar.extend_from_slice(blob);
    }
    Ok(tar)
}

impl TestImage {
    /// Makes the directory `place`:
    ///
    /// ```text
    ///   layout/   the image        root/   where it is unpacked        victim   not to be touched
    /// ```
    fn write(&self, place: &Path) -> io::Result<()> {
        fs::create_dir_all(place.join("root"))?;
        for (path, content) in self.outside() {
            let path = place.join(path);
            fs::create_dir_all(path.parent().unwrap_or(place))?;
            fs::write(path, content)?;
        }
        Ok(())
    }

    /// All files beside the root, by paths relative to the image's directory.
    pub fn outside(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let layout = self.files.iter();
        let layout = layout.map(|(path, bytes)| (Path::new("layout").join(path), bytes.clone()));
        layout.chain([("victim".into(), b"untouched\n".to_vec())]).collect()
    }
}

/// A directory that goes when it is dropped.
struct Work(PathBuf);

impl Work {
    fn new() -> io::Result<Self> {
        let path = PathBuf::from(format!("/tmp/lab15-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // It is in a file system that goes with the program's host.
        let _ = fs::remove_dir_all(&self.0);
    }
}
