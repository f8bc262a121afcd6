//! Hosts with separate mounts of file systems that somebody else answers for, or that are for a while:
//! FUSE, vfat, ramfs, where programs of the host mount them and where they do not.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use common::{
    fuse::{self, Server},
    inside::{INSIDE, all_hold_in_a_nest_with},
    isolab, output_of, skip,
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::Uid,
};

/// Kinds of file systems that this host may lack and a nest has.
const KINDS: [&str; 5] = ["fuse", "loop", "vfat", "nls_cp437", "nls_ascii"];

#[test]
fn all_of_these_hold_in_a_nest() {
    if std::env::var_os(INSIDE).is_none() {
        all_hold_in_a_nest_with(|nest| nest.modules = KINDS.map(Into::into).to_vec());
    }
}

/// Does it in a mount namespace of its own, with empty directories where hosts mount for a while.
fn on_a_host(test: impl FnOnce() + Send + 'static) {
    if !Uid::effective().is_root() {
        return skip("mounts", "only root can mount something").unwrap_or(());
    }
    if !common::can("container", container::available()) {
        return;
    }
    let host = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(none, "/", none, private, none).unwrap();
        test();
    });
    if let Err(panic) = host.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A directory below each of those whose mounts are not carried over, and below others.
fn places() -> Vec<tempfile::TempDir> {
    let parents = ["/run", "/tmp", "/mnt", "/media", "/srv", "/var/tmp"];
    parents.iter().filter_map(|parent| tempfile::tempdir_in(parent).ok()).collect()
}

/// Whether a mount there is for a while, and so is not shown inside.
fn is_left(place: &Path) -> bool {
    ["/run", "/tmp", "/mnt", "/media"].iter().any(|parent| place.starts_with(parent))
}

fn run(options: &[&str], script: &str) -> (i32, String, String) {
    let words = [&["run", "--deadline", "20s"], options, &["--", "sh", "-c", script]].concat();
    output_of(&mut isolab(&words))
}

/// What holds of a mount of that kind, with `file` in it, at `place`.
fn check(place: &Path, kind: &str, content: &str) {
    let file = place.join("file");
    let (code, output, errors) = run(
        &["--trace"],
        &format!("cat {0} 2> /dev/null; echo x > {0} && cat {0}; true", file.display()),
    );
    assert_eq!(code, 0, "{kind} at {place:?}: {errors}");
    let answer = errors.split_whitespace().collect::<Vec<_>>().join(" ").replace("- ", "-");
    let named = answer.contains(&format!("{} ({kind})", place.display()));
    if is_left(place) {
        assert!(!output.contains(content) && named, "{kind} at {place:?}: {output}{errors}");
        let doctor = output_of(&mut isolab(&["doctor"])).1;
        let answer = doctor.split_whitespace().collect::<Vec<_>>().join(" ").replace("- ", "-");
        assert!(answer.contains(&format!("{} ({kind})", place.display())), "{doctor}");
        let volume = format!("{}:/there:ro", place.display());
        let (code, output, errors) = run(&["-v", &volume], "cat /there/file");
        assert_eq!((code, &*output), (0, content), "{kind} at {place:?}: {errors}");
    } else {
        assert!(output.starts_with(content) && !named, "{kind} at {place:?}: {output}{errors}");
    }
    // Whatever was written inside.
    assert_eq!(fs::read_to_string(&file).unwrap(), content, "{kind} at {place:?}");
}

#[test]
fn a_file_system_in_user_space_is_named_or_shown_read_only() {
    on_a_host(|| {
        for place in places() {
            if let Err(error) = fuse::mount_at(place.path(), Server::Answers) {
                return skip("fuse", &format!("no FUSE here: {error}")).unwrap_or(());
            }
            check(place.path(), "fuse.test", fuse::CONTENT);
            nix::mount::umount(place.path()).unwrap();
        }
    });
}

