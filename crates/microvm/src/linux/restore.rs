//! The Linux microVM again, begun in the middle: a guest that was saved goes on.
//!
//! The five questions come in the same order as in [`LinuxVm`]'s story, and each has its answer in
//! the snapshot: nothing is loaded, prepared or booted.

use std::{os::unix::net::UnixListener, path::PathBuf, sync::Arc, thread};

use sandbox::{Instance, Mailbox, Milestone, Question, Sandbox, Stdio, Timeline, Trace, Workload};

use super::{
    DISPLAY_NAME, LinuxVm, NAME,
    hardware::Hardware,
    instance::{Guest, LinuxInstance, Times},
};
use crate::{
    control::Handle,
    cpu_time::cpu_time,
    error::{Error, Result},
    exit_trace::ExitTrace,
    machine::Machine,
    memory::Memory,
    snapshot::{Snapshot, SnapshotError, cpu, host::Host},
};

/// A saved guest, which can be started as often as one likes, and many times at once.
#[derive(Debug, Clone)]
pub struct SavedVm {
    /// The folder of its snapshot.
    pub folder: PathBuf,
    /// Its disks, in the order in which it was saved with them, instead of those that the snapshot
    /// names; they are only read.
    pub disks: Vec<PathBuf>,
    /// Whether the kernel's console goes to standard error.
    pub show_console: bool,
    /// Where others may ask for it to be paused, looked at, or to run a second command.
    pub control: Option<Arc<UnixListener>>,
    /// KVM's device.
    pub device: PathBuf,
}

impl SavedVm {
    /// The guest that was saved in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            disks: Vec::new(),
            show_console: false,
            control: None,
            device: "/dev/kvm".into(),
        }
    }
}

impl Sandbox for SavedVm {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Lets the guest go on. It runs the command with which it was saved, whatever the program of
    /// `workload` is; its streams, its deadline and what is told of it are the workload's.
    fn spawn(&self, workload: &Workload) -> sandbox::Result<Box<dyn Instance>> {
        match self.start(workload) {
            Ok(running) => Ok(Box::new(running)),
            Err(error) => Err(error.into_sandbox_error(DISPLAY_NAME)),
        }
    }
}

impl SavedVm {
    /// The story: five questions, answered before.
    fn start(&self, workload: &Workload) -> Result<LinuxInstance> {
        let timeline = Timeline::start();
        let before = cpu_time();
        if workload.stdio == Stdio::Terminal {
            return Err(Error::Unsupported {
                what: "give a restored guest a terminal: it was saved without".into(),
                fix: "leave --terminal out".into(),
            });
        }
        let snapshot = Snapshot::open(&self.folder)?;
        thread::scope(|scope| {
            // All of what is in its memory is read for that, while the machine is made.
            let checked = scope.spawn(|| snapshot.check_memory());
            let made = self.make(&snapshot, workload, timeline);
            checked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            let (mut guest, handle, host) = made?;
            let state = &snapshot.state;

            // 4. With what power does it start? Each processor with all that it had.
            let call = "restore processors, interrupt controllers, timer and clock";
            let restored = guest.machine.trace().record(Question::Power, call, || {
                let (machine, host) = (&guest.machine, &state.host);
                cpu::restore(&state.processors, &guest.cpus, machine, host)?;
                state.chips.restore(machine)
            });
            restored.map_err(|error| snapshot.blame_kernel(error, &host))?;
            // Interrupts that they raise need the controllers to be as they were.
            let call = "restore devices";
            guest
                .machine
                .trace()
                .record(Question::WayOut, call, || guest.hardware.restore(&state.devices))
                .map_err(SnapshotError::from)?;

            // 5. How does it reach the host? By leaving KVM_RUN, in a thread for each processor.
            handle.has_started_up();
            guest.spent = cpu_time().saturating_sub(before);
            let times = Times { deadline: workload.deadline, start_up: None };
            LinuxInstance::start(guest, handle, times)
        })
    }

    /// The machine around it, with memory and devices, and processors that know nothing.
    fn make(
        &self,
        snapshot: &Snapshot,
        workload: &Workload,
        timeline: Timeline,
    ) -> Result<(Guest, Arc<Handle>, Host)> {
        let state = &snapshot.state;
        let (vm, inventory) =
            state.recipe.follow(workload.stdio, &self.disks, snapshot.is_original())?;
        let vm = LinuxVm { show_console: self.show_console, ..vm };
        let mailbox = state.recipe.mailbox.then(Mailbox::create).transpose();
        let mailbox = mailbox.map_err(Error::system::<std::io::Error>("create the mailbox"))?;
        let handle = Arc::new(Handle::new(timeline, mailbox));

        // 1. What separates it from the host? An address space of its own, on the same processor.
        let mut machine = Machine::create(&self.device, Trace::new(workload.trace))?;
        let host = Host::of(&machine.features()?);
        snapshot.check_host(&host)?;

        // 2. What may it consume? The file of its memory, as long as it only reads.
        let memory = Memory::of_file(snapshot.memory(), state.memory.bytes, &mut machine.trace())?;
        machine.attach(memory)?;
        machine.add_interrupt_controllers()?;
        let cpus = machine.cpus(state.processors.len() as u8)?;
        handle.reach(Milestone::Created);

        // 3. What does it find inside? What it left there, and the same devices.
        let hardware = Hardware::new(&machine, &vm, inventory, &handle)?;
        let exit_trace = ExitTrace::of(workload);
        let guest = Guest {
            cpus,
            machine,
            hardware,
            exit_trace,
            terminal: None,
            saving: None,
            spent: std::time::Duration::ZERO,
            own_words: String::new(),
            control: self.control.clone(),
            debugger: None,
            recipe: state.recipe.clone().while_running(workload.stdio, false),
        };
        Ok((guest, handle, host))
    }
}
