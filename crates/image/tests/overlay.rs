//! What a command changes in an overlay of the kernel is what the built image has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use image::{
    build::{AnyError, Builder, Request, Run, RunStep},
    manifest::Platform,
    store::Store,
};

/// Runs commands below a mounted overlay, in a mount namespace of their own.
struct Mounted;

impl Run for Mounted {
    fn run(&self, step: &RunStep<'_>) -> Result<ExitStatus, AnyError> {
        let merged = step.kept.join("merged");
        fs::create_dir(&merged)?;
        let lowers: Vec<String> =
            step.layers.iter().map(|path| path.display().to_string()).collect();
        let options = format!(
            "lowerdir={},upperdir={kept}/upper,workdir={kept}/work",
            lowers.join(":"),
            kept = step.kept.display(),
        );
        let script = r#"mount -t overlay overlay -o "$1" "$2" && cd "$2" && eval "$3""#;
        let command = step.arguments.last().ok_or("no command")?;
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "sh", "-e", "-c", script, "sh", &options]).arg(merged).arg(command);
        Ok(unshare.status()?)
    }
}

fn can_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let options = "lowerdir=lower,upperdir=upper,workdir=work";
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "mount", "-t", "overlay", "overlay", "-o", options, "merged"]);
    unshare.current_dir(&folder).output().is_ok_and(|output| output.status.success())
}

/// The tree as overlayfs shows it: `find` with what each file is.
fn shown(lowers: &[PathBuf]) -> String {
    let lowers: Vec<String> = lowers.iter().map(|path| path.display().to_string()).collect();
    let merged = tempfile::tempdir().unwrap();
    // overlayfs wants two lower layers if there is no upper one.
    let empty = tempfile::tempdir().unwrap();
    let options = format!("lowerdir={}:{}", lowers.join(":"), empty.path().display());
    let script = r#"mount -t overlay overlay -o "$1" "$2" && cd "$2" &&
        find . -mindepth 1 -printf '%P %y %m %U:%G %T@ %n %l\n' | sort && find . -type f -exec md5sum {} + | sort"#;
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "sh", "-e", "-c", script, "sh", &options]).arg(merged.path());
    let output = unshare.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn build(store: &Store, context: &Path, text: &str) -> Vec<PathBuf> {
    let builder = Builder { store, run: &Mounted, images: store, events: &|_| {} };
    let request = Request {
        file: "Dockerfile".into(),
        dockerfile: text.as_bytes().to_vec(),
        context: Some(context.to_owned()),
        ..Request::default()
    };
    let built = builder
        .build(&request)
        .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
    let image = store.image_at(&built.descriptor, &Platform::host()).unwrap();
    store.unpack(&image).unwrap()
}

#[test]
fn what_a_command_changes_is_what_the_image_has() {
    if !can_mount() {
        return println!("skipped: this process cannot mount an overlay");
    }
    let folder = tempfile::tempdir().unwrap();
    let context = folder.path().join("context");
    fs::create_dir_all(context.join("tree/sub/deep")).unwrap();
    for name in ["tree/a", "tree/b", "tree/sub/c", "tree/sub/deep/d"] {
        fs::write(context.join(name), name).unwrap();
    }
    let store = Store::open(&folder.path().join("store")).unwrap();
    let text = "FROM scratch\nCOPY tree /tree\n\
                RUN rm tree/a && mv tree/b tree/moved && chmod 700 tree/sub && ln tree/moved hard\n\
                RUN rm -r tree/sub && mkdir tree/sub && echo new >tree/sub/new && ln -s /none link\n\
                RUN rm tree/moved && mkdir tree/moved && chown 5:6 tree/moved && mkfifo pipe && echo x >hard\n\
                COPY tree/a /tree/moved/\n";
    let lowers = build(&store, &context, text);
    let lines = shown(&lowers);
    let names: Vec<&str> =
        lines.lines().filter_map(|line| line.split(' ').next()).take(9).collect();
    assert_eq!(
        names[..8],
        ["hard", "link", "pipe", "tree", "tree/moved", "tree/moved/a", "tree/sub", "tree/sub/new"]
    );
    let has =
        |line: &str| assert!(lines.lines().any(|other| other.starts_with(line)), "{line}: {lines}");
    has("tree/moved d 755 5:6 ");
    has("tree/moved/a f 644 0:0 ");
    has("pipe p ");
    has("hard f ");
    // The same is seen without a mount.
    let view = image::view::View::of(&lowers).unwrap();
    assert_eq!(view.read_small("/hard", 10).unwrap(), b"x\n");
    assert_eq!(view.read_small("/tree/sub/deep/d", 10).unwrap(), b"");
    assert_eq!(fs::read_dir(store.path().join("build")).unwrap().count(), 1);
}

#[test]
fn files_with_several_names_keep_them() {
    if !can_mount() {
        return println!("skipped: this process cannot mount an overlay");
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    fs::create_dir(folder.path().join("context")).unwrap();
    fs::write(folder.path().join("context/a"), "a").unwrap();
    let text =
        "FROM scratch\nCOPY a /\nRUN echo 1 >one && ln one two && mkdir d && ln one d/three\n";
    let lines = shown(&build(&store, &folder.path().join("context"), text));
    let links = lines.lines().filter(|line| line.contains(" f ") && line.contains(" 3 ")).count();
    assert_eq!(links, 3, "{lines}");
}
