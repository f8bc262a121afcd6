//! `isolab kernel`: the kernels for Linux guests.

use std::{
    io::{IsTerminal, stderr},
    ops::ControlFlow,
    path::Path,
    time::Duration,
};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use microvm::kernels::{self, Kernel, KernelCache, KernelsError, Progress};
use report::columns::shortened;
use serde_json::json;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{ansi::Ansi, failure::Failure, output, stderr};

/// Manage kernels for Linux guests: list, get, choose.
///
/// `isolab run --in linux` and `isolab nest` boot the chosen kernel, unless `--kernel FILE` names
/// another. None of this needs root.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List available kernels; the chosen one is marked with a star
    ///
    /// These are the host's own in /boot and /lib/modules, if readable, and those that `isolab
    /// kernel get` has stored in ~/.cache/isolab/kernels ($XDG_CACHE_HOME instead of ~/.cache, if
    /// set).
    List {
        /// Print as a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Download the distribution's newest kernel for virtual machines, with its modules
    ///
    /// The distribution's package manager (apt-get on Debian and Ubuntu) downloads and verifies it;
    /// it is unpacked into ~/.cache/isolab/kernels (about 200 MB). Nothing is installed.
    Get {
        /// Print the downloaded kernel as a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Choose the kernel for all guests from now on
    Use {
        /// Name, as shown by `isolab kernel list`
        name: String,
        /// Print the chosen kernel as a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Carries out one of them.
pub fn kernel(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Command::List { json } => list(*json),
        Command::Get { json } => get(*json),
        Command::Use { name, json } => {
            let kernel = kernels::select(name)?;
            match json {
                true => output::print_json(&as_json(&kernel, true))?,
                false => output::print(&format!("guests boot {} from now on\n", kernel.name))?,
            }
            Ok(0)
        }
    }
}

fn list(json: bool) -> Result<u8, Failure> {
    let cache = KernelCache::of_user()?;
    let kernels = cache.list();
    let chosen = cache.choice()?.or_else(|| Some(cache.usual()?.name));
    let is_chosen = |kernel: &Kernel| chosen.as_ref() == Some(&kernel.name);
    if json {
        let kernels = kernels.iter().map(|kernel| as_json(kernel, is_chosen(kernel)));
        output::print_json(&kernels.collect())?;
        return Ok(0);
    }
    if kernels.is_empty() {
        stderr::remark(
            "this host has no readable kernel\n  help: `isolab kernel get` downloads one\n",
        );
        return Ok(0);
    }
    output::print(&table(&kernels, is_chosen, Ansi::of_output()))?;
    if let Some(name) = chosen.as_ref().filter(|_| !kernels.iter().any(is_chosen)) {
        stderr::remark(&format!("the chosen kernel {name:?} no longer exists\n"));
    }
    Ok(0)
}

fn as_json(kernel: &Kernel, chosen: bool) -> serde_json::Value {
    json!({
        "name": kernel.name,
        "chosen": chosen,
        "image": kernel.image,
        "vmlinux": kernel.vmlinux,
        "unpacked": kernel.vmlinux.is_file(),
        "modules": kernel.modules,
    })
}

fn table(kernels: &[Kernel], is_chosen: impl Fn(&Kernel) -> bool, ansi: Ansi) -> String {
    let longest = kernels.iter().map(|kernel| kernel.name.chars().count()).max().unwrap_or(0);
    let width = longest.clamp(4, 32);
    let head = format!("  {:<width$}  MODULES  IMAGE", "NAME");
    let mut text = format!("{}\n", ansi.bold(&head));
    for kernel in kernels {
        text += &format!(
            "{} {:<width$}  {:<7}  {}\n",
            if is_chosen(kernel) { '*' } else { ' ' },
            shortened(&kernel.name, width),
            if kernel.modules.is_some() { "yes" } else { "no" },
            end_of(&kernel.image, 79 - width - 13),
        );
    }
    text
}

/// A path, or as much of its end as fits into `width` characters.
fn end_of(path: &Path, width: usize) -> String {
    let text = path.display().to_string();
    let length = text.chars().count();
    match length <= width {
        true => text,
        false => ['…'].into_iter().chain(text.chars().skip(length - width + 1)).collect(),
    }
}

fn get(json: bool) -> Result<u8, Failure> {
    // Told to end, it ends the download and leaves nothing.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(Failure::at("set the handlers of signals"))?;
    let mut ended_by = None;
    let mut already_there = false;
    let mut shown = Shown::new();
    let got = kernels::get(&mut |progress| {
        already_there |= matches!(progress, Progress::AlreadyThere { .. });
        shown.show(progress);
        ended_by = ended_by.or_else(|| signals.pending().next());
        match ended_by {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    });
    drop(shown);
    // A signal from the terminal ends the client too, which may get it first.
    let ended_by = ended_by.or_else(|| signals.pending().next());
    let kernel = match (got, ended_by) {
        (Err(_), Some(signal)) => {
            let mut failure = Failure::from(microvm::Error::from(KernelsError::Interrupted));
            // As a shell counts a program that was ended by a signal.
            failure.code = 128 + signal as u8;
            return Err(failure);
        }
        (got, _) => got?,
    };
    if json {
        let chosen = kernels::chosen().is_ok_and(|chosen| chosen == kernel);
        output::print_json(&as_json(&kernel, chosen))?;
        return Ok(0);
    }
    let news = if already_there { "was there already, and is the newest" } else { "is there" };
    output::print(&format!("the kernel {} {news}\n", kernel.name))?;
    Ok(0)
}

/// Progress on standard error: a line that changes on a terminal, a line for each step elsewhere.
struct Shown {
    bar: Option<ProgressBar>,
    last: String,
}

impl Shown {
    fn new() -> Self {
        Self { bar: stderr().is_terminal().then(ProgressBar::no_length), last: String::new() }
    }

    fn show(&mut self, progress: Progress<'_>) {
        let text = match progress {
            Progress::Waiting => "waiting for another isolab that is getting a kernel".into(),
            Progress::Asking => "asking apt which kernel there is".into(),
            Progress::Downloading { kernel, .. } => format!("downloading {kernel}"),
            Progress::Unpacking { kernel } => format!("unpacking {kernel}"),
            Progress::AlreadyThere { .. } => return,
        };
        let is_new = self.last != text;
        let Some(bar) = &self.bar else {
            if is_new {
                stderr::remark(&format!("{text}\n"));
                self.last = text;
            }
            return;
        };
        if is_new {
            bar.set_style(style(matches!(progress, Progress::Downloading { .. })));
            bar.set_message(text.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            self.last = text;
        }
        if let Progress::Downloading { bytes, total, .. } = progress {
            bar.set_length(total);
            bar.set_position(bytes);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(with_bytes: bool) -> ProgressStyle {
    let template = match with_bytes {
        true => "{bar:24} {bytes:>9} of {total_bytes}  {msg}",
        false => "{spinner} {msg}",
    };
    ProgressStyle::with_template(template).expect("the templates are well formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_80_columns_and_marks_the_chosen() {
        let kernel = |name: &str| Kernel {
            name: name.into(),
            image: format!("/home/somebody/with-a-long-name/.cache/isolab/kernels/{name}/vmlinuz")
                .into(),
            vmlinux: "/tmp/vmlinux".into(),
            modules: None,
        };
        let kernels = [kernel("6.1.0-56-cloud-amd64"), kernel(&"x".repeat(60))];
        let text = table(&kernels, |kernel| kernel.name.starts_with('6'), Ansi::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
        assert!(text.contains("\n* 6.1.0-56-cloud-amd64 "), "{text}");
        assert!(text.contains("…") && text.ends_with("/vmlinuz\n"), "{text}");
    }
}
