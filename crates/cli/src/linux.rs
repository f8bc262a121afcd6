//! The options of `isolab run --in linux`, and the machine that they describe.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::{Args, ValueEnum};
use container::network::{Link, PREFIX};
use microvm::{
    LinuxVm,
    devices::virtio::{
        disk::{Access, DiskFile},
        rate::Limit,
        tap::Tap,
    },
    kernels::{self, Kernel},
    linux::{Address, Card, EntryPoint, GuestRoot, OutputWay, command_line::CommandLine},
};
use sandbox::Limits;

use crate::{failure::Failure, stderr, units};

/// A guest that is not up by then never will be: ten times what a slow host needs.
const START_UP: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
#[command(next_help_heading = "Only for Linux guests")]
pub struct LinuxArguments {
    /// Kernel, a vmlinux or a vmlinuz [default: see `isolab kernel list`]
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Directory of the kernel's modules, or a root file system with them [default: by release]
    #[arg(long, value_name = "DIRECTORY")]
    modules: Option<PathBuf>,
    /// Initramfs to use instead of isolab's own; may be repeated. PROGRAM then runs as the first
    /// process
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    initrd: Vec<PathBuf>,
    /// Append to the kernel command line
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    append: Option<String>,
    /// Replace the whole kernel command line. Without `panic=-1` and `reboot=k` a guest whose kernel
    /// panics runs until its deadline
    #[arg(long, value_name = "WORDS", conflicts_with = "append", allow_hyphen_values = true)]
    cmdline: Option<String>,
    /// EntryMode point of the kernel
    #[arg(long, value_enum, value_name = "ENTRY")]
    entry: Option<EntryMode>,
    /// Show the kernel's console on standard error
    #[arg(long)]
    console: bool,
    /// A disk, /dev/vda and on: a raw image, or a disk of the host. With :ro it is only read. With :raw
    /// it is used byte for byte even if it looks like another format, as a file called .raw always is;
    /// with :ro,raw both. May be repeated
    #[arg(long, value_name = "FILE[:ro]")]
    disk: Vec<String>,
    /// A tap of the host's for its network card, made before by `ip tuntap add mode tap`
    #[arg(long, value_name = "LINK")]
    tap: Option<String>,
    /// Limit each disk to this many bytes per second: 10M
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    disk_bps: Option<u64>,
    /// Limit each disk to this many requests per second
    #[arg(long, value_name = "NUMBER", value_parser = units::count)]
    disk_iops: Option<u32>,
    /// Limit the network card to this many bytes per second, both directions together
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    net_bps: Option<u64>,
    /// How its output reaches the host
    #[arg(long, value_enum, value_name = "TRANSPORT")]
    output: Option<OutputTransport>,
    /// Add a virtio entropy device
    #[arg(long)]
    rng: bool,
    /// Ask the guest to give back this much memory once it has booted (virtio balloon)
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    balloon: Option<u64>,
    /// Timeout for reaching user space
    #[arg(long, value_name = "TIME", value_parser = units::deadline)]
    start_up: Option<Duration>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EntryMode {
    /// In 64 bits, Linux's own
    Long64,
    /// In 32 bits, PVH
    Pvh,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutputTransport {
    /// A virtio console port: paravirtualization, one VM exit per buffer
    Virtio,
    /// The serial port: full virtualization, several VM exits per byte
    Serial,
    /// Shared memory: passthrough, no VM exits
    Page,
}

impl LinuxArguments {
    /// Whether the first process is one that `--initrd` brings, and not isolab's.
    pub fn has_own_init(&self) -> bool {
        !self.initrd.is_empty()
    }

    /// The machine: `root` is a directory of the host's, and `link` leads to the host.
    pub fn machine(
        &self,
        limits: Limits,
        root: Option<GuestRoot>,
        link: Option<&Link>,
    ) -> Result<LinuxVm, Failure> {
        let vcpus = limits.vcpus.unwrap_or(1);
        if vcpus > 1 && env::var_os(nest::ICOUNT).is_some() {
            // Half of them never come up, and their time stands nearly still.
            let what = "a Linux guest whose host's clock counts instructions cannot have";
            return Err(Failure::refused(format!("{what} {vcpus} processors"))
                .help("give it one, or omit --icount of `isolab nest`"));
        }
        let host = thread::available_parallelism().map_or(1, usize::from);
        if vcpus as usize > host {
            stderr::remark(&format!(
                "isolab: {vcpus} virtual CPUs take turns on this host's {host}: a guest's processor may \
                 wait for\nanother that is not running\n"
            ));
        }
        let room = microvm::linux::memory_bytes(&limits);
        let kernel = kernel(self.kernel.as_deref(), self.modules.as_deref(), room)?;
        let root = match (root, &*self.initrd) {
            (Some(root), _) => root,
            (None, []) => GuestRoot::Command,
            (None, files) => GuestRoot::Initramfs(files.to_vec()),
        };
        let command_line = match (&self.append, &self.cmdline) {
            (_, Some(words)) => CommandLine::Exactly(words.clone()),
            (words, None) => CommandLine::Append(words.clone().unwrap_or_default()),
        };
        Ok(LinuxVm {
            limits,
            root,
            command_line,
            entry_point: match self.entry {
                Some(EntryMode::Pvh) => EntryPoint::Pvh,
                Some(EntryMode::Long64) | None => EntryPoint::Long64,
            },
            disks: self.disk.iter().map(|text| disk(text)).collect(),
            disk_limit: Limit { bytes: self.disk_bps, operations: self.disk_iops.map(u64::from) },
            network: self.network(link)?,
            network_limit: Limit { bytes: self.net_bps, operations: None },
            output_way: match self.output {
                None | Some(OutputTransport::Virtio) => OutputWay::Virtio,
                Some(OutputTransport::Serial) => OutputWay::Serial,
                Some(OutputTransport::Page) => OutputWay::Page,
            },
            rng: self.rng,
            balloon_bytes: self.balloon,
            show_console: self.console,
            start_up: Some(self.start_up.unwrap_or(START_UP)),
            ..LinuxVm::of(&kernel)
        })
    }

    /// A card on a link that is made for it, as a container's is, or on one that is there.
    fn network(&self, link: Option<&Link>) -> Result<Option<Card>, Failure> {
        if let Some(name) = &self.tap {
            return Ok(Some(Card {
                tap: Arc::new(Tap::open(name)?),
                mac: mac(name),
                address: None,
            }));
        }
        let Some(link) = link else { return Ok(None) };
        // It goes away with the file that this process holds, whatever ends it.
        let tap = Arc::new(Tap::create(&link.name)?);
        link.raise().map_err(sandbox::Error::from)?;
        let address = Address { inside: link.inside, prefix: PREFIX, gateway: link.host };
        Ok(Some(Card { tap, mac: mac(&link.name), address: Some(address) }))
    }
}

/// The kernel in a file, for a guest whose memory is `room`, or the chosen one, with its modules or
/// those in a folder.
pub fn kernel(file: Option<&Path>, modules: Option<&Path>, room: u64) -> Result<Kernel, Failure> {
    let kernel = match file {
        Some(file) => Kernel::of_file(file, room)?,
        None => kernels::chosen()?,
    };
    Ok(match modules {
        Some(folder) => kernel.with_modules(folder)?,
        None => kernel,
    })
}

/// Says beforehand that a guest's kernel will crawl, where there are signs of it and an experiment
/// agrees.
pub fn warn_if_interpreted() {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let assisted = flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    let interpreted =
        || microvm::flavour().is_ok_and(|flavour| flavour.interprets_ring0 == Some(true));
    if !assisted && interpreted() {
        stderr::remark(
            "isolab: this KVM has no hardware assistance and interprets a guest's kernel: a boot \
             takes many\nminutes. `isolab nest -- run --in linux ...` takes seconds.\n",
        );
    }
}

/// A disk as it was said: the file, and what is to be done with it. What are no options belongs to
/// the file's name.
fn disk(text: &str) -> DiskFile {
    let are_options = |words: &str| words.split(',').all(|word| matches!(word, "ro" | "raw"));
    let (file, options) =
        text.rsplit_once(':').filter(|(_, words)| are_options(words)).unwrap_or((text, ""));
    let has = |option| options.split(',').any(|word| word == option);
    let access = if has("ro") { Access::Read } else { Access::Write };
    DiskFile { path: file.into(), access, is_raw: has("raw") }
}

/// An address for a card that no other link of this host has: made from the link's name, and marked
/// as one that nobody has assigned.
fn mac(link: &str) -> [u8; 6] {
    use std::hash::{DefaultHasher, Hash, Hasher};
    const LOCAL: u8 = 2;
    const GROUP: u8 = 1;
    let mut hasher = DefaultHasher::new();
    link.hash(&mut hasher);
    let [first, rest @ ..] = hasher.finish().to_le_bytes();
    let [b, c, d, e, f, ..] = rest;
    [(first | LOCAL) & !GROUP, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disks_options_stand_behind_the_last_colon() {
        let parts = |text| {
            let DiskFile { path, access, is_raw } = disk(text);
            (path.display().to_string(), access == Access::Read, is_raw)
        };
        assert_eq!(parts("a.img"), ("a.img".into(), false, false));
        assert_eq!(parts("a.img:ro"), ("a.img".into(), true, false));
        assert_eq!(parts("a.img:raw"), ("a.img".into(), false, true));
        assert_eq!(parts("a:b:raw,ro"), ("a:b".into(), true, true));
        assert_eq!(parts("by-id:x"), ("by-id:x".into(), false, false));
    }
}
