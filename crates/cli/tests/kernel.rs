//! `isolab kernel` as a user meets it, with scripts instead of the package client: what it
//! prints, what is there afterwards, and that nothing is left of what failed.

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{isolab, output_of, signal, wait_for};

/// A user's folder, and a folder of programs that comes first in `PATH`.
struct TestHome {
    folder: tempfile::TempDir,
}

/// What the played apt-cache says: Ubuntu's packages, of which Debian's leading one is not known.
const LISTS: &str = r#"#!/bin/sh
case "$3" in
linux-image-virtual) echo "Package: $3
Version: 7.2.3
Depends: linux-base (>= 4), linux-image-7.2.0-3-generic | linux-image-other
Size: 1000" ;;
linux-image-7.2.0-3-generic) echo "Package: $3
Version: 7.2.0-3.4
Depends: kmod, linux-modules-7.2.0-3-generic
Size: 2000" ;;
linux-modules-7.2.0-3-generic) echo "Package: $3
Version: 7.2.0-3.4
Size: 4000" ;;
*) echo "N: Unable to locate package" >&2; exit 100 ;;
esac
"#;

/// The played apt-get leaves a file for each package, as the real one does.
const DOWNLOADS: &str = r#"#!/bin/sh
[ "$1 $2" = "-q download" ] || exit 1
shift 2
for package in "$@"; do echo "$package" > "${package%%=*}.deb"; done
"#;

/// The played dpkg-deb unpacks the kernel of the test, and a module.
const UNPACKS: &str = r#"#!/bin/sh
[ "$1" = -x ] || exit 1
case "$2" in
*linux-image*) mkdir -p "$3/boot" && cp "$KERNEL" "$3/boot/vmlinuz-7.2.0-3-generic" ;;
*linux-modules*) d="$3/lib/modules/7.2.0-3-generic/kernel" && mkdir -p "$d" && echo > "$d/x.ko" ;;
esac
"#;

impl TestHome {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.program("apt-cache", LISTS);
        home.program("apt-get", DOWNLOADS);
        home.program("dpkg-deb", UNPACKS);
        fs::write(home.path("vmlinuz"), bzimage()).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn kernels(&self) -> PathBuf {
        self.path("cache/isolab/kernels")
    }

    /// The names in the folder of kernels, but for the lock that is always there.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.kernels()).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".lock").collect();
        names.sort();
        names
    }

    fn isolab(&self, words: &[&str]) -> Command {
        let mut command = isolab(&["kernel"]);
        let path = std::env::var("PATH").unwrap();
        command
            .args(words)
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("KERNEL", self.path("vmlinuz"))
            .env("PATH", format!("{}:{path}", self.path("bin").display()));
        command
    }

    fn get(&self) -> (i32, String, String) {
        output_of(&mut self.isolab(&["get"]))
    }
}

/// A bzImage whose payload is an ELF file of one segment.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 0x600];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]);
    put(0x1fe, b"\x55\xaaxxHdrS\x0f\x02");
    put(0x211, &[1]);
    put(0x236, &[1, 0]);
    put(0x24c, &0x200u32.to_le_bytes());
    let elf = 0x400;
    put(elf, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0");
    put(elf + 24, &0x100_0000u64.to_le_bytes());
    put(elf + 32, &64u64.to_le_bytes());
    put(elf + 54, &[56, 0, 1, 0]);
    put(elf + 64, &[1]);
    for (index, long) in
        [0x100, 0xffff_ffff_8100_0000, 0x100_0000, 0x100, 0x1000].iter().enumerate()
    {
        put(elf + 72 + 8 * index, &u64::to_le_bytes(*long));
    }
    file
}

#[test]
fn a_kernel_is_got_listed_and_chosen() {
    let home = TestHome::new();
    let (code, output, errors) = home.get();
    assert_eq!((code, output.as_str()), (0, "the kernel 7.2.0-3-generic is there\n"), "{errors}");
    assert!(
        errors.contains("downloading 7.2.0-3-generic\nunpacking 7.2.0-3-generic\n"),
        "{errors}"
    );
    assert_eq!(home.left(), ["7.2.0-3-generic"]);
    let kernel = home.kernels().join("7.2.0-3-generic");
    for file in ["vmlinuz", "vmlinux", "modules/kernel/x.ko", "package"] {
        assert!(kernel.join(file).is_file(), "{file}");
    }
    assert!(fs::read(kernel.join("vmlinux")).unwrap().starts_with(b"\x7fELF"));

    let (code, output, _) = output_of(&mut home.isolab(&["use", "7.2.0-3-generic"]));
    assert_eq!((code, output.as_str()), (0, "guests boot 7.2.0-3-generic from now on\n"));
    let (_, output, _) = output_of(&mut home.isolab(&["list"]));
    assert!(output.lines().all(|line| line.chars().count() < 80), "{output}");
    assert!(output.contains("* 7.2.0-3-generic "), "{output}");
    let (_, output, _) = output_of(&mut home.isolab(&["list", "--json"]));
    let listed: Vec<serde_json::Value> = serde_json::from_str(&output).unwrap();
    let chosen: Vec<_> = listed.iter().filter(|kernel| kernel["chosen"] == true).collect();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0]["vmlinux"], kernel.join("vmlinux").to_str().unwrap());

    let (code, output, errors) = output_of(&mut home.isolab(&["use", "6.9"]));
    assert_eq!((code, output.as_str()), (125, ""));
    assert!(errors.contains("unknown kernel \"6.9\"\n  help: there is"), "{errors}");
}

