//! Errors and warnings, where an engine looks for them: as lines in the file of `--log`, and errors on
//! standard error too.
//!
//! containerd's shim shows the last line of the file whose `level` is `error` (go-runc, `getLastRuntimeError`).

use std::{
    fs::File, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf, sync::OnceLock,
};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    config::Process,
    error::Error,
    options::{Global, LogFormat},
    translate,
};

/// Where lines are written to; set once.
static LOG: OnceLock<(PathBuf, LogFormat)> = OnceLock::new();

/// Writes all lines from here on to the file of `--log`.
pub(crate) fn open(global: &Global) {
    if let Some(path) = &global.log {
        let _ = LOG.set((path.clone(), global.log_format)); // a process has one command line
    }
}

/// Reports why the command failed.
pub(crate) fn fatal(error: &Error) {
    let message = error.to_string();
    write("error", &message);
    eprintln!("{message}");
}

/// Warns of what the program of `process` does not get.
pub(crate) fn left_out(process: &Process) {
    for name in translate::unknown_capabilities(process) {
        write("warning", &format!("process.capabilities: {name:?} is unknown and left out"));
    }
}

/// What cannot be logged is lost; errors are still on standard error.
fn write(level: &str, message: &str) {
    let Some((path, format)) = LOG.get() else { return };
    let mut options = File::options();
    let options = options.append(true).create(true).mode(0o644);
    let opened = options.custom_flags(nix::libc::O_CLOEXEC).open(path);
    let _ = opened.and_then(|mut to| to.write_all(line(*format, level, message).as_bytes()));
}

fn line(format: LogFormat, level: &str, message: &str) -> String {
    let time = Timestamp::now();
    match format {
        LogFormat::Json => {
            let time = format!("{time:.0}");
            format!("{}\n", json!({ "level": level, "msg": message, "time": time }))
        }
        LogFormat::Text => format!("time=\"{time:.0}\" level={level} msg={message:?}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_is_one_line_whatever_the_message_is() {
        let text = line(LogFormat::Json, "error", "a \"quoted\"\nword");
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["level"], "error");
        assert_eq!(value["msg"], "a \"quoted\"\nword");
        value["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    }
}
