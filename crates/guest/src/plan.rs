//! The plan of a Linux guest's first process: a text file with one step on each line.
//!
//! The guest's initramfs holds [`INIT`](crate::INIT) as `/init` and the text as [`PATH`]. The steps
//! are executed in order:
//!
//! | Step | What it does |
//! |---|---|
//! | `report SINK` | where results go; the default is the console |
//! | `end power-off`, `end reboot`, `end port PORT` | how the machine ends, after the last step or the first that failed; a write to the port ends it |
//! | `mount TYPE SOURCE TARGET DATA FLAG...` | mount(2); makes TARGET and the directories above it; flags are `ro nosuid nodev noexec bind move` |
//! | `module FILE PARAMETERS` | loads a module of the kernel |
//! | `link TARGET PATH` | makes a symbolic link |
//! | `disk ATTRIBUTE VALUE PATH` | makes PATH a link to the disk whose ATTRIBUTE in `/sys/class/block` is VALUE, once it exists; needs `/sys` and `/dev` |
//! | `write FILE TEXT` | makes TEXT the content of FILE |
//! | `file PATH TEXT` | writes a file with TEXT at PATH, replacing a file or a link of that name; nothing is done if it is a directory, or if its directory does not exist |
//! | `up INTERFACE` | sets a network interface up |
//! | `address INTERFACE ADDRESS PREFIX GATEWAY` | gives it an IPv4 address, sets it up, and makes GATEWAY the default route |
//! | `root DIRECTORY` | makes DIRECTORY the root, as an initramfs does to boot from a disk |
//! | `directory DIRECTORY` | changes the working directory |
//! | `variable NAME=VALUE` | adds to the environment of the commands |
//! | `user UID GID GROUP...` | as whom the commands run, with these supplementary groups; root without any if there is no such step |
//! | `stdin SINK`, `stdout SINK`, `stderr SINK` | where that stream of the commands is connected |
//! | `plain DEVICE` | makes a terminal pass on bytes unchanged |
//! | `terminal DEVICE ROWS COLUMNS` | a terminal of that size for all three |
//! | `control DEVICE` | while a command runs, signals for it and sessions beside it come over this port, in [`frames`](crate::frames) |
//! | `ready` | reports that the guest has reached this step |
//! | `freeze PORT` | announces by a write to PORT that the guest may be frozen and copied here, then reads what each copy needs anew: 32 bytes that seed the random numbers, and nanoseconds since 1970 for the clock, 32 bits at a time |
//! | `run PROGRAM WORD...` | runs the program with these words as its arguments, beginning with its name; waits for its end and reports it |
//! | `pack DIRECTORY DISK` | writes all directories and files in DIRECTORY as an archive (cpio, newc) to a disk |
//!
//! A SINK is `device FILE`, `port PORT` or `page ADDRESS BYTES`. For a port, what the commands
//! write into a pipe is copied to it byte by byte; for a page, which the guest shares with its
//! host, it is copied into a [`ring`](crate::ring). Nothing can be read from either.
//!
//! A report is a line: `ready`, `exit CODE` or `signal NUMBER` for every command, and `failed STEP
//! ERRNO` for a failed step, counted from 1; step 0 is the plan itself. See [`Report`].
//!
//! Words are separated by a space; `\` and two hexadecimal digits stand for a byte.

use std::{ffi::OsStr, fmt, net::Ipv4Addr, os::unix::ffi::OsStrExt as _, str::FromStr};

/// The path of the plan in the initramfs.
pub const PATH: &str = "isolab/plan";

/// A destination of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A device, by its path.
    Device(String),
    /// An I/O port that takes bytes.
    Port(u16),
    /// Memory that the guest shares with its host.
    Page {
        /// Its guest physical address.
        address: u64,
        /// Its length.
        bytes: u64,
    },
}

/// How the machine ends after the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMethod {
    /// The guest powers it off.
    PowerOff,
    /// The guest reboots it.
    Reboot,
    /// The guest writes to this I/O port, which ends the machine.
    Port(u16),
}

/// One of the three streams of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// The steps, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InitPlan {
    text: String,
}

impl InitPlan {
    /// A plan without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text, for the file at [`PATH`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of step `number`, counted from 1.
    pub fn step(&self, number: usize) -> Option<&str> {
        self.text.lines().nth(number.checked_sub(1)?)
    }

