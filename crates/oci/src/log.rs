//! Errors and warnings, where an engine looks for them: as lines in the file of `--log`, and on standard
//! error.
//!
//! containerd's shim shows the last line of the file whose `level` is `error` (go-runc,
//! `getLastRuntimeError`).

use std::{
    ffi::OsString, fs::File, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf,
};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    config::Process,
    options::{Global, LogFormat},
    translate,
};

/// Where the lines go.
#[derive(Debug, Default)]
pub(crate) struct Log {
    path: Option<PathBuf>,
    is_json: bool,
}

impl Log {
    /// That of the options.
    pub(crate) fn of(global: &Global) -> Self {
        Self { path: global.log.clone(), is_json: global.log_format == LogFormat::Json }
    }

    /// That of a command line which could not be parsed.
    pub(crate) fn of_words(words: &[OsString]) -> Self {
        let value = |name: &str| {
            let with_value = format!("{name}=");
            words.iter().zip(words.iter().skip(1).map(Some).chain([None])).find_map(
                |(word, next)| {
                    let word = word.to_str()?;
                    let joined = word.strip_prefix(&with_value).map(OsString::from);
                    joined.or_else(|| next.filter(|_| word == name).cloned())
                },
            )
        };
        let is_json = value("--log-format").is_some_and(|format| format == "json");
        Self { path: value("--log").map(Into::into), is_json }
    }

    /// Reports why the command failed.
    pub(crate) fn error(&self, message: &str) {
        self.write("error", message);
    }

    /// Reports what has failed and stops nothing.
    pub(crate) fn warning(&self, message: &str) {
        self.write("warning", message);
    }

    /// Warns of what the program of `process` does not get.
    pub(crate) fn left_out(&self, process: &Process) {
        for name in translate::unknown_capabilities(process) {
            self.warning(&format!("process.capabilities: {name:?} is unknown and left out"));
        }
    }

    /// The same for failures of hooks.
    pub(crate) fn warnings(&self, failed: &[container::Error]) {
        failed.iter().for_each(|error| self.warning(&sandbox::chain(error)));
    }

    fn write(&self, level: &str, message: &str) {
        let message = message.lines().collect::<Vec<_>>().join(" ");
        if let Some(path) = &self.path {
            // What cannot be logged is still on standard error.
            let mut options = File::options();
            let options = options.append(true).create(true).mode(0o644);
            let opened = options.custom_flags(nix::libc::O_CLOEXEC).open(path);
            let _ = opened.and_then(|mut to| to.write_all(self.line(level, &message).as_bytes()));
        }
        // Standard error may be closed, which is no reason to fail.
        let _ = writeln!(std::io::stderr(), "{message}");
    }

    fn line(&self, level: &str, message: &str) -> String {
        let time = format!("{:.0}", Timestamp::now());
        match self.is_json {
            true => format!("{}\n", json!({ "level": level, "msg": message, "time": time })),
            false => format!("time=\"{time}\" level={level} msg={message:?}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_is_one_line_whatever_the_message_is() {
        let log = Log { path: None, is_json: true };
        let text = log.line("error", "a \"quoted\"\nword");
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["level"], "error");
        assert_eq!(value["msg"], "a \"quoted\"\nword");
        value["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    }

    #[test]
    fn the_log_of_a_line_that_is_not_understood_is_found() {
        for line in ["x --log=f --log-format=json y", "x --log f --log-format json y"] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let log = Log::of_words(&words);
            assert_eq!((log.path.unwrap(), log.is_json), (PathBuf::from("f"), true), "{line}");
        }
    }
}
