//! What the tests of several sandboxes share.

use container::Container;
use microvm::{LinuxVm, MicroVm};
use sandbox::{Limits, Native, Sandbox};

/// Every sandbox that this host can run. One that it cannot is named with the reason, and is a
/// failure if the environment variable `ISOLAB_REQUIRE` (a list with commas) has its name.
pub fn sandboxes() -> Vec<Box<dyn Sandbox>> {
    let candidates: [(&str, sandbox::Result<Box<dyn Sandbox>>); 4] = [
        ("process", Ok(Box::new(Native))),
        ("container", container::available().map(|()| Box::new(Container::default()) as _)),
        ("microvm", microvm::available().map(|()| Box::new(MicroVm::default()) as _)),
        ("linux", linux()),
    ];
    let mut sandboxes = Vec::new();
    for (name, sandbox) in candidates {
        match sandbox {
            Ok(sandbox) => sandboxes.push(sandbox),
            Err(error) => skip(name, &error),
        }
    }
    sandboxes
}

/// A Linux guest with the chosen kernel, and as much memory as that needs.
fn linux() -> sandbox::Result<Box<dyn Sandbox>> {
    microvm::linux::available()?;
    let kernel = microvm::kernels::chosen().expect("it was there a moment ago");
    let limits = Limits { memory_bytes: Some(LINUX_MEMORY), ..Limits::default() };
    Ok(Box::new(LinuxVm { limits, ..LinuxVm::of(&kernel) }))
}

/// Enough for `stream` and `chase` in the sizes that the tests and benches use.
const LINUX_MEMORY: u64 = 256 << 20;

/// Says that tests of `name` are skipped, and why; fails if they are required.
fn skip(name: &str, error: &dyn std::error::Error) {
    let reason = sandbox::chain(error);
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == name), "{name} is required: {reason}");
    eprintln!("skipped: {name}: {reason}");
}
