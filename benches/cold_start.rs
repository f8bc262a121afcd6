//! How long from nothing to a program's first byte?
//!
//! From the call of `spawn` to the first byte of `hello` at the host, in a process that has
//! spawned before. Not measured: the launcher's own start, and freeing what the sandbox held. And, of
//! programs of others, from the start of their command to the same byte; `process` beside them is
//! the program itself, without any of them.

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    time::Duration,
};

use common::{Scale, sandboxes, until};
use criterion::Criterion;
use measure::{
    Expected, command_time,
    peers::{Peer, PeerChoice},
};
use report::metric;
use sandbox::{Builtin, Milestone};

const METRICS: [&str; 2] = [metric::STARTUP_FIRST_BYTE, metric::STARTUP_COLD_FIRST_BYTE];

fn main() {
    common::main(&METRICS.map(|metric| (metric, Scale::Each(1.0))), |criterion| {
        until(criterion, METRICS[0], Milestone::FirstByte, &sandboxes());
        whole_commands(criterion);
    });
}

/// The program itself, and every peer that can start it here.
fn whole_commands(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for a program");
    let hello = folder.path().join("hello");
    fs::write(&hello, Builtin::Hello.linux_elf()).expect("the folder has room");
    fs::set_permissions(&hello, Permissions::from_mode(0o755)).expect("it is ours");
    let mut group = criterion.benchmark_group(METRICS[1]);
    group.sample_size(10);
    let mut bench = |name: &str, first_byte: &dyn Fn() -> Duration| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| first_byte()).sum());
        });
    };
    bench("process", &|| alone(&hello));
    for definition in PeerChoice::Auto.resolve().iter() {
        match Peer::prepare(definition) {
            Ok(peer) => bench(peer.name(), &|| peer.run().expect("its trial ran").first_byte),
            Err(error) => eprintln!("no {} here: {error}", definition.name),
        }
    }
    group.finish();
}

fn alone(hello: &Path) -> Duration {
    let deadline = Duration::from_secs(10);
    let expected = Expected::Exactly(b"hello\n");
    let time = command_time("hello", &mut Command::new(hello), expected, deadline);
    time.expect("it is a program of this host").first_byte
}
