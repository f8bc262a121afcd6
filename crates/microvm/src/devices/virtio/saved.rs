//! What a virtio device and its door know, when their machine is saved and goes on elsewhere.
//!
//! Most of a device lies in the guest's memory, which is saved as it is. Beside it there are a few
//! numbers: how far the driver is, what was agreed on, where the queues are and how far they were
//! read. A chain is never half served then: devices serve it under their lock, and are saved under
//! the same.
//!
//! What comes back may be damaged or forged. It is judged as if a driver had said it just now.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Device, Queue,
    mmio::{EVENTS, Registers, status},
    queue,
};
use crate::hex::Hex;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    status: u32,
    driver_features: Hex,
    features_half: [u32; 2],
    selected: u32,
    generation: u32,
    /// Why it interrupted, as far as the driver has not acknowledged it.
    reasons: u32,
    queues: Vec<queue::Saved>,
    /// What only this kind of device has.
    device: Value,
}

impl<D: Device> Registers<D> {
    /// All of it, and the `reasons` for interrupts.
    pub fn save(&self, reasons: u32) -> Value {
        json!(Saved {
            status: self.status,
            driver_features: Hex(self.driver_features),
            features_half: self.features_half,
            selected: self.selected,
            generation: self.generation,
            reasons,
            queues: self.queues.iter().map(Queue::save).collect(),
            device: self.device.save(),
        })
    }

