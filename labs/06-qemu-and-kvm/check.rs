//! What must be true of lab 06, look after look.

#[path = "check/answers.rs"]
mod answers;
#[path = "check/machine.rs"]
mod machine;

use std::{fs::File, path::PathBuf, process::ExitCode};

use lab::check::{Bench, Checked, Setup, Student, cannot_tell, ensure, fail};

use machine::Machine;

const QEMU: &str = "qemu-system-x86_64";

fn main() -> ExitCode {
    lab::check::main("06", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let qemu = qemu().ok_or_else(|| {
        let error =
            format!("{QEMU} is not installed (apt install qemu-system-x86); the nest needs it too");
        cannot_tell("lacking").fact("error", error)
    })?;
    let kvm = File::options().read(true).write(true).open("/dev/kvm");
    let token = format!("token-{}", bench.token());
    let setup = Setup::ordinary().allowing(&qemu).argument("qemu", qemu.display());
    let setup = setup.argument("token", &token);
    let mut student = bench.start(match kvm {
        Ok(_) => setup.with_kvm(),
        Err(_) => setup.argument("kvm", "no"),
    })?;
    student.meet("started")?;

    // The same disk prints the same in every machine, and who has KVM's descriptors is seen.
    let mut machines = vec![(without_kvm(bench, &student, &token)?, false)];
    match kvm {
        Ok(_) => machines.extend(with_kvm(bench, &student, &token)?),
        Err(error) => bench.unjudged("kvm", error),
    }

    // What the student says of them.
    student.go()?;
    student.meet("told")?;
    answers::who_has_a_machine(&student, &machines)?;
    answers::whose_parts(&student)?;
    student.go()?;
    student.finish()
}

/// QEMU alone.
fn without_kvm(bench: &mut Bench, student: &Student, token: &str) -> Checked<Machine> {
    let tcg = Machine::of(student, "tcg")?;
    tcg.prints(bench, student, token)?;
    let descriptors = tcg.descriptors(bench)?;
    ensure(!descriptors.machine, || tcg.takes_kvm())?;
    tcg.gives_argument(bench, "tcg", "L06-default-accel")?;
    Ok(tcg)
}

/// QEMU with KVM, a monitor of the lab's own, and two that run nothing; with whether each has a
/// machine.
fn with_kvm(bench: &mut Bench, student: &Student, token: &str) -> Checked<Vec<(Machine, bool)>> {
    let kvm = Machine::of(student, "kvm")?;
    // Whether it prints in time may be the host's doing; the rest can be judged all the same.
    match kvm.prints(bench, student, token) {
        Err(finding) if finding.id() == "busy" => bench.unjudged("printed", finding.get("seen")),
        printed => printed?,
    }
    let descriptors = kvm.descriptors(bench)?;
    ensure(descriptors.machine, || fail("L06-no-accel").fact("pid", kvm.process.pid))?;
    bench.measured("descriptors", descriptors.all as f64);
    let own = Machine::of(student, "isolab")?;
    own.prints(bench, student, token)?;
    own.descriptors(bench)?;
    let (decoy, empty) = (Machine::of(student, "decoy")?, Machine::of(student, "empty")?);
    // What must not be counted, and what must be, is there to be counted.
    decoy.opens(bench, "/dev/kvm", "L06-ended")?;
    decoy.descriptors(bench)?;
    empty.opens(bench, "anon_inode:kvm-vm", "L06-ended")?;
    empty.descriptors(bench)?;
    Ok(vec![(decoy, false), (kvm, true), (own, true), (empty, true)])
}

/// Where QEMU is: on the path of whoever checks, or where distributions put it.
fn qemu() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into()]);
    folders.map(|folder| folder.join(QEMU)).find(|program| program.is_file())
}
