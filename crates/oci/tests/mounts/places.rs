//! Where a mount can go, and that no link leads it elsewhere.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn what_cannot_be_mounted_is_an_error_that_names_it() {
    for (options, source, destination, expected) in [
        (&["bind"][..], "missing", "/x", "missing"),
        (&["bind", "sync"], "source", "/x", "sync"),
        (&["bind", "copy-symlink"], "source", "/x", "copy-symlink"),
        (&["nosuid"], "source", "/x", "mounts[2].type"),
        (&["bind"], "source", "/", "mounts[2].destination"),
        (&["bind"], "source", "/x/..", "mounts[2].destination"),
    ] {
        let Some(mut bundle) = Bundle::new() else { return };
        bundle.source();
        bundle.mount("none", source, destination, options);
        let errors = bundle.failure();
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
}

#[test]
fn a_destination_is_made_within_the_root_only() {
    let Some(mut bundle) = Bundle::new() else { return };
    let (source, outside) = (bundle.source(), bundle.folder().join("outside"));
    fs::create_dir(&outside).unwrap();
    symlink(&outside, bundle.root().join("out")).unwrap();
    symlink("../../../../../../../../..", bundle.root().join("up")).unwrap();
    let file = source.join("file");
    bundle.mount("bind", file.to_str().unwrap(), "/out/deep/file", &["bind"]);
    bundle.mount("bind", "source", "/../../y/./../z", &["bind"]);
    assert_eq!(bundle.output("cat /out/deep/file /z/file"), "content\ncontent");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    bundle.mount("bind", "source", "/up", &["bind"]);
    assert!(bundle.failure().contains("/up"));
}

#[test]
fn no_link_of_procfs_leads_a_mount_out() {
    for target in ["/proc/self/fd/3", "/proc/1/root", "/proc/self/cwd", "/proc/thread-self/root"] {
        let Some(mut bundle) = Bundle::new() else { return };
        bundle.source();
        symlink(target, bundle.root().join("x")).unwrap();
        for destination in ["/x", "/x/tmp"] {
            bundle.config["mounts"].as_array_mut().unwrap().truncate(2);
            bundle.mount("bind", "source", destination, &["bind"]);
            assert!(bundle.failure().contains("ELOOP"), "{target} {destination}");
        }
    }
}

#[test]
fn a_root_that_is_a_link_is_refused() {
    let Some(mut bundle) = Bundle::new() else { return };
    symlink("/", bundle.folder().join("link")).unwrap();
    bundle.config["root"]["path"] = json!("link");
    assert!(bundle.failure().contains("root.path"));
}

#[test]
fn a_destination_that_is_swapped_meanwhile_leads_nowhere() {
    let Some(mut bundle) = Bundle::new() else { return };
    let outside = bundle.folder().join("outside");
    fs::create_dir(&outside).unwrap();
    bundle.source();
    bundle.mount("bind", "source", "/x/deep", &["bind"]);
    bundle.config["linux"]["maskedPaths"] = json!(["/x"]);
    let (x, ended) = (bundle.root().join("x"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Relaxed) {
                let _ = symlink(&outside, &x);
                let _ = fs::remove_file(&x);
                let _ = fs::create_dir(&x);
                let _ = fs::remove_dir_all(&x);
            }
        });
        for _ in 0..20 {
            bundle.run("true"); // it may start or fail
        }
        ended.store(true, Relaxed);
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(bundle.folder().to_str().unwrap()), "{mounts}");
}
