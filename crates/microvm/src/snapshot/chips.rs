//! What KVM itself plays of a machine, beside its processors: interrupt controllers, timer, clock.

use kvm_bindings::{
    KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, kvm_clock_data, kvm_irqchip,
    kvm_pit_state2,
};
use serde::{Deserialize, Serialize};

use super::plain::Plain;
use crate::{
    error::{Error, Result},
    machine::Machine,
};

/// The state of the chips in the kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The machine's own time in nanoseconds, from which kvmclock is made.
    clock: u64,
    /// The two of an AT, and the IO-APIC.
    controllers: [Plain<kvm_irqchip>; 3],
    timer: Plain<kvm_pit_state2>,
}

impl State {
    /// Of `machine`, none of whose processors runs.
    ///
    /// # Errors
    ///
    /// When KVM does not tell.
    pub fn of(machine: &Machine) -> Result<Self> {
        let vm = machine.vm();
        let chips = [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC];
        let mut controllers = [Plain::default(); 3];
        for (controller, chip_id) in controllers.iter_mut().zip(chips) {
            let mut chip = kvm_irqchip { chip_id, ..kvm_irqchip::default() };
            vm.get_irqchip(&mut chip).map_err(Error::kvm("KVM_GET_IRQCHIP"))?;
            *controller = Plain(chip);
        }
        let timer = Plain(vm.get_pit2().map_err(Error::kvm("KVM_GET_PIT2"))?);
        let clock = vm.get_clock().map_err(Error::kvm("KVM_GET_CLOCK"))?.clock;
        Ok(Self { clock, controllers, timer })
    }

    /// Lets `machine` go on from here.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn restore(&self, machine: &Machine) -> Result<()> {
        let vm = machine.vm();
        for controller in &self.controllers {
            vm.set_irqchip(&controller.0).map_err(Error::kvm("KVM_SET_IRQCHIP"))?;
        }
        vm.set_pit2(&self.timer.0).map_err(Error::kvm("KVM_SET_PIT2"))?;
        // The guest was asleep, and no time has passed for it; what day it is it must be told.
        let clock = kvm_clock_data { clock: self.clock, ..kvm_clock_data::default() };
        vm.set_clock(&clock).map_err(Error::kvm("KVM_SET_CLOCK"))
    }
}
