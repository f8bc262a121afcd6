//! A module of a kernel: what it says that it needs, and where its signature begins.
#![no_main]

use std::{cell::RefCell, fs, rc::Rc};

use libfuzzer_sys::fuzz_target;
use microvm::kernels::modules_for;
use tempfile::TempDir;

thread_local! {
    static FOLDER: Rc<RefCell<TempDir>> = Rc::new(RefCell::new(folder()));
}

/// A folder of modules, of which the fuzzer writes `fuzzed`.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("memory for files");
    for name in ["a", "b_c"] {
        let file = folder.path().join(name).with_extension("ko");
        fs::write(file, b"\x7fELF\0depends=fuzzed\0").expect("memory for files");
    }
    folder
}

fuzz_target!(|input: &[u8]| {
    let folder = FOLDER.with(Rc::clone);
    let folder = folder.borrow();
    // Unpacking is the target `kernel`'s.
    let content = [b"\x7fELF", input].concat();
    fs::write(folder.path().join("fuzzed.ko"), &content).expect("memory for a file");
    let Ok(modules) = modules_for(folder.path(), &["fuzzed"], 64 << 20) else { return };
    let fuzzed = modules.last().expect("it was found");
    assert_eq!((fuzzed.name.as_str(), &fuzzed.content), ("fuzzed", &content));
    assert!(content.starts_with(fuzzed.unsigned()));
    // Each at most once, however they need each other.
    assert!(modules.len() <= 3);
});
