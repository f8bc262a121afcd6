//! The devices of a Linux guest, and where each of them is.
//!
//! ```text
//!   ports                           memory
//!   0x064  keyboard controller      0xd000_0000  virtio devices, a page each, line 5 and up
//!   0x0f4  exit                     0xfec0_0000  IO-APIC, in the kernel
//!   0x0f5  reports                  0xfee0_0000  local APICs, in the kernel
//!   0x0f8  freeze
//!   0x3f8  serial, line 4
//!   0x600  power management
//! ```

use std::{
    fs::File,
    io::Read as _,
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use guest::{abi::MAILBOX_BYTES, plan::InitPlan};
use host::terminal_size;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sandbox::{Event, Question, Stdio, Trace, Written};

use crate::{
    cell::{self, Role},
    control::Handle,
    devices::{
        bus::{Bus, Buses, Device, Overlap, RestoreError, Saved},
        freeze::{self, FreezePort},
        interrupt::Interrupt,
        output::Output,
        page::{self, Page},
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
            fs::{SharedDirectory, SharedTree},
            mmio,
            net::Net,
            port::{Port, Sink},
            ports::Ports,
            rate::Count,
            rng::Rng,
        },
    },
    error::{Error, Result},
    linux::{
        LinuxVm, OutputWay,
        acpi::{self, MmioDevice, SerialPort},
        channel,
        console::SharedConsole,
        layout,
        names::{disk_name, share_tag},
        streams::{Outlet, Reports, Streams},
        window,
    },
    machine::Machine,
    memory::Memory,
    shared_memory::SharedMemory,
};

/// The first serial port of a PC.
const SERIAL: SerialPort = SerialPort { port: 0x3f8, line: 4 };
/// Where virtio devices are, one behind the other, and the interrupt line of the first.
const VIRTIO: MmioDevice =
    MmioDevice { address: 0xd000_0000, length: mmio::LENGTH as u32, line: 5 };

/// So often the host looks into a page that it shares with a guest.
const LOOK: Duration = Duration::from_millis(5);
/// So many files may a guest have open in all of its shared directories together: the launcher has
/// twice as many descriptors for everything.
const OPEN_FILES: usize = 512;
/// So often a guest is asked how its memory is used.
const ASK: Duration = Duration::from_millis(500);

/// The devices of one machine.
pub struct Hardware {
    // Dropped in this order: who serves the devices, the devices, the memory that they look into.
    /// The thread that serves doorbells and the host's files.
    pub events: Option<events::EventThread>,
    /// The thread that serves shared directories. Their files may be on the host's slowest disk; the
    /// guest's other devices do not wait for them.
    _shares: Option<events::EventThread>,
    /// The way from the guest to each of them.
    pub buses: Arc<Buses>,
    /// Where the serial port's cable leads.
    pub console: SharedConsole,
    /// Where the guest's streams lead.
    pub streams: Streams,
    /// What isolab's own first process is to do, if the guest has it.
    pub init: Option<InitPlan>,
    /// What that process reports.
    pub reports: Reports,
    /// The host's end of the channel to that process.
    pub channel: Option<UnixStream>,
    /// What has gone through each disk and card, by its name.
    pub counts: Vec<(String, Arc<Count>)>,
    balloon: Option<Transport<Balloon>>,
    page: Option<SharedPage>,
    _mailbox: Option<SharedMemory>,
    virtio: Vec<MmioDevice>,
    _memory: Arc<Memory>,
}

/// The serial port, which the guest and the host's input reach.
type SharedSerial = Arc<Mutex<Serial<Box<dyn FnMut(u8) + Send>>>>;

/// A page that guest and host share, and the sink of what the guest writes there.
#[derive(Clone)]
struct SharedPage(Arc<Mutex<(Page, Sink)>>);

impl SharedPage {
    /// Passes on what has come since the last look.
    fn look(&self) {
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (page, sink) = &mut *both;
        let bytes = page.take();
        if !bytes.is_empty() {
            sink(&bytes);
        }
    }
}

