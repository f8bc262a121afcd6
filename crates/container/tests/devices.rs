//! Question 2: devices that a cgroup keeps its processes from, asked of the kernel.

mod common;

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::Command,
};

use common::{ready, skip};
use container::devices::{self, DeviceRule};

/// A cgroup that is removed in the end.
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// A new cgroup below this process's own: of version 2, or of the `devices` controller of version 1.
/// `None`, with the reason told, where there is none to be had.
fn cgroup(version: u8, name: &str) -> Option<Cgroup> {
    if !ready() {
        return None;
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let is_it = |line: &&str| {
        let (_, end) = line.split_once(" - ").unwrap();
        let (kind, options) = end.split_once(' ').unwrap();
        match version {
            2 => kind == "cgroup2",
            _ => kind == "cgroup" && options.split([' ', ',']).any(|word| word == "devices"),
        }
    };
    let Some(mount) = mounts.lines().find(is_it) else {
        // Each host lacks one of the two: that is no fault of it.
        println!("skipped: no cgroup hierarchy of version {version} that knows devices");
        return None;
    };
    let point = Path::new(mount.split(' ').nth(4).unwrap());
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| match version {
        2 => line.strip_prefix("0::/"),
        _ => line.split_once(":devices:/").map(|(_, path)| path),
    });
    let path =
        point.join(own.unwrap_or("")).join(format!("isolab-test-{name}-{}", std::process::id()));
    match fs::create_dir(&path) {
        Ok(()) => Some(Cgroup(path)),
        Err(error) => {
            skip(&format!("make {path:?}: {error}"));
            None
        }
    }
}

/// Joins a cgroup, makes nodes of /dev/null and of a block device, and opens them.
const SCRIPT: &str = r#"
    test -z "$1" || echo 0 > "$1" || exit 9
    mknod null c 1 3 && mknod block b 7 0 || exit 8
    for node in null block; do ( : < $node ) 2>&1 && echo "$node can be opened"; done
    rm null block"#;

/// What the script says when it joins by this file.
fn tried(join: Option<PathBuf>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let join = join.unwrap_or_default();
    let mut script = Command::new("/bin/sh");
    script.args(["-c", SCRIPT, "sh"]).arg(join).current_dir(folder.path());
    let output = script.env("LC_ALL", "C").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    format!("{said}{}", String::from_utf8_lossy(&output.stderr))
}

/// Whether nothing but the rules could be in the way.
fn is_free() -> bool {
    let free = tried(None);
    let fine = free.contains("null can be opened") && !free.contains("Operation not permitted");
    if !fine {
        skip(&format!("this root may not make or open device nodes: {free}"));
    }
    fine
}

fn assert_kept(said: &str) {
    assert!(said.contains("null can be opened"), "{said}");
    assert!(said.contains("block: Operation not permitted"), "{said}");
}

#[test]
fn the_program_of_version_2_keeps_processes_from_devices() {
    if !is_free() {
        return;
    }
    let Some(cgroup) = cgroup(2, "devices-2") else { return };
    let program = match devices::default_program() {
        Ok(program) => program,
        Err(error) => return skip(&format!("{error}: {:?}", std::error::Error::source(&error))),
    };
    devices::attach(program.as_fd(), File::open(&cgroup.0).unwrap().as_fd()).unwrap();
    assert_kept(&tried(Some(cgroup.0.join("cgroup.procs"))));
}

#[test]
fn other_rules_take_the_place_of_the_program_of_version_2() {
    if !is_free() {
        return;
    }
    let Some(cgroup) = cgroup(2, "devices-other") else { return };
    if let Err(error) = devices::load(&[]) {
        return skip(&format!("{error}: {:?}", std::error::Error::source(&error)));
    }
    let directory = File::open(&cgroup.0).unwrap();
    let nothing: DeviceRule = serde_json::from_str(r#"{"allow": false}"#).unwrap();
    for opened in [true, false, true, false] {
        let rules = if opened { devices::default_rules() } else { vec![nothing] };
        devices::replace(&rules, directory.as_fd()).unwrap();
        let said = tried(Some(cgroup.0.join("cgroup.procs")));
        assert_eq!(said.contains("null can be opened"), opened, "{said}");
    }
}

#[test]
fn the_lines_of_version_1_keep_processes_from_devices() {
    if !is_free() {
        return;
    }
    let Some(cgroup) = cgroup(1, "devices-1") else { return };
    for (file, line) in devices::lines(&devices::default_rules()).unwrap() {
        if let Err(error) = fs::write(cgroup.0.join(file), &line) {
            return skip(&format!("{line:?} to {file}: {error}"));
        }
    }
    assert_kept(&tried(Some(cgroup.0.join("tasks"))));
    let kept = fs::read_to_string(cgroup.0.join("devices.list")).unwrap();
    let count = kept.lines().count();
    assert_eq!(count + 1, devices::default_rules().len(), "{kept}");
}

#[test]
fn the_kernel_takes_the_program_of_any_rules() {
    if !ready() {
        return;
    }
    if let Err(error) = devices::load(&[]) {
        return skip(&format!("{error}: {:?}", std::error::Error::source(&error)));
    }
    let rule = |text: &str| serde_json::from_str::<DeviceRule>(text).unwrap();
    let lists = [
        vec![rule(r#"{"allow": true}"#)],
        vec![rule(r#"{"allow": true}"#), rule(r#"{"allow": false, "type": "b", "access": "w"}"#)],
        vec![rule(r#"{"allow": true, "type": "c", "major": 4294967295, "access": "r"}"#); 500],
        vec![rule(r#"{"allow": false, "major": 1, "minor": 2, "access": "rm"}"#); 500],
    ];
    for rules in lists {
        devices::load(&rules).unwrap();
    }
}
