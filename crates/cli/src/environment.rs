//! Environment variables as the command line names them: `--env` and `--env-file`.
//!
//! The rules are Docker's: `NAME=VALUE` sets a variable, `NAME` alone passes the caller's on where the
//! caller has it, and of one name the last value wins; what `--env` says is later than any file. A
//! value may be any bytes that a process can have in its environment: all but the null.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use crate::{
    failure::Failure,
    line_files::{LineFile, split},
};

/// The variables that these values of `--env` and files of `--env-file` set, one a name.
///
/// # Errors
///
/// A variable without a name, and a file that cannot be read or has a line that sets nothing.
pub fn variables(
    options: &[OsString],
    files: &[PathBuf],
) -> Result<Vec<(OsString, OsString)>, Failure> {
    let mut variables = Variables::default();
    for path in files {
        for (line, text) in LineFile::read("--env-file", path)?.lines() {
            let location = || format!("line {line} of {path:?}");
            if text.contains(&0) {
                return Err(Failure::usage(format!("{} contains a null byte", location()))
                    .help("remove it: environment variables cannot contain null bytes"));
            }
            let (name, value) = split(text);
            if name.is_empty() || name.as_bytes().iter().any(u8::is_ascii_whitespace) {
                return Err(Failure::usage(format!(
                    "{}: invalid variable name: {name:?}",
                    location()
                ))
                .help("each line is NAME=VALUE without quotes, NAME, or a comment after #"));
            }
            variables.add(name, value);
        }
    }
    for option in options {
        let (name, value) = split(option.as_bytes());
        if name.is_empty() {
            return Err(Failure::usage(format!("invalid variable: --env {option:?}"))
                .help("use --env NAME=VALUE, or --env NAME to pass on the caller's"));
        }
        variables.add(name, value);
    }
    Ok(variables.0)
}

#[derive(Default)]
struct Variables(Vec<(OsString, OsString)>);

impl Variables {
    /// A variable without a value has the caller's, if the caller has one.
    fn add(&mut self, name: &OsStr, value: Option<&OsStr>) {
        let Some(value) = value.map(OsStr::to_owned).or_else(|| env::var_os(name)) else { return };
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::ffi::OsStringExt as _};

    use super::*;

    fn of_options(options: &[&[u8]]) -> Result<Vec<(OsString, OsString)>, Failure> {
        let options: Vec<_> = options.iter().map(|it| OsString::from_vec(it.to_vec())).collect();
        variables(&options, &[])
    }

    fn of_file(text: &[u8]) -> Result<Vec<(OsString, OsString)>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("variables");
        fs::write(&path, text).unwrap();
        variables(&[], &[path])
    }

    fn pair(name: &str, value: &[u8]) -> (OsString, OsString) {
        (name.into(), OsString::from_vec(value.to_vec()))
    }

    #[test]
    fn of_one_name_the_last_value_wins() {
        let set = of_options(&[b"A=1", b"B=2", b"A=3"]).unwrap();
        assert_eq!(set, [pair("A", b"3"), pair("B", b"2")]);
    }

    #[test]
    fn a_value_is_any_bytes() {
        let set = of_options(&[b"A=", b"B==x=\n", b"C=\xff\xfe \t"]).unwrap();
        assert_eq!(set, [pair("A", b""), pair("B", b"=x=\n"), pair("C", b"\xff\xfe \t")]);
    }

    #[test]
    fn a_name_alone_is_the_callers_or_is_left_out() {
        let path = env::var_os("PATH").unwrap();
        let set = of_options(&[b"PATH", b"ISOLAB_NOBODY_HAS_THIS"]).unwrap();
        assert_eq!(set, [("PATH".into(), path.clone())]);
        assert_eq!(of_file(b"PATH\nISOLAB_NOBODY_HAS_THIS\n").unwrap(), [("PATH".into(), path)]);
    }

    #[test]
    fn a_variable_has_a_name() {
        for wrong in [&b""[..], b"=", b"=VALUE"] {
            assert_eq!(of_options(&[wrong]).unwrap_err().code, 2, "{wrong:?}");
        }
        for wrong in [&b"=VALUE"[..], b"A B=1", b"ok=1\nexport C=1\n", b"A=\0"] {
            let failure = of_file(wrong).unwrap_err();
            assert!(failure.code == 2 && failure.to_string().contains("line "), "{failure}");
        }
    }

    #[test]
    fn a_file_has_comments_and_values_to_the_end_of_their_lines() {
        let text = b"\xef\xbb\xbfA=1\r\n\n  # B=2\n \tC='x' # y \n#\nD=\xff\nA=4";
        let expected = [pair("A", b"4"), pair("C", b"'x' # y "), pair("D", b"\xff")];
        assert_eq!(of_file(text).unwrap(), expected);
        assert_eq!(of_file(b"").unwrap(), []);
    }

    #[test]
    fn an_option_is_later_than_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("1"), folder.path().join("2"));
        fs::write(&one, "A=file\nB=file\n").unwrap();
        fs::write(&other, "B=later\n").unwrap();
        let set = variables(&["A=option".into()], &[one, other]).unwrap();
        assert_eq!(set, [pair("A", b"option"), pair("B", b"later")]);
    }
}
