//! Why a microVM could not be built or run.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use sandbox::KvmCall;

use crate::{
    NAME,
    cell::Breach,
    device_access,
    devices::virtio::{
        disk::{Access, DiskError},
        tap::TapError,
    },
    elf::ElfError,
    fault::GuestFault,
    initramfs::InitramfsError,
    kernel::KernelError,
    kernels::KernelsError,
    linux::{GuestFailure, RootDiskError},
    snapshot::SnapshotError,
};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A step that failed, with its operands.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device could not be opened.
    #[error("open {device:?}")]
    Open {
        /// The device.
        device: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The device is not KVM's, or KVM speaks another language.
    #[error("{device:?} is not KVM: it answers KVM_GET_API_VERSION with {version}, not 12")]
    NotKvm {
        /// The device.
        device: PathBuf,
        /// What it answered.
        version: i32,
    },
    /// A request to KVM was refused.
    #[error("{call}")]
    Kvm {
        /// The request.
        call: KvmCall,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A system call that is none of KVM's failed.
    #[error("{call}")]
    System {
        /// The call and its object.
        call: Cow<'static, str>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Guest memory was asked for beyond its end.
    #[error("{what} of {bytes} bytes at {address:#x} is outside the guest's memory")]
    OutsideMemory {
        /// What does.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// Where it begins.
        address: u64,
    },
    /// A limit or a workload that no microVM can keep.
    #[error("a microvm cannot {what}")]
    Unsupported {
        /// What it cannot.
        what: String,
        /// Which way to go instead.
        fix: String,
    },
    /// The limits make no sense.
    #[error("the limits cannot be enforced")]
    Limits(#[from] sandbox::LimitsError),
    /// There is no such file.
    #[error("program {program:?} not found")]
    NotFound {
        /// The file.
        program: PathBuf,
    },
    /// The file could not be read.
    #[error("read {program:?}")]
    Read {
        /// The file.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no program for a microVM.
    #[error("load {program:?}")]
    Load {
        /// The file.
        program: PathBuf,
        /// Why.
        #[source]
        source: ElfError,
    },
    /// The file is no kernel that can be booted.
    #[error("read the kernel {file:?}")]
    Kernel {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KernelError,
    },
    /// The file is no disk for a guest, or not now.
    #[error("use {file:?} as a disk")]
    Disk {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: DiskError,
    },
    /// A directory could not be made a disk.
    #[error("make a disk of the directory {tree:?}, which is too large for the guest's memory")]
    RootDisk {
        /// The directory.
        tree: PathBuf,
        /// With this much memory it would need no disk, if any is enough.
        enough_memory: Option<u64>,
        /// Why.
        #[source]
        source: RootDiskError,
    },
    /// The directory cannot be shared with a guest.
    #[error("share the directory {directory:?} with the guest")]
    Share {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The network link cannot be had.
    #[error("open the tap {name:?}")]
    Tap {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: TapError,
    },
    /// A Linux guest came to an end that it should not have.
    #[error(transparent)]
    GuestFailure(#[from] GuestFailure),
    /// The initramfs could not be made.
    #[error(transparent)]
    Initramfs(#[from] InitramfsError),
    /// There is no kernel for a guest, or none of its modules.
    #[error(transparent)]
    Kernels(#[from] KernelsError),
    /// A guest could not be saved, or a snapshot not be restored.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The kernel refused a step into the cell of the VMM's threads.
    #[error("close the cell of the VMM: {call}")]
    Cell {
        /// The call.
        call: Cow<'static, str>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread of the VMM asked for what its cell refuses.
    #[error("{0}: either the guest broke into the VMM or isolab has a bug; the guest was killed")]
    Breach(Breach),
    /// The guest broke off in a way that no program ends.
    #[error(transparent)]
    Fault(#[from] GuestFault),
}

impl Error {
    /// A refused request to KVM; for `map_err`.
    pub(crate) fn kvm(name: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Error {
        move |errno| Error::Kvm { call: KvmCall::new(name, ""), source: errno.into() }
    }

    /// A failed system call; for `map_err`.
    pub(crate) fn system<E: Into<io::Error>>(
        call: impl Into<Cow<'static, str>>,
    ) -> impl FnOnce(E) -> Error {
        move |errno| Error::System { call: call.into(), source: errno.into() }
    }

    /// What to do about it, where that is known.
    pub fn fix(&self) -> Option<String> {
        let text = match self {
            Self::Open { device, source } => match source.kind() {
                io::ErrorKind::NotFound => {
                    "load KVM (`sudo modprobe kvm_intel` or `kvm_amd`); if that is refused, switch on \
                     VT-x or AMD-V in the firmware, or nested virtualization where this host is \
                     itself a virtual machine; until then `--in container` needs no KVM"
                }
                io::ErrorKind::PermissionDenied => {
                    return Some(device_access::how_to_get_access(device));
                }
                _ => {
                    "check that the device is KVM's: `ls -l /dev/kvm` shows `crw-rw---- root kvm 10, 232`"
                }
            },
            Self::NotKvm { .. } => {
                "use KVM's own device: `ls -l /dev/kvm` shows `crw-rw---- root kvm 10, 232`"
            }
            Self::Kvm { call, source } if call.name == "KVM_CREATE_VM" => {
                match source.raw_os_error() {
                    Some(libc::EBUSY) => {
                        "another hypervisor holds the processor's virtualization: stop it"
                    }
                    Some(libc::EMFILE | libc::ENFILE) => {
                        "raise the limit of open files: `ulimit -n`"
                    }
                    _ => return None,
                }
            }
            Self::Kernel { source: KernelError::WrongChecksum, .. } => {
                "get the file again; if it was changed on purpose, use the vmlinux that the kernel's \
                 scripts/extract-vmlinux extracts from it"
            }
            Self::Kvm { call, source }
                if call.name == "KVM_SET_USER_MEMORY_REGION"
                    && source.raw_os_error() == Some(libc::EINVAL) =>
            {
                "give the guest less memory: this KVM cannot address so much (`--memory`)"
            }
            Self::Kernel { source: KernelError::NoRoom { .. }, .. } => {
                "give the guest more memory (`--memory`) if you trust this kernel; else use \
                 a distribution's (/boot/vmlinuz-*), or get one: `isolab kernel get`"
            }
            Self::Kernel { .. } => {
                "use a distribution's kernel for x86-64 (/boot/vmlinuz-*), or get one: \
                 `isolab kernel get`"
            }
            Self::Kernels(error) => return error.fix(),
            Self::GuestFailure(failure) => return failure.fix(),
            Self::Snapshot(error) => return error.fix(),
            Self::Disk { file, source } => match source {
                DiskError::InUse => {
                    "stop the other guest (`isolab ps` lists them), let both only read it, or give \
                     each a copy"
                }
                DiskError::Size { bytes: 0 } => "give it a size: `truncate -s 1G FILE`",
                DiskError::Size { .. } => "round it up: `truncate -s %512 FILE`",
                DiskError::NoDisk => "make one: `truncate -s 1G FILE`",
                DiskError::NotRaw(format) => {
                    return Some(format!(
                        "convert it to a raw image: `{}`; if it is a raw disk and a guest wrote \
                         that content: `--disk {}:raw`",
                        format.conversion(file),
                        file.display()
                    ));
                }
                DiskError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                    "make one: `truncate -s 1G FILE`"
                }
                DiskError::Open { access: Access::Write, source }
                    if matches!(
                        source.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                    ) =>
                {
                    "let the guest only read it, `--disk FILE:ro`, or give it a copy that you may \
                     write"
                }
                DiskError::Open { .. } | DiskError::Lock(_) => return None,
            },
            Self::RootDisk { enough_memory, source, .. } => {
                const INSTALL: &str = "install e2fsprogs (`sudo apt-get install e2fsprogs`; for a \
                                       nest, on the host that it runs on)";
                let memory = enough_memory.map(|enough| {
                    let enough = enough >> 20;
                    format!("give the guest `--memory {enough}M`, so that no disk is needed")
                });
                return match (source, memory) {
                    (RootDiskError::Failed(_) | RootDiskError::Layers(_), memory) => memory,
                    (_, Some(memory)) => Some(format!("{INSTALL}, or {memory}")),
                    (_, None) => Some(INSTALL.into()),
                };
            }
            Self::Tap { name, source } => return source.fix(name),
            Self::Share { source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
                "share the directory that it is in, or copy it into the guest's root: `--root`"
            }
            Self::Cell { call, source }
                if call == "seccomp" && source.raw_os_error() == Some(libc::EINVAL) =>
            {
                "use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER), as all distributions have"
            }
            Self::Breach(_) => "keep the guest's files and report it",
            Self::Kvm { source, .. } | Self::System { source, .. } => match source.raw_os_error() {
                Some(libc::ENOMEM) => "give the guest less memory: `--memory`",
                Some(libc::EMFILE | libc::ENFILE) => "raise the limit of open files: `ulimit -n`",
                Some(libc::EAGAIN) => "raise the limit of threads: `ulimit -u`",
                _ => return None,
            },
            _ => return None,
        };
        Some(text.to_owned())
    }
}

impl From<Error> for sandbox::Error {
    fn from(error: Error) -> Self {
        error.into_sandbox_error(NAME)
    }
}

impl Error {
    /// The same error as the contract has it, of the sandbox called `sandbox`.
    pub(crate) fn into_sandbox_error(self, sandbox: &'static str) -> sandbox::Error {
        let fix = self.fix();
        match self {
            Self::Open { .. } | Self::NotKvm { .. } => {
                let fix = fix.unwrap_or_default();
                sandbox::Error::Unavailable { sandbox, source: self.into(), fix }
            }
            Self::Unsupported { what, fix } => sandbox::Error::Unsupported { sandbox, what, fix },
            Self::Limits(limits) => sandbox::Error::Limits(limits),
            Self::Initramfs(InitramfsError::NoProgram { program }) => sandbox::Error::NotFound {
                sandbox,
                program,
                fix: "check the name, or give the program's path".into(),
            },
            Self::Initramfs(error) if error.program().is_some() => sandbox::Error::NotExecutable {
                sandbox,
                program: error.program().unwrap_or(Path::new("")).to_owned(),
                source: error.into(),
            },
            Self::NotFound { program } => sandbox::Error::NotFound {
                sandbox,
                program,
                fix: "give the path of a flat binary or static ELF file, or a built-in program \
                      (`isolab run --help` lists them); host commands run in `--in container`"
                    .into(),
            },
            Self::Read { program, source } => {
                sandbox::Error::NotExecutable { sandbox, program, source: source.into() }
            }
            Self::Load { program, source } => {
                sandbox::Error::NotExecutable { sandbox, program, source: source.into() }
            }
            Self::Fault(fault) => {
                let written = sandbox::Written::default();
                sandbox::Error::Failed { sandbox, source: fault.into(), fix: None, written }
            }
            error => {
                let written = sandbox::Written::default();
                sandbox::Error::Failed { sandbox, source: error.into(), fix, written }
            }
        }
    }
}
