//! Whole builds, with a runner that plays the commands.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
        process::ExitStatusExt as _,
    },
    path::Path,
    process::ExitStatus,
};

use nix::sys::stat::{Mode, SFlag, mknod};
use tempfile::TempDir;

use super::*;
use crate::{config::ImageConfig, view::View};

/// Plays commands: `write PATH TEXT`, `delete PATH`, `print NAME PATH`, `exit CODE`.
#[derive(Default)]
struct Player {
    commands: RefCell<Vec<String>>,
    last: RefCell<(String, String)>,
}

impl Run for Player {
    fn run(&self, step: &RunStep<'_>) -> Result<ExitStatus, AnyError> {
        let text = step.arguments.last().cloned().unwrap_or_default();
        self.commands.borrow_mut().push(text.clone());
        *self.last.borrow_mut() = (step.directory.to_owned(), step.user.to_owned());
        assert!(step.kept.join("work").is_dir());
        let at = |path: &str| {
            let path = step.kept.join("upper").join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["write", path, text] => fs::write(at(path), text)?,
            ["delete", path] => mknod(&at(path), SFlag::S_IFCHR, Mode::empty(), 0)?,
            ["link", path, other] => fs::hard_link(at(path), at(other))?,
            ["print", name, path] => {
                let value = step.environment.iter().find(|(other, _)| other == name);
                fs::write(at(path), value.map_or("(none)", |(_, value)| value.as_str()))?;
            }
            ["exit", code] => return Ok(ExitStatus::from_raw(code.parse::<i32>()? << 8)),
            _ => {}
        }
        Ok(ExitStatus::from_raw(0))
    }
}

/// A store and a context.
struct Class {
    folder: TempDir,
    store: Store,
    player: Player,
    events: RefCell<Vec<String>>,
    cached: Cell<usize>,
}

