//! The processor is not looked at, only the system.

use std::{io, process::ExitCode};

use unpack_image::{Answer, Descriptor};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

use serde_json::Value;
use solution::invalid;

fn choose_manifest(index: &[u8]) -> io::Result<Descriptor> {
    let index: Value = serde_json::from_slice(index)?;
    let entries = index["manifests"].as_array().ok_or_else(|| invalid("not an index"))?;
    let ours = entries.iter().find(|entry| entry["platform"]["os"] == "linux");
    let ours = ours.ok_or_else(|| invalid("no manifest for linux"))?;
    Ok(serde_json::from_value(ours.clone())?)
}

fn main() -> ExitCode {
    unpack_image::program(&Answer { choose_manifest, ..solution::ANSWER })
}
