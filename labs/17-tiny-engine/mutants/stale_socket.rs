//! A socket that a killed daemon has left is in the way.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    process::ExitCode,
};

use tiny_engine::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { listen, ..solution::ANSWER })
}