impl Class {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let class = Self {
            folder,
            store,
            player: Player::default(),
            events: RefCell::default(),
            cached: Cell::new(0),
        };
        fs::create_dir(class.context()).unwrap();
        for (path, content) in files {
            class.write(path, content);
        }
        class
    }

    fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn request(&self, dockerfile: &str) -> Request {
        Request {
            file: "Dockerfile".into(),
            dockerfile: dockerfile.as_bytes().to_vec(),
            context: Some(self.context()),
            ..Request::default()
        }
    }

    fn try_request(&self, request: &Request) -> Result<Built, String> {
        self.player.commands.borrow_mut().clear();
        self.events.borrow_mut().clear();
        self.cached.set(0);
        let events = |event: Event<'_>| match event {
            Event::Cached => self.cached.set(self.cached.get() + 1),
            Event::Step { number, total, text, .. } => {
                self.events.borrow_mut().push(format!("{number}/{total} {text}"));
            }
            Event::Warning(text) => self.events.borrow_mut().push(text.to_owned()),
            Event::Triggers(count) => self.events.borrow_mut().push(format!("{count} triggers")),
            Event::Layer { .. } | Event::Done { .. } => {}
        };
        let builder =
            Builder { store: &self.store, run: &self.player, images: &self.store, events: &events };
        let built = builder.build(request);
        let left = fs::read_dir(self.store.path().join("build")).into_iter().flatten().count();
        assert!(left <= 1, "directories of commands are left");
        let ingest: Vec<_> = fs::read_dir(self.store.path().join("ingest")).unwrap().collect();
        assert!(ingest.is_empty(), "{ingest:?}");
        built.map_err(|error| {
            let mut text = error.to_string();
            let mut cause: &dyn std::error::Error = &error;
            while let Some(next) = cause.source() {
                text = format!("{text}: {next}");
                cause = next;
            }
            text
        })
    }

    fn build(&self, dockerfile: &str) -> Built {
        self.try_request(&self.request(dockerfile)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn fails(&self, dockerfile: &str) -> String {
        self.try_request(&self.request(dockerfile)).unwrap_err()
    }

    fn image(&self, built: &Built) -> Image {
        self.store.image_at(&built.descriptor, &Platform::host()).unwrap()
    }

    fn config(&self, dockerfile: &str) -> ImageConfig {
        self.image(&self.build(dockerfile)).config
    }

    /// The tree of the image: paths with `=content`, ` -> target` or `/`.
    fn tree(&self, built: &Built) -> Vec<String> {
        let layers = self.store.unpack(&self.image(built)).unwrap();
        let view = View::of(&layers).unwrap();
        let mut found = Vec::new();
        list(view.root(), "", &mut found);
        found
    }

    fn built_tree(&self, dockerfile: &str) -> Vec<String> {
        self.tree(&self.build(dockerfile))
    }

    fn name(&self, built: &Built, name: &str) {
        self.store.tag(&name.parse().unwrap(), &built.descriptor).unwrap();
    }
}

fn list(directory: &crate::view::Directory, path: &str, found: &mut Vec<String>) {
    use crate::view::{Node, link_text, open_regular};
    for (name, node) in directory.entries().unwrap() {
        let path = format!("{path}/{}", name.to_str().unwrap());
        match node {
            Node::Directory(inner, _) => {
                found.push(format!("{path}/"));
                list(&inner, &path, found);
            }
            Node::Other(fd, stat) => found.push(match link_text(&fd) {
                Ok(target) => format!("{path} -> {}", target.to_str().unwrap()),
                Err(_) => {
                    let open = open_regular(&fd, &stat).unwrap();
                    format!("{path}={}", std::io::read_to_string(open).unwrap())
                }
            }),
        }
    }
}

#[test]
fn the_config_says_what_the_dockerfile_says() {
    let class = Class::new(&[]);
    let config = class.config(
        "FROM scratch\nMAINTAINER me\nARG V=1\nENV A=$V B='x y'\nENV A=2 C=$A\nLABEL \"a b\"=$C\n\
         EXPOSE 80 $V-2/udp\nVOLUME /data [\nUSER $A:users\nSTOPSIGNAL SIGINT\nSHELL [\"/sh\", \"-x\"]\n\
         HEALTHCHECK --interval=5s CMD true\nONBUILD RUN $A\nENTRYPOINT a b\nCMD [\"c\"]\nWORKDIR /\n",
    );
    let execution = &config.config;
    assert_eq!(execution.env, ["A=2", "B=x y", "C=1"]);
    assert_eq!(execution.labels, BTreeMap::from([("a b".into(), "1".into())]));
    let ports: Vec<&String> = execution.exposed_ports.keys().collect();
    assert_eq!(ports, ["1/udp", "2/udp", "80/tcp"]);
    assert_eq!(execution.volumes.keys().collect::<Vec<_>>(), ["/data", "["]);
    assert_eq!(execution.user, "2:users");
    assert_eq!(execution.stop_signal, "SIGINT");
    assert_eq!(execution.entrypoint.as_deref().unwrap(), ["/sh", "-x", "a b"]);
    assert_eq!(execution.cmd.as_deref().unwrap(), ["c"]);
    assert_eq!(execution.on_build.as_deref().unwrap(), ["RUN $A"]);
    let check = execution.healthcheck.as_ref().unwrap();
    assert_eq!((check.test[0].as_str(), check.interval), ("CMD-SHELL", 5_000_000_000));
    assert_eq!(config.author, "me");
    assert!(config.history.iter().all(|step| step.empty_layer));
    let steps: Vec<&str> = config.history.iter().map(|step| step.created_by.as_str()).collect();
    assert_eq!(steps[..4], ["MAINTAINER me", "ARG V=1", "ENV A=1 B=x y", "ENV A=2 C=1"]);
    assert_eq!(steps[12], r#"ENTRYPOINT ["/sh","-x","a b"]"#);
}

#[test]
fn an_entrypoint_discards_the_command_of_the_base_alone() {
    let class = Class::new(&[]);
    class.name(&class.build("FROM scratch\nCMD [\"base\"]\n"), "base");
    assert_eq!(class.config("FROM base\nENTRYPOINT [\"a\"]").config.cmd, None);
    let own = class.config("FROM base\nCMD [\"own\"]\nENTRYPOINT [\"a\"]");
    assert_eq!(own.config.cmd.as_deref().unwrap(), ["own"]);
    assert_eq!(class.config("FROM base\nENTRYPOINT []").config.entrypoint, None);
}

#[test]
fn files_go_where_docker_puts_them() {
    let files = [
        ("a", "1"),
        ("b", "2"),
        ("dir/c", "3"),
        ("dir/sub/d", "4"),
        ("x y", "5"),
        ("n1.txt", "6"),
        ("n2.txt", "7"),
    ];
    let class = Class::new(&files);
    for (copy, tree) in [
        ("COPY a /", vec!["/a=1"]),
        ("COPY a /new", vec!["/new=1"]),
        ("COPY a /new/", vec!["/new/", "/new/a=1"]),
        ("COPY a b /new/", vec!["/new/", "/new/a=1", "/new/b=2"]),
        ("COPY ./a new/deep", vec!["/new/", "/new/deep=1"]),
        ("WORKDIR /w\nCOPY a .", vec!["/w/", "/w/a=1"]),
        ("WORKDIR /w\nCOPY a ../o/./p", vec!["/o/", "/o/p=1", "/w/"]),
        ("COPY dir /", vec!["/c=3", "/sub/", "/sub/d=4"]),
        ("COPY dir /new", vec!["/new/", "/new/c=3", "/new/sub/", "/new/sub/d=4"]),
        ("COPY dir/ /new/", vec!["/new/", "/new/c=3", "/new/sub/", "/new/sub/d=4"]),
        ("COPY a dir /new/", vec!["/new/", "/new/a=1", "/new/c=3", "/new/sub/", "/new/sub/d=4"]),
        ("COPY *.txt /t/", vec!["/t/", "/t/n1.txt=6", "/t/n2.txt=7"]),
        ("COPY n[2-9].txt /t", vec!["/t=7"]),
        ("COPY d*/s?b/* /t/", vec!["/t/", "/t/d=4"]),
        ("COPY [\"x y\", \"/z\"]", vec!["/z=5"]),
        ("ARG F=a\nCOPY $F /$F$F", vec!["/aa=1"]),
        ("ADD a /new", vec!["/new=1"]),
        ("COPY a /f\nCOPY b /f", vec!["/f=2"]),
        ("COPY dir /d\nCOPY a /d", vec!["/d/", "/d/a=1", "/d/c=3", "/d/sub/", "/d/sub/d=4"]),
    ] {
        assert_eq!(class.built_tree(&format!("FROM scratch\n{copy}\n")), tree, "{copy}");
    }
    for (copy, message) in [
        ("COPY none /", "no file matches \"none\" in the context"),
        ("COPY *.none /", "no file matches"),
        ("COPY ../a /", "outside of the context"),
        ("COPY dir/../../a /", "outside of the context"),
        ("COPY a b /new", "several files are copied to \"/new\": end it with /"),
        ("COPY *.txt /new", "several files"),
        ("COPY a[ /", "malformed"),
        ("COPY $NONE /", "a name is empty"),
        ("COPY a /f\nCOPY dir /f", "\"/f\" is not a directory"),
        ("COPY a /f\nCOPY b /f/g", "Not a directory"),
        (
            "COPY a /x/sub\nCOPY dir /x",
            "\"/x/sub\" is not a directory; a directory cannot replace it",
        ),
        ("COPY --from=7 a /", "no stage is called \"7\""),
        ("COPY --from=none:1 a /", "get the image \"none:1\""),
        ("ADD $NONE/x http://x/y", "no file matches"),
        ("ARG U=http://x\nADD $U/y /", "ADD does not download"),
        ("COPY --chown=me a /", "the user \"me\" is not in /etc/passwd"),
        ("COPY --chmod=9 a /", "--chmod=9 is neither"),
        ("WORKDIR $NONE", "the directory is empty"),
        ("COPY a /f\nWORKDIR /f", "\"/f\" is not a directory"),
        ("USER ${NONE:?who}", "NONE: who"),
    ] {
        let error = class.fails(&format!("FROM scratch\n{copy}\n"));
        assert!(error.starts_with("Dockerfile:") && error.contains(message), "{copy}: {error}");
    }
}

#[test]
fn what_is_ignored_is_not_there() {
    let class = Class::new(&[
        (".dockerignore", "secret\n*.log\n!keep.log\ndeep\n!deep/kept/file\n"),
        ("secret", "s"),
        ("a.log", "l"),
        ("keep.log", "k"),
        ("deep/other", "o"),
        ("deep/empty/x", "o"),
        ("deep/kept/file", "f"),
    ]);
    symlink("secret", class.context().join("link")).unwrap();
    let tree = class.built_tree("FROM scratch\nCOPY . /\n");
    let all = [
        "/.dockerignore=secret\n*.log\n!keep.log\ndeep\n!deep/kept/file\n",
        "/deep/",
        "/deep/kept/",
        "/deep/kept/file=f",
        "/keep.log=k",
        "/link -> secret",
    ];
    assert_eq!(tree, all);
    for source in ["secret", "*.log.none", "link", "deep/other", "s*t"] {
        let error = class.fails(&format!("FROM scratch\nCOPY {source} /\n"));
        assert!(error.contains("no file matches"), "{source}: {error}");
        assert_eq!(error.contains(".dockerignore"), !source.contains("none"), "{error}");
    }
    class.write("Dockerfile.dockerignore", "*\n!a.log");
    assert_eq!(class.built_tree("FROM scratch\nCOPY . /\n"), ["/a.log=l"]);
}

#[test]
fn nothing_is_read_beside_the_context_and_nothing_written_beside_a_link() {
    let class = Class::new(&[("dir/file", "f")]);
    fs::write(class.folder.path().join("outside"), "secret").unwrap();
    let outside = class.folder.path().join("outside");
    symlink("../outside", class.context().join("up")).unwrap();
    symlink(&outside, class.context().join("absolute")).unwrap();
    symlink("/", class.context().join("root")).unwrap();
    symlink("dir/file", class.context().join("inside")).unwrap();
    for source in
        ["up", "absolute", "root/etc/passwd", &format!("root{}", outside.display()), "u[p]"]
    {
        let error = class.fails(&format!("FROM scratch\nCOPY {source} /\n"));
        assert!(error.contains("no file matches"), "{source}: {error}");
    }
    assert_eq!(class.built_tree("FROM scratch\nCOPY inside /\n"), ["/inside=f"]);
    // In a directory, links are copied as they are.
    let tree = class.built_tree("FROM scratch\nCOPY . /all\n");
    assert!(tree.contains(&"/all/up -> ../outside".to_owned()), "{tree:?}");
    // A link of the image is followed, within the image.
    fs::create_dir(class.context().join("usr")).unwrap();
    fs::create_dir(class.context().join("usr/bin")).unwrap();
    class.write("usr/bin/old", "o");
    symlink("usr/bin", class.context().join("bin")).unwrap();
    symlink("/../../../../tmp", class.context().join("out")).unwrap();
    let base = "FROM scratch\nCOPY . /\nRUN delete up\nRUN delete absolute\nRUN delete root\n";
    let tree = class.built_tree(&format!(
        "{base}COPY dir/file /bin/new\nCOPY dir/file /out/x\nWORKDIR /bin/w\n"
    ));
    for line in ["/bin -> usr/bin", "/usr/bin/new=f", "/usr/bin/old=o", "/tmp/x=f", "/usr/bin/w/"] {
        assert!(tree.contains(&line.to_owned()), "{line}: {tree:?}");
    }
}

#[test]
fn a_name_of_a_whiteout_and_a_socket_are_refused() {
    let class = Class::new(&[("a", "1"), ("dir/.wh.a", "")]);
    let error = class.fails("FROM scratch\nCOPY a /\nCOPY dir /\n");
    assert!(error.contains("a name that begins with .wh."), "{error}");
    let error = class.fails("FROM scratch\nCOPY a /.wh.b\n");
    assert!(error.contains(".wh."), "{error}");
    let _socket = UnixListener::bind(class.context().join("socket")).unwrap();
    let error = class.fails("FROM scratch\nCOPY socket /\n");
    assert!(error.contains("list it in .dockerignore"), "{error}");
}

#[test]
fn owners_and_permissions_are_those_that_were_asked_for() {
    let class = Class::new(&[
        ("etc/passwd", "sid:x:1001:1002::/:/bin/sh\n"),
        ("etc/group", "users:x:100:\n"),
        ("prog", "x"),
    ]);
    let built = class.build(
        "FROM scratch\nCOPY etc /etc\nCOPY --chown=sid:users --chmod=u=rwx,go=x prog /new/a\nCOPY prog /b\n\
         COPY --chmod=4711 prog /c\n",
    );
    let layers = class.image(&built).layers();
    let seen = |layer: usize| -> Vec<(String, u32, u64, u64)> {
        let digest = crate::manifest::digest_of(&layers[layer].descriptor).unwrap();
        let blob = class.store.blob(&digest).unwrap().unwrap();
        let decoder =
            crate::compression::decoder(blob.file, &crate::compression::Limits::default()).unwrap();
        let mut archive = tar::Archive::new(decoder);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let path = entry.path().unwrap().display().to_string();
            (path, header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap())
        });
        entries.collect()
    };
    assert_eq!(seen(1), [("new/".into(), 0o755, 1001, 100), ("new/a".into(), 0o711, 1001, 100)]);
    assert_eq!(seen(2), [("b".into(), 0o644, 0, 0)], "whoever has them on the host");
    assert_eq!(seen(3), [("c".into(), 0o4711, 0, 0)]);
}

