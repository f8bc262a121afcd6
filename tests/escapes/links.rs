//! Symbolic links in a root file system, in the place of what a launcher uses of it.

use std::{fs, os::unix::fs::symlink, path::Path};

use sandbox::Status;

use crate::{
    everywhere::{callers, ready, ready_as_root},
    host::Host,
    inside::{Attempt, Failed},
    launch::{Answer, Files, Launch, Who, volume},
    targets::NO_DIRECTORIES,
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[("tell-where", tell_where)];

/// Its working directory, and whether that is a directory of the host's.
fn tell_where(words: &[String]) -> Result<String, Failed> {
    let secret = words.first().ok_or("which secret?")?;
    let here = std::env::current_dir()?.display().to_string();
    let ways = [format!(".{secret}"), format!("../../../../..{secret}"), "key".into()];
    let read = ways.iter().filter(|way| fs::read(way).is_ok()).count();
    Ok(format!("{here} {read}"))
}

/// Where links of an archive may lead: up, out, round in circles, to what a process has open, to
/// nothing.
fn ways_out(canary: &Path) -> Vec<String> {
    let fixed = [
        ".",
        "..",
        "/",
        "//",
        "../../../../../../..",
        "/proc/self/root",
        "/proc/self/cwd",
        "/proc/self/fd/3",
        "/proc/self/fd/8/../../../..",
        "/proc/self/fd/100",
        "/proc/thread-self/root",
        "/proc/thread-self/cwd/..",
        "/proc/1/root",
        "/proc/self/ns/mnt",
        "/proc/self/exe",
        "/no/such/place",
        "tmp",
        "/dev/shm",
    ];
    let mut all: Vec<String> = fixed.map(str::to_owned).into();
    all.push(canary.display().to_string());
    all.push(format!("../../../../../../../../..{}", canary.display()));
    all
}

/// Puts a link at `name`, in the place of what is there.
fn put_link(root: &Path, name: &str, target: &str) {
    let path = root.join(name);
    let _ = fs::remove_dir(&path); // it may be missing
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

/// The container with that root must not start; how it says so.
fn refused(launch: &Launch, who: Who, host: &Host) -> String {
    let answer = launch.run_as(who, host);
    let Answer { error: Some(error), output, .. } = answer else {
        panic!("{launch:?}: {answer:?}")
    };
    assert_eq!(output, "");
    error
}

/// A link in the place of a directory of the system's, in a root and in the lower layer of another.
fn link_instead_of(names: &[&str]) {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    for who in callers() {
        for (number, target) in ways_out(&host.canary()).into_iter().enumerate() {
            for name in names {
                let root = host.new_root(&format!("{who:?}-{number}-{}", name.replace('/', "-")));
                put_link(&root, name, &target);
                for files in [Files::Directory(root.clone()), Files::Overlay(root)] {
                    let secret = host.secret();
                    let launch = Launch::of(&host, files, &["tell-where", &secret]);
                    let error = refused(&launch, who, &host);
                    let what = format!("openat2 /{name} within the root: ELOOP");
                    let is_named =
                        error.contains(&what) && error.contains("the root has a symbolic");
                    assert!(is_named, "{name} -> {target} as {who:?}: {error}");
                    host.is_unchanged(&format!("{name} -> {target} as {who:?}"));
                }
            }
        }
    }
}

#[test]
fn proc_is_not_mounted_through_a_link() {
    link_instead_of(&["proc"]);
}

#[test]
fn sys_is_not_mounted_through_a_link() {
    link_instead_of(&["sys"]);
}

#[test]
fn dev_is_not_filled_through_a_link() {
    link_instead_of(&["dev"]);
}

#[test]
fn a_terminal_is_not_shown_through_a_link() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    for (number, target) in [".", "/", "..", "/dev/shm"].into_iter().enumerate() {
        let root = host.new_root(&format!("root-{number}"));
        put_link(&root, "dev", target);
        symlink(host.canary().join("new"), root.join("console")).unwrap();
        let launch = Launch::of(&host, Files::Directory(root), &["tell-where", "/none"]);
        let launch = Launch { terminal: true, ..launch };
        let error = refused(&launch, Who::Root, &host);
        assert!(error.contains("openat2 /dev within the root: ELOOP"), "{target}: {error}");
        host.is_unchanged(&format!("a terminal below dev -> {target}"));
    }
}

#[test]
fn what_is_no_directory_is_not_mounted_on() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    for who in callers() {
        for name in ["proc", "sys", "dev"] {
            for (kind, make) in NO_DIRECTORIES {
                let root = host.new_root(&format!("{who:?}-{name}-{kind}"));
                fs::remove_dir(root.join(name)).unwrap();
                make(&root.join(name));
                let launch = Launch::of(&host, Files::Directory(root), &["tell-where", "/none"]);
                let error = refused(&launch, who, &host);
                let what = format!("openat2 /{name} within the root: ENOTDIR");
                assert!(error.contains(&what), "{kind} as {who:?}: {error}");
            }
        }
    }
    host.is_unchanged("a file in the place of a directory");
}

