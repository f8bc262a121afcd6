//! Compiles the first process of a container, a program of its own, with the compiler of this crate.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    for source in ["programs", "../guest/programs/system.rs", "../guest/programs/number.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    compile(&output.join("init"), &["-Copt-level=s"]);
    // At this address its code follows the headers that are added below.
    let text = format!("-Clink-arg=-Wl,-Ttext={:#x}", ADDRESS + HEADERS as u64);
    let linked = output.join("become-as-linked");
    let options = ["--cfg=becomes", "-Copt-level=z", "-Cforce-unwind-tables=no", &text];
    compile(&linked, &options);
    let elf = fs::read(&linked).expect("the compiler has written it");
    fs::write(output.join("become"), only_code(&elf)).expect("cargo makes OUT_DIR");
}

fn compile(output: &Path, options: &[&str]) {
    let compiler = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let status = Command::new(compiler)
        .arg("programs/init.rs")
        .args(["--edition=2024", "--crate-type=bin", "--crate-name", "init"])
        .args(["--check-cfg=cfg(becomes)", "--target=x86_64-unknown-linux-gnu", "-Cpanic=abort"])
        .args(["-Crelocation-model=static", "-Ccodegen-units=1", "-Cstrip=symbols"])
        .args(["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib", "-Clink-arg=-static"])
        .args(["-Clink-arg=-no-pie", "-Clink-arg=-Wl,--build-id=none,-z,norelro"])
        .args(["-Clink-arg=-Wl,-z,max-page-size=4096", "-Clink-arg=-Wl,-z,noseparate-code"])
        .args(options)
        .arg("-o")
        .arg(output)
        .status()
        .expect("the compiler that cargo runs can be run");
    assert!(status.success(), "programs/init.rs did not compile");
}

/// The address of the small program.
const ADDRESS: u64 = 0x40_0000;
/// The size of an ELF header and two program headers (elf(5)).
const HEADERS: usize = 64 + 2 * 56;

/// An ELF file with only the code of another one: it fits into a memfd even if the limit of file
/// sizes is 1 KiB.
fn only_code(elf: &[u8]) -> Vec<u8> {
    const LOAD: u32 = 1;
    const GNU_STACK: u32 = 0x6474_e551;
    const EXECUTE: u32 = 1;
    const WRITE: u32 = 2;
    const READ: u32 = 4;
    let number = |at: usize, bytes: usize| {
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(&elf[at..at + bytes]);
        u64::from_le_bytes(number)
    };
    let (first, count) = (number(32, 8) as usize, number(56, 2) as usize);
    let segments = (0..count).map(|index| first + 56 * index);
    let is_code = |at: &usize| number(*at, 4) == 1 && number(at + 4, 4) & u64::from(EXECUTE) != 0;
    let code: Vec<usize> = segments.clone().filter(is_code).collect();
    let writes = |at: usize| number(at, 4) == 1 && number(at + 4, 4) & u64::from(WRITE) != 0;
    assert!(code.len() == 1 && !segments.clone().any(writes), "the program is more than code");
    let text = ADDRESS + HEADERS as u64;
    let at = number(code[0] + 8, 8) + (text - number(code[0] + 16, 8));
    let bytes = number(code[0] + 32, 8) - (text - number(code[0] + 16, 8));
    let code = &elf[at as usize..(at + bytes) as usize];
    let mut small = elf[..64].to_vec();
    small[32..40].copy_from_slice(&64u64.to_le_bytes()); // where the segments' headers are
    small[40..48].fill(0); // no sections
    small[56..64].copy_from_slice(&[2, 0, 64, 0, 0, 0, 0, 0]); // two segments
    let all = (HEADERS + code.len()) as u64;
    let mut segment = |kind: u32, flags: u32, address: u64, bytes: u64, align: u64| {
        small.extend([kind, flags].map(u32::to_le_bytes).as_flattened());
        let numbers = [0, address, address, bytes, bytes, align];
        small.extend(numbers.map(u64::to_le_bytes).as_flattened());
    };
    segment(LOAD, READ | EXECUTE, ADDRESS, all, 4096);
    segment(GNU_STACK, READ | WRITE, 0, 0, 16);
    small.extend(code);
    small
}
