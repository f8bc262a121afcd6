//! A daemon begins with nothing: it clears its directory.

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
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Some(directory) = path.parent() {
        let containers = directory.join("containers");
        fs::remove_dir_all(&containers)?;
        fs::create_dir(containers)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { listen, ..solution::ANSWER })
}
