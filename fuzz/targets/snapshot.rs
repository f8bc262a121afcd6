//! A snapshot's folder: `state.json` with a checksum that is right, so that what is in it is read,
//! and a memory.
#![no_main]

use std::fs::{self, File};

use libfuzzer_sys::fuzz_target;
use microvm::snapshot::{Snapshot, SnapshotStore};
use tempfile::TempDir;
use twox_hash::XxHash3_64;

/// The state ends where the memory begins.
const BETWEEN: u8 = 0;

/// The memory that the seed has.
const MEMORY: u64 = 2 << 20;

thread_local! {
    static FOLDER: TempDir = TempDir::new().expect("memory for files");
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == BETWEEN).unwrap_or(input.len());
    let (state, memory) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    FOLDER.with(|place| {
        let folder = place.path().join("fuzzed");
        fs::create_dir_all(&folder).expect("memory for files");
        let sum = format!("{:016x}  state.json\n", XxHash3_64::oneshot(state));
        for (name, bytes) in
            [("state.json", state), ("checksum", sum.as_bytes()), ("memory", memory)]
        {
            fs::write(folder.join(name), bytes).expect("memory for files");
        }
        let memory = File::options().write(true).open(folder.join("memory"));
        memory.and_then(|file| file.set_len(MEMORY)).expect("memory for files");
        if let Ok(snapshot) = Snapshot::open(&folder) {
            let _ = snapshot.check_memory();
        }
        let _ = SnapshotStore(place.path().to_owned()).list();
        let _ = fs::remove_file(folder.join("checked"));
    });
});
