//! Lays the executable out for a quick start, where this machine's linker and C library can.
//!
//! Most of a start is page faults, and each maps 16 pages that have to be unmapped again at the end.
//! Of 6 MB of code a start runs through 0.6 MB, in 50 places; [`start.ld`](start.ld) puts these side
//! by side. Neither flag changes what the program does.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The addresses that a position-independent program has to correct, as a bitmap of 2 kB instead of
/// a table of 170. The program's own C library reads it, and that can be too old: glibc knows it
/// from 2.36 on.
const PACKED_RELOCATIONS: &str = "-Wl,-z,pack-relative-relocs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=start.ld");
    if variable("OPT_LEVEL") == "0" {
        return; // without inlining, start.ld has the names of few functions
    }
    let side_by_side = format!("-T{}/start.ld", variable("CARGO_MANIFEST_DIR"));
    for flag in [&side_by_side, PACKED_RELOCATIONS] {
        match a_program_starts(flag) {
            Ok(true) => println!("cargo::rustc-link-arg-bins={flag}"),
            Ok(false) => println!("cargo::warning=isolab starts slower: cannot link with {flag}"),
            Err(error) => println!("cargo::warning=isolab starts slower: try {flag}: {error}"),
        }
    }
}

/// Whether a program that is linked with `flag` is linked at all, and runs.
fn a_program_starts(flag: &str) -> io::Result<bool> {
    let directory = PathBuf::from(variable("OUT_DIR"));
    let (source, program) = (directory.join("probe.rs"), directory.join("probe"));
    // It calls through a table of addresses, which is wrong before they are corrected.
    fs::write(&source, "fn main() { println!(\"{:?}\", std::env::args_os()); }\n")?;
    let linked = link(&source, &program, flag)?;
    Ok(linked && Command::new(&program).stdout(Stdio::null()).status()?.success())
}

/// Compiles a program as cargo compiles isolab: for the same target, with the same flags.
fn link(source: &Path, program: &Path, flag: &str) -> io::Result<bool> {
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let mut compiler = Command::new(variable("RUSTC"));
    compiler.arg(source).arg("-o").arg(program).args(["--target", &variable("TARGET")]);
    compiler.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        compiler.arg(format!("-Clinker={linker}"));
    }
    compiler.arg(format!("-Clink-arg={flag}"));
    Ok(compiler.stderr(Stdio::null()).status()?.success())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
