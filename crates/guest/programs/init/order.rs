//! What a session runs: lines as in a plan, `directory`, `variable`, `window ROWS COLUMNS` for a
//! terminal, and last `run PROGRAM WORD...`.

use core::ffi::CStr;

use crate::{
    calls::{self, Errno, Result},
    files, number, pages,
    user::{Setting, User},
    words,
};

/// The order, as null-terminated lists of addresses.
pub struct Order {
    /// The program's path, and the words of its command line.
    pub words: &'static mut [usize],
    /// Its environment.
    pub environment: &'static mut [usize],
    /// The rows and columns of its terminal, if it gets one.
    pub window: Option<[usize; 2]>,
    directory: Option<usize>,
}

impl Order {
    /// Parses `text`, which must stay unchanged until the program runs. Variables are added to
    /// those of the plan's commands, or replace those of the same name.
    pub fn read(text: &mut [u8], environment: &[usize]) -> Result<Self> {
        let room = text.len() + 2;
        let inherited = environment.iter().take_while(|variable| **variable != 0).count();
        let mut order = Self {
            words: pages::list(room)?,
            environment: pages::list(room + inherited)?,
            window: None,
            directory: None,
        };
        for (to, from) in order.environment.iter_mut().zip(environment) {
            *to = *from;
        }
        let read = order.read_lines(text, inherited).and_then(|()| order.find());
        match read {
            Ok(()) => Ok(order),
            Err(errno) => {
                order.forget();
                Err(errno)
            }
        }
    }

    fn read_lines(&mut self, text: &mut [u8], mut variables: usize) -> Result<()> {
        for mut line in text.split_inclusive_mut(|byte| *byte == b'\n') {
            let mut next = || words::next_word(&mut line).map_err(|_| Errno::MALFORMED);
            match next()?.ok_or(Errno::MALFORMED)?.to_bytes() {
                b"directory" => {
                    self.directory = Some(next()?.ok_or(Errno::MALFORMED)?.as_ptr() as usize);
                }
                b"variable" => {
                    let variable = next()?.ok_or(Errno::MALFORMED)?;
                    let known = self.environment.iter().take(variables);
                    let same = known.into_iter().position(|it| name(*it) == name_of(variable));
                    let place = same.unwrap_or(variables);
                    variables += usize::from(same.is_none());
                    let place = self.environment.get_mut(place).ok_or(Errno::TOO_MANY_WORDS)?;
                    *place = variable.as_ptr() as usize;
                }
                b"window" => {
                    let mut side = || number(next()?.ok_or(Errno::MALFORMED)?.to_bytes());
                    self.window = Some([side()?, side()?]);
                }
                b"run" => {
                    for place in &mut *self.words {
                        let Some(word) = next()? else { break };
                        *place = word.as_ptr() as usize;
                    }
                }
                _ => return Err(Errno::UNKNOWN_STEP),
            }
        }
        Ok(())
    }

    /// Searches PATH for a program without a slash (execvp(3)).
    fn find(&mut self) -> Result<()> {
        let program = match self.words.first() {
            None | Some(0) => return Err(Errno::MALFORMED),
            Some(program) => text_at(*program),
        };
        if program.to_bytes().contains(&b'/') {
            return Ok(());
        }
        let variables = self.environment.iter().take_while(|variable| **variable != 0);
        let mut values = variables.filter_map(|it| text_at(*it).to_bytes().strip_prefix(b"PATH="));
        let path = values.next().unwrap_or(b"/bin:/usr/bin");
        const LONGEST: usize = 4096;
        let place = pages::list(LONGEST / size_of::<usize>())?;
        for directory in path.split(|byte| *byte == b':') {
            let parts = [directory, b"/", program.to_bytes_with_nul()];
            let count = parts.iter().map(|part| part.len()).sum::<usize>();
            if directory.is_empty() || count > LONGEST {
                continue;
            }
            let bytes = pages::bytes_of(place);
            for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
                *to = *from;
            }
            if let Ok(found) = CStr::from_bytes_until_nul(bytes)
                && files::is_program(found)
            {
                // This memory is never freed: one page for each such session.
                self.words[0] = found.as_ptr() as usize;
                return Ok(());
            }
        }
        pages::forget(place);
        Err(Errno::NOT_THERE)
    }

    /// Changes to its directory; returns the previous one, open.
    pub fn enter(&self) -> Result<usize> {
        let before = calls::open_to_read(c".")?;
        let entered = match self.directory {
            Some(directory) => files::change_directory(text_at(directory)),
            None => Ok(()),
        };
        if entered.is_err() {
            calls::close(before);
        }
        entered.map(|()| before)
    }

    /// Its environment, for a program of `user`.
    pub fn setting(&self, user: User) -> Setting<'_> {
        Setting { environment: self.environment, user }
    }

    /// Frees its lists.
    pub fn forget(self) {
        pages::forget(self.words);
        pages::forget(self.environment);
    }
}

/// The name of a variable at this address.
fn name(variable: usize) -> &'static [u8] {
    name_of(text_at(variable))
}

fn name_of(variable: &CStr) -> &[u8] {
    variable.to_bytes().split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// The text at an address that was stored before.
fn text_at(address: usize) -> &'static CStr {
    // SAFETY: the lists hold only addresses of words that `next_word` has ended by a NUL, in memory
    // of the plan or of this session's order, none of which is unmapped or changed before the lists
    // are freed.
    unsafe { CStr::from_ptr(address as *const core::ffi::c_char) }
}
