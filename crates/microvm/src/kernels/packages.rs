//! The distribution's own package client, asked and run as an ordinary user.
//!
//! apt-get(8) fetches a package into the current folder and checks it against the signed lists of
//! the distribution; dpkg-deb(1) unpacks it. Neither installs anything, so neither needs root.

use std::{
    collections::HashSet,
    fs, io,
    ops::ControlFlow,
    path::Path,
    process::{Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use super::KernelsError;

/// The packages that lead to a distribution's kernel for virtual machines: Debian's, Ubuntu's new
/// and old.
const LEADING: [&str; 3] = ["linux-image-cloud-amd64", "linux-image-virtual", "linux-image-kvm"];
/// What a package that holds a part of a kernel is called, before the release. Debian up to 13 and
/// Ubuntu have the kernel in `linux-image-RELEASE`; later that one only names the others:
///
/// ```text
///   linux-binary-RELEASE    /usr/lib/modules/RELEASE/vmlinuz
///   linux-modules-RELEASE   /usr/lib/modules/RELEASE/kernel/...
///   linux-base-RELEASE      /usr/lib/modules/RELEASE/modules.builtin, modules.order, config
/// ```
const PARTS: [&str; 4] = ["linux-image-", "linux-modules-", "linux-binary-", "linux-base-"];
/// How often progress is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// A package in the lists of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name, which ends in the kernel's release.
    pub name: String,
    /// Its version: a kernel may be made anew and keep its release.
    pub version: String,
    /// How long it is.
    pub bytes: u64,
    /// The first alternative of everything that it depends on.
    depends: Vec<String>,
}

impl Package {
    /// What one paragraph of deb-control(5) says of a package. Its name becomes that of a folder,
    /// and both it and its version words for the client: names that no package has are none.
    pub fn of_paragraph(paragraph: &str) -> Option<Self> {
        let field = |name: &str| {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::trim)
        };
        // `name (>= version) | other, next`
        let first =
            |choice: &str| choice.split(['|', '(', ':']).next().unwrap_or("").trim().to_owned();
        let depends = field("Depends").unwrap_or("").split(',').map(first);
        Some(Self {
            name: field("Package").filter(|name| is_name(name, ""))?.to_owned(),
            version: field("Version").filter(|version| is_name(version, "~:"))?.to_owned(),
            bytes: field("Size")?.parse().ok()?,
            depends: depends.filter(|name| is_name(name, "")).collect(),
        })
    }

    /// The release of a package of a kernel, if it is one: it begins with a digit.
    pub fn release(&self) -> Option<&str> {
        release(&self.name)
    }
}

/// Whether all of its characters may be in the name of a package or, with some `more`, in a version
/// (Debian Policy, sections 5.6.1 and 5.6.12); it begins with a letter or a digit.
fn is_name(name: &str, more: &str) -> bool {
    let is_usual = |sign: char| sign.is_ascii_alphanumeric() || "+-.".contains(sign);
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|sign| is_usual(sign) || more.contains(sign))
}

fn release(name: &str) -> Option<&str> {
    let rest = PARTS.iter().find_map(|part| name.strip_prefix(part))?;
    let rest = rest.strip_prefix("unsigned-").unwrap_or(rest);
    rest.starts_with(|first: char| first.is_ascii_digit()).then_some(rest)
}

/// The packages of the distribution's newest kernel for virtual machines, that with the kernel
/// itself first.
pub fn find() -> Result<Vec<Package>, KernelsError> {
    for leading in LEADING {
        let Some(package) = show(leading)? else { continue };
        let mut found: Vec<Package> = Vec::new();
        let mut known = HashSet::new();
        let mut waiting = package.depends;
        while let Some(name) = waiting.pop() {
            if release(&name).is_some() && known.insert(name.clone()) {
                let package = show(&name)?.ok_or(KernelsError::NoPackage { tried: vec![name] })?;
                waiting.extend(package.depends.iter().cloned());
                found.push(package);
            }
        }
        if !found.is_empty() {
            found.sort_by_key(|package| !package.name.starts_with(PARTS[0]));
            return Ok(found);
        }
    }
    Err(KernelsError::NoPackage { tried: LEADING.map(str::to_owned).into() })
}

/// What the lists say about the newest version of a package; `None` if they do not know it.
fn show(name: &str) -> Result<Option<Package>, KernelsError> {
    let mut command = client("apt-cache");
    command.args(["--no-all-versions", "show", name]);
    let output = match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KernelsError::NoClient);
        }
        run => run.map_err(|source| KernelsError::Run { program: "apt-cache", source })?,
    };
    match output.status.code() {
        // It does not know the package.
        Some(0 | 100) => {
            let package = Package::of_paragraph(&String::from_utf8_lossy(&output.stdout));
            Ok(package.filter(|package| package.name == name))
        }
        _ => Err(failed(&command, &output)),
    }
}