#[test]
fn a_working_directory_behind_links_lies_within_the_root() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    // A directory that the launcher has open, which no link of procfs may reach.
    let _open = fs::File::open(host.canary().join("secrets")).unwrap();
    for who in callers() {
        for (number, target) in ways_out(&host.canary()).into_iter().enumerate() {
            for (part, path) in ["work", "work/below", "a/work/c"].into_iter().enumerate() {
                let root = host.new_root(&format!("{who:?}-{number}-{part}"));
                let link = path.split_inclusive("work").next().unwrap();
                put_link(&root, link, &target);
                let secret = host.secret();
                let launch = Launch::of(&host, Files::Directory(root), &["tell-where", &secret]);
                let launch = Launch { directory: Some(Path::new("/").join(path)), ..launch };
                let answer = launch.run_as(who, &host);
                let description = format!("/{path} by {link} -> {target} as {who:?}: {answer:?}");
                match (&answer.error, answer.status) {
                    // Within the root, and not the host's.
                    (None, Some(Status::Exited(0))) => {
                        assert!(answer.output.starts_with('/'), "{description}");
                        assert!(answer.output.ends_with(" 0\n"), "{description}");
                    }
                    // It would be made there, where an ordinary user may make nothing.
                    (Some(error), _) if error.contains("mkdirat") && error.contains(": EACCES") => {
                    }
                    (Some(error), _) => {
                        let reasons = ["ELOOP", "ENOENT", "ENOTDIR"];
                        let named = |reason| error.contains(&format!("within the root: {reason}"));
                        assert!(reasons.into_iter().any(named), "{description}");
                        let is_magic = ["/proc/self/root", "/proc/self/cwd", "/proc/1/root"];
                        assert!(!is_magic.contains(&&*target) || named("ELOOP"), "{description}");
                    }
                    _ => panic!("{description}"),
                }
                host.is_unchanged(&description);
            }
        }
    }
}

#[test]
fn a_working_directory_that_is_a_descriptor_of_the_launcher_is_refused() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let root = host.new_root("root");
    for number in 0..16 {
        for path in [format!("/proc/self/fd/{number}"), format!("/dev/fd/{number}/..")] {
            let launch = Launch::of(&host, Files::Directory(root.clone()), &["tell-where", "/"]);
            let launch = Launch { directory: Some(path.clone().into()), ..launch };
            let error = refused(&launch, Who::Root, &host);
            let refusals = ["ELOOP", "ENOENT", "ENOTDIR"];
            assert!(refusals.iter().any(|errno| error.contains(errno)), "{path}: {error}");
        }
    }
    host.is_unchanged("a working directory among descriptors");
}

#[test]
fn a_directory_that_is_joined_at_is_looked_up_again() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    // The first program starts in a directory, and puts a link in its place before another joins.
    for target in ["/proc/self/fd/3", "/proc/1/root", "/proc/self/cwd"] {
        let root = host.new_root(&format!("root-{}", target.replace('/', "-")));
        fs::create_dir(root.join("work")).unwrap();
        let files = Files::Directory(root.clone());
        let launch = Launch::of(&host, files.clone(), &["put-link", "/work", target]);
        let joins = Some(crate::launch::words(&host, &files, &["tell-where", "/none"]));
        let directory = Some("/work".into());
        let volumes = vec![volume(&root, "/again")];
        let joins_after = Some(root.join("tmp/ready"));
        let launch = Launch { joins, joins_after, directory, volumes, ..launch };
        let answer = launch.run_as(Who::Root, &host);
        let description = format!("{target}: {answer:?}");
        let error = answer.error.unwrap_or_else(|| panic!("{description}"));
        // Whoever joins is outside of the pid namespace, in which it has no /proc/self.
        let reason = if target.starts_with("/proc/self") { "ENOENT" } else { "ELOOP" };
        let expected = format!("chdir /work: openat2 within the root: {reason}");
        assert!(error.contains(&expected), "{error}");
        host.is_unchanged(&description);
    }
}
