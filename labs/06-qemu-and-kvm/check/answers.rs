//! What the student says of the processes, and of the parts of a PC.

use lab::check::{Checked, Student, ensure, fail};
use qemu_and_kvm::{Part, Whose};

use super::machine::Machine;

/// `classify`, held against the descriptors that the check has seen.
pub fn who_has_a_machine(student: &Student, machines: &[(Machine, bool)]) -> Checked<()> {
    for (machine, has_one) in machines {
        let says = student.said(&format!("runs-{}", machine.name))? == "WithKvm";
        let id = match (has_one, machine.name) {
            (true, "empty") => "L06-no-processor",
            (true, _) => "L06-missed",
            (false, "decoy") => "L06-open-device",
            (false, _) => "L06-no-machine",
        };
        ensure(says == *has_one, || {
            fail(id).fact("pid", machine.process.pid).fact("name", machine.name)
        })?;
    }
    Ok(())
}

/// `whose`, row after row.
pub fn whose_parts(student: &Student) -> Checked<()> {
    for part in Part::ALL {
        let right = match part {
            Part::Processor | Part::Memory | Part::Interrupts => Whose::Kvm,
            Part::Board | Part::Serial | Part::Disk => Whose::Qemu,
        };
        let id = match (right, part) {
            (_, Part::Serial) => "L06-serial",
            (Whose::Qemu, _) => "L06-qemus-part",
            (Whose::Kvm, _) => "L06-kvms-part",
        };
        let said = student.said(&format!("whose-{}", part.name()))?;
        ensure(said == format!("{right:?}"), || fail(id).fact("part", part.name()))?;
    }
    Ok(())
}
