//! The command line: `isolab-supervisor FLAGS LOGSIZE LOGFILES WORD...`, with the words of the
//! launcher. `engine::supervisor::start` writes it.

use core::ffi::{CStr, c_char};

/// The words on the initial stack: argc, argv, null, the environment, null (System V ABI, "Initial
/// Stack and Register State").
#[derive(Clone, Copy)]
pub struct Arguments(*const usize);

/// What the container's streams are.
#[derive(Clone, Copy)]
pub struct Options {
    /// Standard input stays open; otherwise it is empty.
    pub has_input: bool,
    /// It is closed when the first client that is attached to it has no more.
    pub is_input_closed_once: bool,
    /// The streams are a terminal, which the launcher sends.
    pub has_terminal: bool,
    /// How large the log may become; `None` means no log.
    pub log: Option<LogLimits>,
}

/// How large a log may become.
#[derive(Clone, Copy)]
pub struct LogLimits {
    /// A file of at least so many bytes is replaced by a new one; 0 means never.
    pub bytes: u64,
    /// How many files there are, the newest included.
    pub files: u64,
}

impl Arguments {
    /// How many words there are before those of the launcher.
    const OWN: usize = 4;

    /// # Safety
    ///
    /// `stack` is the stack pointer with which the kernel has started this program.
    pub unsafe fn new(stack: *const usize) -> Self {
        Self(stack)
    }

    /// What the first words ask for; `None` if some are missing.
    pub fn options(self) -> Option<Options> {
        if self.word(0) <= Self::OWN {
            return None;
        }
        let [flags, bytes, files] = [1, 2, 3].map(|index| self.text(index));
        let has = |flag: u8| flags.contains(&flag);
        let log = LogLimits { bytes: number(bytes), files: number(files) };
        Some(Options {
            has_input: has(b'i'),
            is_input_closed_once: has(b'1'),
            has_terminal: has(b't'),
            log: has(b'l').then_some(log),
        })
    }

    /// The address of the launcher's words, which a null ends.
    pub fn launcher_words(self) -> usize {
        self.0.wrapping_add(1 + Self::OWN) as usize
    }

    /// The address of the environment, which a null ends.
    pub fn environment(self) -> usize {
        self.0.wrapping_add(2 + self.word(0)) as usize
    }

    fn word(self, index: usize) -> usize {
        // SAFETY: the kernel has put argc there, and behind it as many words as it says; no caller
        // asks for more.
        unsafe { self.0.add(index).read() }
    }

    fn text(self, index: usize) -> &'static [u8] {
        // SAFETY: the kernel ends every argument with a NUL, and nothing changes them.
        unsafe { CStr::from_ptr(self.word(1 + index) as *const c_char) }.to_bytes()
    }
}

fn number(digits: &[u8]) -> u64 {
    let append = |number: u64, digit: &u8| {
        number.saturating_mul(10).saturating_add(digit.wrapping_sub(b'0').into())
    };
    digits.iter().fold(0, append)
}
