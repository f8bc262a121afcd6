//! What is shown while it is measured: a bar on a terminal, a line for each part elsewhere.

use std::{
    env,
    io::{self, IsTerminal, stderr},
    process::Command,
};

use indicatif::{ProgressBar, ProgressStyle};
use measure::{Caller, MeasureOptions, Part};

use super::measure::words;

/// The progress of the whole comparison.
#[derive(Default)]
pub struct Progress {
    /// `None` where standard error is not a terminal.
    bar: Option<ProgressBar>,
}

impl Caller for Progress {
    fn command(&self, options: &MeasureOptions) -> io::Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.args(words(options));
        Ok(command)
    }

    fn expects(&mut self, milliseconds: u64) {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}")
            .expect("the template is valid");
        let bar = || ProgressBar::new(milliseconds).with_style(style);
        self.bar = stderr().is_terminal().then(bar);
    }

    fn begins(&mut self, part: Part, process: u32, processes: u32) {
        let title = part.title();
        let text = match processes {
            1 => title.to_owned(),
            _ => format!("{title}, process {} of {processes}", process + 1),
        };
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if process == 0 => eprintln!("measuring {title}"),
            None => {}
        }
    }

    fn advances(&mut self, milliseconds: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(milliseconds);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
