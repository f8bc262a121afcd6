//! Attempts to get out of a container. Each is a program that runs inside, and a test that says how
//! it must fail, and that the host is afterwards what it was before.
//!
//! ```text
//!   test ── Launch ──> container::Container ──> this very file, as the program inside
//!    │        └ of an ordinary user: by a launcher with that user's id, this file again
//!    └ Host: mounts, `/`, kernel settings, a folder, a process: looked at before and after
//! ```
//!
//! The file is linked statically, so it runs in an empty directory. What it is to be is its first
//! argument, looked at before the test harness begins: that one makes threads, and a process with
//! threads may not enter a user namespace (unshare(2)).

mod above;
mod call;
mod cgroups;
mod covers;
mod devices;
mod everywhere;
mod files;
mod host;
mod inside;
mod joined;
mod kernel;
mod launch;
mod launcher;
mod limits;
mod links;
mod mounts;
mod namespaces;
mod network;
mod processes;
mod races;
mod report;
mod targets;

/// Runs before `main`: an attempt and a launcher never come to it.
#[used]
// SAFETY: the C library calls what is in this section one after the other, with arguments that the
// function does not take, after Rust's own entry there, which keeps the command line.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        Some((role, words)) if role == inside::ROLE => inside::play(words),
        Some((role, words)) if role == launcher::ROLE => launcher::play(words),
        Some((role, _)) if role == host::CANARY => host::play_canary(),
        _ => host::have_mounts_of_our_own(),
    }
}
