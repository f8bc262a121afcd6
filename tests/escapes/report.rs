//! What the launcher is told of the end: by init, beside the kernel.

use std::{fs::File, io::Write as _};

use sandbox::Status;

use crate::{
    call::call,
    everywhere::{callers, ready},
    host::Host,
    inside::{Attempt, Failed, describe},
    launch::{Files, Launch, words},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[("end", end)];

/// Ends with a code, or by a signal, after it has said something else wherever init would say it.
fn end(words: &[String]) -> Result<String, Failed> {
    let [code, signal] = words else { return Err("how?".into()) };
    let number = |word: &str| word.parse::<i32>().unwrap_or(0);
    let forged = (42i32 << 8).to_ne_bytes();
    let mut tried = Vec::new();
    for path in ["/proc/1/fd/3", "/proc/self/fd/3", "/proc/self/fd/4"] {
        let opened = File::options().write(true).open(path);
        tried.push(describe(opened.and_then(|mut report| report.write_all(&forged))));
    }
    for descriptor in 3..64 {
        if call!(SYS_write, descriptor, forged.as_slice(), forged.len()).is_ok() {
            tried.push(format!("written to {descriptor}"));
        }
    }
    // Others it would pass on.
    for signal in [libc::SIGKILL, libc::SIGSTOP] {
        tried.push(describe(call!(SYS_kill, 1, signal)));
    }
    println!("{}", tried.join(" "));
    if number(signal) != 0 {
        call!(SYS_kill, std::process::id(), number(signal))?;
    }
    std::process::exit(number(code))
}

#[test]
fn how_it_ended_cannot_be_forged() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let ends = [
        ("0", "0", Status::Exited(0)),
        ("7", "0", Status::Exited(7)),
        ("137", "0", Status::Exited(137)),
        ("0", "9", Status::Signaled(9)),
        ("0", "15", Status::Signaled(15)),
    ];
    for who in callers() {
        let files = Files::Directory(host.new_root(&format!("root-{who:?}")));
        for (code, signal, status) in ends {
            for joins in [false, true] {
                let launch = Launch::of(&host, files.clone(), &["end", code, signal]);
                let launch = match joins {
                    false => launch,
                    true => Launch {
                        joins: Some(launch.words),
                        words: words(&host, &files, &["idle"]),
                        ..Launch { words: Vec::new(), ..Launch::of(&host, files.clone(), &[]) }
                    },
                };
                let answer = launch.run_as(who, &host);
                // A signal is sent, and a first process does not take it from inside.
                let expected = "EACCES ENOENT ENOENT done done";
                assert_eq!(answer.describe(), expected, "{who:?} {code} {signal} {joins}");
                assert_eq!(answer.status, Some(status), "{who:?} {code} {signal} {joins}");
            }
        }
    }
    host.is_unchanged("a forged end");
}
