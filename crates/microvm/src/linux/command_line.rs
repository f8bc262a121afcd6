//! What the kernel is told before it starts: its command line.
//!
//! Linux, `Documentation/admin-guide/kernel-parameters.txt`, has every word.

use sandbox::Program;

use crate::error::{Error, Result};

/// What isolab tells a kernel by itself, each word for a reason.
pub const DEFAULTS: [&str; 10] = [
    // Its words go to the serial port, and most are not said: each byte is a trip to the host.
    "console=ttyS0",
    "quiet",
    "loglevel=3",
    // There is one serial port; looking for three more is 60 trips.
    "8250.nr_uarts=1",
    // After a panic it resets at once, by the keyboard controller: the host sees that.
    "panic=-1",
    "reboot=k",
    // There is no PCI to search.
    "pci=off",
    // Half a second and more of a boot: ciphers that test themselves.
    "cryptomgr.notests",
    // Memory comes zeroed from the host.
    "init_on_alloc=0",
    // Nobody listens to the audit log.
    "audit=0",
];

/// The kernel's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// [`DEFAULTS`], then these words; what Linux takes once it takes from the last.
    Append(String),
    /// These words alone.
    Exactly(String),
}

impl Default for CommandLine {
    fn default() -> Self {
        Self::Append(String::new())
    }
}

impl CommandLine {
    /// All of it, with `program` as the first process of the guest.
    ///
    /// # Errors
    ///
    /// When a word cannot be said on a command line.
    pub fn with_init(&self, program: &Program) -> Result<String> {
        let mut words: Vec<String> = match self {
            Self::Append(more) => {
                DEFAULTS.iter().map(|word| (*word).to_owned()).chain([more.clone()]).collect()
            }
            Self::Exactly(words) => vec![words.clone()],
        };
        words.retain(|word| !word.is_empty());
        if let Program::Command(command) = program
            && let Some((init, arguments)) = command.split_first()
        {
            words.push(format!("rdinit={}", quoted(init.to_str())?));
            if !arguments.is_empty() {
                words.push("--".into());
            }
            for argument in arguments {
                words.push(quoted(argument.to_str())?);
            }
        }
        Ok(words.join(" "))
    }
}

/// A word as the kernel reads it: quotes keep spaces together, and there is no way to say a quote.
fn quoted(word: Option<&str>) -> Result<String> {
    match word {
        Some(word) if word.contains(['"', '\n', '\0']) => None,
        Some(word) if word.is_empty() || word.contains(char::is_whitespace) => {
            Some(format!("\"{word}\""))
        }
        Some(word) => Some(word.to_owned()),
        None => None,
    }
    .ok_or_else(|| Error::Unsupported {
        what: format!("give its kernel the word {word:?}"),
        fix: "leave quotes and line breaks out of it".into(),
    })
}

#[cfg(test)]
mod tests {
    use sandbox::Workload;

    use super::*;

    fn line(command_line: &CommandLine, words: &[&str]) -> Result<String> {
        command_line.with_init(&Workload::command(words).program)
    }

    #[test]
    fn what_is_appended_comes_after_the_defaults_and_before_the_init() {
        let told =
            line(&CommandLine::Append("debug".into()), &["/bin/sh", "-c", "echo a"]).unwrap();
        assert!(told.starts_with("console=ttyS0 quiet "), "{told}");
        assert!(told.ends_with(" debug rdinit=/bin/sh -- -c \"echo a\""), "{told}");
    }

    #[test]
    fn exactly_means_exactly() {
        let told = line(&CommandLine::Exactly("quiet".into()), &["/init"]).unwrap();
        assert_eq!(told, "quiet rdinit=/init");
    }

    #[test]
    fn what_the_kernel_could_not_read_is_refused() {
        for word in ["a\"b", "a\nb"] {
            assert!(line(&CommandLine::default(), &["/init", word]).is_err());
        }
    }
}