#[test]
fn the_newest_kernel_is_got_once_and_a_newer_build_of_it_again() {
    let home = TestHome::new();
    home.get();
    let first = fs::read_to_string(home.kernels().join("7.2.0-3-generic/package")).unwrap();
    let (code, output, _) = home.get();
    assert_eq!((code, output.contains("was there already")), (0, true), "{output}");
    home.program("apt-cache", &LISTS.replace("7.2.0-3.4", "7.2.0-3.5"));
    let (code, output, _) = home.get();
    assert_eq!((code, output.as_str()), (0, "the kernel 7.2.0-3-generic is there\n"));
    let second = fs::read_to_string(home.kernels().join("7.2.0-3-generic/package")).unwrap();
    assert_eq!(second, first.replace("3.4", "3.5"));
    assert_eq!(home.left(), ["7.2.0-3-generic"]);
}

#[test]
fn every_failure_says_the_way_out_and_leaves_nothing() {
    let cases: [(&str, &str, &str, &str); 8] = [
        ("apt-cache", "exit 100", "apt knows none of the packages", "sudo apt-get update"),
        ("apt-cache", "echo 'E: broken' >&2; exit 1", "E: broken", "try again"),
        ("apt-get", "echo 'E: 404 Not Found' >&2; exit 100", "404 Not Found", "apt-get update"),
        ("apt-get", "exit 3", "exit status: 3", "try again"),
        ("dpkg-deb", "exit 0", "contains no modules", ""),
        ("dpkg-deb", "mkdir -p $3/lib/modules/7", "contains no kernel", ""),
        ("dpkg-deb", "echo 'no room' >&2; exit 2", "no room", "try again"),
        (
            "dpkg-deb",
            "mkdir -p $3/boot $3/lib/modules/7; echo x > $3/boot/vmlinuz-7",
            "it is a text",
            "",
        ),
    ];
    for (program, script, message, fix) in cases {
        let home = TestHome::new();
        home.program(program, &format!("#!/bin/sh\n{script}\n"));
        let (code, output, errors) = home.get();
        assert_eq!((code, output.as_str()), (125, ""), "{program}: {script}: {errors}");
        assert!(errors.contains(message) && errors.contains(fix), "{program}: {script}: {errors}");
        assert_eq!(home.left(), [""; 0], "{program}: {script}");
    }
}

#[test]
fn without_a_known_client_a_file_is_the_way_out() {
    let home = TestHome::new();
    let mut command = home.isolab(&["get"]);
    let (code, _, errors) = output_of(command.env("PATH", "/nonexistent"));
    assert_eq!(code, 125);
    assert!(errors.contains("no apt-get") && errors.contains("--kernel FILE"), "{errors}");
}

#[test]
fn a_signal_ends_the_download_and_nothing_is_left() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let home = TestHome::new();
        home.program("apt-get", "#!/bin/sh\necho > begun.deb\nexec sleep 60\n");
        let mut command = home.isolab(&["get"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the download", || holds(&home.kernels(), "begun.deb"));
        signal(child.id(), name);
        let ended = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{errors}");
        assert!(errors.contains("was interrupted; partial files were removed"), "{errors}");
        assert_eq!(home.left(), [""; 0]);
    }
}

#[test]
fn what_a_killed_download_left_is_removed_by_the_next() {
    let home = TestHome::new();
    home.program("apt-get", "#!/bin/sh\necho $$ > begun.deb\nexec sleep 60\n");
    let mut child = home.isolab(&["get"]).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the download", || holds(&home.kernels(), "begun.deb"));
    child.kill().unwrap();
    child.wait().unwrap();
    let orphan: u32 = fs::read_to_string(find(&home.kernels(), "begun.deb").unwrap())
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    signal(orphan, "KILL");
    home.program("apt-get", DOWNLOADS);
    assert_eq!(home.get().0, 0);
    assert_eq!(home.left(), ["7.2.0-3-generic"]);
}

#[test]
fn two_at_once_get_one_kernel() {
    let home = TestHome::new();
    let get = || home.isolab(&["get"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let both = [get().unwrap(), get().unwrap()];
    for child in both {
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_eq!(home.left(), ["7.2.0-3-generic"]);
}

fn holds(folder: &Path, name: &str) -> bool {
    find(folder, name).is_some_and(|path| fs::metadata(path).is_ok_and(|about| about.len() > 0))
}

/// The file of that name somewhere in `folder`.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.map(|entry| entry.path());
    found.into_iter().find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => (path.file_name().unwrap() == name).then_some(path),
    })
}
