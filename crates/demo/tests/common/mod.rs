//! What the tests of the live demonstrations share.
#![allow(dead_code, reason = "each test binary uses its part of it")]

/// Whether `what` can be tested here; otherwise says why not, which `ISOLAB_REQUIRE` forbids.
pub fn can(what: &str, available: sandbox::Result<()>) -> bool {
    let Err(error) = available else { return true };
    skip(what, &sandbox::chain_with_help(&error, error.fix()));
    false
}

/// Says that a test which needs `what` is skipped, and why; fails where it is required.
pub fn skip(what: &str, reason: &str) {
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == what), "{what} is required: {reason}");
    eprintln!("skipped: {reason}");
}
