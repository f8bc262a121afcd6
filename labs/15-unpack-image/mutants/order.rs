//! The layers are reversed: the base is applied last.

use std::{io, process::ExitCode};

use serde_json::Value;
use unpack_image::{Answer, Descriptor};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn layers(manifest: &[u8]) -> io::Result<Vec<Descriptor>> {
    let manifest: Value = serde_json::from_slice(manifest)?;
    let mut layers: Vec<Descriptor> = serde_json::from_value(manifest["layers"].clone())?;
    layers.reverse();
    Ok(layers)
}

fn main() -> ExitCode {
    unpack_image::program(&Answer { layers, ..solution::ANSWER })
}
