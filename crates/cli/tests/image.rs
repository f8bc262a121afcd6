//! Images as their user meets them: built, run, pushed, pulled, exchanged, removed.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use common::{isolab, output_of, skip};
use demo::{
    Demo, Scene,
    layers::{Found, LastChange, Layers},
};
use serde_json::Value;
use tempfile::TempDir;

/// The images of a test, which nobody else has.
struct Images {
    folder: TempDir,
}

impl Images {
    fn new() -> Self {
        let images = Self { folder: TempDir::new().unwrap() };
        fs::create_dir(images.path("context")).unwrap();
        images
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn isolab(&self, words: &[&str]) -> Command {
        let mut command = isolab(words);
        command.env("ISOLAB_IMAGES", self.path("images"));
        command.env("DOCKER_CONFIG", self.path("docker"));
        command
    }

    /// Its output, of one that must succeed.
    fn output(&self, words: &[&str]) -> String {
        let (code, output, errors) = output_of(&mut self.isolab(words));
        assert_eq!(code, 0, "{words:?}: {output}{errors}");
        output
    }

    /// Its exit code and errors, of one that must not.
    fn refused(&self, words: &[&str]) -> (i32, String) {
        let (code, output, errors) = output_of(&mut self.isolab(words));
        assert_ne!(code, 0, "{words:?}: {output}{errors}");
        (code, errors)
    }

    /// An image with busybox in it, under this name.
    fn base(&self, name: &str) {
        self.output(&["image", "import-host", name, "--", "busybox"]);
    }

    fn build(&self, name: &str, dockerfile: &str) -> (i32, String) {
        fs::write(self.path("context/Dockerfile"), dockerfile).unwrap();
        let context = self.path("context");
        let words = ["image", "build", "-t", name, context.to_str().unwrap()];
        let (code, _, errors) = output_of(&mut self.isolab(&words));
        (code, errors)
    }
}

/// Whether a container of this host's busybox can be made here.
fn can_build() -> bool {
    let has_busybox = Command::new("busybox").arg("true").status().is_ok_and(|it| it.success());
    if !has_busybox {
        return skip::<()>("container", "this host has no busybox").is_some();
    }
    common::can("container", container::available())
}

#[test]
fn an_image_is_built_run_and_removed() {
    if !can_build() {
        return;
    }
    let images = Images::new();
    images.base("base:1");
    fs::write(images.path("context/file"), "from the context").unwrap();
    let dockerfile = "FROM base:1\nWORKDIR /srv\nCOPY file copied\nRUN echo made > made\n\
        ENV COLOUR=blue\nENTRYPOINT [\"busybox\", \"sh\", \"-c\"]\nCMD [\"cat copied made; echo $COLOUR\"]\n";
    let (code, errors) = images.build("class/hello:1", dockerfile);
    assert_eq!(code, 0, "{errors}");
    let run =
        |words: &[&str]| images.output(&[&["run", "--image", "class/hello:1"], words].concat());
    assert_eq!(run(&[]), "from the contextmade\nblue\n");
    assert_eq!(run(&["echo $0 and $COLOUR", "word"]), "word and blue\n");
    let red = ["run", "-e", "COLOUR=red", "--image", "class/hello:1", "echo $COLOUR"];
    assert_eq!(images.output(&red), "red\n");
    let entrypoint = ["run", "--entrypoint", "busybox", "--image", "class/hello:1", "pwd"];
    assert_eq!(images.output(&entrypoint), "/srv\n");
    // The same files again: all from the cache.
    let (_, errors) = images.build("class/hello:2", dockerfile);
    assert!(errors.contains("Using cache") && !errors.contains("---> layer"), "{errors}");
    assert_eq!(images.output(&["image", "diff", "class/hello:1"]), "A /srv/made\n");
    let inspected: Value =
        serde_json::from_str(&images.output(&["image", "inspect", "class/hello:1"])).unwrap();
    assert_eq!(inspected[0]["Config"]["WorkingDir"], "/srv");
    assert_eq!(inspected[0]["RepoTags"], serde_json::json!(["class/hello:1", "class/hello:2"]));
    let history = images.output(&["image", "history", "class/hello:1"]);
    assert!(history.lines().count() >= 7 && history.contains("COPY"), "{history}");
    assert!(history.lines().all(|line| line.chars().count() <= 80), "{history}");
    let explained = images.output(&["image", "explain", "class/hello:1"]);
    assert!(
        explained.contains("computed: the same") && explained.contains("shared with"),
        "{explained}"
    );
    images.output(&["image", "rm", "class/hello:1", "class/hello:2", "base:1"]);
    let pruned = images.output(&["image", "prune"]);
    assert!(pruned.contains("freed") && !pruned.contains(" 0 cached build steps"), "{pruned}");
    let pruned = images.output(&["image", "prune", "--all"]);
    assert!(!pruned.contains(" 0 cached build steps"), "{pruned}");
    assert_eq!(fs::read_dir(images.path("images/cache")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(images.path("images/unpacked")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(images.path("images/blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn the_layers_of_an_image_are_a_demonstration() {
    if !can_build() || !common::can_live(Demo::Layers) {
        return;
    }
    let images = Images::new();
    images.base("base:1");
    fs::write(images.path("context/large"), vec![b'.'; 5 << 20]).unwrap();
    let dockerfile = "FROM base:1\nCOPY large /srv/large\nRUN rm /etc/group\nRUN echo 1 >/srv/x\n";
    let (code, errors) = images.build("class/hello:1", dockerfile);
    assert_eq!(code, 0, "{errors}");
    let file = images.path("layers.demo");
    let record = file.to_str().unwrap();
    let words = ["demo", "layers", "--image", "class/hello:1", "--pace", "200ms", "--for", "5s"];
    let output = images.output(&[&words[..], &["--lang", "en", "--record", record]].concat());
    assert!(output.lines().all(|line| report::columns::columns(line) <= 80), "{output}");
    let recorded = demo::recording::Replay::open(&file).unwrap();
    let scenes: Vec<&Layers> = recorded
        .scenes()
        .map(|scene| match scene {
            Scene::Layers(layers) => layers,
            other => panic!("{other:?}"),
        })
        .collect();
    let row = |path: &str| scenes[0].rows.iter().find(|row| row.path == path).unwrap().clone();
    assert_eq!(row("srv/large").layer, Some(2));
    let removed = row("etc/group");
    assert_eq!((removed.layer, removed.merged), (Some(3), None));
    assert_eq!(removed.lower, Some(Found::Whiteout));
    let copied_up = scenes.iter().any(|scene| {
        matches!(&scene.last_change, LastChange::CopiedUp { path, bytes, .. }
            if path == "srv/large" && *bytes == 5 << 20)
    });
    assert!(copied_up, "{output}");
    assert!(scenes.iter().any(|scene| matches!(scene.last_change, LastChange::Hidden { .. })));
    // Its own layers are as they were.
    assert_eq!(
        images.output(&["run", "--image", "class/hello:1", "--", "wc", "-c", "/srv/large"]).trim(),
        format!("{} /srv/large", 5 << 20)
    );
    let (code, errors) = images.refused(&["demo", "slices", "--image", "class/hello:1"]);
    assert!(code == 2 && errors.contains("isolab demo layers"), "{errors}");
    let (_, errors) = images.refused(&["demo", "layers", "--image", "class/none:1"]);
    assert!(errors.contains("class/none:1"), "{errors}");
}

#[test]
fn what_fails_in_a_build_names_the_line_and_leaves_no_image() {
    if !can_build() {
        return;
    }
    let images = Images::new();
    images.base("base:1");
    for (dockerfile, message) in [
        ("FROM base:1\nRUN exit 3\n", ":2:1: RUN exit 3: the command failed"),
        ("FROM base:1\nCOPY none /\n", ":2:1:"),
        ("FROM base:1\nCOPY ../../../etc/passwd /\n", ":2:1:"),
        ("FROM base:1\nADD https://example.org/x /\n", ":2:"),
        ("FROM base:1\nRUN --mount=type=cache,target=/x true\n", ":2:"),
        ("FROM base:1\nNONSENSE\n", ":2:1:"),
        ("FROM a AS b\nCOPY --from=c / /\nFROM b AS a\n", "Dockerfile:"),
        ("", "Dockerfile"),
    ] {
        let (code, errors) = images.build("class/bad:1", dockerfile);
        assert!(code == 125 && errors.contains(message), "{dockerfile:?}: {code} {errors}");
        let list = images.output(&["image", "list"]);
        assert!(!list.contains("class/bad"), "{list}");
    }
}

#[test]
fn a_name_that_is_none_or_that_nothing_has_is_refused_with_the_way_out() {
    let images = Images::new();
    for (words, code, message) in [
        (&["run", "--pull", "never", "--image", "none:1"][..], 125, "no such image: none:1"),
        (&["image", "inspect", "none:1"], 125, "isolab image pull"),
        (&["image", "pull", "NOT A NAME"], 2, "invalid image reference"),
        (&["image", "rm", "none:1"], 125, "no such image"),
        (&["image", "tag", "none:1", "x"], 125, "no such image"),
        (&["image", "login", "-p", "secret", "127.0.0.1:1"], 2, "--password-stdin"),
        (&["run", "--pull", "always", "hello"], 2, "--image"),
        (
            &["run", "--in", "microvm", "--image", "none:1", "hello"],
            2,
            "does not apply to a microvm",
        ),
    ] {
        let (found, errors) = images.refused(words);
        let is_right = errors.contains(message) && !errors.contains("secret\"");
        assert!(found == code && is_right, "{words:?}: {found} {errors}");
    }
}

/// `isolab registry serve`, which ends with the test.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn serve(images: &Images, words: &[&str]) -> Self {
        let data = images.path("registry");
        let all =
            ["registry", "serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        let mut command = images.isolab(&[&all[..], words].concat());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.split("://").nth(1).expect(&line).trim().trim_end_matches('/').to_owned();
        Self { child, address }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        common::signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }
}

#[test]
fn an_image_goes_through_a_registry_to_another_host() {
    if !can_build() {
        return;
    }
    let images = Images::new();
    let registry = Registry::serve(&images, &[]);
    let name = format!("{}/class/hello:1", registry.address);
    images.base(&name);
    images.output(&["image", "push", &name]);
    let other = Images::new();
    assert_eq!(other.output(&["run", "--image", &name, "--", "busybox", "echo", "here"]), "here\n");
    let list: Value = serde_json::from_str(&other.output(&["image", "list", "--json"])).unwrap();
    assert_eq!(list[0]["name"], format!("{}/class/hello", registry.address));
    other.output(&["image", "verify"]);
    // What is damaged is found, named, and fetched again.
    let blobs = other.path("images/blobs/sha256");
    let largest =
        fs::read_dir(&blobs).unwrap().flatten().max_by_key(|it| it.metadata().unwrap().len());
    fs::remove_file(largest.unwrap().path()).unwrap();
    let (code, output, _) = output_of(&mut other.isolab(&["image", "verify"]));
    assert!(
        code == 1 && output.contains("it is missing") && output.contains("class/hello"),
        "{output}"
    );
    other.output(&["image", "pull", "-q", &name]);
    other.output(&["image", "verify"]);
    let largest =
        fs::read_dir(&blobs).unwrap().flatten().max_by_key(|it| it.metadata().unwrap().len());
    let largest = largest.unwrap().path();
    let bytes = fs::read(&largest).unwrap();
    fs::remove_file(&largest).unwrap();
    fs::write(&largest, &bytes[1..]).unwrap();
    // While another may read it, nothing is removed.
    let pulling = fs::File::open(other.path("images/lock")).unwrap();
    pulling.lock_shared().unwrap();
    let (code, _, errors) = output_of(&mut other.isolab(&["image", "verify", "--remove"]));
    assert!(code != 0 && errors.contains("in use by another isolab"), "{errors}");
    assert!(largest.exists());
    drop(pulling);
    let (code, output, _) = output_of(&mut other.isolab(&["image", "verify", "--remove"]));
    assert!(code == 1 && output.contains("1 damaged and removed"), "{output}");
    assert!(!largest.exists());
    other.output(&["image", "pull", "-q", &name]);
    other.output(&["image", "verify"]);
}

#[test]
fn archives_are_exchanged_with_skopeo() {
    if !can_build() {
        return;
    }
    let images = Images::new();
    images.base("class/base:1");
    let path = |name: &str| images.path(name).to_str().unwrap().to_owned();
    let (archive, layout) = (path("docker.tar"), path("layout"));
    images.output(&["image", "save", "-o", &archive, "class/base:1"]);
    images.output(&["image", "save", "--format", "oci-dir", "-o", &layout, "class/base:1"]);
    let other = Images::new();
    assert_eq!(other.output(&["image", "load", "-i", &archive]), "loaded class/base:1\n");
    assert_eq!(other.output(&["image", "load", "-i", &layout]), "loaded class/base:1\n");
    let skopeo = |from: &str, to: &str| {
        Command::new("skopeo").args(["--insecure-policy", "copy", "-q", from, to]).output()
    };
    let copied =
        skopeo(&format!("docker-archive:{archive}"), &format!("oci:{}:class/copy:1", path("copy")));
    let Ok(copied) = copied else {
        println!("skipped: skopeo is not installed");
        return;
    };
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    assert_eq!(other.output(&["image", "load", "-i", &path("copy")]), "loaded class/copy:1\n");
    let back = skopeo(
        &format!("oci:{layout}:class/base:1"),
        &format!("docker-archive:{}:class/back:1", path("back.tar")),
    );
    assert!(back.unwrap().status.success());
    assert_eq!(other.output(&["image", "load", "-i", &path("back.tar")]), "loaded class/back:1\n");
    let run = ["run", "--image", "class/back:1", "--", "busybox", "echo", "back"];
    assert_eq!(other.output(&run), "back\n");
    assert!(Path::new(&archive).exists());
}
