//! Question 3 on the command line of `isolab run`: what does a container find inside?
//!
//! The grammars are Docker's: `-v` in [`volume`], `--mount` in [`mount`], `--device` in [`device`].
//! All of them end up as the mounts and devices of a [`container::Spec`]; those of a Linux guest as
//! directories that it reads, in [`share`].

mod device;
mod mount;
mod path;
mod share;
pub(super) mod tmpfs;
mod userns;
mod volume;

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};
use container::{Mount, Spec};
use microvm::linux::Share;

use crate::failure::Failure;
use device::HostDevice;
pub(super) use path::split;
use userns::UserNamespace;

#[derive(Debug, Args)]
#[command(next_help_heading = "What a container finds inside")]
pub(super) struct MountArguments {
    /// Bind mount a file or directory of the host. SOURCE is absolute or begins with ./ or ../;
    /// a colon in it is written \:. OPTIONS are ro, rw, noexec, dev, suid; z and Z are accepted and
    /// have no effect. A Linux guest takes directories, with ro. May be repeated
    #[arg(short = 'v', long = "volume", value_name = "SOURCE:DESTINATION[:OPTIONS]",
        value_parser = os(volume::parse))]
    volumes: Vec<Mount>,
    /// Mount by key=value fields, such as type=bind,src=/a,dst=/b,readonly or
    /// type=tmpfs,dst=/c,tmpfs-size=64m,tmpfs-mode=1777. May be repeated
    #[arg(long = "mount", value_name = "FIELDS", value_parser = os(mount::parse))]
    mounts: Vec<Mount>,
    /// Mount a tmpfs, such as /run or /run:size=64m,mode=755,exec. May be
    /// repeated
    #[arg(long, value_name = "DESTINATION[:OPTIONS]", value_parser = os(tmpfs::parse))]
    tmpfs: Vec<Mount>,
    /// Mount its root file system read-only; volumes and other mounts stay writable
    #[arg(long)]
    read_only: bool,
    /// Give it access to a device of the host. PERMISSIONS are r, w and m (mknod) [default: rwm]. May be
    /// repeated
    #[arg(long = "device", value_name = "DEVICE[:PATH[:PERMISSIONS]]",
        value_parser = os(device::parse))]
    devices: Vec<HostDevice>,
    /// User namespace: host, auto (a range of unused ids) or keep-id (the caller's id)
    /// [default: host for root, else a user namespace in which the caller is root]
    #[arg(long, value_enum, value_name = "USERS")]
    userns: Option<UserNamespace>,
}

/// A parser of words in which any byte may be.
fn os<T: Clone + Send + Sync + 'static>(
    parse: fn(&OsStr) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(move |text: OsString| parse(&text))
}

impl MountArguments {
    /// Adds them to what a container has without options.
    pub(super) fn apply(&self, spec: &mut Spec) -> Result<(), Failure> {
        spec.inside.read_only |= self.read_only;
        self.userns.map_or(Ok(()), |users| users.apply(spec))?;
        self.add_mounts(spec)?;
        self.devices.iter().try_for_each(|device| device.add(spec))
    }

    /// The directories that a Linux guest is to read.
    pub(super) fn shares(&self) -> Result<Vec<Share>, Failure> {
        self.asked()?.into_iter().map(share::of).collect()
    }

    /// What lies deeper is mounted later, whatever the order of the options.
    fn asked(&self) -> Result<Vec<&Mount>, Failure> {
        let all = self.volumes.iter().chain(&self.mounts).chain(&self.tmpfs);
        let mut asked: Vec<&Mount> = all.collect();
        asked.sort_by_key(|mount| mount.destination.components().count());
        for (index, mount) in asked.iter().enumerate() {
            let destination = &mount.destination;
            if asked[..index].iter().any(|earlier| earlier.destination == *destination) {
                return Err(Failure::usage(format!("two mounts at {}", destination.display()))
                    .help("give each a destination of its own"));
            }
        }
        Ok(asked)
    }

    /// A mount at the place of one that every container has takes its place.
    fn add_mounts(&self, spec: &mut Spec) -> Result<(), Failure> {
        for mount in self.asked()? {
            let destination = &mount.destination;
            spec.inside.mounts.retain(|usual| usual.destination != *destination);
            if destination == Path::new("/dev") {
                // It brings its own nodes, as in other runtimes.
                spec.inside.devices.clear();
            }
            spec.inside.mounts.push(mount.clone());
        }
        Ok(())
    }
}
