//! Images that lie, and images that want out of their root.

use std::path::Path;

use super::{ArchiveEntry, LAYER, Layer, TestImage, compressed, describe, entry, path_of, tar};

/// A way in which an image is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// A layer's blob has been replaced by another of the same size.
    Tampered,
    /// The descriptor of a layer has a larger size than the blob.
    Size,
    /// The descriptor of a layer has a smaller size than the blob.
    Longer,
    /// The index has an image for another platform alone.
    Platform,
    /// A file's path begins with `..`.
    DotDot,
    /// A file's path leads out by a `..` in the middle.
    DotDotInside,
    /// A file's path has a `..` in it, and leads out nowhere.
    DotDotResolved,
    /// A file's path begins with a slash.
    Absolute,
    /// A symbolic link leads out, and a file's path leads through it.
    Symlink,
    /// A symbolic link leads to a directory in the root, and a file's path leads through it.
    LinkInside,
    /// A hard link's target begins with `..`.
    HardLink,
    /// A hard link's target begins with a slash.
    HardLinkAbsolute,
    /// A hard link's target leads through a symbolic link.
    HardLinkThroughLink,
    /// A whiteout's name stands for the directory above.
    Whiteout,
    /// A whiteout's name stands for nothing.
    WhiteoutEmpty,
    /// A whiteout's path begins with `..`.
    WhiteoutDotDot,
    /// A whiteout's path leads through a symbolic link.
    WhiteoutThroughLink,
    /// An opaque directory is a symbolic link.
    OpaqueThroughLink,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Tampered,
        Self::Size,
        Self::Longer,
        Self::Platform,
        Self::DotDot,
        Self::DotDotInside,
        Self::DotDotResolved,
        Self::Absolute,
        Self::Symlink,
        Self::LinkInside,
        Self::HardLink,
        Self::HardLinkAbsolute,
        Self::HardLinkThroughLink,
        Self::Whiteout,
        Self::WhiteoutEmpty,
        Self::WhiteoutDotDot,
        Self::WhiteoutThroughLink,
        Self::OpaqueThroughLink,
    ];

    /// A bad image, which is to be unpacked below `work`.
    pub fn image(self, work: &Path, word: &str) -> TestImage {
        let name = format!("bad-{word}");
        let mut image = TestImage::new(&name);
        let mut descriptors = Vec::new();
        for layer in self.layers(&work.join(&name), word) {
            let mut blob = compressed(&tar(&layer));
            let mut descriptor = describe(LAYER, &blob);
            match self {
                Self::Tampered => {
                    // As good an archive as before, and as long, with another content.
                    blob = tar(&[file(&format!("first-{word}"), &"x".repeat(word.len()))]);
                    descriptor = describe(LAYER, &tar(&layer));
                }
                Self::Size => descriptor.size += 1,
                Self::Longer => descriptor.size -= 1,
                _ => {}
            }
            image.files.insert(path_of(&descriptor.digest), blob);
            descriptors.push(descriptor);
        }
        let manifest = image.manifest(&descriptors);
        let architecture = if self == Self::Platform { "arm64" } else { "amd64" };
        image.index(&[entry(&manifest, "linux", architecture)]);
        image
    }

    fn layers(self, place: &Path, word: &str) -> Vec<Layer> {
        let file = |path: String| file(&path, word);
        let link = |to: &str| (format!("link-{word}"), ArchiveEntry::Symlink(to.into()));
        let twin = |to: String| (format!("twin-{word}"), ArchiveEntry::HardLink(to));
        let whiteout = |path: String| (path, ArchiveEntry::Whiteout);
        let first = file(format!("first-{word}"));
        let directory = (format!("d-{word}"), ArchiveEntry::Directory(0o755));
        // What a whiteout goes through is in the layer below: whiteouts come first.
        match self {
            Self::Tampered | Self::Size | Self::Longer | Self::Platform => vec![vec![first]],
            Self::DotDot => vec![vec![first, file(format!("../escaped-{word}"))]],
            Self::DotDotInside => {
                vec![vec![directory, file(format!("d-{word}/../../escaped-{word}"))]]
            }
            Self::DotDotResolved => vec![vec![directory, file(format!("d-{word}/../in-{word}"))]],
            Self::Absolute => {
                vec![vec![first, file(format!("{}/escaped-{word}", place.display()))]]
            }
            Self::Symlink => {
                vec![vec![first, link(".."), file(format!("link-{word}/escaped-{word}"))]]
            }
            Self::LinkInside => {
                let through = file(format!("link-{word}/file"));
                vec![vec![directory, link(&format!("d-{word}")), through]]
            }
            Self::HardLink => vec![vec![first, twin("../victim".into())]],
            Self::HardLinkAbsolute => {
                vec![vec![first, twin(format!("{}/victim", place.display()))]]
            }
            Self::HardLinkThroughLink => {
                vec![vec![first, link("..")], vec![twin(format!("link-{word}/victim"))]]
            }
            Self::Whiteout => vec![vec![first, whiteout(".wh...".into())]],
            Self::WhiteoutEmpty => vec![vec![first], vec![whiteout(".wh.".into())]],
            Self::WhiteoutDotDot => vec![vec![first], vec![whiteout("../.wh.victim".into())]],
            Self::WhiteoutThroughLink => {
                let through = whiteout(format!("link-{word}/.wh.victim"));
                vec![vec![first, link("..")], vec![through]]
            }
            Self::OpaqueThroughLink => {
                let through = whiteout(format!("link-{word}/.wh..wh..opq"));
                vec![vec![first, link("..")], vec![through]]
            }
        }
    }
}

fn file(path: &str, word: &str) -> (String, ArchiveEntry) {
    (path.to_owned(), ArchiveEntry::File(format!("{word}\n"), 0o644))
}
