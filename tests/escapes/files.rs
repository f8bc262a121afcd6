//! Files of the host: by handles, by other processes, by links between mounts, by descriptors.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    sync::OnceLock,
    thread,
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sys::stat::Mode,
};
use sandbox::Status;

use crate::{
    call::call,
    everywhere::{
        Kind, Root, callers, everywhere, everywhere_is, everywhere_with, ready, ready_as_root,
    },
    host::{Host, set_mode},
    inside::{Attempt, Failed, each},
    launch::{Files, Launch, Who, volume},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[
    ("open-by-handle", open_by_handle),
    ("open-files-of-the-first-process", open_files_of_the_first_process),
    ("list-descriptors", list_descriptors),
    ("link-across-mounts", link_across_mounts),
    ("climb-from-a-moved-directory", climb_from_a_moved_directory),
    ("tell-the-user", tell_the_user),
    ("read", |paths| Ok(fs::read_to_string(paths.first().ok_or("what?")?)?)),
];

/// A handle needs no path: number 2 is the root of most file systems, whatever part is mounted.
fn open_by_handle(_: &[String]) -> Result<String, Failed> {
    // struct file_handle: 8 bytes, of the type FILEID_INO32_GEN; inode 2, generation 0.
    let handle = [8u32, 1, 2, 0].map(u32::to_ne_bytes).concat();
    let directory = File::open("/")?;
    each([
        ("root", call!(SYS_open_by_handle_at, &directory, handle.as_slice(), libc::O_RDONLY)),
        ("here", call!(SYS_open_by_handle_at, libc::AT_FDCWD, handle.as_slice(), libc::O_PATH)),
    ])
}

#[test]
fn no_file_is_opened_by_its_handle() {
    everywhere_is("open-by-handle", "root=EPERM here=EPERM");
}

fn open_files_of_the_first_process(words: &[String]) -> Result<String, Failed> {
    let secret = words.first().ok_or("which secret?")?;
    let write = |path: &str| File::options().write(true).open(path).map(drop);
    let read = |path: &str| File::open(path).map(drop);
    each([
        ("root", read(&format!("/proc/1/root{secret}"))),
        ("cwd", read("/proc/1/cwd")),
        ("exe", write("/proc/1/exe")),
        ("report", write("/proc/1/fd/3")),
        ("environment", read("/proc/1/environ")),
    ])
}

/// CVE-2019-5736 wrote to the runtime's own file by /proc/PID/exe.
#[test]
fn the_first_process_shows_none_of_its_files() {
    let words = |host: &Host| vec!["open-files-of-the-first-process".to_owned(), host.secret()];
    let names = ["root", "cwd", "exe", "report", "environment"];
    let all = names.map(|name| format!("{name}=EACCES")).join(" ");
    let has_another = |kind: &Kind| kind.init || kind.share_pids;
    everywhere(words, |kind| has_another(kind).then(|| all.clone()));
}

/// The open ones, of all numbers that a process may have by default.
fn list_descriptors(_: &[String]) -> Result<String, Failed> {
    let is_open = |number: &i32| call!(SYS_fcntl, *number, libc::F_GETFD).is_ok();
    let open: Vec<String> = (0..1024).filter(is_open).map(|number| number.to_string()).collect();
    Ok(open.join(" "))
}

#[test]
fn no_descriptor_of_the_launcher_comes_along() {
    // Directories that the launcher has open, and would pass on to what it executes.
    static LEAKS: OnceLock<Vec<i32>> = OnceLock::new();
    LEAKS.get_or_init(|| {
        let directory = open("/", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        let copies = [3, 100, 700].map(|at| fcntl(&directory, FcntlArg::F_DUPFD(at)).unwrap());
        std::mem::forget(directory);
        copies.into()
    });
    everywhere_is("list-descriptors", "0 1 2");
}

#[test]
fn no_descriptor_comes_along_to_one_that_has_waited() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    for who in callers() {
        for no_init in [false, true] {
            let files = Files::Directory(host.new_root(&format!("root-{who:?}-{no_init}")));
            let launch = Launch::of(&host, files, &["list-descriptors"]);
            let own = host.folder().join("own");
            fs::create_dir_all(&own).unwrap();
            let waits_at = Some(own.join(format!("fifo-{who:?}-{no_init}")));
            let answer = Launch { waits_at, no_init, ..launch }.run_as(who, &host);
            assert_eq!(answer.describe(), "0 1 2", "{who:?} {no_init}");
        }
    }
    host.is_unchanged("a container that has waited");
}

fn link_across_mounts(_: &[String]) -> Result<String, Failed> {
    fs::create_dir_all("/dev/shm/mine")?;
    fs::write("/dev/shm/mine/file", "")?;
    let place = |path: &str| -> Result<(u64, u64), Failed> {
        use std::os::unix::fs::MetadataExt as _;
        let about = fs::metadata(path)?;
        Ok((about.dev(), about.ino()))
    };
    let ways = each([
        ("link-out", fs::hard_link("/volume/file", "/dev/shm/linked")),
        ("link-in", fs::hard_link("/dev/shm/mine/file", "/volume/linked")),
        ("move-out", fs::rename("/volume/inner", "/dev/shm/inner")),
        ("move-in", fs::rename("/dev/shm/mine", "/volume/mine")),
        ("above", fs::read("/volume/../../key").map(drop)),
    ])?;
    let is_root = place("/volume/..")? == place("/")?;
    Ok(format!("{ways} above is the root: {is_root}"))
}

/// A folder of the host's as a volume, with a secret beside it.
fn with_volume(host: &Host, launch: &mut Launch) {
    let shared = host.folder().join("shared");
    fs::create_dir_all(shared.join("inner/deep")).unwrap();
    for name in ["file", "../key"] {
        fs::write(shared.join(name), "the host's own\n").unwrap();
    }
    for path in ["", "inner", "inner/deep"] {
        set_mode(&shared.join(path), 0o777);
    }
    launch.volumes.push(volume(&shared, "/volume"));
}

#[test]
fn nothing_is_linked_or_moved_out_of_a_volume() {
    let all = "link-out=EXDEV link-in=EXDEV move-out=EXDEV move-in=EXDEV above=ENOENT \
               above is the root: true";
    // The host's own root has nowhere to mount on for a user who owns none of it.
    let expected = |kind: &Kind| (kind.root != Root::Host).then(|| all.to_owned());
    everywhere_with(with_volume, |_| vec!["link-across-mounts".into()], expected);
}

/// Stays in a directory of a volume that somebody moves out of it: from there `..` never meets the
/// root of the mount.
fn climb_from_a_moved_directory(_: &[String]) -> Result<String, Failed> {
    std::env::set_current_dir("/volume/inner/deep")?;
    fs::write("/volume/ready", "")?;
    while !Path::new("/volume/moved").exists() {
        thread::sleep(Duration::from_millis(1));
    }
    each([("key", fs::read("../key").map(drop)), ("list", fs::read_dir("..").map(drop))])
}

#[test]
fn a_directory_that_is_moved_out_of_a_volume_does_not_lead_out() {
    if !ready() {
        return;
    }
    for who in callers() {
        let mut host = Host::watched();
        let files = Files::Directory(host.new_root("root"));
        let mut launch = Launch::of(&host, files, &["climb-from-a-moved-directory"]);
        with_volume(&host, &mut launch);
        let shared = host.folder().join("shared");
        let answer = thread::scope(|scope| {
            let answer = scope.spawn(|| launch.run_as(who, &host));
            while !shared.join("ready").exists() && !answer.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            fs::rename(shared.join("inner/deep"), host.folder().join("deep")).unwrap();
            fs::write(shared.join("moved"), "").unwrap();
            answer.join().unwrap()
        });
        assert_eq!(answer.describe(), "key=ENOENT list=ENOENT", "{who:?}");
        host.is_unchanged("a directory that was moved");
    }
}

fn tell_the_user(_: &[String]) -> Result<String, Failed> {
    let (user, effective) = (call!(SYS_getuid)?, call!(SYS_geteuid)?);
    Ok(format!("{user} {effective}"))
}

#[test]
fn a_program_with_the_set_user_id_bit_gives_nobody_power() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let root = host.new_root("root");
    let program = root.join("setuid");
    assert!(Command::new("cp").arg(host.program()).arg(&program).status().unwrap().success());
    set_mode(&program, 0o6755);
    for files in [Files::Directory(root.clone()), Files::Overlay(root)] {
        for user_namespace in [false, true] {
            let mut launch = Launch::of(&host, files.clone(), &["tell-the-user"]);
            launch.words[0] = "/setuid".into();
            let launch = Launch { uid: 1000, user_namespace, ..launch };
            assert_eq!(launch.run_as(Who::Root, &host).describe(), "1000 1000", "{files:?}");
        }
    }
    host.is_unchanged("a program with the set-user-ID bit");
}

/// A script whose interpreter is what its process is until it becomes the script.
fn run_by_itself(no_init: bool) {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let root = host.new_root("root");
    fs::write(root.join("script"), "#!/proc/self/exe\n").unwrap();
    set_mode(&root.join("script"), 0o755);
    for who in callers() {
        let launch = Launch::of(&host, Files::Directory(root.clone()), &[]);
        let launch = Launch { words: vec!["/script".into()], no_init, ..launch };
        let answer = launch.run_as(who, &host);
        let ended = (answer.status, &*answer.output);
        assert_eq!(ended, (Some(Status::Exited(127)), ""), "{who:?}: {answer:?}");
    }
    host.is_unchanged("a script");
}

#[test]
fn init_is_nobodys_interpreter() {
    run_by_itself(false);
}

/// CVE-2019-5736: with the launcher's own file as its program a process could write to that file.
#[test]
fn the_launcher_is_nobodys_interpreter() {
    run_by_itself(true);
}
