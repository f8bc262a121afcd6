//! What is shown while it is measured: a bar on a terminal, a line for each part elsewhere.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of the whole comparison.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of so many milliseconds, roughly.
    pub fn new(milliseconds: u64) -> Self {
        if !stderr().is_terminal() {
            return Self { bar: None };
        }
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}")
            .expect("the template is well formed");
        Self { bar: Some(ProgressBar::new(milliseconds).with_style(style)) }
    }

    /// A process begins.
    pub fn begin(&self, title: &str, process: u32, processes: u32) {
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

    /// So many of the milliseconds are over.
    pub fn advance(&self, milliseconds: u64) {
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
