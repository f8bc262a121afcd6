//! The figures of a machine while it runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kvm_bindings::{kvm_regs, kvm_sregs};
use serde_json::{Value, json};

use crate::{
    control::Handle, devices::virtio::rate::Count, error::Result, exit_counts::ExitCounts,
    linux::hardware::Hardware, memory::Memory, snapshot::cpu,
};

/// What a processor tells of itself while it runs.
#[derive(Default)]
pub struct Tally {
    /// Its exits.
    pub exit_counts: Mutex<ExitCounts>,
    /// Its registers, when it stood still last.
    pub registers: Mutex<Option<(kvm_regs, kvm_sregs)>>,
    /// All of its state, when it was asked for that last.
    pub state: Mutex<Option<Result<cpu::State>>>,
}

/// What all of them tell.
#[derive(Clone, Default)]
pub struct Tallies(Vec<Arc<Tally>>);

impl Tallies {
    /// For so many processors.
    pub fn of(processors: usize) -> Self {
        Self((0..processors).map(|_| Arc::default()).collect())
    }

    /// That of a processor.
    pub fn of_processor(&self, number: usize) -> Arc<Tally> {
        self.0.get(number).cloned().unwrap_or_default()
    }

    /// The registers of all, which stand still; those that KVM has not told are left out.
    pub fn registers(&self) -> Vec<(kvm_regs, kvm_sregs)> {
        let registers =
            |tally: &Arc<Tally>| *tally.registers.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.iter().filter_map(registers).collect()
    }

    /// The states that all have shown since they were asked.
    ///
    /// # Errors
    ///
    /// When KVM has not told one, or it cannot be saved.
    pub fn take_states(&self) -> Result<Vec<cpu::State>> {
        let state =
            |tally: &Arc<Tally>| tally.state.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.0.iter().filter_map(state).collect()
    }

    /// How often for which reason, of all processors together.
    fn sum(&self) -> (BTreeMap<String, u64>, u64) {
        let (mut sum, mut others) = (BTreeMap::new(), 0);
        for tally in &self.0 {
            let tally = tally.exit_counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (reason, count) in tally.counts() {
                *sum.entry(reason.to_string()).or_default() += count;
            }
            others += tally.others();
        }
        (sum, others)
    }
}

/// Where the figures are.
pub struct Metrics<'a> {
    /// The exits.
    pub tallies: &'a Tallies,
    /// The memory.
    pub memory: Option<&'a Memory>,
    /// The devices.
    pub hardware: &'a Hardware,
}

impl Metrics<'_> {
    /// What has gone through each disk and card: to the guest, and from it.
    fn devices(&self) -> Value {
        let device = |(name, count): &(String, Arc<Count>)| {
            let [bytes_in, operations_in, bytes_out, operations_out] = count.all();
            let facts = json!({
                "bytes_in": bytes_in,
                "operations_in": operations_in,
                "bytes_out": bytes_out,
                "operations_out": operations_out,
            });
            (name.clone(), facts)
        };
        Value::Object(self.hardware.counts.iter().map(device).collect())
    }

    /// All of them.
    pub fn tell(&self, handle: &Handle) -> Value {
        let (exits, others) = self.tallies.sum();
        let times = handle.cpu_times();
        let state = match handle.pausing() {
            (true, resting, all) if resting == all => "paused",
            (true, ..) => "pausing",
            (false, ..) if handle.is_started_up() => "running",
            (false, ..) => "booting",
        };
        let seconds = |time: &Duration| time.as_secs_f64();
        json!({
            "state": state,
            "vcpus": times.len(),
            "vcpu_seconds": times.iter().map(seconds).collect::<Vec<_>>(),
            "exits": exits,
            "exits_of_other_reasons": others,
            "memory_bytes": self.memory.map(Memory::bytes),
            "memory_resident_bytes": self.memory.and_then(Memory::resident_bytes),
            "memory_balloon_bytes": self.hardware.balloon_bytes(),
            "devices": self.devices(),
        })
    }
}
