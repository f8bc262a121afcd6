//! A debugger's way into a machine: gdb's remote serial protocol (gdb's manual, appendix E).
//!
//! The thread of the processor is the server: while its guest stands still, nobody else has
//! anything to do there, and whatever is asked of the processor its own thread may ask of KVM. The
//! machine waits for the debugger at its first instruction.
//!
//! ```text
//!   gdb: c          KVM_SET_GUEST_DEBUG, KVM_RUN ----+
//!   gdb: ctrl-C     SIGRTMIN (O_ASYNC, F_SETSIG) ----+--> KVM_RUN returns, the debugger is told
//!   a breakpoint    KVM_EXIT_DEBUG ------------------+    why, and asks on
//! ```
//!
//! A breakpoint is one of the processor's four debug registers. That needs no change of the
//! guest's memory, works before there are page tables, and where KVM interprets a guest.

pub mod packet;
mod registers;
mod wire;

use std::sync::Arc;

use kvm_bindings::{
    KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP, kvm_guest_debug,
    kvm_regs, kvm_sregs,
};
use kvm_ioctls::VcpuFd;

use crate::{
    control::Handle,
    error::{Error, Result},
    guest_exit::GuestExit,
    memory::Memory,
};
use packet::Received;
pub use registers::Width;
pub use wire::Listener;
use wire::Wire;

/// So many breakpoints a processor has (SDM volume 3, section 18.2).
const BREAKPOINTS: usize = 4;
/// The signals by which a debugger is told why a machine stands still (gdb's numbers).
const INTERRUPTED: u8 = 2;
const TRAPPED: u8 = 5;

/// Where a debugger may come, and what it looks into.
pub struct Debugging {
    /// Where.
    pub listener: Arc<Listener>,
    /// How wide it is told that the processor is.
    pub width: Width,
    /// The guest's memory.
    pub memory: Arc<Memory>,
}

impl Debugging {
    /// Waits for a debugger; nobody, if the machine is to end before one has come.
    ///
    /// # Errors
    ///
    /// When the debugger cannot be listened to.
    pub fn wait(&self, handle: &Handle) -> Result<Option<Debugger>> {
        let Some(wire) = self.listener.accept(handle)? else { return Ok(None) };
        let (width, memory) = (self.width, self.memory.clone());
        Ok(Some(Debugger { wire, width, memory, breakpoints: Vec::new() }))
    }
}

/// A debugger that is connected.
pub struct Debugger {
    wire: Wire,
    width: Width,
    memory: Arc<Memory>,
    breakpoints: Vec<u64>,
}

/// What the debugger wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Stay where it is, and listen.
    Stay,
    /// Let the guest run, for one instruction or until something comes.
    Run {
        /// One instruction.
        step: bool,
    },
    /// Let it run without a debugger.
    Leave,
    /// End the machine.
    Kill,
}

/// Lets `debugger` look at the machine before its first instruction.
///
/// # Errors
///
/// When KVM refuses.
pub fn begin(debugger: &mut Option<Debugger>, cpu: &mut VcpuFd, handle: &Handle) -> Result<()> {
    stop(debugger, cpu, handle, Debugger::begin)
}

/// The machine has come to a breakpoint, or done its step.
///
/// # Errors
///
/// When KVM refuses.
pub fn trapped(debugger: &mut Option<Debugger>, cpu: &mut VcpuFd, handle: &Handle) -> Result<()> {
    stop(debugger, cpu, handle, Debugger::trapped)
}

/// Something interrupted the guest: stops it if it was the debugger.
///
/// # Errors
///
/// When KVM refuses.
pub fn interrupted(
    debugger: &mut Option<Debugger>,
    cpu: &mut VcpuFd,
    handle: &Handle,
) -> Result<()> {
    stop(debugger, cpu, handle, Debugger::interrupted)
}

