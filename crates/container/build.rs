//! Compiles the first process of a container, a program of its own, with the compiler of this crate.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=programs");
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let compiler = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let status = Command::new(compiler)
        .arg("programs/init.rs")
        .args(["--edition=2024", "--crate-type=bin", "--crate-name", "init"])
        .args(["--target=x86_64-unknown-linux-gnu", "-Copt-level=s", "-Cpanic=abort"])
        .args(["-Crelocation-model=static", "-Ccodegen-units=1", "-Cstrip=symbols"])
        .args(["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib", "-Clink-arg=-static"])
        .args(["-Clink-arg=-no-pie", "-Clink-arg=-Wl,--build-id=none,-z,norelro"])
        .args(["-Clink-arg=-Wl,-z,max-page-size=4096", "-Clink-arg=-Wl,-z,noseparate-code"])
        .arg("-o")
        .arg(output.join("init"))
        .status()
        .expect("the compiler that cargo runs can be run");
    assert!(status.success(), "programs/init.rs did not compile");
}
