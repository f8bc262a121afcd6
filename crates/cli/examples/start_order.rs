//! Writes `start.ld`: the code that a start of isolab runs through, in the order of its first use.
//!
//! It starts isolab, executes one instruction at a time (ptrace(2)), and looks up in the linker's
//! map which section each came from. To be run as root when a start has changed much; names that
//! are no longer there do no harm.
//!
//! ```console
//! $ cargo rustc --release -p cli --bin isolab -- -Clink-arg=-Wl,-Map=/tmp/isolab.map
//! $ cargo run -p cli --example start_order /tmp/isolab.map target/*/release/isolab > /tmp/start.ld
//! $ mv /tmp/start.ld crates/cli/start.ld
//! ```
#![forbid(unsafe_code)]

use std::{
    collections::HashSet,
    error::Error,
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, map, isolab] = arguments.as_slice() else {
        return Err("usage: start_order MAP ISOLAB".into());
    };
    let isolab = fs::canonicalize(isolab)?;
    let sections = sections(&fs::read_to_string(map)?);
    if sections.is_empty() {
        return Err(format!("{map} is not a map of code as lld writes it").into());
    }
    // isolab is linked statically: it is a program for any root.
    let root = tempfile::tempdir()?;
    for directory in ["proc", "dev", "sys"] {
        fs::create_dir(root.path().join(directory))?;
    }
    fs::copy(&isolab, root.path().join("isolab"))?;
    let in_root = format!(
        "run --memory 64M --cpus 2 --pids 64 --root {} -- /isolab list",
        root.path().display()
    );
    let starts = [
        "--version",
        &in_root,
        "run --name start-order -- /bin/true",
        "run --in process -- /bin/true",
        "run --in microvm hello",
        "ps",
    ];
    let mut patterns = Vec::new();
    let mut known = HashSet::new();
    for start in starts {
        let words: Vec<&str> = start.split(' ').collect();
        let used = trace(&isolab, &words)?.into_iter().filter_map(|at| section(&sections, at));
        patterns.extend(used.filter(|pattern| known.insert(*pattern)));
        eprintln!("{start}: {} sections so far", patterns.len());
    }
    println!("/* Written by examples/start_order.rs. */\nSECTIONS {{\n  .text.start : {{");
    patterns.iter().for_each(|pattern| println!("    {pattern}"));
    println!("  }}\n}} INSERT BEFORE .text;");
    Ok(())
}

/// A section of an object file: where it came to lie, and the pattern that finds it in any build.
struct Section {
    start: u64,
    end: u64,
    pattern: String,
}

fn section(sections: &[Section], address: u64) -> Option<&str> {
    let after = sections.partition_point(|section| section.start <= address);
    let section = sections.get(after.checked_sub(1)?)?;
    (address < section.end).then_some(&section.pattern)
}

/// The sections with code, from lines such as
/// `16e4f0  16e4f0  c0  16      /usr/lib/libc.a(malloc.o):(.text)`.
fn sections(map: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = map
        .lines()
        .filter_map(|line| {
            let (place, name) = line.strip_suffix(')')?.rsplit_once(":(")?;
            let mut fields = place.split_whitespace();
            let start = u64::from_str_radix(fields.next()?, 16).ok()?;
            let size = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
            let pattern = pattern(fields.nth(1)?, name)?;
            Some(Section { start, end: start + size, pattern })
        })
        .collect();
    sections.sort_by_key(|section| section.start);
    sections
}

/// A file of the C library by its name; a function of Rust by its section, which it has alone.
fn pattern(file: &str, section: &str) -> Option<String> {
    let file = Path::new(file).file_name()?.to_str()?;
    match file.strip_suffix(')').and_then(|file| file.split_once('(')) {
        Some((archive, member)) if archive.ends_with(".a") && section.starts_with(".text") => {
            // libm-2.36.a: any version
            let archive = archive
                .split_once('-')
                .map_or(archive.to_owned(), |(name, _)| format!("{name}*.a"));
            Some(format!("*{archive}:{member}({section})"))
        }
        _ if section.starts_with(".text.") => Some(format!("*({})", without_hashes(section))),
        _ => None,
    }
}

/// `_ZN3lab3run17h0123456789abcdefE` and `_RNvCs1a2b3c_3lab3run` with what differs from compiler to
/// compiler left open; a `$` means something else to a linker.
fn without_hashes(section: &str) -> String {
    let section = section.replace('$', "?");
    if let Some((name, _)) = section.rsplit_once("17h")
        && name.starts_with(".text._ZN")
    {
        return format!("{name}17h*");
    }
    let mut parts = section.split("Cs");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| match part.split_once('_') {
        Some((_, rest)) if section.starts_with(".text._R") => format!("{name}Cs*_{rest}"),
        _ => format!("{name}Cs{part}"),
    })
}

/// The addresses in the executable at which its processes and threads execute instructions, each
/// once, in order.
fn trace(isolab: &Path, arguments: &[&str]) -> Result<Vec<u64>> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]).arg(isolab).args(arguments);
    let child = shell.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let first = Pid::from_raw(i32::try_from(child.id())?);
    waitpid(first, Some(WaitPidFlag::WUNTRACED))?;
    let all = Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC;
    ptrace::seize(first, all)?;
    kill(first, Signal::SIGCONT)?;
    let (mut addresses, mut known, mut base) = (Vec::new(), HashSet::new(), None);
    loop {
        let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(Errno::ECHILD) => return Ok(addresses),
            status => status?,
        };
        let gone_on = match (status, base) {
            // The shell has become isolab. Later, what a container executes isn't isolab any more.
            (WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC), None) => {
                base = Some(base_of(pid)?);
                ptrace::step(pid, None)
            }
            (WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC), _) => {
                ptrace::detach(pid, None)
            }
            (WaitStatus::PtraceEvent(pid, ..), None) => ptrace::cont(pid, None),
            (WaitStatus::PtraceEvent(pid, ..), Some(_)) => ptrace::step(pid, None),
            (WaitStatus::Stopped(pid, Signal::SIGTRAP), Some(base)) => {
                let address = ptrace::getregs(pid)?.rip.wrapping_sub(base);
                if known.insert(address) {
                    addresses.push(address);
                }
                ptrace::step(pid, None)
            }
            // isolab's alarm rings after a second, which is long before the end of a start that is
            // executed one instruction at a time.
            (WaitStatus::Stopped(pid, Signal::SIGALRM), Some(_)) => ptrace::step(pid, None),
            (WaitStatus::Stopped(pid, signal), Some(_)) => ptrace::step(pid, signal),
            (WaitStatus::Stopped(pid, signal), None) => ptrace::cont(pid, signal),
            _ => Ok(()),
        };
        match gone_on {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Where the kernel put a position-independent executable: the first of its mappings.
fn base_of(pid: Pid) -> Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let start = maps.split('-').next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(u64::from_str_radix(start, 16)?)
}
