//! The devices of a Linux guest, and where each of them is.
//!
//! ```text
//!   ports                           memory
//!   0x064  keyboard controller      0xd000_0000  virtio devices, a page each, line 5 and up
//!   0x0f4  exit                     0xfec0_0000  IO-APIC, in the kernel
//!   0x0f5  reports                  0xfee0_0000  local APICs, in the kernel
//!   0x3f8  serial, line 4
//!   0x600  power management
//! ```

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use guest::plan::Plan;
use sandbox::{Milestone, Stdio, Story, Written};

use crate::{
    control::Handle,
    devices::{
        bus::{Bus, Device, Overlap},
        interrupt::Interrupt,
        output::Output,
        report::{self, ReportPort},
        reset::{ExitPort, KeyboardController, PowerManagement},
        serial::{self, Serial},
        virtio::{
            self, Transport,
            balloon::Balloon,
            block::Block,
            console::Console,
            disk::Disk,
            events::{self, EventLoop},
            mmio,
            net::Net,
            port::Port,
            ports::Ports,
            rng::Rng,
        },
    },
    error::{Error, Result},
    linux::{
        LinuxVm,
        acpi::{self, MmioDevice, SerialPort},
        console::SharedConsole,
        run::Buses,
        streams::{Reports, Streams},
        window,
    },
    machine::Machine,
    memory::Memory,
};

/// The first serial port of a PC.
const SERIAL: SerialPort = SerialPort { port: 0x3f8, line: 4 };
/// Where virtio devices are, one behind the other, and the interrupt line of the first.
const VIRTIO: MmioDevice =
    MmioDevice { address: 0xd000_0000, length: mmio::LENGTH as u32, line: 5 };

/// So often a guest is asked how its memory is used.
const ASK: Duration = Duration::from_millis(500);

/// The devices of one machine.
pub struct Hardware {
    // Dropped in this order: who serves the devices, the devices, the memory that they look into.
    /// The thread that serves doorbells and the host's files.
    pub events: Option<events::Running>,
    /// The way from the guest to each of them.
    pub buses: Arc<Buses>,
    /// Where the serial port's cable leads.
    pub console: SharedConsole,
    /// Where a command's streams lead, if isolab's own first process starts it.
    pub streams: Option<Streams>,
    /// What isolab's own first process is to do, if the guest has it.
    pub init: Option<Plan>,
    /// What that process reports.
    pub reports: Reports,
    balloon: Option<Transport<Balloon>>,
    virtio: Vec<MmioDevice>,
    _memory: Arc<Memory>,
}

/// What has to be found before there is a machine to plug it into.
pub struct Inventory {
    /// The disks, opened and locked.
    pub disks: Vec<Disk>,
    /// What isolab's own first process is to do, if the guest has it.
    pub init: Option<Plan>,
    /// Where the command's streams lead.
    pub stdio: Stdio,
}

/// Who serves a virtio device when its doorbell rings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Served {
    /// The processor that rang, before it goes on: short work that it waits for anyway.
    ByItsProcessor,
    /// The thread of the devices, told by KVM, while the processor goes on.
    ByTheLoop,
}

/// A machine that is being equipped.
struct Board<'m> {
    machine: &'m Machine,
    memory: Arc<Memory>,
    buses: Buses,
    events: EventLoop,
    virtio: Vec<MmioDevice>,
    story: &'m mut Story,
}

impl Hardware {
    /// Devices for `machine`, with their interrupts connected: those that `vm` asks for, and those
    /// of the `inventory`.
    ///
    /// # Errors
    ///
    /// When KVM or the system refuses one of them.
    pub fn new(
        machine: &Machine,
        vm: &LinuxVm,
        inventory: Inventory,
        handle: &Arc<Handle>,
        story: &mut Story,
    ) -> Result<Self> {
        let memory = machine.memory().expect("a machine gets its memory before its devices");
        let mut board = Board {
            machine,
            memory: memory.clone(),
            buses: Buses::default(),
            events: EventLoop::new()?,
            virtio: Vec::new(),
            story,
        };
        let reports = Reports::default();
        // Without a first process of isolab's, the serial console is all that a guest has.
        let output = match inventory.init {
            Some(_) => vm.show_console.then_some(Output::Errors),
            None => Some(Output::of(inventory.stdio)),
        };
        let console = SharedConsole::new(output, handle.clone());
        board.plug_ports(&console, &reports, handle)?;
        let mut streams = None;
        if inventory.init.is_some() {
            let own = streams.insert(Streams::of(inventory.stdio)?);
            board.plug_streams(own, inventory.stdio, handle)?;
        }
        for (number, disk) in (0..).zip(inventory.disks) {
            board.plug(Block::new(disk, format!("isolab{number}")), Served::ByTheLoop)?;
        }
        if let Some(card) = &vm.network {
            board.plug(Net::new(card.tap.clone(), card.mac), Served::ByTheLoop)?;
        }
        if vm.rng {
            board.plug(Rng, Served::ByItsProcessor)?;
        }
        let mut balloon = None;
        if let Some(bytes) = vm.balloon_bytes {
            let device = board.plug(Balloon::default(), Served::ByItsProcessor)?;
            device.configure(|balloon| balloon.set_target(bytes));
            let asked = device.clone();
            board.events.every(ASK, move || asked.work(Balloon::ask))?;
            balloon = Some(device);
        }
        let Board { buses, events, virtio, memory, .. } = board;
        let events = if events.is_empty() { None } else { Some(events.start()?) };
        let buses = Arc::new(buses);
        let init = inventory.init;
        Ok(Self {
            events,
            buses,
            console,
            streams,
            init,
            reports,
            balloon,
            virtio,
            _memory: memory,
        })
    }

