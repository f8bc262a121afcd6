//! A root that somebody changes while containers start in it.

use std::{
    ffi::CString,
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use nix::errno::Errno;

use crate::{
    call::call,
    everywhere::ready_as_root,
    host::Host,
    inside::{Attempt, Failed},
    launch::{Files, Launch, Who, volume},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[("exchange", exchange_for_ever), ("put-link", put_link)];

/// Puts a link in the place of an empty directory, and stays.
fn put_link(words: &[String]) -> Result<String, Failed> {
    let [path, target] = words else { return Err("where?".into()) };
    fs::remove_dir(path)?;
    symlink(target, path)?;
    fs::write("/tmp/ready", "")?;
    loop {
        thread::park();
    }
}

/// `renameat2(2)` with RENAME_EXCHANGE: at every moment there is one or the other, never none.
fn exchange(one: &Path, other: &Path) -> Result<usize, Errno> {
    const RENAME_EXCHANGE: i32 = 2;
    let [one, other] =
        [one, other].map(|path| CString::new(path.as_os_str().as_encoded_bytes()).unwrap());
    let here = libc::AT_FDCWD;
    call!(SYS_renameat2, here, one.as_c_str(), here, other.as_c_str(), RENAME_EXCHANGE)
}

fn exchange_for_ever(words: &[String]) -> Result<String, Failed> {
    let [one, other] = words else { return Err("what with what?".into()) };
    loop {
        exchange(one.as_ref(), other.as_ref())?;
    }
}

/// Starts a container so often, while two names of its root are exchanged: it starts, or says at which
/// name it found what it does not take.
fn start_meanwhile(
    launch: &Launch,
    who: Who,
    host: &mut Host,
    (root, name): (&Path, &str),
    starts: u32,
) {
    let over = AtomicBool::new(false);
    let (one, other) = (root.join(name), root.join("evil"));
    let (mut started, mut refused) = (0, 0);
    thread::scope(|scope| {
        let exchanging = scope.spawn(|| {
            while !over.load(Relaxed) {
                exchange(&one, &other).unwrap();
            }
        });
        let mut failure = None;
        for _ in 0..starts {
            let answer = launch.run_as(who, host);
            let found = ["ELOOP", "ENOENT", "ENOTDIR", "EEXIST", "check failed"];
            match answer.error {
                None if answer.output == "done\n" => started += 1,
                Some(error)
                    if error.starts_with("the container failed: inside the container: ")
                        && found.iter().any(|reason| error.contains(reason)) =>
                {
                    refused += 1;
                }
                _ => failure = Some(format!("{answer:?}")),
            }
        }
        over.store(true, Relaxed);
        exchanging.join().unwrap();
        assert_eq!(failure, None);
    });
    println!("{name} as {who:?}: {started} started, {refused} refused");
    host.is_unchanged(&format!("{name}, exchanged while containers started"));
}

/// A root with `name`, a directory, and `evil`, a link out.
fn root_with(host: &Host, name: &str, target: &str) -> std::path::PathBuf {
    let root = host.new_root(&format!("root-{}-{}", name.replace('/', "-"), target.len()));
    fs::create_dir_all(root.join(name)).unwrap();
    symlink(target, root.join("evil")).unwrap();
    root
}

fn race(name: &str, change: impl Fn(&Host, &mut Launch)) {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let canary = host.canary().display().to_string();
    for (who, starts) in [(Who::Root, 200), (Who::Ordinary, 40)] {
        for target in ["/", "../../../../..", &canary] {
            let name_of_root = format!("{name}-{who:?}");
            let root = root_with(&host, name, target);
            let kept =
                host.folder().join(name_of_root.replace('/', "-") + &target.len().to_string());
            fs::rename(&root, &kept).unwrap();
            let mut launch = Launch::of(&host, Files::Directory(kept.clone()), &["stay-a-moment"]);
            change(&host, &mut launch);
            start_meanwhile(&launch, who, &mut host, (&kept, name), starts / 3);
        }
    }
}

#[test]
fn proc_exchanged_for_a_link_gains_nothing() {
    race("proc", |_, _| ());
}

#[test]
fn dev_exchanged_for_a_link_gains_nothing() {
    race("dev", |_, _| ());
}

#[test]
fn the_place_of_a_volume_exchanged_for_a_link_gains_nothing() {
    race("place", |host, launch| {
        let source = host.folder().join("volume");
        fs::create_dir_all(source.join("of-the-volume")).unwrap();
        launch.volumes = vec![volume(&source, "/place"), volume(&source, "/place/a/b")];
    });
}

#[test]
fn the_working_directory_exchanged_for_a_link_gains_nothing() {
    race("work", |_, launch| launch.directory = Some("/work".into()));
}

#[test]
fn a_container_in_the_same_directory_gains_nothing() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    for target in ["/", "../../.."] {
        let root = root_with(&host, "place", target);
        let files = Files::Directory(root.clone());
        let inside = Launch::of(&host, files.clone(), &["exchange", "/place", "/evil"]);
        let mut first = inside.launcher(Who::RootElsewhere, &host).spawn().unwrap();
        let source = host.folder().join("volume");
        fs::create_dir_all(&source).unwrap();
        let launch = Launch::of(&host, files, &["stay-a-moment"]);
        let volumes = vec![volume(&source, "/place/below")];
        let launch = Launch { volumes, directory: Some("/place".into()), ..launch };
        let mut failures = Vec::new();
        for _ in 0..60 {
            let answer = launch.run_as(Who::Root, &host);
            let error = answer.error.unwrap_or_default();
            if !error.is_empty()
                && !error.starts_with("the container failed: inside the container: ")
            {
                failures.push(error);
            }
        }
        first.kill().unwrap();
        first.wait().unwrap();
        assert!(failures.is_empty(), "{failures:?}");
        host.is_unchanged("two containers in one directory");
    }
}
