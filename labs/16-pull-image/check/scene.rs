//! The program, and the registry that it pulls from.

use std::{
    io,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{
    Bench, Checked, Process, Student, ensure, fail,
    kernel::{Node, tree},
};
use pull_image::{
    Descriptor, Digest, Order,
    registry::{Registry, Request, parts},
};

use super::shelf::Image;

/// How long the client may take to write down what has arrived.
const WRITTEN: Duration = Duration::from_secs(1);

/// What the program says of a pull that has succeeded.
pub const PULLED: &str = "pulled";

/// The program and the registry that it pulls from.
pub struct Scene {
    pub student: Student,
    pub registry: Registry,
    pub store: PathBuf,
    /// How much of the log has been judged.
    pub judged: usize,
}

impl Scene {
    /// Lets the program pull; gives the requests that it made, and what it says of it.
    pub fn pull(&mut self, bench: &mut Bench, order: &Order) -> Checked<(Vec<Request>, String)> {
        let order_line = serde_json::to_string(order).map_err(io::Error::from)?;
        self.student.go_with(&order_line)?;
        self.student.meet("pulled")?;
        let log = self.registry.log().split_off(self.judged);
        self.judged += log.len();
        for request in &log {
            let range = request.range.as_ref().map(|range| format!(", {range}"));
            let asked = format!("GET {}{}", request.path, range.unwrap_or_default());
            bench.saw(asked, request.status);
        }
        Ok((log, self.student.said("outcome")?.to_owned()))
    }

    /// The bytes of a blob in the store.
    pub fn content(&self, digest: &Digest) -> Checked<Option<Vec<u8>>> {
        let found = tree(self.student.main(), &self.store.join("blobs/sha256"))?
            .remove(Path::new(digest.hex()));
        Ok(match found {
            Some(Node::File { content, .. }) => Some(content),
            _ => None,
        })
    }

    /// How often the program's `blob` was called for one.
    pub fn attempts(&self, blob: &Descriptor) -> Checked<u64> {
        self.student.number(&format!("attempts.{}", blob.digest.hex()))
    }

    /// The image is in the store, every blob as its digest says.
    pub fn has(&self, image: &Image, outcome: &str) -> Checked<()> {
        ensure(outcome == PULLED, || fail("L16-refused").fact("error", outcome))?;
        for blob in &image.blobs {
            let found = self.content(&blob.digest)?.map(|bytes| Digest::of(&bytes));
            ensure(found.as_ref() == Some(&blob.digest), || {
                let found = found.map_or("nothing".into(), |digest| digest.to_string());
                fail("L16-store").fact("digest", &blob.digest).fact("found", found)
            })?;
        }
        Ok(())
    }
}

/// The requests for a blob.
pub fn asked_for<'l>(log: &'l [Request], blob: &Descriptor) -> Vec<&'l Request> {
    let digest = blob.digest.to_string();
    let same = |request: &&Request| {
        request.status != 401 && parts(&request.path).is_some_and(|(_, _, what)| what == digest)
    };
    log.iter().filter(same).collect()
}

/// Waits until the client has written down that many bytes, and looks whether the blob has its final
/// name.
pub fn has_final_name(process: Process, store: &Path, digest: &Digest, bytes: usize) -> bool {
    let deadline = Instant::now() + WRITTEN;
    loop {
        let found = tree(process, store).unwrap_or_default();
        if found.contains_key(&Path::new("blobs/sha256").join(digest.hex())) {
            return true;
        }
        let arrived = found.get(&Path::new("ingest").join(digest.hex()));
        let enough = matches!(arrived, Some(Node::File { content, .. }) if content.len() >= bytes);
        if enough || Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
}
