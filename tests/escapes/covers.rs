//! What else is put into a root that leads astray: masks, devices, the layer that is written to.

use std::{fs, os::unix::fs::symlink};

use container::Device;

use crate::{
    everywhere::{callers, ready, ready_as_root},
    host::Host,
    launch::{Files, Launch, Who},
};

#[test]
fn masks_and_read_only_paths_behind_links_stay_within() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let canary = host.canary().display().to_string();
    for who in callers() {
        for (number, target) in
            ["/", "..", &canary, "/proc/self/root", "/proc/self/fd/3", "work", "/none"]
                .into_iter()
                .enumerate()
        {
            for masks in [true, false] {
                let root = host.new_root(&format!("root-{who:?}-{number}-{masks}"));
                symlink(target, root.join("work")).unwrap();
                let nothing = "/none";
                let files = Files::Directory(root);
                let mut launch = Launch::of(&host, files, &["climb", nothing]);
                let paths = if masks { &mut launch.masked } else { &mut launch.read_only };
                paths.push("/work".into());
                let answer = launch.run_as(who, &host);
                let description = format!("{target} as {who:?}, mask {masks}: {answer:?}");
                match answer.error {
                    None => assert_eq!(
                        answer.output.trim(),
                        "0 lead elsewhere, 0 to the secret",
                        "{description}"
                    ),
                    Some(error) => assert!(
                        error.contains("/work")
                            && (error.contains("ELOOP") || error.contains("root itself")),
                        "{description}"
                    ),
                }
                host.is_unchanged(&description);
            }
        }
    }
}

#[test]
fn an_upper_layer_is_not_written_through_a_link() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    for (number, name) in ["upper", "work"].into_iter().enumerate() {
        for target in [host.canary().display().to_string(), "../canary".into(), "/".into()] {
            let root = host.new_root(&format!("root-{number}-{}", target.len()));
            let kept = host.folder().join(format!("kept-{number}-{}", target.len()));
            fs::create_dir(&kept).unwrap();
            symlink(&target, kept.join(name)).unwrap();
            let launch = Launch::of(&host, Files::Kept(root, kept), &["write", "/new"]);
            let error = launch.run_as(Who::Root, &host).error.unwrap();
            assert!(error.contains(&format!("openat2 /{name} within the root: ELOOP")), "{error}");
            host.is_unchanged(&format!("{name} -> {target}"));
        }
    }
}

#[test]
fn a_device_is_not_made_through_a_link() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let canary = host.canary().display().to_string();
    for who in callers() {
        for (number, target) in ["/", "..", &canary, "/proc/self/cwd"].into_iter().enumerate() {
            let root = host.new_root(&format!("root-{who:?}-{number}"));
            symlink(target, root.join("place")).unwrap();
            let mut launch = Launch::of(&host, Files::Directory(root), &["climb", "/none"]);
            let path = "/place/null".into();
            launch.devices.push(Device {
                path,
                kind: 'c',
                major: 1,
                minor: 3,
                mode: 0o666,
                uid: 0,
                gid: 0,
            });
            let answer = launch.run_as(who, &host);
            let error = answer.error.unwrap_or_else(|| panic!("{target}: {}", answer.output));
            // A user shows the host's device of that path, and there is none.
            let reasons = ["openat2 /place within the root: ELOOP", "openat2 /place/null, without"];
            let reason = reasons[usize::from(who == Who::Ordinary)];
            assert!(error.contains(reason), "{target} as {who:?}: {error}");
            host.is_unchanged(&format!("a device below a link to {target}"));
        }
    }
}
