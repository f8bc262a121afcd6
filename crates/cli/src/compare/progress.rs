//! What is shown while it is measured: a bar on a terminal, a line for each part elsewhere.

use std::{
    env,
    io::{self, IsTerminal, stderr},
    process::Command,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use measure::{Caller, MeasureOptions, Part};

use super::measure::words;

/// The progress of the whole comparison.
pub struct Progress {
    /// `None` where standard error is not a terminal.
    bar: Option<ProgressBar>,
    began: Instant,
    /// How long all of it should take, and how much of that is over.
    expected: Duration,
    done: Duration,
}

impl Default for Progress {
    fn default() -> Self {
        let (expected, done) = (Duration::ZERO, Duration::ZERO);
        Self { bar: None, began: Instant::now(), expected, done }
    }
}

impl Progress {
    /// How much longer it takes, in words: the rest of what was expected, at the speed until now.
    fn left(&self) -> String {
        let slower = match self.done.as_secs_f64() {
            // So little says nothing about the speed.
            done if done < 5.0 => 1.0,
            done => (self.began.elapsed().as_secs_f64() / done).clamp(0.5, 10.0),
        };
        let left = self.expected.saturating_sub(self.done).as_secs_f64() * slower;
        match left {
            left if left < 60.0 => format!("about {:.0} s left", left.max(1.0)),
            left => format!("about {:.0} min left", (left / 60.0).ceil()),
        }
    }
}

impl Caller for Progress {
    fn command(&self, options: &MeasureOptions) -> io::Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.args(words(options));
        Ok(command)
    }

    fn expects(&mut self, milliseconds: u64) {
        self.began = Instant::now();
        self.expected = Duration::from_millis(milliseconds);
        let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {prefix}  {msg}")
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
            Some(bar) => {
                bar.set_prefix(self.left());
                bar.set_message(text);
            }
            None if process == 0 => eprintln!("measuring {title} ({})", self.left()),
            None => {}
        }
    }

    fn advances(&mut self, milliseconds: u64) {
        self.done += Duration::from_millis(milliseconds);
        if let Some(bar) = &self.bar {
            bar.set_prefix(self.left());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_said_at_the_speed_until_now() {
        let mut progress = Progress::default();
        progress.expects(100_000);
        assert_eq!(progress.left(), "about 2 min left");
        progress.advances(50_000);
        progress.began = Instant::now().checked_sub(Duration::from_secs(200)).unwrap();
        assert_eq!(progress.left(), "about 4 min left");
        progress.advances(49_900);
        assert!(progress.left().ends_with(" s left"));
    }
}
