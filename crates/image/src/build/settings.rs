//! Instructions that change the image's config alone.

use std::time::Duration;

use super::error::StepError;
use crate::{
    config::{self, Empty, Execution},
    dockerfile::{Command, Healthcheck},
};

/// What a shell is if no `SHELL` says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The words of a command: of the shell, unless it is an array.
pub(super) fn words(command: &Command, execution: &Execution) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell(text) => {
            let shell = execution.shell.clone().filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| SHELL.map(str::to_owned).to_vec());
            shell.into_iter().chain([text.clone()]).collect()
        }
    }
}

/// `80`, `80/udp`, `8000-8002/tcp`: each port on its own.
pub(super) fn expose(word: &str, execution: &mut Execution) -> Result<(), StepError> {
    let refused = || {
        StepError::Refused(format!("{word:?} is not a port: PORT[-PORT], and /tcp, /udp or /sctp"))
    };
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(refused());
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits).ok_or_else(refused)
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(refused());
    }
    for port in first..=last {
        execution.exposed_ports.insert(format!("{port}/{protocol}"), Empty {});
    }
    Ok(())
}

/// A signal's name or number, as docker stop takes it.
pub(super) fn signal(text: &str) -> Result<String, StepError> {
    const NAMES: [&str; 32] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS", "IOT",
    ];
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_number = text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    let real_time = name.strip_prefix("RTMIN").or_else(|| name.strip_prefix("RTMAX"));
    let is_real_time = real_time.is_some_and(|offset| {
        offset.is_empty() || offset[1..].parse::<u8>().is_ok_and(|offset| offset <= 30)
    });
    match is_number || is_real_time || NAMES.contains(&name) {
        true => Ok(text.to_owned()),
        false => Err(StepError::Refused(format!(
            "{text:?} is not a signal: a name such as SIGTERM, or a number up to 64"
        ))),
    }
}

/// The check as the config has it; times in nanoseconds.
pub(super) fn healthcheck(check: &Healthcheck) -> config::Healthcheck {
    let nanoseconds = |time: &Option<Duration>| {
        time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    };
    match check {
        Healthcheck::None => {
            config::Healthcheck { test: vec!["NONE".into()], ..Default::default() }
        }
        Healthcheck::Check {
            command,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        } => {
            let test = match command {
                Command::Exec(words) => {
                    ["CMD".to_owned()].into_iter().chain(words.clone()).collect()
                }
                Command::Shell(text) => vec!["CMD-SHELL".into(), text.clone()],
            };
            config::Healthcheck {
                test,
                interval: nanoseconds(interval),
                timeout: nanoseconds(timeout),
                start_period: nanoseconds(start_period),
                start_interval: nanoseconds(start_interval),
                retries: retries.unwrap_or(0).into(),
            }
        }
    }
}

/// The directory that `path` means below the current one, without `.` and `..`.
pub(super) fn absolute(current: &str, path: &str) -> String {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{current}/{path}"),
    };
    let mut names: Vec<&str> = Vec::new();
    for name in whole.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        let ports = |word: &str| {
            let mut execution = Execution::default();
            expose(word, &mut execution)
                .map(|()| execution.exposed_ports.into_keys().collect::<Vec<_>>())
        };
        assert_eq!(ports("80").unwrap(), ["80/tcp"]);
        assert_eq!(ports("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(ports("1-3/sctp").unwrap(), ["1/sctp", "2/sctp", "3/sctp"]);
        for word in ["", "x", "80/x", "3-1", "-1", "+80", "65536", "80:80", "1-2-3"] {
            assert!(ports(word).is_err(), "{word}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["SIGTERM", "term", "9", "SIGRTMIN+3", "RTMAX-1", "SIGRTMIN"] {
            assert!(signal(text).is_ok(), "{text}");
        }
        for text in ["", "0", "65", "SIGFOO", "SIG", "SIGRTMIN+x"] {
            assert!(signal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_directory_is_relative_to_the_one_before() {
        assert_eq!(absolute("/a", "b"), "/a/b");
        assert_eq!(absolute("", "b"), "/b");
        assert_eq!(absolute("/a/b", "../../../c/./"), "/c");
        assert_eq!(absolute("/a", "/"), "/");
    }
}
