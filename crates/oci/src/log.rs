//! Errors, where an engine looks for them: as lines in the file of `--log`, and on standard error.
//!
//! containerd's shim shows the last line of the file whose `level` is `error` (go-runc, `getLastRuntimeError`).

use std::{fs::File, io::Write as _, os::unix::fs::OpenOptionsExt as _};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    error::Error,
    options::{Global, LogFormat},
};

/// Reports why the command failed.
pub(crate) fn fatal(global: &Global, error: &Error) {
    let message = error.to_string();
    if let Some(path) = &global.log {
        // What cannot be logged is still on standard error.
        let mut options = File::options();
        let options = options.append(true).create(true).mode(0o644);
        let opened = options.custom_flags(nix::libc::O_CLOEXEC).open(path);
        let _ =
            opened.and_then(|mut to| to.write_all(line(global.log_format, &message).as_bytes()));
    }
    eprintln!("{message}");
}

fn line(format: LogFormat, message: &str) -> String {
    let time = Timestamp::now();
    match format {
        LogFormat::Json => {
            let time = format!("{time:.0}");
            format!("{}\n", json!({ "level": "error", "msg": message, "time": time }))
        }
        LogFormat::Text => format!("time=\"{time:.0}\" level=error msg={message:?}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_is_one_line_whatever_the_message_is() {
        let text = line(LogFormat::Json, "a \"quoted\"\nword");
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["level"], "error");
        assert_eq!(value["msg"], "a \"quoted\"\nword");
        value["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    }
}
