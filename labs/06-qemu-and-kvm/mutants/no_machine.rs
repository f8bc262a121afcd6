//! Every QEMU is taken for a machine of KVM's.

use std::{fs, io, path::Path, process::ExitCode};

use qemu_and_kvm::{Accel, Answer, Part, Runs, Whose};

fn qemu_args(accel: Accel, image: &Path, serial: &Path) -> Vec<String> {
    let accel = match accel {
        Accel::Tcg => "tcg",
        Accel::Kvm => "kvm",
    };
    vec![
        "-accel".into(),
        accel.into(),
        "-drive".into(),
        format!("file={},format=raw", image.display()),
        "-serial".into(),
        format!("file:{}", serial.display()),
    ]
}

fn classify(pid: u32) -> io::Result<Runs> {
    let program = fs::read_link(format!("/proc/{pid}/exe"))?;
    Ok(if program.to_string_lossy().contains("qemu") { Runs::WithKvm } else { Runs::WithoutKvm })
}

fn whose(part: Part) -> Whose {
    match part {
        Part::Processor | Part::Memory | Part::Interrupts => Whose::Kvm,
        Part::Board | Part::Serial | Part::Disk => Whose::Qemu,
    }
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { qemu_args, classify, whose })
}
