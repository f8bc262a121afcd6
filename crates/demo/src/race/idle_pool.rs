//! Idle instances of one kind, and the memory that they add.

use std::{collections::VecDeque, fs, io, process, thread, time::Duration};

use host::{mappings, memory_field};
use sandbox::{Builtin, Instance, Sandbox, Workload};

use super::{IdleInstances, Kind, starts::message};

/// Time for an instance to settle after its start, so that its memory no longer changes. It also lets
/// the bar grow visibly.
const SETTLE: Duration = Duration::from_millis(60);

/// Idle instances; dropping them ends them.
pub(super) struct IdlePool {
    kind: Kind,
    sandbox: Box<dyn Sandbox>,
    alive: VecDeque<Alive>,
}

/// A running instance, and the memory that it had added once it had settled.
struct Alive {
    instance: Box<dyn Instance>,
    added: Memory,
}

impl IdlePool {
    pub(super) fn new(kind: Kind, sandbox: Box<dyn Sandbox>) -> Self {
        Self { kind, sandbox, alive: VecDeque::new() }
    }

    pub(super) fn count(&self) -> u32 {
        self.alive.len() as u32
    }

    /// Starts one more, and looks what it has added.
    pub(super) fn grow(&mut self) -> Result<(), String> {
        let before = Memory::now()?;
        let idle = Workload::builtin(Builtin::Idle, &[]);
        let instance = self.sandbox.spawn(&idle).map_err(|error| message(&error))?;
        thread::sleep(SETTLE);
        let after = Memory::now()?;
        let launcher = after.launcher - before.launcher;
        let kernel = after.kernel - before.kernel;
        self.alive.push_back(Alive { instance, added: Memory { launcher, kernel } });
        Ok(())
    }

    /// Ends the oldest one; false when there is none.
    pub(super) fn end_one(&mut self) -> bool {
        self.alive.pop_front().is_some()
    }

    /// The instances as the scene shows them.
    pub(super) fn summary(&self, requested: u32) -> IdleInstances {
        let processes = self.alive.iter().flat_map(|alive| alive.instance.processes());
        let processes: Vec<u32> = processes.collect();
        let tables: u64 = processes.iter().map(|pid| page_tables(*pid)).sum();
        // Other programs free memory at the same time, so an instance may seem to have added less than
        // nothing.
        let sum = |part: fn(&Memory) -> i64| {
            let bytes: i64 = self.alive.iter().map(|alive| part(&alive.added)).sum();
            u64::try_from(bytes).unwrap_or(0)
        };
        IdleInstances {
            kind: self.kind,
            count: self.count(),
            requested,
            inside: processes.iter().map(|pid| pss(*pid, |_| true).unwrap_or(0)).sum(),
            launcher: sum(|added| added.launcher),
            kernel: sum(|added| added.kernel) + tables,
        }
    }
}

impl Drop for IdlePool {
    fn drop(&mut self) {
        // All are killed before the first is waited for.
        self.alive.iter().for_each(|alive| alive.instance.control().kill());
    }
}

/// Of this process and of the kernel, in bytes.
struct Memory {
    launcher: i64,
    kernel: i64,
}

impl Memory {
    /// What they hold now.
    fn now() -> Result<Self, String> {
        // Its code is read from a file whenever it is needed: no instance adds to that.
        let is_own = |name: &str| !name.starts_with('/') || name.starts_with("/memfd:");
        let launcher = pss(process::id(), is_own);
        let kernel = kernel();
        let both = launcher.and_then(|launcher| Ok((launcher, kernel?)));
        let (launcher, kernel) =
            both.map_err(|error| format!("read the memory in use from /proc: {error}"))?;
        Ok(Self { launcher: launcher as i64, kernel: kernel as i64 })
    }
}

/// The kernel's memory that it cannot reclaim, without the page tables of processes: those of other
/// programs change all the time, and [`page_tables`] counts those of the instances.
fn kernel() -> io::Result<u64> {
    // Each CPU adds its part to the sums once a second; this makes it do so now. Only root may
    // (the kernel's admin-guide/sysctl/vm.rst), and without the last start is counted late.
    let _ = fs::read("/proc/sys/vm/stat_refresh");
    let text = fs::read_to_string("/proc/meminfo")?;
    let fields = ["SUnreclaim", "KernelStack", "SecPageTables", "Percpu"];
    // Older kernels have no line for the page tables of virtual machines.
    let sum: u64 = fields.iter().filter_map(|field| memory_field(&text, field)).sum();
    Ok(sum + page_tables(process::id()))
}

/// The page tables of a process.
fn page_tables(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    memory_field(&status, "VmPTE").unwrap_or(0)
}

/// The proportional share of memory of a process, over those of its mappings that count.
fn pss(pid: u32, counts: impl Fn(&str) -> bool) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps"))?;
    Ok(mappings(&text).filter(|mapping| counts(mapping.name)).map(|it| it.pss).sum())
}

/// What the machine could still give, and all that it has, in bytes.
pub(super) fn available() -> (u64, u64) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name| memory_field(&text, name).unwrap_or(0);
    (field("MemAvailable"), field("MemTotal"))
}

#[cfg(test)]
mod tests {
    use sandbox::Native;

    use super::*;

    #[test]
    fn an_idle_process_has_memory_until_it_is_ended() {
        let mut idle = IdlePool::new(Kind::Process, Box::new(Native));
        idle.grow().unwrap();
        idle.grow().unwrap();
        let seen = idle.summary(2);
        assert_eq!(seen.count, 2);
        assert!(seen.inside > 2 * 4096, "{seen:?}");
        assert!(idle.end_one() && idle.end_one() && !idle.end_one());
        assert_eq!(idle.summary(0).bytes(), 0);
    }

    #[test]
    fn this_process_and_the_machine_have_memory() {
        let now = Memory::now().unwrap();
        let (available, total) = available();
        assert!(now.launcher > 0 && now.kernel > 0);
        assert!(0 < available && available < total);
    }
}