    fn add<Word: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = Word>) -> Self {
        for (index, word) in words.into_iter().enumerate() {
            if index > 0 {
                self.text.push(' ');
            }
            for byte in word.as_ref().as_bytes() {
                match byte {
                    b'\\' | 0..=b' ' | 0x7f.. => self.text += &format!("\\{byte:02x}"),
                    byte => self.text.push(char::from(*byte)),
                }
            }
        }
        self.text.push('\n');
        self
    }

    fn add_sink(self, step: &str, sink: &Sink) -> Self {
        match sink {
            Sink::Device(file) => self.add([step, "device", file]),
            Sink::Port(port) => self.add([step, "port", &port.to_string()]),
            Sink::Page { address, bytes } => {
                self.add([step, "page", &address.to_string(), &bytes.to_string()])
            }
        }
    }

    /// Where results go.
    #[must_use]
    pub fn report(self, sink: &Sink) -> Self {
        self.add_sink("report", sink)
    }

    /// How the machine ends.
    #[must_use]
    pub fn end(self, end: ShutdownMethod) -> Self {
        match end {
            ShutdownMethod::PowerOff => self.add(["end", "power-off"]),
            ShutdownMethod::Reboot => self.add(["end", "reboot"]),
            ShutdownMethod::Port(port) => self.add(["end", "port", &port.to_string()]),
        }
    }

    /// Mounts a file system of this type from `source` on `target`; the directory and its parents
    /// are made.
    #[must_use]
    pub fn mount(
        self,
        kind: &str,
        source: &str,
        target: impl AsRef<OsStr>,
        data: &str,
        flags: &[&str],
    ) -> Self {
        let words = ["mount", kind, source].map(OsStr::new);
        let words = words.into_iter().chain([target.as_ref(), OsStr::new(data)]);
        self.add(words.chain(flags.iter().map(OsStr::new)))
    }

    /// Loads a module of the kernel.
    #[must_use]
    pub fn module(self, file: &str, parameters: &str) -> Self {
        self.add(["module", file, parameters])
    }

    /// Makes a symbolic link at `path` to `target`.
    #[must_use]
    pub fn link(self, target: &str, path: &str) -> Self {
        self.add(["link", target, path])
    }

    /// Waits for the disk whose `attribute` in `/sys/class/block` is `value`, and links `path` to it.
    ///
    /// The number in a disk's name depends on when its driver has found it. Drivers probe several
    /// at once, so the order varies.
    #[must_use]
    pub fn disk(self, attribute: &str, value: &str, path: &str) -> Self {
        self.add(["disk", attribute, value, path])
    }

    /// Makes `text` the content of `file`.
    #[must_use]
    pub fn write(self, file: &str, text: &str) -> Self {
        self.add(["write", file, text])
    }

    /// Writes a file with `text` at `path`, replacing a file or a link of that name.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        self.add(["file", path, text])
    }

    /// Sets a network interface up.
    #[must_use]
    pub fn up(self, interface: &str) -> Self {
        self.add(["up", interface])
    }

    /// Gives a network interface an address with a prefix of that many bits, sets it up, and makes
    /// `gateway` the default route.
    #[must_use]
    pub fn address(self, interface: &str, inside: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> Self {
        let [inside, gateway] = [inside, gateway].map(|address| address.to_string());
        self.add(["address", interface, &inside, &prefix.to_string(), &gateway])
    }

    /// Makes `directory` the root.
    #[must_use]
    pub fn root(self, directory: &str) -> Self {
        self.add(["root", directory])
    }

    /// Changes the working directory.
    #[must_use]
    pub fn directory(self, directory: impl AsRef<OsStr>) -> Self {
        self.add([OsStr::new("directory"), directory.as_ref()])
    }

    /// Adds a variable to the environment of the commands.
    #[must_use]
    pub fn variable(self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let mut variable = name.as_ref().to_owned();
        variable.push("=");
        variable.push(value);
        self.add([OsStr::new("variable"), &variable])
    }

    /// As whom the commands run.
    #[must_use]
    pub fn user(self, uid: u32, gid: u32, groups: &[u32]) -> Self {
        let ids = [uid, gid].into_iter().chain(groups.iter().copied()).map(|id| id.to_string());
        self.add(["user".to_owned()].into_iter().chain(ids))
    }

    /// Where `stream` of the commands is connected.
    #[must_use]
    pub fn stream(self, stream: Stream, sink: &Sink) -> Self {
        let step = match stream {
            Stream::Input => "stdin",
            Stream::Output => "stdout",
            Stream::Errors => "stderr",
        };
        self.add_sink(step, sink)
    }

    /// Makes a terminal pass on bytes unchanged.
    #[must_use]
    pub fn plain(self, device: &str) -> Self {
        self.add(["plain", device])
    }

    /// A terminal of this size for all three streams.
    #[must_use]
    pub fn terminal(self, device: &str, rows: u16, columns: u16) -> Self {
        self.add(["terminal", device, &rows.to_string(), &columns.to_string()])
    }

    /// Where signals for the command and sessions beside it come from.
    #[must_use]
    pub fn control(self, device: &str) -> Self {
        self.add(["control", device])
    }

    /// A terminal of this size, for a session beside the plan.
    #[must_use]
    pub fn window(self, rows: u16, columns: u16) -> Self {
        self.add(["window", &rows.to_string(), &columns.to_string()])
    }

    /// Reports that the guest has reached this step.
    #[must_use]
    pub fn ready(self) -> Self {
        self.add(["ready"])
    }

    /// Announces that the guest may be frozen here, and asks for a seed and the time.
    #[must_use]
    pub fn freeze(self, port: u16) -> Self {
        self.add(["freeze", &port.to_string()])
    }

    /// Runs the program at that path with these words as its arguments, beginning with its name.
    #[must_use]
    pub fn run<Word: AsRef<OsStr>>(
        self,
        program: impl AsRef<OsStr>,
        words: impl IntoIterator<Item = Word>,
    ) -> Self {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        let step = [OsStr::new("run"), program.as_ref()].map(OsStr::to_owned);
        self.add(step.into_iter().chain(words))
    }

    /// Copies all directories and files in `directory` out of the guest, as an archive on `disk`.
    #[must_use]
    pub fn pack(self, directory: &str, disk: &str) -> Self {
        self.add(["pack", directory, disk])
    }
}

