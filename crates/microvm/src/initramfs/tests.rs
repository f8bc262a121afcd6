//! What is written, read by somebody else: a reader of the tests', cpio(1), and programs in it.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proptest::prelude::*;

use super::{archive::Header, *};

/// An entry as it was read.
#[derive(Debug, Clone)]
pub struct Read {
    pub name: String,
    pub about: Header,
    pub content: Vec<u8>,
}

/// Reads an archive as the kernel does; what is not as it must be panics.
pub fn read(mut bytes: &[u8]) -> Vec<Read> {
    let mut found = Vec::new();
    loop {
        assert_eq!(&bytes[..6], b"070701");
        let field = |index: usize| {
            let digits = std::str::from_utf8(&bytes[6 + 8 * index..14 + 8 * index]).unwrap();
            u32::from_str_radix(digits, 16).unwrap()
        };
        let about = Header {
            number: field(0),
            mode: field(1),
            user: field(2),
            group: field(3),
            links: field(4),
            time: field(5),
            length: field(6),
            device: (field(9), field(10)),
        };
        let (length, name_bytes) = (field(6) as usize, field(11) as usize);
        assert_eq!(bytes[110 + name_bytes - 1], 0);
        let name = String::from_utf8(bytes[110..110 + name_bytes - 1].to_vec()).unwrap();
        let content = (110 + name_bytes).next_multiple_of(4);
        if name == "TRAILER!!!" {
            assert_eq!(bytes.len(), content);
            return found;
        }
        found.push(Read { name, about, content: bytes[content..content + length].to_vec() });
        bytes = &bytes[(content + length).next_multiple_of(4)..];
    }
}

/// The root as its archive, whose length was foretold, tells it.
fn read_root(root: &Root) -> Vec<Read> {
    let bytes = root.to_vec().unwrap();
    assert_eq!(bytes.len() as u64, root.bytes());
    read(&bytes)
}

fn names(root: &Root) -> Vec<String> {
    read_root(root).into_iter().map(|entry| entry.name).collect()
}

/// Makes the files of a root in a folder, as the kernel would; devices apart.
fn unpack(root: &Root, folder: &Path) {
    let mut numbers: HashMap<u32, PathBuf> = HashMap::new();
    for Read { name, about, content } in read_root(root) {
        let path = folder.join(&name);
        match about.mode & libc::S_IFMT {
            libc::S_IFDIR => fs::create_dir(&path).unwrap(),
            libc::S_IFLNK => symlink(std::str::from_utf8(&content).unwrap(), &path).unwrap(),
            libc::S_IFREG => {
                match numbers.get(&about.number).filter(|_| about.links > 1) {
                    Some(first) => fs::hard_link(first, &path).unwrap(),
                    None => drop(fs::write(&path, b"")),
                }
                numbers.insert(about.number, path.clone());
                if !content.is_empty() {
                    fs::write(&path, &content).unwrap();
                }
                let permissions = fs::Permissions::from_mode(about.mode & 0o777);
                fs::set_permissions(&path, permissions).unwrap();
            }
            _ => {}
        }
    }
}

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.strip_prefix("-> ") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, content).unwrap(),
        }
    }
    folder
}

#[test]
fn entries_go_where_the_links_on_their_way_lead() {
    let mut root = Root::new();
    root.link("bin", "usr/bin").unwrap();
    root.file("/bin/sh", 0o755, *b"sh").unwrap();
    root.directory("bin/", 0o700).unwrap();
    root.character_device("dev/null", 0o666, (1, 3)).unwrap();
    let found = read_root(&root);
    let expected = [
        ("bin", 0o120_777, (0, 0)),
        ("dev", 0o040_755, (0, 0)),
        ("dev/null", 0o020_666, (1, 3)),
        ("usr", 0o040_755, (0, 0)),
        ("usr/bin", 0o040_755, (0, 0)),
        ("usr/bin/sh", 0o100_755, (0, 0)),
    ];
    let found: Vec<_> =
        found.iter().map(|read| (read.name.as_str(), read.about.mode, read.about.device)).collect();
    assert_eq!(found, expected);
    assert!(root.has("/bin/sh") && root.has("bin/../bin/sh") && !root.has("bin/ls"));
}

