//! Lab 16: pull by digest. The part that leads the student's functions from a name to the last blob.
//!
//! ```text
//!   GET /v2/class/app/manifests/1.0          a name -> a manifest          manifest
//!   GET /v2/class/app/blobs/sha256:9f86..    a digest -> bytes             blob
//!   401, WWW-Authenticate -> GET /token      who asks, and for what        get
//! ```

pub mod http;
pub mod registry;

use std::{
    fs, io,
    net::TcpListener,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::program::{Host, run};
use serde::{Deserialize, Serialize};

pub use http::Response;
pub use image::digest::Digest;

/// The media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Where a blob is, and how to know that it is the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What is in it.
    pub media_type: String,
    /// The hash of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

/// A repository of a registry, as a client knows it.
#[derive(Debug)]
pub struct Repository {
    /// The registry: `HOST:PORT`.
    pub registry: String,
    /// The repository's name: `class/app`.
    pub name: String,
    /// The token that the registry's token service gave for this repository, to keep.
    pub token: Option<String>,
}

/// What has been downloaded, in a directory.
#[derive(Debug)]
pub struct Store(pub PathBuf);

impl Store {
    /// Where a blob is once it is whole and verified.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs/sha256").join(digest.hex())
    }

    /// Where the part of it is that has arrived.
    pub fn partial(&self, digest: &Digest) -> PathBuf {
        self.0.join("ingest").join(digest.hex())
    }

    fn make(path: &Path) -> io::Result<Self> {
        for directory in ["blobs/sha256", "ingest"] {
            fs::create_dir_all(path.join(directory))?;
        }
        Ok(Self(path.to_owned()))
    }
}

/// GET of a path of the repository's registry with these headers.
pub type Get = fn(&mut Repository, &str, &[(&str, &str)]) -> io::Result<Response>;

/// The student's functions.
pub struct Answer {
    /// Asks, and gets a token if one is asked for.
    pub get: Get,
    /// The manifest that a tag or a digest names.
    pub manifest: fn(Get, &mut Repository, &str) -> io::Result<Vec<u8>>,
    /// Fetches a blob into the store, unless it is there.
    pub blob: fn(Get, &mut Repository, &Descriptor, &Store) -> io::Result<()>,
}

/// What the check wants pulled.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// The repository.
    pub repository: String,
    /// A tag or a digest.
    pub reference: String,
    /// A partial blob that an earlier pull, which was killed, has left: its digest and its bytes.
    pub left: Option<(Digest, String)>,
}

/// How often a pull is begun that breaks off, as a user would.
const ATTEMPTS: usize = 3;

/// The program: pulls one image after the other, as the check says, and says how it went.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let work = PathBuf::from(format!("/tmp/lab16-{}", std::process::id()));
        let store = host.step("make the store", || Store::make(&work))?;
        host.say("store", store.0.display());
        if !host.is_checked() {
            let mut repository = Repository {
                registry: host.argument("registry").to_owned(),
                name: host.argument("repository").to_owned(),
                token: None,
            };
            let reference = host.argument("reference");
            return host.step("pull", || pull(host, answer, &mut repository, reference, &store));
        }
        // The check answers what comes here: the socket is of this network, the registry is not.
        let listener = host.step("listen", || TcpListener::bind("127.0.0.1:0"))?;
        let registry = host.step("listen", || listener.local_addr())?.to_string();
        host.say("socket", listener.as_raw_fd());
        host.say("registry", &registry);
        let mut given = host.meet("ready");
        drop(listener);
        while !given.is_empty() {
            let order: Order = host.step("read the order", || serde_json::from_str(&given))?;
            if let Some((digest, bytes)) = &order.left {
                host.step("leave a partial blob", || fs::write(store.partial(digest), bytes))?;
            }
            let mut repository =
                Repository { registry: registry.clone(), name: order.repository, token: None };
            let pulled = pull(host, answer, &mut repository, &order.reference, &store);
            match pulled {
                Ok(()) => host.say("outcome", "pulled"),
                Err(error) => host.say("outcome", error),
            }
            given = host.meet("pulled");
        }
        Ok(())
    })
}

/// Pulls an image: its manifest, its config and its layers.
fn pull(
    host: &Host,
    answer: &Answer,
    repository: &mut Repository,
    reference: &str,
    store: &Store,
) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Manifest {
        config: Descriptor,
        layers: Vec<Descriptor>,
    }
    let manifest = (answer.manifest)(answer.get, repository, reference)?;
    let manifest: Manifest = serde_json::from_slice(&manifest)?;
    for wanted in [manifest.config].iter().chain(&manifest.layers) {
        let mut attempt = 1;
        host.say(&format!("attempts.{}", wanted.digest.hex()), attempt);
        while let Err(error) = (answer.blob)(answer.get, repository, wanted, store) {
            if !host.is_checked() {
                host.say("error", &error);
            }
            if attempt == ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
            host.say(&format!("attempts.{}", wanted.digest.hex()), attempt);
        }
    }
    Ok(())
}
