//! A bundle with a root of busybox, run by the runtime.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A bundle in a folder of its own.
pub struct Bundle {
    folder: TempDir,
    pub config: Value,
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub succeeded: bool,
    pub output: String,
    pub errors: String,
}

impl Bundle {
    /// One that can be run here; otherwise says why not.
    pub fn new() -> Option<Self> {
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
        let Some(busybox) = busybox.into_iter().find(|path| path.exists()) else {
            return skip("this host has no busybox");
        };
        if let Err(error) = container::available() {
            return skip(&sandbox::chain(&error));
        }
        if !container::host().root {
            return skip("this test needs root");
        }
        let bundle = Self { folder: tempfile::tempdir().unwrap(), config: config() };
        let bin = bundle.root().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy(busybox, bin.join("busybox")).unwrap();
        for name in ["sh", "cat", "ls", "stat", "grep", "mkdir", "touch", "echo", "readlink"] {
            symlink("busybox", bin.join(name)).unwrap();
        }
        Some(bundle)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn root(&self) -> PathBuf {
        self.folder().join("rootfs")
    }

    /// Adds a mount.
    pub fn mount(&mut self, kind: &str, source: &str, destination: &str, options: &[&str]) {
        let mount = json!({
            "type": kind, "source": source, "destination": destination, "options": options,
        });
        self.config["mounts"].as_array_mut().unwrap().push(mount);
    }

    /// A directory beside the root with a file, as the source of bind mounts.
    pub fn source(&self) -> PathBuf {
        let source = self.folder().join("source");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("file"), "content\n").unwrap();
        source
    }

    /// Runs a script in it.
    pub fn run(&mut self, script: &str) -> Run {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        self.config["process"]["args"] = json!(["sh", "-c", script]);
        fs::write(self.folder().join("config.json"), self.config.to_string()).unwrap();
        let id = format!("test-mounts-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let run = Command::new(env!("CARGO_BIN_EXE_isolab-oci"))
            .arg("--root")
            .arg(self.folder().join("state"))
            .args(["run", "--bundle"])
            .arg(self.folder())
            .arg(id)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (output, errors) = (text(run.stdout), text(run.stderr));
        Run { succeeded: run.status.success(), output, errors }
    }

    /// The output of a script that succeeds.
    pub fn output(&mut self, script: &str) -> String {
        let run = self.run(script);
        assert!(run.succeeded, "{script}: {run:?}");
        run.output.trim_end().to_owned()
    }

    /// The errors of a run that fails.
    pub fn failure(&mut self) -> String {
        let run = self.run("true");
        assert!(!run.succeeded, "{run:?}");
        run.errors
    }
}

fn skip<T>(reason: &str) -> Option<T> {
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.contains("container"), "container required: {reason}");
    println!("skipped: {reason}");
    None
}

fn config() -> Value {
    let kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let namespaces: Vec<Value> = kinds.iter().map(|kind| json!({ "type": kind })).collect();
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": { "uid": 0, "gid": 0 }, "cwd": "/", "env": ["PATH=/bin"],
            "capabilities": {
                "bounding": ["CAP_MKNOD"], "effective": ["CAP_MKNOD"], "permitted": ["CAP_MKNOD"],
            },
        },
        "root": { "path": "rootfs" },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "mode=755"] },
        ],
        "linux": { "namespaces": namespaces },
    })
}
