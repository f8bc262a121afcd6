//! What `isolab run` writes beside the run: labels, annotations, and how to stop it.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use clap::Args;
use image::config::Execution;
use nix::sys::signal::Signal;
use sandbox::Metadata;

use crate::{
    failure::Failure,
    line_files::{LineFile, split},
    units,
};

/// Every entry is read by each `isolab ps`, so what a caller writes into one is bounded.
const LARGEST_KEY: usize = 4 << 10;
/// All keys and values of one run together.
const LARGEST_TOTAL: usize = 256 << 10;

#[derive(Debug, Args)]
#[command(next_help_heading = "What is kept beside it")]
pub(super) struct MetadataArguments {
    /// Label to find it by with `isolab ps --filter label=KEY`; may be repeated
    #[arg(short = 'l', long = "label", value_name = "KEY[=VALUE]")]
    labels: Vec<OsString>,
    /// Add the labels in this file, one per line; may be repeated
    #[arg(long = "label-file", value_name = "FILE")]
    label_files: Vec<PathBuf>,
    /// Annotation that `isolab inspect` shows; may be repeated
    #[arg(long = "annotation", value_name = "KEY[=VALUE]")]
    annotations: Vec<OsString>,
    /// Signal by which `isolab stop` asks it to end [default: TERM]
    #[arg(long, value_name = "SIGNAL", value_parser = units::stop_signal)]
    stop_signal: Option<Signal>,
    /// How long `isolab stop` waits before it kills; -1 waits for ever [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = units::stop_timeout,
        allow_hyphen_values = true)]
    stop_timeout: Option<Duration>,
}

impl MetadataArguments {
    /// What the user says of these, and where that is nothing, the image.
    pub(super) fn metadata(&self, image: Option<&Execution>) -> Result<Metadata, Failure> {
        let mut labels = BTreeMap::new();
        if let Some(image) = image {
            labels.extend(image.labels.clone());
        }
        for path in &self.label_files {
            let file = LineFile::read("--label-file", path)?;
            for (line, text) in file.lines() {
                let (key, value) = split(text);
                let location = || format!("line {line} of {path:?}");
                let value = value.unwrap_or_default();
                labels.extend([pair(key.to_owned(), value.to_owned(), location)?]);
            }
        }
        labels.extend(pairs("--label", &self.labels)?);
        let annotations: BTreeMap<_, _> =
            pairs("--annotation", &self.annotations)?.into_iter().collect();
        let all = labels.iter().chain(&annotations);
        let total: usize = all.map(|(key, value)| key.len() + value.len()).sum();
        if total > LARGEST_TOTAL {
            let message = format!("labels and annotations of {total} bytes are too large");
            return Err(Failure::usage(message).help(format!(
                "a run has {LARGEST_TOTAL} bytes for them: keep what is larger in a file, and its \
                 path in a label"
            )));
        }
        let stop_signal = match (self.stop_signal, image) {
            (None, Some(image)) if !image.stop_signal.is_empty() => {
                let invalid = |why| Failure::refused(format!("the image's stop signal: {why}"));
                Some(units::stop_signal(&image.stop_signal).map_err(invalid)?)
            }
            (given, _) => given,
        };
        let milliseconds =
            |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Ok(Metadata {
            labels,
            annotations,
            stop_signal: stop_signal.map(|signal| signal as i32),
            stop_timeout_ms: self.stop_timeout.map(milliseconds),
        })
    }
}

fn pairs(option: &str, words: &[OsString]) -> Result<Vec<(String, String)>, Failure> {
    let of_word = |word: &OsString| {
        let (key, value) = split(word.as_encoded_bytes());
        let value = value.unwrap_or_default().to_owned();
        pair(key.to_owned(), value, || format!("{option} {word:?}"))
    };
    words.iter().map(of_word).collect()
}

/// A key and its value: text, because that is what JSON has for them.
fn pair(
    key: OsString,
    value: OsString,
    location: impl Fn() -> String,
) -> Result<(String, String), Failure> {
    let (Ok(key), Ok(value)) = (key.into_string(), value.into_string()) else {
        return Err(Failure::usage(format!("{} is not UTF-8", location()))
            .help("labels and annotations are text: encode other bytes, with base64 say"));
    };
    if key.is_empty() {
        return Err(Failure::usage(format!("{} has no key", location()))
            .help("write KEY=VALUE, or KEY for an empty value"));
    }
    if key.len() > LARGEST_KEY {
        let message = format!("the key of {} bytes is too long", key.len());
        return Err(Failure::usage(message)
            .help(format!("a key has at most {LARGEST_KEY} bytes; a value can be longer")));
    }
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn arguments(labels: &[&[u8]], files: &[&[u8]]) -> Result<Metadata, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let write = |(at, text): (usize, &&[u8])| {
            let path = folder.path().join(at.to_string());
            std::fs::write(&path, text).unwrap();
            path
        };
        let arguments = MetadataArguments {
            labels: labels.iter().map(|label| OsString::from_vec(label.to_vec())).collect(),
            label_files: files.iter().enumerate().map(write).collect(),
            annotations: Vec::new(),
            stop_signal: None,
            stop_timeout: None,
        };
        arguments.metadata(None)
    }

    #[test]
    fn the_last_value_of_a_key_wins_and_an_option_wins_over_a_file() {
        let found = arguments(&[b"a=1", b"b", b"a=2=3\n"], &[b"c=file\nb=file\n", b"# x\nc"]);
        let expected = [("a", "2=3\n"), ("b", ""), ("c", "")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found.unwrap().labels, BTreeMap::from(expected));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let long = vec![b'k'; LARGEST_KEY + 1];
        let large = [b"k=".to_vec(), vec![b'v'; LARGEST_TOTAL]].concat();
        let labels: [&[u8]; 6] = [b"", b"=x", b"k\xff=v", b"k=\xff", &long, &large];
        for label in labels {
            let failure = arguments(&[label], &[]).unwrap_err();
            assert!(failure.code == 2 && failure.to_string().contains("help: "), "{failure}");
        }
        for line in [&b"=x"[..], b"a=1\nk=\xff"] {
            let failure = arguments(&[], &[line]).unwrap_err();
            assert!(failure.code == 2 && failure.to_string().contains("line "), "{failure}");
        }
    }
}
