//! Compiles the supervisor of a container, a program of its own, with the compiler of this crate.

use std::{env, path::PathBuf, process::Command};

fn main() {
    let shared = ["system.rs", "number.rs", "init/memory.rs"];
    let shared = shared.map(|file| format!("../guest/programs/{file}"));
    for source in shared.iter().map(String::as_str).chain(["programs"]) {
        println!("cargo::rerun-if-changed={source}");
    }
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let compiler = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let status = Command::new(compiler)
        .arg("programs/supervisor.rs")
        .args(["--edition=2024", "--crate-type=bin", "--crate-name", "supervisor"])
        .args(["--target=x86_64-unknown-linux-gnu", "-Cpanic=abort", "-Copt-level=s", "-Clto"])
        .args(["-Crelocation-model=static", "-Ccodegen-units=1", "-Cstrip=symbols"])
        .args(["-Cforce-unwind-tables=no", "-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib"])
        .args(["-Clink-arg=-static", "-Clink-arg=-no-pie"])
        .args(["-Clink-arg=-Wl,--build-id=none,-z,norelro"])
        .args(["-Clink-arg=-Wl,-z,max-page-size=4096", "-Clink-arg=-Wl,-z,noseparate-code"])
        .arg("-o")
        .arg(output.join("supervisor"))
        .status()
        .expect("the compiler that cargo runs can be run");
    assert!(status.success(), "programs/supervisor.rs did not compile");
}