#[test]
fn what_leads_nowhere_is_refused() {
    let mut root = Root::new();
    root.link("a", "b").unwrap();
    root.link("b", "a").unwrap();
    root.file("c", 0o644, *b"").unwrap();
    let long = "x/".repeat(2100);
    for (path, message) in [
        ("a/file", "cannot resolve "),
        ("c/file", "cannot resolve "),
        ("../file", "is outside the initramfs"),
        (long.as_str(), "is longer than 4095 bytes"),
    ] {
        let refused = root.file(path, 0o644, *b"").unwrap_err();
        assert!(refused.to_string().contains(message), "{refused}");
    }
}

#[test]
fn a_file_that_is_called_as_the_end_does_not_end_the_archive() {
    let mut root = Root::new();
    root.file("TRAILER!!!", 0o644, *b"x").unwrap();
    root.file("a", 0o644, *b"y").unwrap();
    assert_eq!(names(&root), ["./TRAILER!!!", "a"]);
}

#[test]
fn the_upper_tree_hides_what_lies_below_it() {
    let upper = tree(&[("both", "upper"), ("file", "upper"), ("link", "-> both"), ("dir/new", "")]);
    let lower = tree(&[
        ("both", "lower"),
        ("file/inside", "hidden"),
        ("link/inside", "hidden"),
        ("dir/old", "shown"),
        ("only", "lower"),
    ]);
    let mut root = Root::new();
    root.add_tree(upper.path()).unwrap();
    root.add_tree(lower.path()).unwrap();
    let found = read_root(&root);
    let content: Vec<_> = found
        .iter()
        .map(|read| (read.name.as_str(), std::str::from_utf8(&read.content).unwrap()))
        .collect();
    let expected = [
        ("both", "upper"),
        ("dir", ""),
        ("dir/new", ""),
        ("dir/old", "shown"),
        ("file", "upper"),
        ("link", "both"),
        ("only", "lower"),
    ];
    assert_eq!(content, expected);
}

#[test]
fn what_an_upper_layer_has_deleted_stays_deleted() {
    let upper = tree(&[("dir/new", ""), ("kept", "")]);
    let gone = upper.path().join("gone");
    let made = Command::new("mknod").arg(&gone).args(["c", "0", "0"]).status();
    if !made.is_ok_and(|status| status.success()) || fs::symlink_metadata(&gone).is_err() {
        eprintln!("skipped: this user cannot make the mark of a deleted file (mknod)");
        return;
    }
    let opaque = rustix::fs::setxattr(
        upper.path().join("dir"),
        "trusted.overlay.opaque",
        b"y",
        rustix::fs::XattrFlags::empty(),
    );
    let lower = tree(&[("gone", "x"), ("kept", "x"), ("dir/old", "x")]);
    let mut root = Root::new();
    root.add_tree(upper.path()).unwrap();
    root.add_tree(lower.path()).unwrap();
    match opaque {
        Ok(()) => assert_eq!(names(&root), ["dir", "dir/new", "kept"]),
        Err(errno) => eprintln!("skipped: setxattr trusted.overlay.opaque: {errno}"),
    }
    assert!(!root.has("gone") && root.has("kept"));
}

#[test]
fn a_file_of_several_names_is_written_once() {
    let folder = tree(&[("a", "content"), ("z", "other")]);
    fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
    fs::hard_link(folder.path().join("a"), folder.path().join("c")).unwrap();
    let mut root = Root::new();
    root.add_tree(folder.path()).unwrap();
    let found = read_root(&root);
    let about: Vec<_> = found
        .iter()
        .map(|read| (read.name.as_str(), read.about.links, read.content.len()))
        .collect();
    assert_eq!(about, [("a", 3, 0), ("b", 3, 0), ("c", 3, 7), ("z", 1, 5)]);
    assert_eq!(found[0].about.number, found[2].about.number);
    let unpacked = tempfile::tempdir().unwrap();
    unpack(&root, unpacked.path());
    assert_eq!(fs::read(unpacked.path().join("a")).unwrap(), b"content");
}

#[test]
fn pipes_and_times_are_kept_and_holes_are_zeros() {
    let folder = tree(&[]);
    let sparse = fs::File::create(folder.path().join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse
        .set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(77))
        .unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let mut root = Root::new();
    root.add_tree(folder.path()).unwrap();
    let [pipe, sparse] = read_root(&root).try_into().unwrap();
    assert_eq!(pipe.about.mode, 0o010_600);
    assert_eq!((sparse.about.time, sparse.content), (77, vec![0; 1 << 20]));
}