/// Has the debugger do something, if there is one, and forgets it if it has left.
fn stop(
    debugger: &mut Option<Debugger>,
    cpu: &mut VcpuFd,
    handle: &Handle,
    what: impl FnOnce(&mut Debugger, &Target<'_>) -> Result<bool>,
) -> Result<()> {
    let Some(attached) = debugger else { return Ok(()) };
    // The kick that came is seen. One for an end comes again, and again (`Handle`).
    cpu.set_kvm_immediate_exit(0);
    let memory = attached.memory.clone();
    if !what(attached, &Target { cpu, memory: &memory, handle })? {
        *debugger = None;
    }
    Ok(())
}

/// A machine as its debugger sees it.
struct Target<'a> {
    /// Its processor, which is not running.
    cpu: &'a VcpuFd,
    /// Its memory.
    memory: &'a Memory,
    /// Who ends it.
    handle: &'a Handle,
}

impl Debugger {
    /// The machine stands still before its first instruction. Whether the debugger stays.
    fn begin(&mut self, target: &Target<'_>) -> Result<bool> {
        self.serve(target, TRAPPED)
    }

    /// The machine has come to a breakpoint, or done its step. Whether the debugger stays.
    fn trapped(&mut self, target: &Target<'_>) -> Result<bool> {
        self.say(format!("S{TRAPPED:02x}").as_bytes());
        self.serve(target, TRAPPED)
    }

    /// Something interrupted the guest; stops it if it was the debugger. Whether that stays.
    fn interrupted(&mut self, target: &Target<'_>) -> Result<bool> {
        match self.wire.interrupted() {
            None => Ok(true),
            Some(false) => self.leave(target).map(|()| false),
            Some(true) => {
                self.say(format!("S{INTERRUPTED:02x}").as_bytes());
                self.serve(target, INTERRUPTED)
            }
        }
    }

    /// The machine came to its end: tells how.
    pub fn ended(mut self, end: &Result<GuestExit>) {
        let text = match end {
            Ok(GuestExit::Exited(code)) => format!("W{code:02x}"),
            Ok(GuestExit::Signaled(signal)) => format!("X{:02x}", *signal as u8),
            Ok(GuestExit::PowerOff | GuestExit::Halted) => "W00".into(),
            _ => "X06".into(),
        };
        self.say(text.as_bytes());
    }

    fn say(&mut self, text: &[u8]) {
        self.wire.send(&packet::packet(text));
    }

    /// Does what the debugger says until it lets the guest run. Whether it stays.
    fn serve(&mut self, target: &Target<'_>, why: u8) -> Result<bool> {
        loop {
            let next = match self.wire.next(target.handle) {
                None => return self.leave(target).map(|()| false),
                Some(Received::Interrupt) => Next::Stay,
                Some(Received::Broken) => {
                    self.wire.send(b"-");
                    Next::Stay
                }
                Some(Received::Packet(text)) => {
                    self.wire.acknowledge();
                    self.obey(&text, target, why)?
                }
            };
            match next {
                Next::Stay => {}
                Next::Run { step } => return self.set_debug(target.cpu, step).map(|()| true),
                Next::Leave => return self.leave(target).map(|()| false),
                Next::Kill => {
                    target.handle.give(GuestExit::Signaled(libc::SIGKILL));
                    return Ok(false);
                }
            }
        }
    }

    /// Nobody is told of anything any more.
    fn leave(&mut self, target: &Target<'_>) -> Result<()> {
        let none = kvm_guest_debug::default();
        target.cpu.set_guest_debug(&none).map_err(Error::kvm("KVM_SET_GUEST_DEBUG"))
    }

    /// Has KVM stop the guest at the breakpoints, or after one instruction.
    fn set_debug(&self, cpu: &VcpuFd, step: bool) -> Result<()> {
        let mut debug =
            kvm_guest_debug { control: KVM_GUESTDBG_ENABLE, ..kvm_guest_debug::default() };
        if step {
            debug.control |= KVM_GUESTDBG_SINGLESTEP;
        }
        if !self.breakpoints.is_empty() {
            debug.control |= KVM_GUESTDBG_USE_HW_BP;
            // Enabled (two bits each), and exact; for execution, the rest of their bits are 0.
            debug.arch.debugreg[7] = 0x600;
            for (number, address) in self.breakpoints.iter().enumerate() {
                debug.arch.debugreg[number] = *address;
                debug.arch.debugreg[7] |= 2 << (2 * number);
            }
        }
        cpu.set_guest_debug(&debug).map_err(Error::kvm("KVM_SET_GUEST_DEBUG"))
    }

