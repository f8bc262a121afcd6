//! Machines that boot a whole distribution: from the start of QEMU to the login prompt on their serial
//! port.
//!
//! The distribution brings its kernel, its initrd and its init; QEMU loads the first two itself, as the
//! boot loader of an installed one does. Nothing is written to its disk, so that every boot is the same:
//! what a guest writes goes into a file of QEMU's without a name.

use std::{path::Path, time::Duration};

use super::{
    containers::plain,
    definition::{Definition, Recipe, line, text},
    distribution::{COMMAND, Distribution},
    machines::{Accelerator, bare_machine, no_kvm, qemu},
};
use crate::{Error, command_time::Expected};

pub(super) const QEMU_KVM_LOGIN: Definition = Definition {
    boots: Some(Duration::from_secs(8)),
    ..qemu(
        "qemu-kvm-login",
        || no_kvm().or_else(no_distribution),
        |program, _| machine(program, &distribution()?, Accelerator::Kvm),
    )
};

pub(super) const QEMU_TCG_LOGIN: Definition = Definition {
    boots: Some(Duration::from_secs(30)),
    ..qemu("qemu-tcg-login", no_distribution, |program, _| {
        machine(program, &distribution()?, Accelerator::Tcg)
    })
};

/// An emulated machine on a busy host takes most of it.
const DEADLINE: Duration = Duration::from_secs(180);
/// What agetty(8) writes last, after the host's name; `quiet` as distributions have it.
const PROMPT: &[u8] = b" login: ";
/// A kernel that panics restarts the machine, which ends QEMU.
const COMMAND_LINE: &str = "root=/dev/vda ro console=ttyS0 quiet panic=-1";

/// Why there is no distribution to boot.
fn no_distribution() -> Option<Error> {
    distribution().err()
}

fn distribution() -> Result<Distribution, Error> {
    Distribution::of_user().ok_or_else(|| Error {
        reason: "no distribution was made for it".into(),
        fix: format!("`{COMMAND}` makes one, in minutes and half a gigabyte"),
    })
}

/// A PC with the distribution's disk and a serial port.
fn machine(
    program: &Path,
    distribution: &Distribution,
    accelerator: Accelerator,
) -> Result<Recipe, Error> {
    let [kernel, initrd, disk] =
        [distribution.kernel(), distribution.initrd(), distribution.disk()].map(|path| text(&path));
    let (kernel, initrd, disk) = (kernel?, initrd?, disk?);
    let command_line = accelerator.command_line(COMMAND_LINE)?;
    let guest = ["-kernel", &kernel, "-initrd", &initrd, "-append", &command_line];
    // In a list of QEMU's, two commas are one that is part of a value.
    let disk = disk.replace(',', ",,");
    let drive = format!("file={disk},format=raw,if=none,id=root,snapshot=on");
    let devices = ["-drive", &drive, "-device", "virtio-blk-pci,drive=root", "-serial", "stdio"];
    let mut command = bare_machine(program, "q35", accelerator)?;
    command.extend(line(&[&guest[..], &devices].concat()));
    let caveats = [accelerator.caveat().map(str::to_owned), Some(distribution.name())];
    Ok(Recipe {
        command,
        expected: Expected::Among(PROMPT),
        deadline: DEADLINE,
        caveat: Some(caveats.into_iter().flatten().collect::<Vec<_>>().join("; ")),
        ..plain()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_written_to_the_disk_and_nothing_else_is_in_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a,b");
        fs::create_dir(&folder).unwrap();
        for file in ["root.ext4", "vmlinuz", "initrd"] {
            fs::write(folder.join(file), "").unwrap();
        }
        let about = r#"{"name":"Debian 99","kernel":"9.9.9-cloud"}"#;
        fs::write(folder.join("about.json"), about).unwrap();
        let distribution = Distribution::in_folder(&folder).unwrap();
        let recipe = machine(Path::new("/bin/qemu"), &distribution, Accelerator::Kvm).unwrap();
        let after = |option: &str| {
            let at = recipe.command.iter().position(|word| word == option).unwrap();
            recipe.command[at + 1].clone()
        };
        assert!(recipe.command.contains(&"-nodefaults".to_owned()));
        let drive = after("-drive");
        assert!(drive.contains("/a,,b/root.ext4,format=raw") && drive.ends_with("snapshot=on"));
        assert!(!recipe.command.iter().any(|word| word.contains("net")), "{recipe:?}");
        assert!(after("-append").contains("root=/dev/vda ro console=ttyS0 quiet"));
        assert_eq!(recipe.caveat.as_deref(), Some("Debian 99, Linux 9.9.9-cloud"));
    }
}