/// A plan from the text of an earlier one.
impl From<String> for InitPlan {
    fn from(text: String) -> Self {
        Self { text }
    }
}

/// A line of what the first process reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The guest has reached the step `ready`.
    Ready,
    /// A command ended with this code.
    Exited(u8),
    /// A signal ended a command.
    Signaled(u8),
    /// A step failed, which ends the plan.
    Failed {
        /// Its number, counted from 1; 0 is the plan itself.
        step: usize,
        /// The error number of Linux.
        errno: i32,
    },
}

/// A line that is not a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoReport(pub String);

impl fmt::Display for NoReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is not a report of a guest's first process", self.0)
    }
}

impl std::error::Error for NoReport {}

impl FromStr for Report {
    type Err = NoReport;

    fn from_str(line: &str) -> Result<Self, NoReport> {
        let words: Vec<&str> = line.split(' ').collect();
        let report = match *words.as_slice() {
            ["ready"] => Some(Self::Ready),
            ["exit", code] => code.parse().ok().map(Self::Exited),
            ["signal", number] => number.parse().ok().map(Self::Signaled),
            ["failed", step, errno] => {
                let (step, errno) = (step.parse().ok(), errno.parse().ok());
                step.zip(errno).map(|(step, errno)| Self::Failed { step, errno })
            }
            _ => None,
        };
        report.ok_or_else(|| NoReport(line.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

    use proptest::prelude::*;

    use super::*;
    use crate::words::{MalformedWord, next_word};

    /// The words of every line, as the first process reads them.
    fn read(text: &str) -> Result<Vec<Vec<Vec<u8>>>, MalformedWord> {
        let mut text = text.as_bytes().to_vec();
        let mut lines = Vec::new();
        for mut line in text.split_inclusive_mut(|byte| *byte == b'\n') {
            let mut words = Vec::new();
            while let Some(word) = next_word(&mut line)? {
                words.push(word.to_bytes().to_vec());
            }
            lines.push(words);
        }
        Ok(lines)
    }

    #[test]
    fn steps_are_read_as_they_were_written() {
        let plan = InitPlan::new()
            .report(&Sink::Port(0xea))
            .mount("tmpfs", "tmp", "/tmp", "", &["nosuid", "nodev"])
            .stream(Stream::Output, &Sink::Device("/dev/ttyS0".into()))
            .variable("TEXT", "two words\n")
            .end(ShutdownMethod::Port(0x501));
        let expected: [&[&str]; 5] = [
            &["report", "port", "234"],
            &["mount", "tmpfs", "tmp", "/tmp", "", "nosuid", "nodev"],
            &["stdout", "device", "/dev/ttyS0"],
            &["variable", "TEXT=two words\n"],
            &["end", "port", "1281"],
        ];
        assert_eq!(
            read(plan.text()).unwrap(),
            expected
                .map(|line| line.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
        );
        assert_eq!(plan.step(4), Some("variable TEXT=two\\20words\\0a"));
        assert_eq!((plan.step(0), plan.step(6)), (None, None));
    }

    #[test]
    fn a_line_that_no_plan_has_is_refused() {
        for line in ["run", "run \\", "run \\4\n", "run \\zz\n", "run \\00\n"] {
            assert_eq!(read(line), Err(MalformedWord), "{line:?}");
        }
    }

    #[test]
    fn reports_are_lines() {
        assert_eq!("ready".parse(), Ok(Report::Ready));
        assert_eq!("exit 42".parse(), Ok(Report::Exited(42)));
        assert_eq!("signal 9".parse(), Ok(Report::Signaled(9)));
        assert_eq!("failed 3 2".parse(), Ok(Report::Failed { step: 3, errno: 2 }));
        for line in ["", "exit", "exit 256", "exit 1 2", "failed 1", "Kernel panic"] {
            assert!(line.parse::<Report>().is_err(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_words_without_nul_come_through(
            words in prop::collection::vec(prop::collection::vec(1u8.., 0..20), 0..8)
        ) {
            let given: Vec<OsString> = words.iter().cloned().map(OsString::from_vec).collect();
            let plan = InitPlan::new().run("/program", &given);
            let mut expected = vec![b"run".to_vec(), b"/program".to_vec()];
            expected.extend(words);
            prop_assert_eq!(read(plan.text()).unwrap(), [expected]);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[ -~\n\\\\]{0,60}") {
            let _ = read(&text);
        }
    }
}