#[test]
fn commands_see_variables_and_leave_what_they_changed() {
    let class = Class::new(&[("a", "1"), ("b", "2")]);
    let text = "FROM scratch\nCOPY a b /\nARG X=arg\nARG PLAIN\nENV Y=env\nUSER me\nWORKDIR /w\n\
                RUN print X /x\nRUN print Y /y\nRUN print PATH /path\nRUN print PLAIN /plain\nRUN delete /a\n\
                RUN link /d/one /d/two\n";
    let text = text.replace("RUN link", "RUN [\"write\", \"write /d/one z\"]\nRUN link");
    let error = class.fails(&text);
    assert!(error.contains("No such file"), "{error}");
    let text = text.replace("RUN link /d/one /d/two\n", "");
    let built = class.build(&text);
    let tree = class.tree(&built);
    let lines = [
        "/b=2",
        "/d/",
        "/d/one=z",
        "/path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "/plain=(none)",
        "/w/",
        "/x=arg",
        "/y=env",
    ];
    assert_eq!(tree, lines);
    assert_eq!(*class.player.last.borrow(), ("/w".to_owned(), "me".to_owned()));
    let history = class.image(&built).config.history;
    let steps: Vec<&str> = history.iter().map(|step| step.created_by.as_str()).collect();
    assert!(steps.contains(&"RUN |1 X=arg /bin/sh -c print X /x"), "{steps:?}");
    assert!(steps.contains(&"COPY a b /"), "{steps:?}");
}

