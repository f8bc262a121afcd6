//! Compiles every built-in program twice, with the compiler that compiles this crate.
//!
//! The programs are not packages of the workspace: a `no_std` program has its own panic handler,
//! and `cargo test` would link that of the test harness too.

use std::{env, path::PathBuf, process::Command};

const PROGRAMS: [&str; 8] =
    ["hello", "spin", "stream", "chase", "touch", "cross", "slices", "idle"];

fn main() {
    for source in ["programs", "src/abi.rs", "src/frames.rs", "src/ring.rs", "src/words.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    for program in PROGRAMS {
        compile(program, "linux", &[]);
        // No red zone below the stack pointer, so that an interrupt may use the program's own
        // stack; all sections have fixed physical addresses.
        compile(program, "bare", &["-Cno-redzone=yes", "-Clink-arg=-Tprograms/bare.ld"]);
    }
    // These are program and shell in one: the first process of a Linux guest, and the program that
    // tries to get out.
    for program in ["init", "breakout"] {
        compile(program, program, &["-Copt-level=s", "-Clto", "-Cforce-unwind-tables=no"]);
    }
}

fn compile(program: &str, shell: &str, options: &[&str]) {
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let compiler = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let names = PROGRAMS.map(|name| format!("{name:?}")).join(", ");
    let status = Command::new(compiler)
        .arg(format!("programs/{shell}.rs"))
        .args(["--edition=2024", "--crate-type=bin", "--crate-name", program])
        .args(["--target=x86_64-unknown-linux-gnu", "-Copt-level=3", "-Cpanic=abort"])
        .args(["-Crelocation-model=static", "-Ccodegen-units=1", "-Cstrip=symbols"])
        .args(["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib", "-Clink-arg=-static"])
        .args(["-Clink-arg=-no-pie", "-Clink-arg=-Wl,--build-id=none,-z,norelro"])
        .args(["-Clink-arg=-Wl,-z,max-page-size=4096", "-Clink-arg=-Wl,-z,noseparate-code"])
        .args(["--cfg", &format!("program={program:?}")])
        .args(["--check-cfg", &format!("cfg(program, values({names}))")])
        .args(options)
        .arg("-o")
        .arg(output.join(format!("{program}.{shell}")))
        .status()
        .expect("the compiler that cargo runs can be run");
    assert!(status.success(), "programs/{shell}.rs did not compile as {program}");
}
