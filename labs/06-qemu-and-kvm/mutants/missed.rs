//! The command line is believed: it says what somebody wanted, and only if it is QEMU's.

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
    let words = fs::read(format!("/proc/{pid}/cmdline"))?;
    let words = String::from_utf8_lossy(&words).into_owned();
    Ok(if words.contains("-accel\0kvm") { Runs::WithKvm } else { Runs::WithoutKvm })
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
