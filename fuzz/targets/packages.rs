//! What the distribution's package client says of a kernel's package.
//!
//! Its name becomes that of a folder and, with its version, a word on the client's command line.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use microvm::kernels::Package;

fuzz_target!(|input: &[u8]| {
    let Some(package) = Package::of_paragraph(&String::from_utf8_lossy(input)) else { return };
    for word in [&package.name, &package.version] {
        assert!(!word.is_empty() && !word.starts_with('-'));
        assert!(word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'), "{word:?}");
    }
    if let Some(release) = package.release() {
        let mut parts = Path::new(release).components();
        assert!(matches!(parts.next(), Some(Component::Normal(part)) if part == release));
        assert_eq!(parts.next(), None);
    }
});