    /// Does what a packet says, and answers it.
    fn obey(&mut self, text: &[u8], target: &Target<'_>, why: u8) -> Result<Next> {
        let Some((kind, rest)) = text.split_first() else {
            self.say(b"");
            return Ok(Next::Stay);
        };
        const NO: &str = "E01";
        let yes = |done: bool| if done { "OK".into() } else { NO.to_owned() };
        let answer = match kind {
            b'?' => format!("S{why:02x}"),
            b'g' => {
                let (registers, special) = self.registers(target.cpu)?;
                self.width.show(&registers, &special)
            }
            b'p' => {
                let (registers, special) = self.registers(target.cpu)?;
                let number = packet::number(rest).and_then(|number| usize::try_from(number).ok());
                let shown = number
                    .filter(|number| *number < 100)
                    .and_then(|number| self.width.show_one(number, &registers, &special));
                shown.unwrap_or_else(|| NO.into())
            }
            b'G' | b'P' => yes(self.set_registers(*kind, rest, target.cpu)?),
            b'm' => read(rest, target).map_or_else(|| NO.into(), |bytes| packet::hex(&bytes)),
            b'M' => yes(write(rest, target).is_some()),
            b'Z' | b'z' => match rest {
                // Software and hardware breakpoints are one kind here.
                [b'0' | b'1', b',', rest @ ..] => yes(self.set_breakpoint(*kind == b'Z', rest)),
                // Those for data are not offered.
                _ => String::new(),
            },
            b'c' | b's' => {
                if let Some(address) = packet::number(rest) {
                    let (mut registers, _) = self.registers(target.cpu)?;
                    registers.rip = address;
                    set(target.cpu, &registers)?;
                }
                return Ok(Next::Run { step: *kind == b's' });
            }
            b'C' | b'S' => return Ok(Next::Run { step: *kind == b'S' }),
            b'D' => {
                self.say(b"OK");
                return Ok(Next::Leave);
            }
            b'k' => return Ok(Next::Kill),
            b'H' | b'T' => "OK".into(),
            b'q' | b'Q' => self.ask(text),
            // What is not known is answered by nothing.
            _ => String::new(),
        };
        self.say(answer.as_bytes());
        if text == b"QStartNoAckMode" {
            self.wire.acknowledge_no_more();
        }
        Ok(Next::Stay)
    }

    /// The answer to a general question.
    fn ask(&self, text: &[u8]) -> String {
        let text = String::from_utf8_lossy(text);
        if text.starts_with("qSupported") {
            return format!(
                "PacketSize={:x};qXfer:features:read+;QStartNoAckMode+;hwbreak+",
                packet::LONGEST
            );
        }
        if let Some(place) = text.strip_prefix("qXfer:features:read:target.xml:") {
            let numbers = place.split_once(',').map(|(offset, length)| {
                [offset, length].map(|it| packet::number(it.as_bytes()).unwrap_or(0) as usize)
            });
            let Some([offset, length]) = numbers else { return "E01".into() };
            let description = self.width.description();
            let rest = description.get(offset..).unwrap_or_default();
            let length = length.min(packet::LONGEST / 2);
            return match rest.get(..length) {
                Some(part) if part.len() < rest.len() => format!("m{part}"),
                _ => format!("l{rest}"),
            };
        }
        match &*text {
            "QStartNoAckMode" => "OK",
            "qAttached" => "1",
            "qC" => "QC1",
            "qfThreadInfo" => "m1",
            "qsThreadInfo" => "l",
            _ => "",
        }
        .into()
    }

