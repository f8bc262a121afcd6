//! Compiling what a student handed in: a source file has the compiler read any file
//! (`include_str!`), take any time and any memory.
//!
//! ```text
//!   /usr /lib ..   the host's, read-only: the linker       /in    the student's file
//!   /rust          the compiler                             /kit   the libraries
//!   /tmp           fresh, small                             /out   the program
//! ```
//!
//! Nothing else is there: no home, no checkout, no network, no other student's file. The compiler is
//! nobody, or where root does not call the caller; without capabilities, with limits on addresses,
//! processes, file sizes and time.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use container::{
    Container, Mount, Root,
    privileges::{Capabilities, CapabilitySet, Rlimit, User},
};
use nix::{fcntl::OFlag, unistd::Uid};
use sandbox::{Stdio, Workload};
use serde::Deserialize;

use crate::runner::{
    Error, Front, Result, build::kit::Kit, judging::check_process::is_readable_within,
    privilege::environment::temporary_folder,
};

/// A lab's program compiles in two seconds.
const DEADLINE: Duration = Duration::from_secs(60);
const MOST_ADDRESSES: u64 = 4 << 30;
const MOST_PROCESSES: u64 = 256;
/// No program of a lab is larger.
const MOST_BYTES: u64 = 256 << 20;
/// No more of the compiler's words is kept.
const MOST_WORDS: usize = 1 << 20;
/// The account of nobody, where root calls.
const NOBODY: u32 = 65_534;
/// The linker and its libraries. Debian's `cc` is a link into the last one.
const HOSTS: [&str; 7] = ["/usr", "/bin", "/lib", "/lib64", "/nix", "/gnu", "/etc/alternatives"];

/// What came of it.
pub(super) enum Compiled {
    /// The program, and the folder that goes with it.
    Program(PathBuf, tempfile::TempDir),
    /// The compiler's first error.
    Refused(String),
}

/// Compiles this text as the answer of a lab.
pub(super) fn compile(
    (kit, sysroot): (&Kit, &Path),
    lab: &str,
    text: &str,
    front: &mut dyn Front,
) -> Result<Compiled> {
    let folder = temporary_folder()?;
    let at = |name: &str| folder.path().join(name);
    let made = fs::create_dir(at("in"))
        .and_then(|()| fs::create_dir(at("out")))
        .and_then(|()| fs::write(at("in/student.rs"), text))
        // The compiler is another user where root calls.
        .and_then(|()| fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)))
        .and_then(|()| fs::set_permissions(at("out"), fs::Permissions::from_mode(0o777)));
    made.map_err(Error::file("write", folder.path()))?;
    let arguments = kit.arguments(lab, "/in/student.rs", "/out/program", "/kit");
    let arguments = arguments.ok_or(Error::NotSaid)?;
    let workload = Workload {
        environment: vec![("TMPDIR".into(), "/tmp".into())],
        stdio: Stdio::Capture,
        deadline: Some(DEADLINE),
        ..Workload::command(["/rust/bin/rustc".to_owned()].into_iter().chain(arguments))
    };
    let mut words = Vec::new();
    let end = |front: &mut dyn Front| is_readable_within(front.end(), Duration::ZERO);
    let jail = jail(kit, sysroot, &at("in"), &at("out"));
    let ended = jail.run_passing_on(&workload, &mut |bytes| {
        let room = MOST_WORDS - words.len();
        words.extend(&bytes[..bytes.len().min(room)]);
        !end(front)
    });
    let outcome = match ended {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return Err(Error::Interrupted),
        Err(error) if end(front) => {
            drop(error);
            return Err(Error::Interrupted);
        }
        Err(sandbox::Error::Deadline { .. }) => {
            return Ok(Compiled::Refused(format!(
                "the compiler took longer than {} s",
                DEADLINE.as_secs()
            )));
        }
        Err(error) => {
            let said = sandbox::chain(&error);
            return Err(Error::System {
                call: "run the compiler",
                source: std::io::Error::other(said),
            });
        }
    };
    if !outcome.status.is_success() {
        let error = first_error(&words);
        return Ok(Compiled::Refused(error.unwrap_or_else(|| {
            format!("the compiler ended with code {} and said nothing", outcome.status.code())
        })));
    }
    // Nobody else is to exchange the program before it is judged.
    let closed = fs::set_permissions(at("out"), fs::Permissions::from_mode(0o711));
    closed.map_err(Error::file("write", folder.path()))?;
    match is_program(&at("out/program")) {
        true => Ok(Compiled::Program(at("out/program"), folder)),
        false => Ok(Compiled::Refused("the compiler made no program".to_owned())),
    }
}

