//! What a power cut, a full disk or somebody with a shell leaves behind: the server neither serves it
//! nor keeps it when the right bytes come, and is led nowhere by it.

mod common;

use std::{
    fs,
    io::{self, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{
    http::request,
    images::{MANIFEST, code, push, push_image, put_manifest, try_push},
    own_server::{OwnServer, upload_files},
    skip,
};
use image::digest::Digest;
use registry::server::{Handler, Options, serve};
use serde_json::json;

fn blob_file(server: &OwnServer, digest: &Digest) -> PathBuf {
    server.path("blobs").join(digest.algorithm().name()).join(digest.hex())
}

#[test]
fn a_damaged_blob_is_replaced_by_a_push_of_the_right_bytes() {
    let server = OwnServer::start(|_| {});
    let bytes = b"a layer of some bytes";
    let digest = push(&server, "a", bytes);
    let path = format!("/v2/a/blobs/{digest}");
    for damaged in [&b""[..], b"a layer", &[0; 21], b"a layer of some bytes and more"] {
        fs::write(blob_file(&server, &digest), damaged).unwrap();
        if damaged.len() != bytes.len() {
            // What is seen to be damaged is not there, so that clients push it again.
            for method in ["HEAD", "GET"] {
                assert_eq!(request(server.at, method, &path, &[], b"").status, 404, "{damaged:?}");
            }
            let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
            assert_eq!(request(server.at, "POST", &mount, &[], b"").status, 202);
        }
        push(&server, "a", bytes);
        let got = request(server.at, "GET", &path, &[], b"");
        assert_eq!((got.status, &*got.body), (200, &bytes[..]), "{damaged:?}");
    }
}

#[test]
fn a_damaged_manifest_is_not_served_and_a_push_heals_it() {
    let server = OwnServer::start(|_| {});
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": null, "layers": [] });
    let digest = put_manifest(&server, "a", "1", &manifest);
    let length = manifest.to_string().len();
    for damaged in [vec![], vec![0; length], b"{}".to_vec(), vec![b' '; 5 << 20]] {
        fs::write(blob_file(&server, &digest), &damaged).unwrap();
        for path in ["manifests/1", &format!("manifests/{digest}"), &format!("blobs/{digest}")] {
            let got = request(server.at, "GET", &format!("/v2/a/{path}"), &[], b"");
            assert_eq!(got.status, 404, "{path}: {}", got.text());
        }
        put_manifest(&server, "a", "1", &manifest);
        let got = request(server.at, "GET", "/v2/a/manifests/1", &[], b"");
        assert_eq!(Digest::of(&got.body), digest);
    }
    // Its media type is a file of its own.
    let link = format!("repositories/a/_manifests/sha256-{}", digest.hex());
    fs::write(server.path(&link), b"").unwrap();
    let got = request(server.at, "GET", "/v2/a/manifests/1", &[], b"");
    assert_eq!((got.status, got.header("content-type")), (200, MANIFEST));
}

#[test]
fn a_client_that_hangs_up_in_a_blob_pushed_at_once_leaves_nothing() {
    let server = OwnServer::start(|_| {});
    let digest = Digest::of(b"right");
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nright"
    );
    let mut stream = TcpStream::connect(server.at).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let until = |count: usize| {
        (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            server.upload_files() == count
        })
    };
    assert!(until(2), "the upload did not begin");
    drop(stream);
    assert!(until(0), "nobody was told the name of this upload: it cannot go on");
}

/// A log that the test reads.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_operator_learns_what_is_damaged_and_the_client_does_not() {
    let server = OwnServer::start(|_| {});
    // A server that starts reads the last blobs, if the machine was started anew.
    let has_read = |_| {
        std::thread::sleep(Duration::from_millis(20));
        server.path("boot").exists()
    };
    assert!((0..200).any(has_read));
    let digest = push(&server, "a", b"layer");
    fs::write(blob_file(&server, &digest), b"la").unwrap();
    let data = server.path("");
    let _folder = server.stop();
    let log = Log::default();
    let handler = Handler::open(Options::new(data), Box::new(log.clone())).unwrap();
    let path = format!("/v2/a/blobs/{digest}");
    let request = axum::http::Request::get(&path).body(axum::body::Body::empty()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = ([127, 0, 0, 1], 1).into();
    let (status, body) = runtime.block_on(async {
        let answer = handler.answer(client, request).await;
        let status = answer.status();
        (status, axum::body::to_bytes(answer.into_body(), 1000).await.unwrap())
    });
    assert_eq!(status, 404);
    assert!(!String::from_utf8_lossy(&body).contains("damaged"));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(line["error"], format!("{digest} is damaged: it has 2 bytes"));
}

