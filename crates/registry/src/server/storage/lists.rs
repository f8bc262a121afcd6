//! What there is: repositories, their tags, manifests and blobs, and all blobs.

use std::io;

use image::digest::Digest;

use super::{
    super::{
        layout::{self, Link, REPOSITORIES, TAGS},
        route::is_upload,
    },
    ALGORITHMS, Storage,
};

impl Storage {
    /// The tags of a repository, sorted; none if there is no such repository.
    ///
    /// # Errors
    ///
    /// When its directory cannot be read.
    pub fn tags(&self, name: &str) -> io::Result<Vec<String>> {
        self.directory.names(&layout::part(name, TAGS))
    }

    /// The digests of the manifests of a repository.
    ///
    /// # Errors
    ///
    /// When its directory cannot be read.
    pub fn manifests(&self, name: &str) -> io::Result<Vec<Digest>> {
        self.linked(name, Link::Manifest)
    }

    /// The digests of the blobs of a repository.
    ///
    /// # Errors
    ///
    /// When its directory cannot be read.
    pub fn blobs(&self, name: &str) -> io::Result<Vec<Digest>> {
        self.linked(name, Link::Blob)
    }

    fn linked(&self, name: &str, link: Link) -> io::Result<Vec<Digest>> {
        let names = self.directory.names(&layout::part(name, link.directory()))?;
        Ok(names.iter().filter_map(|name| layout::linked(name)).collect())
    }

    /// Whether there is such a repository.
    pub fn exists(&self, name: &str) -> bool {
        [TAGS, Link::Manifest.directory(), Link::Blob.directory()]
            .iter()
            .any(|part| self.directory.is_directory(&layout::part(name, part)))
    }

    /// The names of all repositories with manifests, sorted.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub fn repositories(&self) -> io::Result<Vec<String>> {
        self.find_repositories(&[Link::Manifest])
    }

    /// The names of all repositories, also of those that have only blobs yet.
    pub(in super::super) fn all_repositories(&self) -> io::Result<Vec<String>> {
        self.find_repositories(&[Link::Manifest, Link::Blob])
    }

    /// The names of the directories that have one of these links, sorted, each once.
    fn find_repositories(&self, links: &[Link]) -> io::Result<Vec<String>> {
        let is_one = |part: &str| links.iter().any(|link| link.directory() == part);
        let mut all = Vec::new();
        let mut open = vec![String::new()];
        while let Some(name) = open.pop() {
            let directory = match name.is_empty() {
                true => REPOSITORIES.to_owned(),
                false => format!("{REPOSITORIES}/{name}"),
            };
            for part in self.directory.names(&directory)? {
                let below = if name.is_empty() { part.clone() } else { format!("{name}/{part}") };
                match part.starts_with('_') {
                    true if is_one(&part) && !name.is_empty() => all.push(name.clone()),
                    true => {}
                    // What somebody else has put there is none of the registry's.
                    false if self.directory.is_directory(&format!("{REPOSITORIES}/{below}")) => {
                        open.push(below);
                    }
                    false => {}
                }
            }
        }
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// The digests of all blobs.
    pub(in super::super) fn all_blobs(&self) -> io::Result<Vec<Digest>> {
        let mut all = Vec::new();
        for algorithm in ALGORITHMS {
            let names = self.directory.names(&layout::blobs(algorithm))?;
            all.extend(names.iter().filter_map(|name| format!("{algorithm}:{name}").parse().ok()));
        }
        Ok(all)
    }

    /// The bytes of all blobs and of all unfinished uploads.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        let mut paths: Vec<String> = self.all_blobs()?.iter().map(layout::blob).collect();
        let uploads = self.directory.names(layout::UPLOADS)?;
        paths.extend(uploads.iter().filter(|id| is_upload(id)).map(|id| layout::upload(id)));
        // What is not a file was not counted when it came, and is not when it goes.
        let length = |path: &String| self.directory.stat(path).ok().flatten();
        Ok(paths.iter().filter_map(length).map(|found| found.length).sum())
    }
}
