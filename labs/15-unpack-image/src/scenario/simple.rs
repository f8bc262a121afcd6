//! Good images that are about one thing each.

use std::{collections::BTreeMap, path::PathBuf};

use super::{ArchiveEntry, Expected, TestImage, archive, entry};

/// What such an image is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simple {
    /// One layer: a directory, files, a symbolic link and a hard link.
    Plain,
    /// Permissions beyond those of reading, writing and executing.
    Permissions,
    /// A file that both of two layers have.
    Order,
    /// A file that becomes a directory, and a directory that becomes a file.
    InTheWay,
    /// A directory where the layer below has a symbolic link to a directory.
    DirectoryForLink,
    /// Whiteouts of what is not there.
    NothingHidden,
    /// Symbolic links that lead out.
    LinksOut,
    /// A hard link in another directory than its target.
    HardLink,
    /// Paths that begin with `./`, and the root itself.
    DotSlash,
}

impl Simple {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Plain,
        Self::Permissions,
        Self::Order,
        Self::InTheWay,
        Self::DirectoryForLink,
        Self::NothingHidden,
        Self::LinksOut,
        Self::HardLink,
        Self::DotSlash,
    ];

    /// The image, and what is in the root afterwards.
    pub fn image(self, word: &str) -> (TestImage, BTreeMap<PathBuf, Expected>) {
        use ArchiveEntry::{Directory, File, HardLink, Symlink, Whiteout};
        let at = |path: &str, entry| (path.replace("WORD", word), entry);
        let file =
            |path: &str| at(path, File(format!("text {}\n", path.replace("WORD", word)), 0o644));
        let directory = |path: &str| at(path, Directory(0o755));
        let layers = match self {
            Self::Plain => vec![vec![
                directory("d-WORD"),
                file("d-WORD/file"),
                at("d-WORD/program", File(word.to_owned(), 0o755)),
                at("link-WORD", Symlink("d-WORD/file".replace("WORD", word))),
                at("twin-WORD", HardLink("d-WORD/file".replace("WORD", word))),
            ]],
            Self::Permissions => vec![vec![
                at("tmp-WORD", Directory(0o1777)),
                at("su-WORD", File(word.to_owned(), 0o4755)),
            ]],
            Self::Order => ["below", "above"]
                .map(|text| vec![at("file-WORD", File(text.into(), 0o644))])
                .to_vec(),
            Self::InTheWay => vec![
                vec![file("a-WORD"), directory("b-WORD"), file("b-WORD/file")],
                vec![directory("a-WORD"), file("a-WORD/file"), file("b-WORD")],
            ],
            Self::DirectoryForLink => vec![
                vec![directory("lib-WORD"), at("lib64-WORD", Symlink(format!("lib-{word}")))],
                vec![directory("lib64-WORD")],
            ],
            Self::NothingHidden => vec![
                vec![file("file-WORD")],
                vec![
                    at(".wh.missing-WORD", Whiteout),
                    directory("new-WORD"),
                    at("new-WORD/.wh..wh..opq", Whiteout),
                ],
            ],
            Self::LinksOut => vec![vec![
                at("absolute-WORD", Symlink("/etc/passwd".into())),
                at("above-WORD", Symlink("../../usr".into())),
            ]],
            Self::HardLink => vec![vec![
                directory("d-WORD"),
                directory("e-WORD"),
                file("d-WORD/file"),
                at("e-WORD/twin", HardLink(format!("d-{word}/file"))),
            ]],
            Self::DotSlash => {
                vec![vec![directory("./"), directory("./d-WORD/"), file("./d-WORD/file")]]
            }
        };
        let mut image = TestImage::new(&format!("simple-{word}"));
        let manifest = image.manifest_of(&layers);
        image.index(&[entry(&manifest, "linux", "amd64")]);
        (image, archive::apply(&layers))
    }
}
