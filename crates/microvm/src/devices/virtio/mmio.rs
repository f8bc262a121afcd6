//! The door of a virtio device: registers in memory, by which a driver finds it and sets it up.
//!
//! ```text
//!   0x000 R  magic "virt"         0x038 W  queue size          0x070 RW status
//!   0x004 R  version 2            0x044 RW queue ready         0x080 W  descriptors, low, high
//!   0x008 R  device number        0x050 W  doorbell: queue n   0x090 W  available ring
//!   0x010 R  device's features    0x060 R  why interrupted     0x0a0 W  used ring
//!   0x020 W  driver's features    0x064 W  acknowledged        0x0fc R  generation
//!   0x030 W  select queue n       0x034 R  its largest size    0x100 RW configuration
//! ```
//!
//! A driver goes through them in one order, and the status says how far it is: it sees the device
//! (1), knows what it is (2), agrees on features (8), sets its queues up, and is ready (4). Writing
//! 0 takes everything back. A device that was told nonsense says so (64) and waits for that 0.
//!
//! virtio, sections 3.1 and 4.2.

use std::sync::atomic::AtomicBool;

use super::{Broken, Device, Queue, Queues, queue::Setup};
use crate::ram::Ram;

/// The registers' length on the bus.
pub const LENGTH: u64 = 0x1000;
/// The register that is the doorbell; its value is the queue's number.
pub const DOORBELL: u64 = 0x050;

const MAGIC: u32 = u32::from_le_bytes(*b"virt");
const VERSION: u32 = 2;
const VENDOR: u32 = u32::from_le_bytes(*b"ISOL");
pub(super) const CONFIG: u64 = 0x100;
pub(super) const INTERRUPT_STATUS: u64 = 0x060;
pub(super) const INTERRUPT_ACKNOWLEDGE: u64 = 0x064;
pub(super) const STATUS: u64 = 0x070;
/// The length of a region of shared memory that there is not (section 4.2.2).
const NO_SHARED_MEMORY: [u64; 4] = [0x0b0, 0x0b4, 0x0b8, 0x0bc];

/// The transport's own features: both say when to ring; the device is one of version 1 or later.
pub(super) const EVENTS: u64 = 1 << 29;
const VERSION_1: u64 = 1 << 32;

/// How far the driver is (section 2.1).
pub(super) mod status {
    pub const DRIVER: u32 = 2;
    pub const DRIVER_OK: u32 = 4;
    pub const FEATURES_OK: u32 = 8;
    pub const NEEDS_RESET: u32 = 64;
    /// What a driver may say; the bits not named here are "seen" (1) and "given up" (128).
    pub const OF_DRIVER: u32 = 1 | DRIVER | DRIVER_OK | FEATURES_OK | 128;
}

/// What is to be done after a device has worked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turn {
    /// The driver wants an interrupt.
    pub interrupts: bool,
    /// There was more to do than fits into one turn.
    pub is_cut_short: bool,
}

/// A device and its queues behind the registers, and what the driver has written to them.
#[derive(Debug)]
pub(super) struct Registers<D> {
    pub device: D,
    pub queues: Vec<Queue>,
    /// What stopped the device.
    pub broken: Option<Broken>,
    pub memory: Ram,
    /// Which half of the device's and of the driver's features, and which queue, are shown.
    pub features_half: [u32; 2],
    pub selected: u32,
    pub driver_features: u64,
    pub status: u32,
    pub generation: u32,
}

impl<D: Device> Registers<D> {
    pub fn new(device: D, memory: Ram) -> Self {
        Self {
            queues: device.queues().into_iter().map(Queue::new).collect(),
            device,
            broken: None,
            memory,
            features_half: [0; 2],
            selected: 0,
            driver_features: 0,
            status: 0,
            generation: 0,
        }
    }

    /// Whether the driver is ready, and the device believes it.
    pub fn is_running(&self) -> bool {
        self.status & (status::DRIVER_OK | status::NEEDS_RESET) == status::DRIVER_OK
    }

