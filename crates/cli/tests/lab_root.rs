//! Root checks what a student owns: nothing that the student can shape runs, or is read, as root.
//!
//! The student's checkout has a cargo of its own in these tests, a script. So it can do at once all
//! that build scripts, wrappers, runners and configuration files could make a real one do.

mod common;

use std::{
    fs,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{isolab, labs::Labs, output_of};
use nix::{pty::openpty, unistd::Uid};
use tempfile::TempDir;

/// Somebody who has no account, and owns nothing but the checkout.
const STUDENT: u32 = 64_321;

/// A checkout of the student's with one lab, in a folder where the student may write.
struct Checkout {
    folder: TempDir,
    lab: &'static str,
}

impl Checkout {
    /// `None`, with the reason told, where no other user can be had.
    fn of_a_student(lab: &'static str, name: &str) -> Option<Self> {
        if !Uid::effective().is_root() {
            return common::skip("root", "only root can check what is another user's");
        }
        let it = Self { folder: tempfile::tempdir().unwrap(), lab };
        set_mode(it.folder.path(), 0o755);
        it.write("Cargo.toml", "[workspace]\n");
        it.write(&format!("labs/{lab}-{name}/src/student.rs"), "fn main() {}\n");
        let title = "title = \"t\"\ngoal = \"g\"\nfirst = \"f\"\n";
        let messages = format!("[lab.en]\n{title}[lab.zh]\n{title}");
        it.write(&format!("labs/{lab}-{name}/messages.toml"), &messages);
        it.write("metadata.json", &it.metadata(name));
        let artifact = |bin: &str| {
            serde_json::json!({
                "reason": "compiler-artifact", "target": { "name": bin },
                "executable": it.path(&format!("target/{bin}")), "fresh": false,
            })
        };
        let [program, check] = [format!("lab{lab}"), format!("lab{lab}-check")];
        it.write("build.json", &format!("{}\n{}\n", artifact(&program), artifact(&check)));
        fs::create_dir_all(it.path("target")).unwrap();
        fs::copy("/bin/true", it.path(&format!("target/{program}"))).unwrap();
        // The judge that the checkout would have: a pass for everybody, and root for the student.
        let pass = format!(
            r#"{{"lab":"{lab}","verdict":"pass","id":null,"facts":{{}},"evidence":[],"measured":{{}},"output":[]}}"#
        );
        let judge = it.path(&format!("target/{check}"));
        it.write(&format!("target/{check}"), &it.script(&format!("echo '{pass}'")));
        set_mode(&judge, 0o755);
        it.write("cargo", &it.script("case \"$*\" in *metadata*) cat \"$here/metadata.json\";; *) cat \"$here/build.json\";; esac"));
        set_mode(&it.path("cargo"), 0o755);
        it.give_away();
        Some(it)
    }

    /// A shell script that leaves traces beside itself and then does this.
    fn script(&self, then: &str) -> String {
        let here = self.path("");
        format!(
            "#!/bin/sh\nhere={}\nname=$(basename \"$0\")\n\
             id -u > \"$here/ran-$name\"; id -G > \"$here/groups-$name\"\n\
             env > \"$here/env-$name\"; grep NoNewPrivs /proc/self/status > \"$here/nnp-$name\"\n\
             ls /proc/self/fd > \"$here/open-$name\"\n\
             (printf drawn > /dev/tty) 2> /dev/null && touch \"$here/drew-$name\"\n{then}\n",
            here.display()
        )
    }

    fn metadata(&self, name: &str) -> String {
        let folder = self.path(&format!("labs/{}-{name}", self.lab));
        let bin = |name: String| serde_json::json!({ "name": name, "kind": ["bin"], "src_path": folder.join("x.rs") });
        serde_json::json!({
            "target_directory": self.path("target"),
            "packages": [{
                "name": name,
                "manifest_path": folder.join("Cargo.toml"),
                "metadata": { "lab": { "track": "container", "minutes": 1 } },
                "targets": [bin(format!("lab{}", self.lab)), bin(format!("lab{}-check", self.lab))],
            }],
        })
        .to_string()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("checkout").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn give_away(&self) {
        let mut waiting = vec![self.path("")];
        while let Some(path) = waiting.pop() {
            std::os::unix::fs::lchown(&path, Some(STUDENT), Some(STUDENT)).unwrap();
            if path.symlink_metadata().unwrap().is_dir() {
                waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }

    /// What root calls, in the checkout.
    fn check(&self) -> Command {
        let mut command = isolab(&["lab", "check", self.lab, "--no-predict"]);
        command.current_dir(self.path("")).env("CARGO", self.path("cargo"));
        command.env("XDG_STATE_HOME", self.folder.path().join("state"));
        command
    }

    /// The trace that a script of the student's has left.
    fn trace(&self, name: &str) -> Option<String> {
        Some(fs::read_to_string(self.path(name)).ok()?.trim().to_owned())
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A file that root alone may read.
fn secret(folder: &Path) -> PathBuf {
    let path = folder.join("secret");
    fs::write(&path, "= root:top-secret\n").unwrap();
    set_mode(&path, 0o600);
    path
}

#[test]
fn what_a_checkout_has_built_runs_as_its_owner_with_nothing_of_roots() {
    let Some(checkout) = Checkout::of_a_student("08", "own-name") else { return };
    let pair = openpty(None, None).unwrap();
    let slave = fs::File::from(pair.slave);
    let check = checkout.check();
    // On a terminal of root's, with a file that root has open, and a secret in the environment.
    let mut session = Command::new("setsid");
    session.args(["--ctty", "--wait", "sh", "-c", "exec 9<>/dev/null; exec \"$@\"", "sh"]);
    session.arg(check.get_program()).args(check.get_args());
    session.envs(check.get_envs().filter_map(|(name, value)| Some((name, value?))));
    session.current_dir(checkout.path("")).env("TOKEN", "of root's");
    let end = || Stdio::from(slave.try_clone().unwrap());
    session.stdin(end()).stderr(end()).stdout(Stdio::piped());
    let ended = session.output().unwrap();
    drop((session, slave));
    let mut drawn = Vec::new();
    // Nobody holds the other end any more: that is EIO.
    let _ = fs::File::from(pair.master).read_to_end(&mut drawn);
    let (drawn, said) = (String::from_utf8_lossy(&drawn), String::from_utf8_lossy(&ended.stdout));
    assert_eq!(checkout.trace("ran-cargo").as_deref(), Some("64321"), "{said}{drawn}");
    assert_eq!(checkout.trace("groups-cargo").as_deref(), Some("64321"));
    assert_eq!(checkout.trace("nnp-cargo").as_deref(), Some("NoNewPrivs:\t1"));
    assert!(!checkout.trace("env-cargo").unwrap().contains("TOKEN"));
    // `ls` has its folder open, and the shell the script.
    let open = checkout.trace("open-cargo").unwrap();
    assert!(!open.lines().any(|number| number == "9"), "{open}");
    assert!(!checkout.path("drew-cargo").exists() && !drawn.contains("drawn"), "{drawn}");
}

#[test]
fn the_judge_is_isolabs_own_and_not_the_checkouts() {
    let Some(checkout) = Checkout::of_a_student("08", "own-name") else { return };
    let (code, output, errors) = output_of(&mut checkout.check());
    assert_eq!(checkout.trace("ran-lab08-check"), None, "{output}{errors}");
    if output.contains("no-namespaces") {
        common::skip::<()>("container", &output);
        return;
    }
    // /bin/true is no answer, whatever the checkout's judge says.
    assert_eq!(code, 1, "{output}{errors}");
    assert!(output.contains("FAIL  ended-early"), "{output}");
    assert!(
        output.contains("isolab's built-in check of lab 08, which was built from a different"),
        "{output}"
    );
}

#[test]
fn a_judge_that_only_the_checkout_has_runs_as_its_owner() {
    let Some(checkout) = Checkout::of_a_student("88", "own-thing") else { return };
    let (code, output, errors) = output_of(&mut checkout.check());
    assert_eq!(code, 0, "{output}{errors}");
    assert!(output.contains("which 64321 can change"), "{output}");
    assert_eq!(checkout.trace("ran-lab88-check").as_deref(), Some("64321"));
    assert_eq!(checkout.trace("groups-lab88-check").as_deref(), Some("64321"));
    assert_eq!(fs::metadata(checkout.path("ran-lab88-check")).unwrap().uid(), STUDENT);
}

#[test]
fn links_in_a_checkout_lead_root_nowhere() {
    let Some(checkout) = Checkout::of_a_student("08", "own-name") else { return };
    let secret = secret(checkout.folder.path());
    for path in ["target/lab08", "labs/08-own-name/messages.toml"] {
        let path = checkout.path(path);
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        symlink(&secret, &path).unwrap();
        let (code, output, errors) = output_of(&mut checkout.check());
        assert_eq!(code, 125, "{output}");
        assert!(errors.contains("Permission denied"), "{errors}");
        assert!(!errors.contains("top-secret") && !output.contains("top-secret"), "{errors}");
        fs::rename(aside, path).unwrap();
    }
    // A pipe is not waited at.
    let messages = checkout.path("labs/08-own-name/messages.toml");
    fs::remove_file(&messages).unwrap();
    assert!(Command::new("mkfifo").arg("-m").arg("666").arg(&messages).status().unwrap().success());
    let (code, _, errors) = output_of(&mut checkout.check());
    assert_eq!(code, 125);
    assert!(errors.contains("not a regular file"), "{errors}");
}

#[test]
fn a_work_folder_that_leads_elsewhere_is_written_with_its_owners_rights_only() {
    let Some(checkout) = Checkout::of_a_student("08", "own-name") else { return };
    let roots = checkout.folder.path().join("roots");
    fs::create_dir(&roots).unwrap();
    set_mode(&roots, 0o755);
    symlink(&roots, checkout.path("work")).unwrap();
    let mut start = isolab(&["lab", "start", "08"]);
    start.current_dir(checkout.path("")).env("CARGO", checkout.path("cargo"));
    start.env("XDG_STATE_HOME", checkout.folder.path().join("state"));
    let (code, output, errors) = output_of(&mut start);
    assert_eq!(code, 125, "{output}");
    assert!(errors.contains("Permission denied"), "{errors}");
    assert_eq!(fs::read_dir(&roots).unwrap().count(), 0);
    fs::remove_file(checkout.path("work")).unwrap();
    let (code, _, errors) = output_of(&mut start);
    assert_eq!(code, 0, "{errors}");
    for path in ["work", "work/Cargo.toml", "work/08-own-name/student.rs"] {
        assert_eq!(fs::metadata(checkout.path(path)).unwrap().uid(), STUDENT, "{path}");
    }
}

#[test]
fn what_a_build_says_is_shown_and_not_obeyed() {
    let Some(checkout) = Checkout::of_a_student("08", "own-name") else { return };
    let escape = "\u{1b}]0;title\u{7}\u{1b}[2J";
    let error = serde_json::json!({
        "reason": "compiler-message", "target": { "name": "lab08" },
        "message": { "message": escape, "level": "error", "rendered": escape, "spans": [] },
    });
    checkout.write("build.json", &format!("{error}\n"));
    let (code, output, errors) = output_of(&mut checkout.check());
    assert_eq!(code, 1, "{errors}");
    assert!(output.contains("\\u{1b}]0;title") && !output.contains('\u{1b}'), "{output:?}");
    let failing = checkout.script(&format!("printf '{escape}' >&2; exit 1"));
    checkout.write("cargo", &failing);
    let (code, _, errors) = output_of(&mut checkout.check());
    assert_eq!(code, 125);
    assert!(errors.contains("\\u{1b}]0;title") && !errors.contains('\u{1b}'), "{errors:?}");
}

#[test]
fn root_builds_nothing_of_its_own_that_somebody_else_can_change() {
    if !Uid::effective().is_root() {
        common::skip::<()>("root", "only root has what root alone can change");
        return;
    }
    let labs = Labs::new();
    let refused = |expected: &str| {
        let (code, output, errors) = output_of(&mut labs.lab(&["check", "88", "--no-predict"]));
        assert_eq!(code, 125, "{output}");
        assert!(errors.contains("only what root alone can change"), "{errors}");
        assert!(errors.contains(expected) && errors.contains("chown"), "{errors}");
    };
    let student = labs.path("labs/88-own-name/src/student.rs");
    chown(&student, Some(STUDENT), None).unwrap();
    refused("student.rs belongs to user 64321");
    chown(&student, Some(0), None).unwrap();
    set_mode(&labs.path("labs/88-own-name"), 0o775);
    refused("labs/88-own-name can be written by others: its mode is 775");
    set_mode(&labs.path("labs/88-own-name"), 0o755);
    // What others have put where cargo would find it built already.
    let target = labs.folder.path().join("target");
    fs::create_dir(&target).unwrap();
    chown(&target, Some(STUDENT), None).unwrap();
    let mut check = labs.lab(&["check", "88", "--no-predict"]);
    let (code, output, errors) = output_of(check.env("CARGO_TARGET_DIR", &target));
    assert_ne!(code, 0, "{output}");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "{errors}");
}

#[test]
fn root_hears_nothing_of_the_callers_cargo() {
    if !Uid::effective().is_root() {
        common::skip::<()>("root", "only root has what root alone can change");
        return;
    }
    let labs = Labs::new();
    labs.student_says("solved");
    let (folder, canary) = (labs.folder.path(), labs.folder.path().join("canary"));
    let evil = format!("#!/bin/sh\ntouch {}\nexec \"$@\"\n", canary.display());
    for name in ["evil", "bin/cargo", "bin/rustc"] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &evil).unwrap();
        set_mode(&path, 0o755);
        chown(&path, Some(STUDENT), None).unwrap();
    }
    chown(folder.join("bin"), Some(STUDENT), None).unwrap();
    // Where cargo would look: beside the checkout, above its folder.
    let config = format!("[build]\nrustc-wrapper = \"{}\"\n", folder.join("evil").display());
    fs::create_dir(folder.join(".cargo")).unwrap();
    fs::write(folder.join(".cargo/config.toml"), config).unwrap();
    chown(folder.join(".cargo"), Some(STUDENT), None).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", folder.join("bin").display());
    let evil = folder.join("evil");
    let mut check = labs.lab(&["check", "88", "--no-predict"]);
    for name in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER", "RUSTC"] {
        check.env(name, &evil);
    }
    check.env("PATH", path).env("CARGO", folder.join("bin/cargo"));
    // As some sudo leaves it: its .cargo is the planted one.
    check.env("HOME", folder);
    chown(folder, Some(STUDENT), None).unwrap();
    let checkout = folder.join("checkout");
    let moved = tempfile::tempdir().unwrap();
    fs::rename(&checkout, moved.path().join("checkout")).unwrap();
    check.current_dir(moved.path().join("checkout"));
    let (code, output, errors) = output_of(&mut check);
    assert!(!canary.exists(), "{output}{errors}");
    assert_eq!(code, 0, "{output}{errors}");
}

#[test]
fn a_build_that_does_not_end_is_ended_with_all_that_came_of_it() {
    let Some(checkout) = Checkout::of_a_student("08", "own-name") else { return };
    let lasting = "case \"$*\" in *metadata*) cat \"$here/metadata.json\"; exit;; esac; \
                   sleep 4713 & touch \"$here/at-work\"; sleep 4713";
    checkout.write("cargo", &checkout.script(lasting));
    let mut running = checkout.check().stderr(Stdio::null()).spawn().unwrap();
    common::wait_for("the build", || checkout.path("at-work").exists());
    common::signal(running.id(), "INT");
    assert_eq!(running.wait().unwrap().code(), Some(130));
    let lasts = |pid: &str| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line == "sleep\x004713\0"
    };
    common::wait_for("the end of the build", || {
        let mut all = fs::read_dir("/proc").unwrap().flatten();
        !all.any(|entry| lasts(entry.file_name().to_str().unwrap_or_default()))
    });
}
