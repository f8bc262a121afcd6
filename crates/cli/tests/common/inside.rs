//! Tests of Linux guests: they run where the host can run guests, else all of them in a nest.

use std::{env, path::PathBuf, time::Duration};

use nest::Nest;
use sandbox::Status;

use super::skip;

/// Says that this program runs in a nest.
pub const INSIDE: &str = "ISOLAB_TEST_INSIDE";

/// Whether guests run here, rather than in the nest.
pub fn here() -> bool {
    let here = env::var_os(INSIDE).is_some() || microvm::linux::available().is_ok();
    if !here {
        eprintln!("not here: `all_of_these_hold_in_a_nest` runs it there");
    }
    here
}

/// Runs all tests of this program in a nest, unless they run here.
pub fn all_hold_in_a_nest() {
    all_hold_in_a_nest_with(|_| {});
}

/// The same in a nest that `prepare` gives more.
pub fn all_hold_in_a_nest_with(prepare: impl FnOnce(&mut Nest)) {
    if here() {
        return;
    }
    let made = nest::available().and_then(|()| Nest::of(env::current_exe().unwrap()));
    let mut nest = match made {
        Ok(nest) => nest,
        Err(error) => {
            let reason = format!("{error}: {}", error.fix().unwrap_or_default());
            skip::<()>("nest", &reason);
            return;
        }
    };
    nest.arguments = ["--test-threads=1", "--nocapture"].map(Into::into).to_vec();
    nest.environment = vec![(INSIDE.into(), "1".into()), ("ISOLAB_REQUIRE".into(), "linux".into())];
    nest.add = vec![PathBuf::from(env!("CARGO_BIN_EXE_isolab"))];
    nest.memory_bytes = 2 << 30;
    nest.deadline = Some(Duration::from_secs(600));
    prepare(&mut nest);
    let ended = nest.run(sandbox::Stdio::Capture, None).unwrap();
    let output = String::from_utf8_lossy(&ended.output);
    // Indented: it is not this test's own result that ends it.
    for line in output.lines().chain(String::from_utf8_lossy(&ended.errors).lines()) {
        println!("    {line}");
    }
    assert_eq!(ended.status, Status::Exited(0));
    assert!(output.contains("test result: ok."), "no test ran inside");
}