    /// What the tables say of it, with so many processors.
    pub fn papers(&self, processors: u8) -> acpi::Hardware {
        acpi::Hardware { processors, serial: Some(SERIAL), virtio: self.virtio.clone() }
    }

    /// What the balloon holds and the guest has said of its memory, in a line.
    pub fn balloon_words(&self) -> Option<String> {
        let mebibytes = |bytes: u64| bytes >> 20;
        self.balloon.as_ref()?.look(|balloon| {
            let mut words =
                format!("balloon: {} MiB given back", mebibytes(balloon.actual_bytes()));
            if let (Some(free), Some(total)) =
                (balloon.statistics().free, balloon.statistics().total)
            {
                words += &format!("; inside {} of {} MiB free", mebibytes(free), mebibytes(total));
            }
            Some(words)
        })
    }

    /// What was captured of the command's streams; of the console, where that is all there is.
    pub fn written(&self, console: Vec<u8>) -> Written {
        match &self.streams {
            Some(streams) => streams.written(),
            None => Written { output: console, errors: Vec::new() },
        }
    }
}

impl Board<'_> {
    /// What every machine has: the switches that end it, reports, the serial port.
    fn plug_ports(
        &mut self,
        console: &SharedConsole,
        reports: &Reports,
        handle: &Arc<Handle>,
    ) -> Result<()> {
        let line = Interrupt::new()?;
        self.machine.connect(&line, SERIAL.line, self.story)?;
        let far_end = console.clone();
        let serial = Serial::new(line, move |byte| far_end.print(byte));
        let (hearing, reports) = (handle.clone(), reports.clone());
        let report = ReportPort::new(move |line: &str| reports.hear(line, &hearing));
        let ports = &mut self.buses.ports;
        put(ports, KeyboardController::PORT, 1, KeyboardController(handle.clone()))?;
        put(ports, ExitPort::PORT, 1, ExitPort(handle.clone()))?;
        put(ports, report::PORT.into(), 1, report)?;
        put(ports, SERIAL.port.into(), serial::PORTS, serial)?;
        let (port, length) = (PowerManagement::PORT, PowerManagement::PORTS);
        put(ports, port, length, PowerManagement(handle.clone()))
    }

    /// The ways of a command's streams: a terminal, or a port for each. They come first of the
    /// virtio devices, for Linux names ports by the number of their device.
    fn plug_streams(
        &mut self,
        streams: &mut Streams,
        stdio: Stdio,
        handle: &Arc<Handle>,
    ) -> Result<()> {
        let input = streams.input.take();
        if stdio == Stdio::Terminal {
            let (rows, columns) = window::size();
            let port = Port::new(streams.output.sink(handle.clone()), input);
            let console = self.plug(Console::new(port, columns, rows), Served::ByItsProcessor)?;
            return window::watch(&mut self.events, console);
        }
        let nowhere = Port::new(Box::new(|_| ()), input);
        let mut output = streams.output.sink(handle.clone());
        let first = handle.clone();
        let output = Port::new(
            Box::new(move |text| {
                first.reach(Milestone::FirstByte);
                output(text);
            }),
            None,
        );
        let errors = Port::new(streams.errors.sink(handle.clone()), None);
        let ports = Ports::new([("input", nowhere), ("output", output), ("errors", errors)]);
        self.plug(ports, Served::ByItsProcessor).map(drop)
    }

    /// Puts a virtio device into the next place.
    fn plug<D: virtio::Device>(&mut self, device: D, served: Served) -> Result<Transport<D>> {
        let number = self.virtio.len() as u32;
        let place = MmioDevice {
            address: VIRTIO.address + number * VIRTIO.length,
            line: VIRTIO.line + number,
            ..VIRTIO
        };
        let line = Interrupt::new()?;
        self.machine.connect(&line, place.line, self.story)?;
        let device = Transport::new(device, self.memory.ram().clone(), line);
        self.events.watch_files(&device)?;
        if served == Served::ByTheLoop {
            let address = u64::from(place.address) + mmio::DOORBELL;
            let (machine, story) = (self.machine, &mut *self.story);
            self.events.serve(&device, |queue, doorbell| {
                machine.serve_doorbell(doorbell, address, queue, story)
            })?;
        }
        put(&mut self.buses.memory, place.address.into(), mmio::LENGTH, device.clone())?;
        self.virtio.push(place);
        Ok(device)
    }
}

fn put(bus: &mut Bus, start: u64, length: u64, device: impl Device + 'static) -> Result<()> {
    let failed = |overlap: Overlap| Error::System {
        call: "put a device on its bus".into(),
        source: std::io::Error::other(overlap),
    };
    bus.put(start, length, Arc::new(Mutex::new(device))).map_err(failed)
}
