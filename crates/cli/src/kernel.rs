//! `isolab kernel`: the kernels for Linux guests, and the disk of a whole distribution.

mod distribution;
mod shown;

use std::{ops::ControlFlow, path::Path};

use clap::{Args, Subcommand};
use microvm::kernels::{self, Kernel, KernelCache, KernelsError, Progress};
use report::columns::shortened;
use serde_json::json;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use self::shown::Shown;
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
        /// Make the disk of a whole distribution instead, for the peers qemu-kvm-login and
        /// qemu-tcg-login of `isolab compare`, which boot it to its login prompt
        ///
        /// mmdebstrap installs it from the sources of this host's apt into
        /// ~/.cache/isolab/distribution (about 500 MB), in place of an older one. Remove that
        /// directory to be rid of it.
        #[arg(long)]
        distribution: bool,
        /// Print what is there now as a JSON object
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
        Command::Get { distribution: true, json } => distribution::make(*json),
        Command::Get { json, .. } => get(*json),
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
    let mut already_there = false;
    let kernel = interruptible(|shown, interruption| {
        let got = kernels::get(&mut |progress| {
            already_there |= matches!(progress, Progress::AlreadyThere { .. });
            show(shown, progress);
            interruption.check()
        });
        got.map_err(|error| match interruption.check() {
            ControlFlow::Break(()) => microvm::Error::from(KernelsError::Interrupted).into(),
            ControlFlow::Continue(()) => error.into(),
        })
    })?;
    if json {
        let chosen = kernels::chosen().is_ok_and(|chosen| chosen == kernel);
        output::print_json(&as_json(&kernel, chosen))?;
        return Ok(0);
    }
    let news = if already_there { "was there already, and is the newest" } else { "is there" };
    output::print(&format!("the kernel {} {news}\n", kernel.name))?;
    Ok(0)
}

fn show(shown: &mut Shown, progress: Progress<'_>) {
    let text = match progress {
        Progress::Waiting => "waiting for another isolab that is getting a kernel".into(),
        Progress::Asking => "asking apt which kernel there is".into(),
        Progress::Downloading { kernel, bytes, total } => {
            return shown.show_bytes(&format!("downloading {kernel}"), bytes, total);
        }
        Progress::Unpacking { kernel } => format!("unpacking {kernel}"),
        Progress::AlreadyThere { .. } => return,
    };
    shown.show(&text);
}

/// Whether this process was told to end: then it ends what it is doing, and leaves nothing.
struct Interruption {
    signals: Signals,
    signal: Option<i32>,
}

impl Interruption {
    /// Breaks off once a signal has come.
    fn check(&mut self) -> ControlFlow<()> {
        self.signal = self.signal.or_else(|| self.signals.pending().next());
        match self.signal {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    }
}

/// Does what takes minutes, shows its progress, and gives an interruption the exit code that a shell
/// gives it.
fn interruptible<T>(
    action: impl FnOnce(&mut Shown, &mut Interruption) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let signals = signals.map_err(Failure::at("set the handlers of signals"))?;
    let mut interruption = Interruption { signals, signal: None };
    let mut shown = Shown::new();
    let done = action(&mut shown, &mut interruption);
    drop(shown);
    done.map_err(|failure| match interruption.signal {
        Some(signal) => failure.code(128 + signal as u8),
        None => failure,
    })
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