#[test]
fn a_command_that_fails_is_named_and_leaves_nothing() {
    let class = Class::new(&[]);
    let error = class.fails("FROM scratch\nRUN write /a 1\nRUN \\\n  exit 3\n");
    let expected = "Dockerfile:3:1: RUN   exit 3: the command failed: exit status: 3";
    assert!(error.starts_with(expected), "{error}");
    // What stood before is in the cache.
    class.build("FROM scratch\nRUN write /a 1\nRUN write /b 2\n");
    assert_eq!(*class.player.commands.borrow(), ["write /b 2"]);
}

#[test]
fn what_a_killed_build_left_is_removed() {
    let class = Class::new(&[]);
    class.build("FROM scratch\nRUN write /a 1\n");
    let left = class.store.path().join("build/run-1-1/work/work");
    fs::create_dir_all(&left).unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o000)).unwrap();
    class.build("FROM scratch\nRUN write /a 2\n");
    assert!(!left.parent().unwrap().exists());
}

#[test]
fn stages_give_files_and_only_what_is_needed_is_built() {
    let class = Class::new(&[("a", "1")]);
    let text = "ARG WHAT=one\nFROM scratch AS base\nCOPY a /src/a\nRUN write /src/made x\n\
                FROM scratch AS unused\nRUN exit 1\n\
                FROM base AS second\nARG WHAT\nRUN write /$WHAT y\n\
                FROM scratch\nCOPY --from=base /src /copied\nCOPY --from=2 src/m* /\n";
    let built = class.build(text);
    assert_eq!(class.tree(&built), ["/copied/", "/copied/a=1", "/copied/made=x", "/made=x"]);
    let request = Request { target: Some("base".into()), ..class.request(text) };
    let base = class.try_request(&request).unwrap();
    assert_eq!(class.tree(&base), ["/src/", "/src/a=1", "/src/made=x"]);
    assert_eq!(class.events.borrow()[2], "3/3 RUN write /src/made x");
    class.name(&base, "class/base:1");
    let tree = class.built_tree("FROM scratch\nCOPY --from=class/base:1 /src/a /b\n");
    assert_eq!(tree, ["/b=1"]);
}