/// What has to be found before there is a machine to plug it into.
pub struct Inventory {
    /// The disks, opened and locked.
    pub disks: Vec<Disk>,
    /// The directories that it reads, opened.
    pub shares: Vec<SharedTree>,
    /// What isolab's own first process is to do, if the guest has it.
    pub init: Option<InitPlan>,
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
    /// The thread of shared directories, the same way.
    OnItsOwnThread,
}

/// A thread that serves devices, and can be called away when the guest is to end.
struct Serving(Arc<Handle>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Starts the thread that serves devices in the cell of `role`, if there are any.
fn serve(
    events: EventLoop,
    role: Role,
    handle: &Arc<Handle>,
    trace: &mut Trace,
) -> Result<Option<events::EventThread>> {
    if events.is_empty() {
        return Ok(None);
    }
    let handle = handle.clone();
    let mut own = Trace::new(trace.enabled());
    let (sender, own_steps) = mpsc::sync_channel(1);
    let running = events.start(move || {
        handle.begin(None);
        let serving = Serving(handle);
        cell::enter(role, &mut own)?;
        // Nobody who waits for it has gone.
        let _ = sender.send(own.entries);
        Ok(move || {
            if let Some(breach) = cell::breach() {
                serving.0.fail(Error::Breach(breach));
            }
        })
    })?;
    trace.entries.extend(own_steps.recv().into_iter().flatten());
    Ok(Some(running))
}

/// A machine that is being equipped.
struct Board<'m> {
    machine: &'m Machine,
    handle: &'m Arc<Handle>,
    memory: Arc<Memory>,
    buses: Buses,
    events: EventLoop,
    shares: EventLoop,
    virtio: Vec<MmioDevice>,
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
    ) -> Result<Self> {
        let memory = machine.memory().expect("a machine gets its memory before its devices");
        let mut board = Board {
            machine,
            handle,
            memory: memory.clone(),
            buses: Buses::default(),
            events: EventLoop::new()?,
            shares: EventLoop::new()?,
            virtio: Vec::new(),
        };
        let reports = Reports::default();
        let mut streams = Streams::of(inventory.stdio, handle)?;
        let own_init = inventory.init.is_some();
        // Where no first process of isolab's opens other ways, the serial port is all there is.
        let serial = match (own_init, vm.output_way, vm.show_console) {
            (false, ..) | (true, OutputWay::Serial, _) => Some(streams.output.sink(handle.clone())),
            (true, _, true) => Some(Outlet::new(Output::Errors).sink(handle.clone())),
            (true, _, false) => None,
        };
        let console = SharedConsole::new(serial);
        let serial = board.plug_ports(&console, &reports, handle)?;
        let (mut page, mut channel) = (None, None);
        if own_init {
            channel = Some(board.plug_streams(&mut streams, inventory.stdio, handle)?);
            if vm.output_way == OutputWay::Page {
                page = Some(board.share_page(streams.output.sink(handle.clone()))?);
            }
        } else if let Some(input) = streams.input.take() {
            board.type_into(serial, input)?;
        }
        let mailbox = handle.mailbox().map(|mailbox| {
            let memory = SharedMemory::of(mailbox.file(), MAILBOX_BYTES)?;
            machine.share(&memory, layout::MAILBOX).map(|()| memory)
        });
        let mut counts = Vec::new();
        for (number, disk) in (0..).zip(inventory.disks) {
            let block = Block::new(disk, disk_name(number)).limited(vm.disk_limit);
            counts.push((disk_name(number), block.count()));
            let block = board.plug(block, Served::ByTheLoop)?;
            if vm.disk_limit.is_any() {
                board.events.serve_later(&block)?;
            }
        }
        if let Some(card) = &vm.network {
            let net = Net::new(card.tap.clone(), card.mac).limited(vm.network_limit);
            counts.push(("eth0".into(), net.count()));
            let net = board.plug(net, Served::ByTheLoop)?;
            if vm.network_limit.is_any() {
                board.events.serve_later(&net)?;
            }
        }
        board.plug_shares(inventory.shares)?;
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
        let Board { buses, events, shares, virtio, memory, .. } = board;
        let events = serve(events, Role::Devices, handle, &mut machine.trace())?;
        let shares = serve(shares, Role::Shares, handle, &mut machine.trace())?;
        let buses = Arc::new(buses);
        let init = inventory.init;
        Ok(Self {
            events,
            _shares: shares,
            buses,
            console,
            streams,
            init,
            reports,
            channel,
            counts,
            balloon,
            page,
            _mailbox: mailbox.transpose()?,
            virtio,
            _memory: memory,
        })
    }

    /// What the ACPI tables have to describe, with this many processors.
    pub fn acpi_description(&self, processors: u8) -> acpi::Hardware {
        acpi::Hardware { processors, serial: Some(SERIAL), virtio: self.virtio.clone() }
    }

    /// Keeps the devices' thread from serving any until the guard goes.
    pub fn hold(&self) -> Option<MutexGuard<'_, ()>> {
        self.events.as_ref().map(events::EventThread::hold)
    }

    /// What the devices know.
    pub fn save(&self) -> Vec<Saved> {
        self.buses.ports.save().chain(self.buses.memory.save()).collect()
    }

    /// Lets the devices go on from what they knew.
    ///
    /// # Errors
    ///
    /// When these are others, or one cannot have been so.
    pub fn restore(&self, saved: &[Saved]) -> Result<(), RestoreError> {
        let rest = self.buses.ports.restore(saved)?;
        match self.buses.memory.restore(rest)? {
            [] => Ok(()),
            [more, ..] => {
                Err(RestoreError::OtherDevices { saved: more.to_string(), built: "nothing".into() })
            }
        }
    }

    /// How much memory the guest has given back, if it has a balloon.
    pub fn balloon_bytes(&self) -> Option<u64> {
        self.balloon.as_ref().map(|balloon| balloon.look(Balloon::actual_bytes))
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

    /// What was captured of the guest's streams, when nobody runs it any more.
    pub fn written(&self) -> Written {
        if let Some(page) = &self.page {
            page.look();
        }
        self.streams.written()
    }
}