#[test]
fn a_file_system_whose_server_hangs_or_is_dead_holds_up_no_container() {
    on_a_host(|| {
        for server in [Server::Dead, Server::Hangs] {
            let mut kept = Vec::new();
            for place in places() {
                match fuse::mount_at(place.path(), server) {
                    Ok(device) => kept.push((place, device)),
                    Err(error) => {
                        return skip("fuse", &format!("no FUSE here: {error}")).unwrap_or(());
                    }
                }
            }
            for options in [&[][..], &["--init"], &["--network", "host"]] {
                let (code, output, errors) = run(options, "echo runs");
                assert_eq!((code, &*output), (0, "runs\n"), "{server:?} {options:?}: {errors}");
            }
            // Who waits for a server is let go when it ends.
            let (places, devices): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
            drop(devices);
            for place in &places {
                nix::mount::umount2(place.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
            }
        }
    });
}

#[test]
fn a_memory_file_system_is_named_or_shown() {
    on_a_host(|| {
        for place in places() {
            let none = None::<&str>;
            mount(Some("test"), place.path(), Some("ramfs"), MsFlags::empty(), none).unwrap();
            fs::write(place.path().join("file"), "of a ramfs\n").unwrap();
            check(place.path(), "ramfs", "of a ramfs\n");
            nix::mount::umount(place.path()).unwrap();
        }
    });
}

#[test]
fn a_memory_stick_is_named_or_shown() {
    on_a_host(|| {
        let known = fs::read_to_string("/proc/filesystems").unwrap();
        if !known.lines().any(|line| line.trim() == "vfat") {
            return skip("vfat", "this kernel has no vfat").unwrap_or(());
        }
        let image = tempfile::NamedTempFile::new().unwrap();
        fs::write(image.path(), stick("of a stick\n")).unwrap();
        for place in places() {
            let mut mounted = Command::new("mount");
            mounted.args(["-t", "vfat", "-o", "loop"]).arg(image.path()).arg(place.path());
            let (code, _, errors) = output_of(&mut mounted);
            if code != 0 {
                return skip("vfat", &format!("no loop device here: {errors}")).unwrap_or(());
            }
            check(place.path(), "vfat", "of a stick\n");
            nix::mount::umount(place.path()).unwrap();
        }
    });
}

/// A file system with one file, as FAT12 has it: a boot sector, a table of clusters, a root directory
/// of 16 entries, and clusters of a sector each.
fn stick(content: &str) -> Vec<u8> {
    const SECTOR: usize = 512;
    const SECTORS: u16 = 128;
    let mut image = vec![0; SECTOR * usize::from(SECTORS)];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\xeb\x3c\x90isolab  ");
    put(11, &(SECTOR as u16).to_le_bytes());
    put(13, &[1]); // sectors of a cluster
    put(14, &1u16.to_le_bytes()); // sectors before the table
    put(16, &[1]); // tables
    put(17, &16u16.to_le_bytes()); // entries of the root directory
    put(19, &SECTORS.to_le_bytes());
    put(21, &[0xf8]); // a fixed disk
    put(22, &1u16.to_le_bytes()); // sectors of the table
    put(38, &[0x29]);
    put(43, b"STICK      FAT12   ");
    put(510, &[0x55, 0xaa]);
    // The table: two entries that are taken, and the one cluster, which is a file's last.
    put(SECTOR, &[0xf8, 0xff, 0xff, 0xff, 0x0f]);
    let entry = 2 * SECTOR;
    put(entry, b"FILE       \x20");
    put(entry + 26, &2u16.to_le_bytes());
    put(entry + 28, &(content.len() as u32).to_le_bytes());
    put(3 * SECTOR, content.as_bytes());
    image
}

/// Files of another machine need one that serves them.
#[test]
fn files_of_another_machine_are_named_by_their_type() {
    let known = fs::read_to_string("/proc/filesystems").unwrap();
    let servers: Vec<PathBuf> = ["/proc/fs/nfsd/versions"]
        .into_iter()
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect();
    if !known.contains("nfs") || servers.is_empty() {
        return skip("nfs", "an nfs mount needs a server, and none runs on this host")
            .unwrap_or(());
    }
    on_a_host(|| {
        for place in places() {
            let mut mounted = Command::new("mount");
            mounted.args(["-t", "nfs4", "127.0.0.1:/"]).arg(place.path());
            let (code, _, errors) = output_of(&mut mounted);
            if code != 0 {
                return skip("nfs", &format!("its server exports nothing: {errors}")).unwrap_or(());
            }
            let (code, _, errors) = run(&["--trace"], "true");
            assert!(code == 0 && errors.contains("(nfs4)"), "{errors}");
            nix::mount::umount(place.path()).unwrap();
        }
    });
}