#[test]
fn triggers_run_in_the_image_that_is_built_on_top() {
    let class = Class::new(&[("a", "1")]);
    let base = class.build("FROM scratch\nONBUILD COPY a /app/\nONBUILD RUN write /b 2\n");
    assert_eq!(class.tree(&base), [""; 0]);
    class.name(&base, "base");
    let child = class.build("FROM base\nRUN write /c 3\n");
    assert_eq!(class.tree(&child), ["/app/", "/app/a=1", "/b=2", "/c=3"]);
    assert_eq!(class.image(&child).config.config.on_build, None);
    assert_eq!(class.events.borrow()[1], "2 triggers");
}

#[test]
fn what_is_unchanged_comes_from_the_cache() {
    let class = Class::new(&[("a", "1"), ("b", "2")]);
    let text = "FROM scratch\nARG V=1\nCOPY a /\nRUN write /x $V\nENV Z=1\nCOPY b /\n";
    let first = class.build(text);
    assert_eq!(class.cached.get(), 0);
    assert_eq!(class.build(text), first);
    assert_eq!(class.cached.get(), 5);
    // Another time, but the same content.
    class.write("a", "1");
    let old = fs::File::options().write(true).open(class.context().join("a")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(class.build(text), first);
    // Another argument: everything from the ARG on.
    let mut request = class.request(text);
    request.arguments.insert("V".into(), "2".into());
    class.try_request(&request).unwrap();
    assert_eq!(*class.player.commands.borrow(), ["write /x $V"]);
    // Another mode, and another content.
    fs::set_permissions(class.context().join("b"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(class.build(text).id, first.id);
    assert_eq!(class.cached.get(), 4);
    class.write("a", "changed");
    class.build(text);
    assert_eq!(*class.player.commands.borrow(), ["write /x $V"]);
    let request = Request { no_cache: true, ..class.request(text) };
    class.try_request(&request).unwrap();
    assert_eq!((class.cached.get(), class.player.commands.borrow().len()), (0, 1));
}

#[test]
fn a_layer_that_is_gone_is_made_again() {
    let class = Class::new(&[("a", "1")]);
    let text = "FROM scratch\nCOPY a /\n";
    let request = Request { source_date_epoch: Some("1".into()), ..class.request(text) };
    let built = class.try_request(&request).unwrap();
    let layer = crate::manifest::digest_of(&class.image(&built).layers()[0].descriptor).unwrap();
    fs::remove_file(class.store.blob_path(&layer)).unwrap();
    assert_eq!(class.try_request(&request).unwrap(), built);
    assert!(class.cached.get() == 0 && class.store.blob(&layer).unwrap().is_some());
    for entry in fs::read_dir(class.store.path().join("cache")).unwrap() {
        fs::write(entry.unwrap().path(), "{").unwrap();
    }
    class.try_request(&request).unwrap();
    assert_eq!(class.cached.get(), 0, "a damaged record is none");
}

#[test]
fn a_given_date_gives_the_same_image_to_the_byte() {
    let text =
        "FROM scratch\nCOPY . /src\nRUN write /a 1\nWORKDIR /new/dir\nADD t.tar /t\nCMD [\"x\"]\n";
    let build = |age: u64| {
        let class = Class::new(&[("one", "1"), ("two/three", "3")]);
        fs::write(class.context().join("t.tar"), archive(&[("f", b'0', "content", "")])).unwrap();
        let modified = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        let file = fs::File::options().write(true).open(class.context().join("one")).unwrap();
        file.set_modified(modified).unwrap();
        let request =
            Request { source_date_epoch: Some("1000000000".into()), ..class.request(text) };
        let built = class.try_request(&request).unwrap();
        let config = class.image(&built).config;
        assert_eq!(config.created.as_deref(), Some("2001-09-09T01:46:40Z"));
        assert!(config.history.iter().all(|step| step.created == config.created));
        built
    };
    assert_eq!(build(0), build(1000));
    let class = Class::new(&[]);
    let mut request = class.request("FROM scratch\nLABEL a=b\n");
    request.arguments.insert("SOURCE_DATE_EPOCH".into(), "0".into());
    let built = class.try_request(&request).unwrap();
    assert_eq!(class.image(&built).config.created.as_deref(), Some("1970-01-01T00:00:00Z"));
    request.arguments.insert("SOURCE_DATE_EPOCH".into(), "yesterday".into());
    assert!(class.try_request(&request).unwrap_err().contains("not a number of seconds"));
}

/// A tar archive of names, types, contents and links.
fn archive(entries: &[(&str, u8, &str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, content, link) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_mode(if *kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn add_unpacks_archives_by_their_content() {
    let class =
        Class::new(&[("plain", "no archive"), ("name.tar", "only a name"), ("old/lib/x", "old")]);
    symlink("lib", class.context().join("old/lib64")).unwrap();
    let tar = archive(&[
        ("./", b'5', "", ""),
        ("lib64/", b'5', "", ""),
        ("d/f", b'0', "content", ""),
        ("d/hard", b'1', "", "d/f"),
        ("d/soft", b'2', "", "../../etc/passwd"),
        ("lib64/y", b'0', "new", ""),
    ]);
    fs::write(class.context().join("data"), &tar).unwrap();
    let mut gzip = crate::compression::gzip(Vec::new());
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    fs::write(class.context().join("packed"), gzip.finish().unwrap()).unwrap();
    let unpacked = [
        "/t/",
        "/t/d/",
        "/t/d/f=content",
        "/t/d/hard=content",
        "/t/d/soft -> ../../etc/passwd",
        "/t/lib64/",
        "/t/lib64/y=new",
    ];
    for source in ["data", "packed"] {
        let tree = class.built_tree(&format!("FROM scratch\nADD {source} /t\n"));
        assert_eq!(tree, unpacked, "{source}");
    }
    let copied = class.build("FROM scratch\nCOPY packed /t\n");
    assert_eq!(class.image(&copied).layers().len(), 1);
    assert_eq!(
        class.built_tree("FROM scratch\nADD plain name.tar /\n"),
        ["/name.tar=only a name", "/plain=no archive"]
    );
    // An archive replaces what is in its way, and follows links of the image to directories.
    let through = archive(&[("lib64/z", b'0', "new", "")]);
    fs::write(class.context().join("through"), through).unwrap();
    let tree = class.built_tree("FROM scratch\nCOPY old /\nADD through /\n");
    assert_eq!(tree, ["/lib/", "/lib/x=old", "/lib/z=new", "/lib64 -> lib"]);
}

#[test]
fn a_hostile_archive_puts_nothing_beside_its_directory() {
    let class = Class::new(&[("a", "1")]);
    for (entries, message) in [
        (vec![("../x", b'0', "x", "")], "leads out of it"),
        (vec![("a/../../x", b'0', "x", "")], "leads out of it"),
        (vec![("x", b'1', "", "../../etc/passwd")], "leads out of it"),
        (vec![(".wh.a", b'0', "", "")], ".wh."),
        (vec![("d/.wh..wh..opq", b'0', "", "")], ".wh."),
        (vec![("f", b'0', "", ""), ("f/g", b'0', "", "")], "is not a directory"),
        (vec![("l", b'2', "", "l"), ("l/g", b'0', "", "")], "too many symbolic links"),
        (vec![("x", b'V', "", "")], "of the type 'V'"),
    ] {
        fs::write(class.context().join("t"), archive(&entries)).unwrap();
        let error = class.fails("FROM scratch\nCOPY a /\nADD t /d/\n");
        assert!(error.contains(message), "{entries:?}: {error}");
    }
    // A link within the archive leads within the image.
    let links = archive(&[
        ("l", b'2', "", "/../../../../../../tmp"),
        ("l/g", b'0', "g", ""),
        ("/abs", b'0', "b", ""),
    ]);
    fs::write(class.context().join("t"), links).unwrap();
    let tree = class.built_tree("FROM scratch\nADD t /d/\n");
    assert_eq!(tree, ["/d/", "/d/abs=b", "/d/l -> /../../../../../../tmp", "/tmp/", "/tmp/g=g"]);
    // What only looks like an archive is a file.
    for magic in [&b"BZh91AY"[..], b"BZh9"] {
        fs::write(class.context().join("t"), magic).unwrap();
        let tree = class.built_tree("FROM scratch\nADD t /\n");
        assert!(tree.len() == 1 && tree[0].starts_with("/t="), "{tree:?}");
    }
    let mut cut = archive(&[("f", b'0', &"x".repeat(2000), "")]);
    cut.truncate(1500);
    fs::write(class.context().join("t"), cut).unwrap();
    let error = class.fails("FROM scratch\nADD t /\n");
    assert!(error.starts_with("Dockerfile:2:1: ADD t /:"), "{error}");
}

#[test]
fn an_archive_decides_neither_over_memory_nor_over_the_disk() {
    let class = Class::new(&[]);
    let long = archive(&[("x", b'L', &"n".repeat(2 << 20), ""), ("x", b'0', "", "")]);
    fs::write(class.context().join("t"), long).unwrap();
    let error = class.fails("FROM scratch\nADD t /\n");
    assert!(error.contains("a name or record is longer than"), "{error}");
    for (size, expected) in [(10, "ok"), (1 << 42, "unpacks to more than")] {
        // A hole, four bytes, and a hole to the end.
        let mut header = tar::Header::new_gnu();
        header.set_path("f").unwrap();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(4);
        let octal = |number: u64| format!("{number:011o}\0").into_bytes();
        let gnu = header.as_gnu_mut().unwrap();
        gnu.sparse[0].offset.copy_from_slice(&octal(3));
        gnu.sparse[0].numbytes.copy_from_slice(&octal(4));
        match size < 1 << 33 {
            true => gnu.realsize.copy_from_slice(&octal(size)),
            // In base 256, for what has more digits.
            false => {
                gnu.realsize = [0; 12];
                gnu.realsize[0] = 0x80;
                gnu.realsize[4..].copy_from_slice(&size.to_be_bytes());
            }
        }
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, &b"data"[..]).unwrap();
        fs::write(class.context().join("t"), archive.into_inner().unwrap()).unwrap();
        if expected == "ok" {
            let tree = class.built_tree("FROM scratch\nADD t /\n");
            assert_eq!(tree, ["/f=\0\0\0data\0\0\0"]);
        } else {
            let error = class.fails("FROM scratch\nADD t /\n");
            assert!(error.contains(expected), "{error}");
        }
    }
}

#[test]
fn long_names_and_hard_links_survive_a_layer() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let class = Class::new(&[(&format!("top/{long}"), "1")]);
    symlink("t/".repeat(80) + "end", class.context().join("top/link")).unwrap();
    let tree = class.built_tree("FROM scratch\nCOPY top /\n");
    assert_eq!(tree[1], format!("/{long}=1"));
    assert_eq!(tree[2], format!("/link -> {}end", "t/".repeat(80)));
    let built = class.build("FROM scratch\nRUN nothing\n");
    assert_eq!(class.tree(&built), [""; 0], "a command that changes nothing makes an empty layer");
}

#[test]
fn a_file_that_changes_while_it_is_copied_is_an_error() {
    struct Meddler<'a>(&'a Path);
    impl tree::Sink for Meddler<'_> {
        fn entry(
            &mut self,
            _: &[std::ffi::OsString],
            _: &crate::layer::Attributes,
            kind: writer::Kind<'_>,
        ) -> Result<(), StepError> {
            if let writer::Kind::File { content, .. } = kind {
                std::io::copy(content, &mut std::io::sink()).unwrap();
                fs::write(self.0, "longer than before").unwrap();
            }
            Ok(())
        }
    }
    let class = Class::new(&[("a", "1")]);
    let view = View::of(&[class.context()]).unwrap();
    let walk = tree::Walk { ignore: None, is_context: true };
    let path = class.context().join("a");
    let error = walk.directory(view.root(), "", &[], &mut Meddler(&path)).unwrap_err();
    assert!(error.to_string().contains("changed while it was copied"), "{error}");
    assert_eq!(fs::metadata(path).unwrap().size(), 18);
}

#[test]
fn arguments_that_nobody_declares_are_told() {
    let class = Class::new(&[]);
    let mut request = class.request("FROM scratch\nARG USED\n");
    for name in ["USED", "UNUSED", "http_proxy"] {
        request.arguments.insert(name.into(), "1".into());
    }
    request.labels.push(("it's".into(), "a $label".into()));
    let built = class.try_request(&request).unwrap();
    assert_eq!(
        class.events.borrow().last().unwrap(),
        "the build argument UNUSED is declared by no ARG"
    );
    assert_eq!(
        class.image(&built).config.config.labels,
        BTreeMap::from([("it's".into(), "a $label".into())])
    );
}

#[test]
fn variables_that_double_end_in_an_error() {
    let class = Class::new(&[]);
    let text = format!("FROM scratch\nENV A=xxxxxxxx\n{}", "ENV A=$A$A\n".repeat(40));
    let error = class.fails(&text);
    assert!(error.contains("expands to more than"), "{error}");
    let large = format!("ENV A={}\n", "x".repeat(100_000));
    let many: String = (0..11).map(|n| format!("ENV B{n}=$A\n")).collect();
    let error = class.fails(&format!("FROM scratch\n{large}{many}"));
    assert!(error.contains("the variables have more than"), "{error}");
}
