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

/// What the kernel must not be told in this machine, and why. The drivers of its devices are modules,
/// and would find nothing, or not be loaded.
const IMPOSSIBLE: [(&str, &str); 11] = [
    ("acpi=off", "its devices are announced by ACPI"),
    ("acpi=noirq", "the interrupts of its devices are announced by ACPI"),
    ("noapic", "the interrupts of its devices come by the I/O APIC"),
    ("nolapic", "interrupts come by the local APIC"),
    ("disableapic", "interrupts come by the local APIC"),
    ("nosmp", "it switches off the I/O APIC, by which the interrupts of its devices come"),
    ("maxcpus=0", "it switches off the I/O APIC, by which the interrupts of its devices come"),
    ("no_kvmclock", "it has no other clock than KVM's, by which to set its timer"),
    ("nopv", "it has no other clock than KVM's, by which to set its timer"),
    ("nomodule", "the drivers of its devices are modules"),
    ("module.sig_enforce", "the drivers of its devices are modules without signatures"),
];
/// What keeps drivers away, by their names.
const BLACKLIST: &str = "module_blacklist";

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

impl CommandLine {
    /// What the user has added.
    pub fn own_words(&self) -> &str {
        match self {
            Self::Append(words) | Self::Exactly(words) => words,
        }
    }

    /// Refuses what would keep a guest with these `drivers` from finding its devices.
    ///
    /// # Errors
    ///
    /// When there is such a word.
    pub fn check(&self, drivers: &[&str]) -> Result<()> {
        // What stands behind two dashes is the first process's.
        for word in self.own_words().split_whitespace().take_while(|word| *word != "--") {
            // Linux takes one for the other in names.
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let name = name.replace('-', "_");
            let refused =
                IMPOSSIBLE.iter().find(|(impossible, _)| match impossible.split_once('=') {
                    Some(both) => both == (&*name, value),
                    None => *impossible == name && !matches!(value, "0" | "n" | "N"),
                });
            let driver = value.split(',').find(|it| drivers.contains(&&*it.replace('-', "_")));
            let why = match (refused, driver.filter(|_| name == BLACKLIST)) {
                (Some((_, why)), _) => (*why).to_owned(),
                (None, Some(driver)) => format!("{driver} is the driver of one of its devices"),
                (None, None) => continue,
            };
            return Err(Error::Unsupported {
                what: format!("boot with {word:?} on its kernel's command line: {why}"),
                fix: "leave that word out".into(),
            });
        }
        Ok(())
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
        let shown =
            line(&CommandLine::Append("debug".into()), &["/bin/sh", "-c", "echo a"]).unwrap();
        assert!(shown.starts_with("console=ttyS0 quiet "), "{shown}");
        assert!(shown.ends_with(" debug rdinit=/bin/sh -- -c \"echo a\""), "{shown}");
    }

    #[test]
    fn what_cannot_work_in_this_machine_is_refused_by_its_name() {
        let refused = |words: &str| {
            CommandLine::Append(words.into()).check(&["virtio_mmio"]).err().map(|it| it.to_string())
        };
        for word in [
            "acpi=off",
            "acpi=noirq",
            "noapic",
            "nolapic",
            "disableapic",
            "nosmp",
            "maxcpus=0",
            "no-kvmclock",
            "nopv",
            "nomodule",
            "module.sig_enforce",
            "module.sig-enforce=1",
            "module_blacklist=e1000,virtio-mmio",
        ] {
            let message = refused(&format!("debug {word} ro")).expect(word);
            assert!(message.contains(&format!("boot with {word:?}")), "{message}");
        }
        for words in [
            "",
            "acpi=strict maxcpus=1 nolapic_timer noapictimer nopvspin",
            "module.sig_enforce=0 module_blacklist=e1000",
            "-- noapic",
        ] {
            assert_eq!(refused(words), None, "{words}");
        }
        assert!(CommandLine::Exactly("console=ttyS0 noapic".into()).check(&[]).is_err());
    }

    #[test]
    fn exactly_means_exactly() {
        let shown = line(&CommandLine::Exactly("quiet".into()), &["/init"]).unwrap();
        assert_eq!(shown, "quiet rdinit=/init");
    }

    #[test]
    fn what_the_kernel_could_not_read_is_refused() {
        for word in ["a\"b", "a\nb"] {
            assert!(line(&CommandLine::default(), &["/init", word]).is_err());
        }
    }
}