fn jail(kit: &Kit, sysroot: &Path, source: &Path, out: &Path) -> Container {
    let bind = |from: &Path, to: &str, options: &[&str]| Mount {
        destination: to.into(),
        kind: "bind".into(),
        source: from.to_owned(),
        options: ["rbind", "nosuid"].iter().chain(options).map(|it| (*it).to_owned()).collect(),
    };
    let mut container = Container::default().root(Root::Empty).init(true);
    let spec = &mut container.spec;
    if Uid::effective().is_root() {
        // Without a user namespace: in one, root could not enter folders that are root's alone to
        // mount what is in them. The compiler is nobody.
        spec.power.user = User { uid: NOBODY, gid: NOBODY, ..User::default() };
    }
    let none = CapabilitySet::NONE;
    spec.power.capabilities = Capabilities {
        bounding: none,
        effective: none,
        permitted: none,
        inheritable: none,
        ambient: none,
    };
    spec.way_out.names = None;
    spec.inside.mounts.push(Mount {
        destination: "/tmp".into(),
        kind: "tmpfs".into(),
        source: "tmpfs".into(),
        options: ["nosuid", "nodev", "size=256m", "mode=1777"].map(str::to_owned).to_vec(),
    });
    let hosts = HOSTS.map(Path::new);
    let hosts = hosts.into_iter().filter(|path| path.is_dir());
    spec.inside.mounts.extend(hosts.map(|path| bind(path, &path.display().to_string(), &["ro"])));
    spec.inside.mounts.push(bind(sysroot, "/rust", &["ro"]));
    spec.inside.mounts.push(bind(&kit.libraries, "/kit", &["ro"]));
    spec.inside.mounts.push(bind(source, "/in", &["ro"]));
    spec.inside.mounts.push(bind(out, "/out", &["rw"]));
    let limit = |kind: &str, most| Rlimit { kind: kind.to_owned(), soft: most, hard: most };
    spec.power.rlimits = vec![
        limit("AS", MOST_ADDRESSES),
        limit("FSIZE", MOST_BYTES),
        limit("NPROC", MOST_PROCESSES),
        limit("CPU", DEADLINE.as_secs() * 2),
        limit("CORE", 0),
    ];
    spec.budget.usual_pids = None;
    container
}

#[derive(Deserialize)]
struct Diagnostic {
    message: String,
    level: String,
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    line_start: u32,
    is_primary: bool,
}

/// The first error in one line, from what the compiler writes: a line of JSON each.
fn first_error(words: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(words);
    let diagnostics = text.lines().filter_map(|line| serde_json::from_str::<Diagnostic>(line).ok());
    let mut errors = diagnostics.filter(|it| it.level.starts_with("error"));
    match errors.next() {
        Some(error) => {
            let span = error.spans.iter().find(|span| span.is_primary);
            let line = span.map(|span| format!("line {}: ", span.line_start)).unwrap_or_default();
            Some(line + error.message.lines().next().unwrap_or_default())
        }
        None => text.lines().last().map(str::to_owned),
    }
}

/// Whether there is a program there: a file, executable, of a size that programs have.
fn is_program(path: &Path) -> bool {
    let mut options = fs::File::options();
    let opened =
        options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits());
    let Ok(mut file) = opened.open(path) else { return false };
    let mut magic = [0; 4];
    file.metadata().is_ok_and(|it| it.is_file() && it.len() <= MOST_BYTES)
        && file.read_exact(&mut magic).is_ok()
        && magic == *b"\x7fELF"
}