#[test]
fn what_cannot_be_held_is_named() {
    let folder = tree(&[("short", "content")]);
    let mut root = Root::new();
    root.add_tree(folder.path()).unwrap();
    fs::write(folder.path().join("short"), "cont").unwrap();
    let changed = root.to_vec().unwrap_err();
    assert!(changed.to_string().ends_with("/short\": it was truncated meanwhile"), "{changed}");
    fs::remove_file(folder.path().join("short")).unwrap();
    assert!(root.to_vec().unwrap_err().to_string().starts_with("read "));
    fs::File::create(folder.path().join("huge")).unwrap().set_len(4 << 30).unwrap();
    let huge = Root::new().add_tree(folder.path()).unwrap_err();
    assert!(huge.to_string().contains("smaller than 4 GiB"), "{huge}");
    assert!(Root::new().add_tree(Path::new("/no/such/tree")).is_err());
}

/// Runs words in a root of a folder; `None`, and a word about it, where that is not allowed.
fn run_in(folder: &Path, words: &[&str]) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: chroot needs root");
        return None;
    }
    let output = Command::new("chroot").arg(folder).args(words).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {errors}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_program_runs_in_a_root_that_holds_only_what_it_needs() {
    let mut root = Root::new();
    let shell = root.add_command(&["sh", "-c", "echo"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    unpack(&root, folder.path());
    let words = [shell.to_str().unwrap(), "-c", "echo it works"];
    if let Some(output) = run_in(folder.path(), &words) {
        assert_eq!(output, "it works\n");
    }
}

#[test]
fn a_script_brings_its_interpreter_and_what_env_is_to_find() {
    let folder = tree(&[("script", "#!/usr/bin/env -S sh\necho from a script\n")]);
    let script = folder.path().join("script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut root = Root::new();
    let program = root.add_command(&[&script]).unwrap();
    assert_eq!(program, script);
    let unpacked = tempfile::tempdir().unwrap();
    unpack(&root, unpacked.path());
    if let Some(output) = run_in(unpacked.path(), &[script.to_str().unwrap()]) {
        assert_eq!(output, "from a script\n");
    }
}

#[test]
fn what_is_no_program_is_refused_with_the_reason() {
    let files = [
        ("text", "hello"),
        ("loop", "#!/tmp/loop"),
        ("lost", "#!/no/such/interpreter\n"),
        ("empty", ""),
    ];
    let folder = tree(&files);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("loop"), format!("#!{}\n", path("loop").display())).unwrap();
    for (name, _) in files {
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (word, message) in [
        (path("text"), "neither a script nor an ELF file"),
        (path("empty"), "neither a script nor an ELF file"),
        (path("loop"), "scripts without end"),
        (path("lost"), "program \"/no/such/interpreter\" not found"),
        (path("none"), "not found"),
        (folder.path().to_owned(), "not found"),
        ("isolab-no-such-program".into(), "not found"),
        ("".into(), "not found"),
    ] {
        let refused = Root::new().add_command(&[&word]).unwrap_err();
        assert!(refused.to_string().contains(message), "{word:?}: {refused}");
    }
}

/// The program is there because it is not trusted.
#[test]
fn a_program_cannot_name_a_file_of_the_host_as_its_linker() {
    let folder = tree(&[("secret", "of the host"), ("program", "")]);
    let path = |name: &str| folder.path().join(name);
    let linker = format!("{}\0", path("secret").display());
    let mut program = guest::Builtin::Hello.linux_elf().to_vec();
    // Its second segment becomes that of a linker's name, which stands at the end.
    program[0x78..0x7c].copy_from_slice(&3u32.to_le_bytes());
    let (at, length) = (program.len() as u64, linker.len() as u64);
    for (field, value) in [(0x80, at), (0x98, length), (0xa0, length)] {
        program[field..field + 8].copy_from_slice(&value.to_le_bytes());
    }
    program.extend(linker.into_bytes());
    fs::write(path("program"), program).unwrap();
    fs::set_permissions(path("program"), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = Root::new().add_command(&[path("program")]).unwrap_err();
    assert!(refused.to_string().contains("dynamic linker"), "{refused}");
}

#[test]
fn a_root_put_below_a_folder_replaces_what_is_in_its_way() {
    let mut below = Root::new();
    below.file("a", 0o644, *b"x").unwrap();
    let mut root = Root::new();
    root.file("top/a/inside", 0o644, *b"y").unwrap();
    root.put_below("top", below).unwrap();
    assert_eq!(names(&root), ["top", "top/a"]);
}

#[test]
fn links_that_make_a_name_too_long_are_seen() {
    let mut root = Root::new();
    let folder = format!("{}x", "x/".repeat(2000));
    root.link("short", &folder).unwrap();
    let refused = root.file(format!("short/{}", "y".repeat(200)), 0o644, *b"").unwrap_err();
    assert!(refused.to_string().contains("is longer than 4095 bytes"), "{refused}");
}

#[test]
fn busybox_adds_the_commands_that_are_not_there() {
    let mut root = Root::new();
    root.file("usr/bin/ls", 0o755, *b"mine").unwrap();
    if !root.add_busybox().unwrap() {
        eprintln!("skipped: this host has no busybox");
        return;
    }
    assert!(root.has("bin/cat") && !root.has("bin/ls"));
    let folder = tempfile::tempdir().unwrap();
    unpack(&root, folder.path());
    if let Some(output) = run_in(folder.path(), &["/bin/echo", "busy"]) {
        assert_eq!(output, "busy\n");
    }
}

/// The unpackers of cpio archives that this host has.
fn judges() -> Vec<Vec<&'static str>> {
    let all = [vec!["cpio"], vec!["bsdcpio"], vec!["busybox", "cpio"]];
    let works = |words: &Vec<&str>| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--help").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    all.into_iter().filter(works).collect()
}

#[test]
fn other_unpackers_find_the_same_files() {
    let judges = judges();
    if judges.is_empty() {
        eprintln!("skipped: this host has neither cpio nor bsdcpio nor busybox cpio");
    }
    let from = tree(&[("a/b/file", "content"), ("a/link", "-> b/file"), ("empty", "")]);
    fs::hard_link(from.path().join("a/b/file"), from.path().join("again")).unwrap();
    for words in judges {
        let mut root = Root::new();
        root.add_tree(from.path()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["-i", "-d"]).current_dir(folder.path());
        let mut judge = command.stdin(Stdio::piped()).spawn().unwrap();
        judge.stdin.take().unwrap().write_all(&root.to_vec().unwrap()).unwrap();
        assert!(judge.wait().unwrap().success(), "{words:?}");
        let path = |name: &str| folder.path().join(name);
        assert_eq!(fs::read(path("a/link")).unwrap(), b"content", "{words:?}");
        assert_eq!(fs::read(path("again")).unwrap(), b"content", "{words:?}");
        let inode = |name: &str| fs::metadata(path(name)).unwrap().ino();
        assert_eq!(inode("again"), inode("a/b/file"), "{words:?}");
        assert_eq!(fs::metadata(path("empty")).unwrap().len(), 0);
    }
}

/// Something that is added to a root.
#[derive(Debug, Clone)]
enum Step {
    Directory(String),
    File(String, Vec<u8>),
    Link(String, String),
}

fn step() -> impl Strategy<Value = Step> {
    let path = "([ab./]|\\.\\.){1,8}";
    prop_oneof![
        path.prop_map(Step::Directory),
        (path, prop::collection::vec(any::<u8>(), 0..9)).prop_map(|(p, c)| Step::File(p, c)),
        (path, path).prop_map(|(from, to)| Step::Link(from, to)),
    ]
}

proptest! {
    #[test]
    fn every_archive_can_be_unpacked(steps in prop::collection::vec(step(), 0..20)) {
        let mut root = Root::new();
        for step in steps {
            let _ = match step {
                Step::Directory(path) => root.directory(path, 0o755),
                Step::File(path, content) => root.file(path, 0o644, content),
                Step::Link(path, target) => root.link(path, target),
            };
        }
        let folder = tempfile::tempdir().unwrap();
        unpack(&root, folder.path());
        // What was made is what was said: the same tree read back gives the same entries.
        let mut again = Root::new();
        again.add_tree(folder.path()).unwrap();
        prop_assert_eq!(names(&again), names(&root));
    }
}