/// A folder with a small file system of its own, until it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn an_upload_that_fills_the_disk_is_ended_and_gives_its_room_back() {
    let Some(disk) = SmallDisk::mount() else { return skip("mounting a tmpfs needs root") };
    let server = OwnServer::start(|options| options.data = disk.0.path().join("registry"));
    let answer = try_push(&server, "a", &vec![7; 2 << 20]);
    assert_eq!((answer.status, &*code(&answer)), (507, "DENIED"), "{}", answer.text());
    let begun = request(server.at, "POST", "/v2/a/blobs/uploads/", &[], b"");
    let location = begun.header("location").to_owned();
    assert_eq!(request(server.at, "PATCH", &location, &[], &vec![7; 2 << 20]).status, 507);
    assert_eq!(request(server.at, "GET", &location, &[], b"").status, 404);
    assert_eq!(upload_files(&disk.0.path().join("registry/uploads")), 0);
    push(&server, "a", &vec![7; 800 << 10]);
}

/// A folder outside of the registry that has all that a repository has.
fn secret_repository(folder: &Path) -> Digest {
    let digest = Digest::of(b"secret");
    let link = format!("sha256-{}", digest.hex());
    for (path, content) in [
        (format!("_blobs/{link}"), "6".to_owned()),
        (format!("_manifests/{link}"), MANIFEST.into()),
        ("_tags/secret".into(), digest.to_string()),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    digest
}

fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(tree(&path)),
            false => all.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

#[test]
fn a_link_among_the_files_leads_nobody_out() {
    let server = OwnServer::start(|_| {});
    let outside = tempfile::tempdir().unwrap();
    let secret = secret_repository(outside.path());
    fs::write(outside.path().join("file"), b"secret").unwrap();
    push_image(&server, "a", "1", &[b"layer"]);
    symlink(outside.path(), server.path("repositories/led")).unwrap();
    symlink(outside.path(), server.path("repositories/a/b")).unwrap();
    symlink(outside.path().join("file"), server.path("blobs/sha256").join(secret.hex())).unwrap();
    symlink(outside.path().join("_tags/secret"), server.path("repositories/a/_tags/led")).unwrap();
    let link = format!("repositories/a/_blobs/sha256-{}", secret.hex());
    fs::write(server.path(&link), b"6").unwrap();
    let before = tree(outside.path());

    for name in ["led", "a/b", "a"] {
        for path in [
            format!("/v2/{name}/blobs/{secret}"),
            format!("/v2/{name}/manifests/{secret}"),
            format!("/v2/{name}/manifests/led"),
            format!("/v2/{name}/manifests/secret"),
        ] {
            let got = request(server.at, "GET", &path, &[], b"");
            assert!(got.status >= 400, "{path}: {} {}", got.status, got.text());
        }
    }
    for name in ["led", "led/below", "a/b", "a/b/c"] {
        let answer = try_push(&server, name, b"written");
        assert!(answer.status >= 400, "{name}: {}", answer.status);
        let path = format!("/v2/{name}/tags/list");
        assert!(request(server.at, "GET", &path, &[], b"").status >= 400, "{path}");
    }
    let delete = |path: &str| request(server.at, "DELETE", path, &[], b"").status;
    assert!(delete("/v2/led/manifests/secret") >= 400);
    assert!(delete(&format!("/v2/led/blobs/{secret}")) >= 400);
    assert_eq!(tree(outside.path()), before);
    let list = request(server.at, "GET", "/v2/_catalog", &[], b"").text();
    assert!(list.contains("\"a\"") && !list.contains("led"), "{list}");
    // A push replaces a link by the blob.
    push(&server, "a", b"secret");
    let path = format!("/v2/a/blobs/{secret}");
    assert_eq!(request(server.at, "GET", &path, &[], b"").body, b"secret");
    assert_eq!(tree(outside.path()), before);
}

#[test]
fn a_pipe_among_the_files_makes_nobody_wait() {
    let server = OwnServer::start(|_| {});
    push_image(&server, "a", "1", &[b"layer"]);
    let pipe = server.path("repositories/a/_tags/pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let got = request(server.at, "GET", "/v2/a/manifests/pipe", &[], b"");
    assert!(got.status >= 400, "{}", got.status);
}

#[test]
fn a_second_server_of_the_same_directory_is_refused_with_the_way_out() {
    let server = OwnServer::start(|_| {});
    let mut options = Options::new(server.path(""));
    options.listen = ([127, 0, 0, 1], 0).into();
    let ended = serve(options, Box::new(io::sink()), |_| {}, async {});
    let error = ended.unwrap_err().to_string();
    for part in ["another server", "registry", "choose another directory"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // When the first one has ended, the directory is free.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("registry");
    for _ in 0..2 {
        drop(OwnServer::start(|options| options.data.clone_from(&data)));
    }
}
