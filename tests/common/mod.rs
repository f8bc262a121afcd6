//! What the tests of several sandboxes share.

use container::Container;
use microvm::MicroVm;
use sandbox::{Native, Sandbox};

/// Every sandbox that this host can run. One that it cannot is named with the reason, and is a
/// failure if the environment variable `ISOLAB_REQUIRE` (a list with commas) has its name.
pub fn sandboxes() -> Vec<Box<dyn Sandbox>> {
    let candidates: [(Box<dyn Sandbox>, sandbox::Result<()>); 3] = [
        (Box::new(Native), Ok(())),
        (Box::new(Container::default()), container::available()),
        (Box::new(MicroVm::default()), microvm::available()),
    ];
    let mut sandboxes = Vec::new();
    for (sandbox, available) in candidates {
        match available {
            Ok(()) => sandboxes.push(sandbox),
            Err(error) => skip(sandbox.name(), &error),
        }
    }
    sandboxes
}

/// Says that tests of `name` are skipped, and why; fails if they are required.
fn skip(name: &str, error: &dyn std::error::Error) {
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == name), "{name} is required: {reason}");
    eprintln!("skipped: {name}: {reason}");
}
