//! What is wrong with the host or the file is one error that says so, with the way out.

mod common;

use std::{fs, path::Path, process::Command};

use common::{in_english, isolab, output_of};
use nix::unistd::Uid;

/// The command in a mount namespace in which no cgroup can be written to.
fn isolab_without_cgroups(words: &[&str]) -> Command {
    let script = "awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts | while read -r point; do \
                  mount -o remount,bind,ro \"$point\" || exit 99; done; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_isolab"));
    in_english(command, words)
}

#[test]
fn read_only_cgroups_are_named_with_the_way_out_and_only_limits_need_them() {
    if !common::can("container", container::available()) {
        return;
    }
    if !Uid::effective().is_root() {
        println!("skipped: only root can remount the cgroup file systems");
        return;
    }
    for limit in [["--memory", "64M"], ["--cpus", "0.5"], ["--pids", "9"]] {
        let words = [&["run"], &limit[..], &["hello"]].concat();
        let (code, output, errors) = output_of(&mut isolab_without_cgroups(&words));
        assert_eq!((code, &*output), (125, ""), "{errors}");
        assert!(errors.contains("is mounted read-only"), "{errors}");
        assert_eq!(errors.matches("isolab: ").count(), 1, "one error: {errors}");
        assert!(errors.contains("help: omit the limit"), "{errors}");
    }
    let (code, output, errors) = output_of(&mut isolab_without_cgroups(&["run", "hello"]));
    assert_eq!((code, &*output), (0, "hello\n"), "{errors}");
}

#[test]
fn what_was_written_before_an_error_comes_out() {
    let printed = |output: &str| serde_json::from_str::<serde_json::Value>(output).unwrap();
    let late = vec!["--deadline", "1s", "--", "sh", "-c", "echo early; exec sleep 60"];
    let mut cases = vec![("process", late.clone(), "early\n")];
    if common::can("container", container::available()) {
        cases.push(("container", late, "early\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("faults.bin");
    // mov al, '6'; out 0xe9, al; ud2: it says 6 and breaks off
    fs::write(&program, [0xb0, b'6', 0xe6, 0xe9, 0x0f, 0x0b]).unwrap();
    if common::can("microvm", microvm::available()) {
        cases.push(("microvm", vec!["--mode", "user64", program.to_str().unwrap()], "6"));
    }
    for (kind, words, expected) in cases {
        let plain = [&["run", "--in", kind], &words[..]].concat();
        let (code, output, errors) = output_of(&mut isolab(&plain));
        assert_eq!((code, &*output), (125, expected), "{errors}");
        let as_json = [&["run", "--in", kind, "--json"], &words[..]].concat();
        let (code, output, errors) = output_of(&mut isolab(&as_json));
        let object = printed(&output);
        assert_eq!((code, object["output"].as_str()), (125, Some(expected)), "{errors}");
        let said = object["error"].as_str().unwrap();
        assert!(errors.contains(said), "{said}: {errors}");
    }
}

/// A program of Linux's whose header says that it is for an AArch64 processor.
fn foreign_program(folder: &Path) -> String {
    const MACHINE: usize = 18; // e_machine, elf(5)
    const AARCH64: u16 = 183;
    let mut image = sandbox::Builtin::Hello.linux_elf().to_vec();
    image[MACHINE..][..2].copy_from_slice(&AARCH64.to_le_bytes());
    let path = folder.join("foreign.elf");
    fs::write(&path, image).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, executable).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_program_for_another_machine_cannot_be_run_anywhere() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let program = foreign_program(folder.path());
    let mut kinds = vec![("process", "Exec format error")];
    if common::can("container", container::available()) {
        kinds.push(("container", "Exec format error"));
    }
    if common::can("microvm", microvm::available()) {
        kinds.push(("microvm", "another machine"));
    }
    for (kind, reason) in kinds {
        let words = ["run", "--in", kind, "--", &program];
        let (code, output, errors) = output_of(&mut isolab(&words));
        assert_eq!((code, &*output), (126, ""), "{kind}: {errors}");
        assert!(errors.contains(reason) && errors.contains(&program), "{kind}: {errors}");
    }
}

#[test]
fn a_container_ends_with_its_launcher() {
    if !common::can("container", container::available()) {
        return;
    }
    for init in [&[][..], &["--init"]] {
        let name = format!("orphan-{}-{}", std::process::id(), init.len());
        let words = [&["run", "--name", &name], init, &["--", "/bin/sleep", "600"]].concat();
        let mut launcher = isolab(&words).spawn().unwrap();
        let entry = wait_for(|| container::find(&name).ok());
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        let first = entry.first.unwrap();
        wait_for(|| (!first.is_alive()).then_some(()));
        let (code, _, errors) = output_of(&mut isolab(&["clean"]));
        assert_eq!(code, 0, "{errors}");
    }
}

/// What `look` finds, in ten seconds at most.
fn wait_for<T>(look: impl Fn() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it did not happen in ten seconds");
}