    /// Goes on from what [`Registers::save`] gave, and gives the reasons for interrupts.
    ///
    /// # Errors
    ///
    /// Why no driver can have brought it there.
    pub fn restore(&mut self, saved: &Value) -> Result<u32, String> {
        let saved = Saved::deserialize(saved).map_err(|error| error.to_string())?;
        self.reset();
        self.driver_features = saved.driver_features.0;
        let has = |bit: u32| saved.status & bit != 0;
        let agreed = has(status::FEATURES_OK);
        if saved.status & !(status::OF_DRIVER | status::NEEDS_RESET) != 0
            || has(status::DRIVER_OK) && !agreed
            || agreed && !self.has_agreed()
        {
            let (status, features) = (saved.status, saved.driver_features);
            return Err(format!("status {status:#x} with features {features}"));
        }
        if saved.queues.len() != self.queues.len() {
            let (saved, own) = (saved.queues.len(), self.queues.len());
            return Err(format!("it has {own} queues, not {saved}"));
        }
        for (queue, saved) in self.queues.iter_mut().zip(&saved.queues) {
            if saved.ready && !agreed {
                return Err("a queue is ready before features were negotiated".into());
            }
            queue.restore(saved, &self.memory).map_err(|broken| broken.to_string())?;
            queue.events = has(status::DRIVER_OK) && self.driver_features & EVENTS != 0;
        }
        self.features_half = saved.features_half;
        self.selected = saved.selected;
        self.generation = saved.generation;
        self.status = saved.status;
        if has(status::DRIVER_OK) {
            self.device.start(self.driver_features);
        }
        self.device.restore(&saved.device)?;
        Ok(saved.reasons)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::{
        super::{
            Transport,
            balloon::Balloon,
            console::tests::{CapturedOutput, pipe},
            driver::Driver,
            ports::Ports,
            rng::Rng,
        },
        *,
    };
    use crate::{
        devices::{bus::Device as _, interrupt::Interrupt},
        ram::Ram,
    };

    /// The same device in another machine, whose memory is the same too.
    fn clone<D: Device>(driver: &Driver<D>, device: D) -> Result<Transport<D>, String> {
        restored(&driver.device.save(), device, &driver.memory)
    }

    fn restored<D: Device>(saved: &Value, device: D, memory: &Ram) -> Result<Transport<D>, String> {
        let mut clone = Transport::new(device, memory.clone(), Interrupt::new().unwrap());
        clone.restore(saved).map(|()| clone)
    }

    #[test]
    fn a_driver_goes_on_with_the_clone_of_its_device() {
        let mut driver = Driver::of(Rng);
        for _ in 0..20 {
            assert_eq!(driver.ask(0, &[], &[8]).len(), 8);
        }
        driver.device = clone(&driver, Rng).unwrap();
        assert_eq!(driver.read(0x70), 15, "it is ready, as it was");
        for _ in 0..20 {
            assert_eq!(driver.ask(0, &[], &[8]).len(), 8);
        }
        assert!(driver.was_interrupted(1));
    }

    #[test]
    fn what_was_laid_and_not_served_is_served_by_the_clone() {
        let mut driver = Driver::of(Rng);
        driver.add(0, &[], &[8]);
        driver.device = clone(&driver, Rng).unwrap();
        assert_eq!(driver.used(0).unwrap().len(), 8);
        assert!(driver.was_interrupted(1));
    }

    #[test]
    fn an_interrupt_that_was_on_its_way_comes_again() {
        let mut driver = Driver::of(Rng);
        driver.ask(0, &[], &[8]);
        driver.device = clone(&driver, Rng).unwrap();
        assert!(driver.was_interrupted(1));
        driver.device = clone(&driver, Rng).unwrap();
        assert!(!driver.was_interrupted(1), "it was acknowledged");
    }

    #[test]
    fn ports_stay_open_and_the_clone_has_input_of_its_own() {
        const OPEN: &[u8] = &[0, 0, 0, 0, 6, 0, 1, 0];
        let (mut writer, input) = pipe();
        let ports = |input| Ports::new([("input", CapturedOutput::default().port(input))]);
        let mut driver = Driver::of(ports(None));
        driver.ask(3, &[OPEN], &[]);
        driver.add(0, &[], &[8]);
        writer.write_all(b"text").unwrap();
        driver.device = clone(&driver, ports(Some(input))).unwrap();
        assert_eq!(driver.used(0).unwrap(), b"text");
    }

    #[test]
    fn a_balloon_knows_what_it_holds() {
        let mut driver = Driver::of(Balloon::default());
        driver.write(0x104, 77);
        driver.add(2, &[&[0; 10]], &[]);
        driver.ring(2);
        driver.device = clone(&driver, Balloon::default()).unwrap();
        assert_eq!(driver.device.look(Balloon::actual_bytes), 77 << 12);
        driver.device.work(Balloon::ask);
        assert!(driver.used(2).is_some(), "the buffer that waited");
    }

    #[test]
    fn a_driver_that_cannot_have_been_there_is_refused() {
        let driver = Driver::of(Rng);
        let good = driver.device.save();
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut saved = good.clone();
            change(&mut saved);
            restored(&saved, Rng, &driver.memory).unwrap_err()
        };
        refused(&|saved| saved["status"] = json!(4));
        refused(&|saved| saved["status"] = json!(15 | 16));
        refused(&|saved| saved["driver_features"] = json!("0x100000001"));
        refused(&|saved| saved["queues"] = json!([]));
        refused(&|saved| saved["queues"][0]["setup"]["size"] = json!(0));
        refused(&|saved| saved["queues"][0]["setup"]["size"] = json!(32));
        refused(&|saved| saved["queues"][0]["setup"]["used"] = json!(u64::MAX - 3));
        refused(&|saved| saved["queues"][0]["setup"]["descriptors"] = json!(8));
        refused(&|saved| saved["device"] = json!({ "more": 1 }));
        refused(&|saved| *saved = Value::Null);
        refused(&|saved| saved["more"] = json!(1));
    }

    proptest! {
        /// Queues that are where they can be, with any position: the device serves or stops.
        #[test]
        fn no_position_in_a_queue_breaks_it(
            available: u16, used: u16, index: u16, word in prop::collection::vec(any::<u8>(), 0..64)
        ) {
            let mut driver = Driver::of(Rng);
            driver.describe(0, 0, 0x20_0000, 16, 2, 0);
            let mut saved = driver.device.save();
            saved["queues"][0]["next_available"] = json!(available);
            saved["queues"][0]["next_used"] = json!(used);
            let ring = driver.at(0, 1);
            let place = vm_memory::GuestAddress(ring + 2);
            vm_memory::Bytes::write_obj(&driver.memory, index, place).unwrap();
            let place = vm_memory::GuestAddress(ring + 4);
            vm_memory::Bytes::write_slice(&driver.memory, &word, place).unwrap();
            driver.device = restored(&saved, Rng, &driver.memory).unwrap();
            driver.ring(0);
        }
    }
}