impl Board<'_> {
    /// What every machine has: the switches that end it, reports, the serial port.
    fn plug_ports(
        &mut self,
        console: &SharedConsole,
        reports: &Reports,
        handle: &Arc<Handle>,
    ) -> Result<SharedSerial> {
        let line = Interrupt::new()?;
        self.machine.register_irqfd(line.eventfd(), SERIAL.line)?;
        let far_end = console.clone();
        let print: Box<dyn FnMut(u8) + Send> = Box::new(move |byte| far_end.print(byte));
        let serial = Arc::new(Mutex::new(Serial::new(line, print)));
        let (hearing, reports) = (handle.clone(), reports.clone());
        let report = ReportPort::new(move |line: &str| reports.hear(line, &hearing));
        let ports = &mut self.buses.ports;
        put(ports, KeyboardController::PORT, 1, KeyboardController(handle.clone()))?;
        put(ports, ExitPort::PORT, 1, ExitPort(handle.clone()))?;
        put(ports, report::PORT.into(), 1, report)?;
        let freezing = handle.clone();
        let freeze = FreezePort::new(move || freezing.freeze_point());
        put(ports, freeze::PORT.into(), freeze::LENGTH, freeze)?;
        let (port, length) = (PowerManagement::PORT, PowerManagement::PORTS);
        put(ports, port, length, PowerManagement(handle.clone()))?;
        ports.put(SERIAL.port.into(), serial::PORTS, serial.clone()).map_err(overlap)?;
        #[cfg(feature = "hole")]
        self.plug_holes()?;
        Ok(serial)
    }

    /// A hole into the thread of the processor that uses it, and one into the devices' thread.
    #[cfg(feature = "hole")]
    fn plug_holes(&mut self) -> Result<()> {
        use std::os::fd::AsRawFd as _;

        use crate::cell::hole::{self, Hole};
        let (own, devices) = Hole::pair(self.memory.ram().clone())?;
        self.events.watch(devices.as_raw_fd(), move || devices.serve())?;
        put(&mut self.buses.ports, hole::PORT.into(), 8, own)
    }

    /// Lets `input` arrive over the serial port's cable.
    fn type_into(&mut self, serial: SharedSerial, mut input: File) -> Result<()> {
        self.events.every(LOOK, move || {
            let mut ready = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            let mut serial = serial.lock().unwrap_or_else(PoisonError::into_inner);
            let room = serial.room();
            if room > 0 && matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1)) {
                let mut typed = vec![0; room];
                // What has ended has nothing more, and looking again finds that again.
                let count = input.read(&mut typed).unwrap_or(0);
                serial.receive(&typed[..count]);
            }
        })
    }

    /// A page that guest and host share; what the guest writes there goes to `sink`.
    fn share_page(&mut self, sink: Sink) -> Result<SharedPage> {
        let page = Page::new()?;
        self.machine.share(page.memory(), page::ADDRESS)?;
        let page = SharedPage(Arc::new(Mutex::new((page, sink))));
        let looking = page.clone();
        self.events.every(LOOK, move || looking.look())?;
        Ok(page)
    }

    /// The ways of a command's streams: a terminal, or a port for each; and the channel to the first
    /// process, whose other end it gives. They come first of the virtio devices, for Linux names
    /// ports by the number of their device.
    fn plug_streams(
        &mut self,
        streams: &mut Streams,
        stdio: Stdio,
        handle: &Arc<Handle>,
    ) -> Result<UnixStream> {
        let input = streams.input.take();
        let (control, far_end) = channel::port(handle)?;
        if stdio == Stdio::Terminal {
            let (rows, columns) = terminal_size();
            let port = Port::new(streams.output.sink(handle.clone()), input);
            let console = self.plug(Console::new(port, columns, rows), Served::ByItsProcessor)?;
            window::watch(&mut self.events, console)?;
            self.plug(Ports::new([("control", control)]), Served::ByItsProcessor)?;
            return Ok(far_end);
        }
        let nowhere = Port::new(Box::new(|_| ()), input);
        let output = Port::new(streams.output.sink(handle.clone()), None);
        let errors = Port::new(streams.errors.sink(handle.clone()), None);
        let ports = Ports::new([
            ("input", nowhere),
            ("output", output),
            ("errors", errors),
            ("control", control),
        ]);
        self.plug(ports, Served::ByItsProcessor).map(|_| far_end)
    }

    /// Lets the guest read directories of the host's, in their order by the names of [`share_tag`].
    fn plug_shares(&mut self, shares: Vec<SharedTree>) -> Result<()> {
        let open = OPEN_FILES / shares.len().max(1);
        for (number, tree) in shares.into_iter().enumerate() {
            let way = if tree.is_private() { "a read-only mount of its own" } else { "as it is" };
            let note = Event::note(format!("share a directory: {way}"));
            self.machine.trace().record(Question::Inside, note, || ());
            let device = SharedDirectory::new(tree, share_tag(number), open);
            self.plug(device, Served::OnItsOwnThread)?;
        }
        Ok(())
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
        self.machine.register_irqfd(line.eventfd(), place.line)?;
        let device = Transport::new(device, self.memory.ram().clone(), line);
        let device = device.until(self.handle.over());
        let events = match served {
            Served::OnItsOwnThread => &mut self.shares,
            Served::ByItsProcessor | Served::ByTheLoop => &mut self.events,
        };
        events.watch_files(&device)?;
        if served != Served::ByItsProcessor {
            let address = u64::from(place.address) + mmio::DOORBELL;
            let machine = self.machine;
            events.serve(&device, |queue, doorbell| {
                machine.register_ioeventfd(doorbell, address, queue)
            })?;
        }
        put(&mut self.buses.memory, place.address.into(), mmio::LENGTH, device.clone())?;
        self.virtio.push(place);
        Ok(device)
    }
}

fn put(bus: &mut Bus, start: u64, length: u64, device: impl Device + Send + 'static) -> Result<()> {
    bus.put(start, length, Arc::new(Mutex::new(device))).map_err(overlap)
}

fn overlap(overlap: Overlap) -> Error {
    Error::System { call: "put a device on its bus".into(), source: std::io::Error::other(overlap) }
}