/// Downloads the packages into `folder`, and says how many bytes are there as they come.
pub fn download(
    packages: &[Package],
    folder: &Path,
    mut progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<(), KernelsError> {
    let mut command = client("apt-get");
    command.args(["-q", "download"]).current_dir(folder);
    command.args(packages.iter().map(|package| format!("{}={}", package.name, package.version)));
    watch("apt-get", command, || progress(bytes_in(folder)))
}

/// Unpacks all packages in `folder` into `root`.
pub fn unpack(
    folder: &Path,
    root: &Path,
    mut progress: impl FnMut() -> ControlFlow<()>,
) -> Result<(), KernelsError> {
    let failed = |source| KernelsError::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let mut command = client("dpkg-deb");
            command.arg("-x").arg(&path).arg(root);
            watch("dpkg-deb", command, &mut progress)?;
            // A deleted package makes room for what is made of the next.
            fs::remove_file(&path)
                .map_err(|source| KernelsError::Write { path: path.clone(), source })?;
        }
    }
    Ok(())
}

/// Runs a program to its end, unless `glance` says that nobody wants it any more.
fn watch(
    program: &'static str,
    mut command: Command,
    mut glance: impl FnMut() -> ControlFlow<()>,
) -> Result<(), KernelsError> {
    let run = |source| KernelsError::Run { program, source };
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(run)?;
    while child.try_wait().map_err(run)?.is_none() {
        if glance().is_break() {
            // It may have ended by itself; wait(2) is right in both cases.
            let _ = child.kill();
            child.wait().map_err(run)?;
            return Err(KernelsError::Interrupted);
        }
        sleep(GLANCE);
    }
    let output = child.wait_with_output().map_err(run)?;
    if glance().is_break() {
        return Err(KernelsError::Interrupted);
    }
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(&command, &output)),
    }
}

/// The errors that a program ended with, in one line.
fn failed(command: &Command, output: &Output) -> KernelsError {
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
    let command = words.join(std::ffi::OsStr::new(" ")).to_string_lossy().into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = errors
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("W:"))
        .collect();
    let said = lines[lines.len().saturating_sub(3)..].join("; ");
    let said = if said.is_empty() { output.status.to_string() } else { said };
    KernelsError::Client { command, said }
}

/// A program of the client, in the language that is read here, with nobody to ask.
fn client(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_from_its_paragraph() {
        let text = "Package: linux-image-6.8.0-31-generic\nVersion: 6.8.0-31.31\n\
                    Depends: kmod, linux-base (>= 4.5ubuntu1~16.04.1), linux-modules-6.8.0-31-generic | x\n\
                    Description: a kernel\nSize: 14000000\n";
        let package = Package::of_paragraph(text).unwrap();
        assert_eq!(package.release(), Some("6.8.0-31-generic"));
        assert_eq!((package.version.as_str(), package.bytes), ("6.8.0-31.31", 14_000_000));
        assert_eq!(package.depends, ["kmod", "linux-base", "linux-modules-6.8.0-31-generic"]);
        assert_eq!(Package::of_paragraph("N: Unable to locate package\n"), None);
    }

    #[test]
    fn a_name_leads_to_no_other_folder_and_is_no_option_of_the_client() {
        let paragraph = |name: &str, version: &str| {
            let text = format!("Package: {name}\nVersion: {version}\nSize: 1\nDepends: {name}\n");
            Package::of_paragraph(&text)
        };
        assert!(paragraph("linux-image-6.1+b1", "1:6.1~rc1-2").is_some());
        for name in ["linux-image-6/../../x", "-o=Dpkg::x", "linux-image-6 x", "..", "", "ä"] {
            assert_eq!(paragraph(name, "1"), None, "{name}");
        }
        for version in ["1 -o x", "-1", "1/2", ""] {
            assert_eq!(paragraph("linux-image-6", version), None, "{version}");
        }
        let text = "Package: a\nVersion: 1\nSize: 1\nDepends: linux-image-6/x, -o, b\n";
        assert_eq!(Package::of_paragraph(text).unwrap().depends, ["b"]);
    }

    #[test]
    fn only_packages_of_kernels_have_a_release() {
        let names = [
            ("linux-image-cloud-amd64", None),
            ("linux-image-unsigned-6.8.0-31-generic", Some("6.8.0-31-generic")),
            ("linux-modules-6.8.0-31-generic", Some("6.8.0-31-generic")),
            ("linux-binary-7.3.4+deb13-cloud-amd64", Some("7.3.4+deb13-cloud-amd64")),
            ("linux-base-7.3.4+deb13-cloud-amd64", Some("7.3.4+deb13-cloud-amd64")),
            ("linux-base-cloud-amd64", None),
            ("linux-base", None),
        ];
        for (name, expected) in names {
            assert_eq!(release(name), expected, "{name}");
        }
    }

    #[test]
    fn a_program_that_nobody_wants_any_more_is_ended() {
        let mut sleep = client("sleep");
        sleep.arg("60");
        let ended = watch("sleep", sleep, || ControlFlow::Break(()));
        assert!(matches!(ended, Err(KernelsError::Interrupted)));
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let mut shell = client("sh");
        shell.args(["-c", "echo 'W: hm' >&2; echo 'E: no disk' >&2; exit 100"]);
        let error = watch("sh", shell, || ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().ends_with("failed: E: no disk"), "{error}");
    }
}