    /// The device at its work for a turn, with its queues, unless the guest's end is `over`.
    pub fn work(
        &mut self,
        over: &AtomicBool,
        work: impl FnOnce(&mut D, &mut Queues<'_>) -> Result<(), Broken>,
    ) -> Result<Turn, Broken> {
        let Self { device, queues, memory, .. } = self;
        queues.iter_mut().for_each(Queue::begin_turn);
        work(device, &mut Queues { queues, memory, over })?;
        let mut turn = Turn::default();
        for queue in queues {
            turn.interrupts |= queue.wants_interrupt(memory)?;
            turn.is_cut_short |= queue.is_cut_short();
        }
        Ok(turn)
    }

    /// What is read as the configuration has changed.
    pub fn reconfigured(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    fn features(&self) -> u64 {
        self.device.features() | EVENTS | VERSION_1
    }

    /// Whether the driver's features are some of the device's.
    pub fn has_agreed(&self) -> bool {
        self.driver_features & VERSION_1 != 0 && self.driver_features & !self.features() == 0
    }

    fn queue(&self) -> Option<&Queue> {
        self.queues.get(self.selected as usize)
    }

    pub fn register(&self, offset: u64) -> u32 {
        let half = |features: u64, half: u32| match half {
            0 => features as u32,
            1 => (features >> 32) as u32,
            _ => 0,
        };
        match offset {
            0x000 => MAGIC,
            0x004 => VERSION,
            0x008 => self.device.number(),
            0x00c => VENDOR,
            0x010 => half(self.features(), self.features_half[0]),
            0x034 => self.queue().map_or(0, |queue| queue.shape().size.into()),
            0x044 => self.queue().map_or(0, |queue| queue.is_ready().into()),
            STATUS => self.status,
            0x0fc => self.generation,
            _ if NO_SHARED_MEMORY.contains(&offset) => u32::MAX,
            _ => 0,
        }
    }

    pub fn set_register(&mut self, offset: u64, value: u32) {
        match offset {
            0x014 => self.features_half[0] = value,
            0x020 => self.set_driver_features(value),
            0x024 => self.features_half[1] = value,
            0x030 => self.selected = value,
            0x044 => self.set_queue_ready(value),
            0x038 => self.set_up(|setup| setup.size = value.try_into().unwrap_or(0)),
            0x080 => self.set_up(|setup| set_low(&mut setup.descriptors, value)),
            0x084 => self.set_up(|setup| set_high(&mut setup.descriptors, value)),
            0x090 => self.set_up(|setup| set_low(&mut setup.available, value)),
            0x094 => self.set_up(|setup| set_high(&mut setup.available, value)),
            0x0a0 => self.set_up(|setup| set_low(&mut setup.used, value)),
            0x0a4 => self.set_up(|setup| set_high(&mut setup.used, value)),
            _ => {}
        }
    }

    fn set_driver_features(&mut self, value: u32) {
        if self.status & (status::DRIVER | status::FEATURES_OK) != status::DRIVER {
            return;
        }
        match self.features_half[1] {
            0 => set_low(&mut self.driver_features, value),
            1 => set_high(&mut self.driver_features, value),
            _ => {}
        }
    }

    /// The driver may lay a queue where it likes until it is ready, and not after.
    fn set_up(&mut self, set: impl FnOnce(&mut Setup)) {
        let may = self.status & (status::FEATURES_OK | status::DRIVER_OK) == status::FEATURES_OK;
        match self.queues.get_mut(self.selected as usize) {
            Some(queue) if may && !queue.is_ready() => set(&mut queue.setup),
            _ => {}
        }
    }

    fn set_queue_ready(&mut self, value: u32) {
        let may = self.status & (status::FEATURES_OK | status::DRIVER_OK) == status::FEATURES_OK;
        let Some(queue) = self.queues.get_mut(self.selected as usize) else { return };
        if value != 1 || !may || queue.is_ready() {
            return;
        }
        if let Err(broken) = queue.make_ready(&self.memory) {
            self.stop(broken);
        }
    }

    /// The driver says how far it is; `true` if it is ready with that. It takes nothing back here.
    pub fn advance(&mut self, value: u32) -> bool {
        let mut new = value & !self.status & status::OF_DRIVER;
        if !self.has_agreed() {
            new &= !status::FEATURES_OK;
        }
        if (self.status | new) & status::FEATURES_OK == 0 {
            new &= !status::DRIVER_OK;
        }
        self.status |= new;
        let started = new & status::DRIVER_OK != 0;
        if started {
            for queue in &mut self.queues {
                queue.events = self.driver_features & EVENTS != 0;
            }
            self.device.start(self.driver_features);
        }
        started
    }

    pub fn stop(&mut self, broken: Broken) {
        self.status |= status::NEEDS_RESET;
        self.broken = Some(broken);
    }

    pub fn reset(&mut self) {
        self.device.reset();
        for queue in &mut self.queues {
            *queue = Queue::new(queue.shape());
        }
        self.features_half = [0; 2];
        self.selected = 0;
        self.driver_features = 0;
        self.status = 0;
        self.broken = None;
    }
}

fn set_low(word: &mut u64, value: u32) {
    *word = *word >> 32 << 32 | u64::from(value);
}

fn set_high(word: &mut u64, value: u32) {
    *word = u64::from(value) << 32 | *word & u64::from(u32::MAX);
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Shape,
            driver::Driver,
            rng::Rng,
            signal::{CONFIGURATION, USED},
        },
        *,
    };
    use crate::devices::bus;

