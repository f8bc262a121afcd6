//! How the child executes a plan: system calls and nothing else.

use std::sync::atomic::Ordering::Relaxed;

use nix::errno::Errno;

use super::{Act, FIRST_SLOT, NOT_SO, Step, SyscallPlan};
use crate::sys;

/// How often a path is looked up again. While anyone on the host mounts or renames something, the
/// kernel cannot tell whether a `..` stays within the root, and fails with EAGAIN (openat2(2)). Two
/// or three times may be an accident; this often is an attack.
const RACES: u32 = 10_000;

impl SyscallPlan {
    /// Executes the plan and never returns. This runs in the child: system calls and nothing else.
    pub(crate) extern "C" fn follow(plan: usize) -> ! {
        // SAFETY: `namespaces::clone_into` passes a plan that it keeps until the child has executed
        // its program or ended, and reads through shared references only.
        let plan = unsafe { &*(plan as *const Self) };
        plan.record.began.store(sys::nanoseconds(), Relaxed);
        let mut index = 0;
        while let Some(step) = plan.steps.get(index) {
            plan.record.step.store(index, Relaxed);
            let skipped = match plan.act(step) {
                Ok(()) => step.skip.if_done,
                Err(errno) if step.forgiven.contains(&errno) => {
                    if let Some(slot) = plan.record.forgiven.get(index) {
                        slot.store(errno as i32, Relaxed);
                    }
                    step.skip.if_failed
                }
                Err(errno) => plan.give_up(errno as i32),
            };
            if let Some(slot) = plan.record.ended.get(index) {
                slot.store(sys::nanoseconds(), Relaxed);
            }
            index += 1 + skipped;
        }
        plan.record.step.store(plan.steps.len(), Relaxed);
        plan.give_up(plan.execute() as i32)
    }

    /// Executes one step.
    fn act(&self, step: &Step) -> Result<(), Errno> {
        let (number, arguments) = match step.act {
            Act::Call { number, arguments } => (number, arguments.map(|value| self.value(value))),
            Act::Compare { left, right, parts, equal } => {
                let bytes = parts.iter().flat_map(Clone::clone);
                if is_equal(left, right, bytes) != equal {
                    self.give_up(NOT_SO);
                }
                return Ok(());
            }
            Act::Number { slot, address, digits } => {
                return write_number(self.value(slot.operand()), address, digits);
            }
        };
        let mut raced = 0;
        loop {
            // SAFETY: the parent made the operands for this very call, and keeps them.
            let result = match unsafe { sys::call(number, arguments) } {
                Err(Errno::EAGAIN) if number == libc::SYS_openat2 && raced < RACES => {
                    raced += 1;
                    continue;
                }
                called => called?,
            };
            if let Some(slot) = step.result.and_then(|slot| self.slots.get(slot.0)) {
                slot.store(result, Relaxed);
            }
            if !step.repeated {
                return Ok(());
            }
        }
    }

    /// The value of an operand: for a slot, its content.
    fn value(&self, operand: usize) -> usize {
        let slot = self.slots.get(operand.wrapping_sub(FIRST_SLOT));
        slot.map_or(operand, |slot| slot.load(Relaxed))
    }

    fn give_up(&self, errno: i32) -> ! {
        self.record.errno.store(errno, Relaxed);
        sys::exit(125)
    }

    /// Executes the program; returns only if that fails, with the error.
    fn execute(&self) -> Errno {
        let (argv, envp) = (self.exec.argv.as_ptr() as usize, self.exec.envp.as_ptr() as usize);
        let flags = libc::AT_EMPTY_PATH as usize;
        let arguments = [self.exec.descriptor, c"".as_ptr() as usize, argv, envp, flags, 0];
        // SAFETY: the lists end with null and hold strings that the plan keeps.
        match unsafe { sys::call(libc::SYS_execveat, arguments) } {
            Err(errno) => errno,
            Ok(_) => Errno::UnknownErrno,
        }
    }
}

/// Writes `number` into its space of slashes at `address`. A number with more digits than that
/// would name another descriptor.
fn write_number(mut number: usize, address: usize, digits: usize) -> Result<(), Errno> {
    for place in (0..digits).rev() {
        let digit = b'0' + (number % 10) as u8;
        // SAFETY: `text_with_descriptors` has made this room in a buffer that the plan keeps, and
        // only the child, one thread, uses it.
        unsafe { (address.wrapping_add(place) as *mut u8).write_volatile(digit) };
        number /= 10;
        if number == 0 {
            return Ok(());
        }
    }
    Err(Errno::EMFILE)
}

/// Whether the bytes at these offsets from both addresses are equal.
fn is_equal(left: usize, right: usize, mut offsets: impl Iterator<Item = usize>) -> bool {
    offsets.all(|offset| {
        let [left, right] = [left, right].map(|start| start.wrapping_add(offset) as *const u8);
        // SAFETY: the addresses are those of buffers that the plan keeps, at least as long, into which
        // the kernel may have written; volatile, because the compiler has seen nobody write.
        let left = unsafe { left.read_volatile() };
        // SAFETY: the same.
        let right = unsafe { right.read_volatile() };
        left == right
    })
}