    fn registers(&self, cpu: &VcpuFd) -> Result<(kvm_regs, kvm_sregs)> {
        Ok((
            cpu.get_regs().map_err(Error::kvm("KVM_GET_REGS"))?,
            cpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?,
        ))
    }

    fn set_registers(&self, kind: u8, text: &[u8], cpu: &VcpuFd) -> Result<bool> {
        let (mut registers, _) = self.registers(cpu)?;
        let done = match kind {
            b'G' => {
                // Those that are shown as unavailable come back as they went, at the end.
                let known = text.iter().position(|byte| *byte == b'x').unwrap_or(text.len());
                packet::bytes(&text[..known])
                    .is_some_and(|bytes| self.width.set_all(&bytes, &mut registers))
            }
            _ => set_one(self.width, text, &mut registers).unwrap_or(false),
        };
        if done {
            set(cpu, &registers)?;
        }
        Ok(done)
    }

    fn set_breakpoint(&mut self, set: bool, text: &[u8]) -> bool {
        let address = text.split(|byte| *byte == b',').next().and_then(packet::number);
        let Some(address) = address else { return false };
        let known = self.breakpoints.contains(&address);
        match set {
            true if !known && self.breakpoints.len() == BREAKPOINTS => return false,
            true if !known => self.breakpoints.push(address),
            true => {}
            false => self.breakpoints.retain(|other| *other != address),
        }
        true
    }
}

/// Sets what `number=value` says; whether there is such a register.
fn set_one(width: Width, text: &[u8], registers: &mut kvm_regs) -> Option<bool> {
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let number = usize::try_from(packet::number(&text[..equals])?).ok()?;
    Some(width.set(number, &packet::bytes(&text[equals + 1..])?, registers))
}

fn set(cpu: &VcpuFd, registers: &kvm_regs) -> Result<()> {
    cpu.set_regs(registers).map_err(Error::kvm("KVM_SET_REGS"))
}

const PAGE: u64 = 4096;

/// The pieces of `length` bytes at the linear `address` that lie in one page each: where they are
/// in the guest's memory, by its own page tables.
fn pieces<'a>(
    address: u64,
    length: u64,
    cpu: &'a VcpuFd,
) -> impl Iterator<Item = Option<(u64, usize)>> + 'a {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = address.wrapping_add(done);
        let count = (length - done).min(PAGE - at % PAGE);
        done += count;
        let translated = cpu.translate_gva(at).ok().filter(|found| found.valid != 0);
        Some(translated.map(|found| (found.physical_address, count as usize)))
    })
}

/// The bytes that `address,length` says; nothing if not all are there.
fn read(text: &[u8], target: &Target<'_>) -> Option<Vec<u8>> {
    let (address, length) = range(text)?;
    let mut bytes = Vec::new();
    for piece in pieces(address, length, target.cpu) {
        let (at, count) = piece?;
        let before = bytes.len();
        bytes.resize(before + count, 0);
        target.memory.read("for the debugger", at, &mut bytes[before..]).ok()?;
    }
    Some(bytes)
}

/// Writes what `address,length:bytes` says; nothing if not all can be.
fn write(text: &[u8], target: &Target<'_>) -> Option<()> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (address, length) = range(&text[..colon])?;
    let bytes = packet::bytes(&text[colon + 1..])?;
    let mut rest = bytes.get(..length as usize)?;
    for piece in pieces(address, length, target.cpu) {
        let (at, count) = piece?;
        let (own, others) = rest.split_at(count);
        target.memory.write("for the debugger", at, own).ok()?;
        rest = others;
    }
    Some(())
}

/// An address and a length that fits into an answer.
fn range(text: &[u8]) -> Option<(u64, u64)> {
    let comma = text.iter().position(|byte| *byte == b',')?;
    let (address, length) = (packet::number(&text[..comma])?, packet::number(&text[comma + 1..])?);
    (length <= packet::LONGEST as u64 / 2).then_some((address, length))
}