    /// A device that can be configured, and has two queues.
    struct Example(Vec<u8>);

    impl Device for Example {
        fn name(&self) -> &'static str {
            "example"
        }

        fn number(&self) -> u32 {
            77
        }

        fn features(&self) -> u64 {
            1 << 5 | 1 << 40
        }

        fn queues(&self) -> Vec<Shape> {
            vec![Shape { size: 8, bytes: 100 }, Shape { size: 4, bytes: 100 }]
        }

        fn config(&self) -> Vec<u8> {
            self.0.clone()
        }

        fn write_config(&mut self, offset: u64, data: &[u8]) {
            if offset == 0 {
                self.0 = data.to_vec();
            }
        }

        fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
            while let Some(chain) = queues.pop(number)? {
                queues.push(number, chain.head, 0)?;
            }
            Ok(())
        }
    }

    fn example() -> Driver<Example> {
        Driver::unready(Example(vec![1, 2, 3, 4, 5]))
    }

    #[test]
    fn a_driver_finds_the_device_by_its_registers() {
        let mut driver = example();
        assert_eq!([0, 4, 8].map(|offset| driver.read(offset)), [0x7472_6976, 2, 77]);
        driver.write(0x30, 1);
        assert_eq!(driver.read(0x34), 4);
        driver.write(0x30, 2);
        assert_eq!(driver.read(0x34), 0, "there is no third queue");
        assert_eq!(driver.read(0xb0), u32::MAX, "there is no shared memory");
        assert_eq!(driver.read(0xffc), 0);
    }

    #[test]
    fn features_come_in_halves_and_are_agreed_on() {
        let mut driver = example();
        driver.write(0x14, 0);
        assert_eq!(driver.read(0x10), 1 << 5 | 1 << 29);
        driver.write(0x14, 1);
        assert_eq!(driver.read(0x10), 1 << (40 - 32) | 1);
        driver.write(0x14, 2);
        assert_eq!(driver.read(0x10), 0);
        driver.set_up(u64::MAX);
    }

    #[test]
    fn a_driver_that_does_not_agree_gets_no_further() {
        // One of before version 1, and one that wants what is not offered.
        for (low, high) in [(1 << 5, 0), (1 << 6, 1)] {
            let mut driver = example();
            driver.write(0x70, 3);
            for (half, word) in [(0, low), (1, high)] {
                driver.write(0x24, half);
                driver.write(0x20, word);
            }
            driver.write(0x70, 11);
            assert_eq!(driver.read(0x70), 3);
            driver.write(0x70, 15);
            assert_eq!(driver.read(0x70), 3);
        }
    }

    #[test]
    fn a_ready_queue_stays_where_it_is_until_reset() {
        let mut driver = example();
        driver.set_up(u64::MAX);
        driver.write(0x30, 0);
        driver.write(0x38, 2);
        driver.write(0x80, 0x10);
        driver.write(0x44, 0);
        assert_eq!(driver.read(0x44), 1);
        driver.ask(0, &[b"still"], &[]);
        driver.write(0x70, 0);
        assert_eq!((driver.read(0x70), driver.read(0x44)), (0, 0));
        driver.set_up(u64::MAX);
        driver.ask(0, &[b"again"], &[]);
    }

    #[test]
    fn a_queue_that_lies_nowhere_stops_the_device() {
        for (register, value) in
            [(0x38, 3), (0x38, 0), (0x38, 16), (0x38, 0x1_0008), (0x80, 8), (0x94, 1), (0xa0, 2)]
        {
            let mut driver = example();
            driver.write(0x70, 3);
            driver.write(0x24, 1);
            driver.write(0x20, 1);
            driver.write(0x70, 11);
            driver.write(register, value);
            driver.write(0x44, 1);
            assert_eq!(driver.read(0x44), 0, "{register:#x} = {value:#x}");
            assert_eq!(driver.read(0x70), 11 | 64);
            assert!(matches!(driver.device.broken(), Some(Broken::Setup { .. })));
        }
    }

    #[test]
    fn a_driver_that_breaks_the_rules_is_told_and_can_begin_anew() {
        let mut driver = example();
        driver.set_up(u64::MAX);
        driver.offer(0, 8);
        driver.ring(0);
        assert_eq!(driver.device.broken(), Some(Broken::NoDescriptor { index: 8, size: 8 }));
        assert_eq!(driver.read(0x70) & 64, 64);
        assert!(driver.was_interrupted(CONFIGURATION));
        driver.add(1, &[b"anyone there?"], &[]);
        driver.ring(1);
        assert_eq!(driver.used(1), None);
        driver.set_up(u64::MAX);
        assert_eq!(driver.device.broken(), None);
        driver.ask(1, &[b"anyone there?"], &[]);
    }

    #[test]
    fn nothing_is_served_before_the_driver_is_ready() {
        let mut driver = example();
        driver.ring(0);
        driver.device.wake();
        assert!(!driver.was_interrupted(USED));
    }

    #[test]
    fn an_interrupt_says_why_until_it_is_acknowledged() {
        let mut driver = example();
        driver.set_up(u64::MAX);
        driver.ask(0, &[b"a"], &[]);
        assert_eq!(driver.read(0x60), USED);
        driver.device.configure(|_| ());
        assert_eq!(driver.read(0x60), USED | CONFIGURATION);
        driver.write(0x64, USED);
        assert_eq!(driver.read(0x60), CONFIGURATION);
        assert!(driver.was_interrupted(CONFIGURATION));
        assert_eq!(driver.read(0x60), 0);
        assert!(!driver.was_interrupted(USED | CONFIGURATION));
    }

    #[test]
    fn the_configuration_is_read_in_any_width_and_changes_its_generation() {
        let mut driver = example();
        let mut byte = [0];
        bus::Device::read(&mut driver.device, 0x104, &mut byte);
        let mut eight = [0xff; 8];
        bus::Device::read(&mut driver.device, 0x102, &mut eight);
        assert_eq!((byte, eight), ([5], [3, 4, 5, 0, 0, 0, 0, 0]));
        let generation = driver.read(0xfc);
        driver.device.configure(|example| example.0[0] = 9);
        assert_ne!(driver.read(0xfc), generation);
        assert_eq!(driver.read(0x100), u32::from_le_bytes([9, 2, 3, 4]));
        driver.write(0x100, 7);
        assert_eq!(driver.device.look(|example| example.0.clone()), [7, 0, 0, 0]);
    }

    #[test]
    fn registers_are_whole_words() {
        let mut driver = Driver::unready(Rng);
        for length in [0, 1, 2, 8] {
            let mut data = vec![0xff; length];
            bus::Device::read(&mut driver.device, 0, &mut data);
            assert_eq!(data, vec![0; length]);
            bus::Device::write(&mut driver.device, 0x70, &vec![1; length]);
            assert_eq!(driver.read(0x70), 0);
        }
    }
}
