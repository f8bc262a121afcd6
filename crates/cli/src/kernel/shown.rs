//! Progress on standard error: a line that changes on a terminal, a line for each step elsewhere.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::stderr;

/// What is shown of an action in steps; it is gone with this.
pub(super) struct Shown {
    bar: Option<ProgressBar>,
    last: String,
}

impl Shown {
    pub(super) fn new() -> Self {
        Self { bar: stderr().is_terminal().then(ProgressBar::no_length), last: String::new() }
    }

    /// Shows a step of which nobody knows how much is done.
    pub(super) fn show(&mut self, text: &str) {
        self.show_step(text, "{spinner} {msg}");
    }

    /// Shows a step of which so many bytes are done.
    pub(super) fn show_bytes(&mut self, text: &str, bytes: u64, total: u64) {
        self.show_step(text, "{bar:24} {bytes:>9} of {total_bytes}  {msg}");
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(bytes);
        }
    }

    fn show_step(&mut self, text: &str, template: &str) {
        if self.last == text {
            return;
        }
        text.clone_into(&mut self.last);
        let Some(bar) = &self.bar else {
            return stderr::remark(&format!("{text}\n"));
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.expect("the templates are well formed"));
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
