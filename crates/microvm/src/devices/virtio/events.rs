//! The event loop: one thread that serves the doorbells of all devices, and the host's files.
//!
//! A doorbell that KVM has taken over (`KVM_IOEVENTFD`) is a file: when the guest rings, KVM makes
//! it readable and lets the guest go on, without a trip to this process. One thread sleeps until
//! any of these files, or any of the host's with something for the guest, has news.
//!
//! Each file wakes the loop when something *new* arrives, not for as long as something is left
//! (`EPOLLET`, epoll(7)). So a guest that leaves its input lying does not keep the host busy; it
//! rings when it has room again, and that is news too.

use std::{
    os::fd::{AsRawFd, RawFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd},
    timerfd::TimerFd,
};

use super::{Device, Transport};
use crate::error::{Error, Result};

/// Files, and what is to be done when they have news.
pub struct EventLoop {
    epoll: Epoll,
    acts: Vec<Box<dyn FnMut() + Send>>,
    stop: EventFd,
}

/// The number by which epoll names the order to stop.
const STOP: u64 = u64::MAX;

impl EventLoop {
    /// A loop that waits for nothing yet.
    ///
    /// # Errors
    ///
    /// When this process cannot have more descriptors.
    pub fn new() -> Result<Self> {
        let epoll = Epoll::new().map_err(Error::system("epoll_create1"))?;
        let stop = eventfd()?;
        epoll
            .ctl(ControlOperation::Add, stop.as_raw_fd(), EpollEvent::new(EventSet::IN, STOP))
            .map_err(Error::system("epoll_ctl"))?;
        Ok(Self { epoll, acts: Vec::new(), stop })
    }

    /// Whether there is nothing that it would wait for.
    pub fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }

    /// Wakes `device` whenever there is something new in one of its files, and gives it another turn
    /// when one was too short for all that is in its queues. Each turn comes through the file that
    /// the loop waits for, so the order to stop and all other devices come in between.
    ///
    /// # Errors
    ///
    /// When this process cannot have more descriptors.
    pub fn watch_files<D: Device>(&mut self, device: &Transport<D>) -> Result<()> {
        let files: Vec<RawFd> =
            device.look(|device| device.files().iter().map(AsRawFd::as_raw_fd).collect());
        for file in files {
            let device = device.clone();
            self.watch(file, move || device.wake())?;
        }
        let again = eventfd()?;
        device.ask_for_turns(again.try_clone().map_err(Error::system("duplicate an eventfd"))?);
        let device = device.clone();
        self.watch(again.as_raw_fd(), move || {
            let _open = &again;
            device.look_everywhere();
        })
    }

    /// Serves the queues of `device` from here on. Each doorbell is given to `connect`, with the
    /// queue's number: KVM can ring it when the guest writes that number at
    /// [`DOORBELL`](super::mmio::DOORBELL).
    ///
    /// # Errors
    ///
    /// When this process cannot have more descriptors, and those of `connect`.
    pub fn serve<D: Device>(
        &mut self,
        device: &Transport<D>,
        mut connect: impl FnMut(u32, &EventFd) -> Result<()>,
    ) -> Result<()> {
        for number in 0..device.queues() {
            let doorbell = eventfd()?;
            connect(number as u32, &doorbell)?;
            let device = device.clone();
            self.watch(doorbell.as_raw_fd(), move || {
                // Each ring is news, so the count in the file need never be read; but the file must
                // be open for as long as it is waited for.
                let _open = &doorbell;
                device.ring(number);
            })?;
        }
        Ok(())
    }

    /// Does `act` whenever there is something new to read in `file`, or it ends.
    ///
    /// # Errors
    ///
    /// When `file` is no open file.
    pub fn watch(&mut self, file: RawFd, act: impl FnMut() + Send + 'static) -> Result<()> {
        let news = EventSet::IN | EventSet::EDGE_TRIGGERED;
        let event = EpollEvent::new(news, self.acts.len() as u64);
        match self.epoll.ctl(ControlOperation::Add, file, event) {
            // A file on a disk has no news: all that will ever be in it is there.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Ok(()),
            result => result.map_err(Error::system("epoll_ctl"))?,
        }
        self.acts.push(Box::new(act));
        Ok(())
    }

    /// Does `act` again and again, whenever so much time has passed.
    ///
    /// # Errors
    ///
    /// When this process cannot have another descriptor.
    pub fn every(
        &mut self,
        period: Duration,
        mut act: impl FnMut() + Send + 'static,
    ) -> Result<()> {
        let failed = |error: vmm_sys_util::errno::Error| {
            Error::system::<std::io::Error>("timerfd_create")(error.into())
        };
        let mut timer = TimerFd::new().map_err(failed)?;
        timer.reset(period, Some(period)).map_err(failed)?;
        self.watch(timer.as_raw_fd(), move || {
            // How often it has passed does not matter; and the timer lives as long as this closure.
            let _ = timer.wait();
            act();
        })
    }

    /// Looks at `device` again and again: one that is held to a rate has left something in its queues
    /// for later, and nobody rings for that.
    ///
    /// # Errors
    ///
    /// When this process cannot have another descriptor.
    pub fn serve_later<D: Device>(&mut self, device: &Transport<D>) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(5);
        let device = device.clone();
        self.every(LOOK, move || device.look_everywhere())
    }

    /// Starts the thread, in which `enter` is called first. What it gives is called whenever files
    /// have had their news, and dropped last.
    ///
    /// # Errors
    ///
    /// When this process cannot have another thread, and those of `enter`.
    pub fn start<G: FnMut()>(
        mut self,
        enter: impl FnOnce() -> Result<G> + Send + 'static,
    ) -> Result<EventThread> {
        let call = "start the thread of the devices";
        let stop = self.stop.try_clone().map_err(Error::system(call))?;
        let gate = Arc::<Mutex<()>>::default();
        let passed = gate.clone();
        let (tell, begun) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("devices".into())
            .spawn(move || {
                let (begun, glance) = match enter() {
                    Ok(glance) => (Ok(()), Some(glance)),
                    Err(error) => (Err(error), None),
                };
                // Whoever starts the thread waits for this.
                let _ = tell.send(begun);
                if let Some(mut glance) = glance {
                    self.run(&passed, &mut glance);
                }
            })
            .map_err(Error::system(call))?;
        let running = EventThread { stop, gate, thread: Some(thread) };
        // Without an answer it has panicked, and said so; then it serves nobody.
        begun.recv().unwrap_or(Ok(())).map(|()| running)
    }

    fn run(&mut self, gate: &Mutex<()>, glance: &mut dyn FnMut()) {
        let mut news = [EpollEvent::default(); 16];
        loop {
            // Only a signal ends the wait without news.
            let count = self.epoll.wait(-1, &mut news).unwrap_or(0);
            let _passed = gate.lock().unwrap_or_else(PoisonError::into_inner);
            for event in &news[..count] {
                match self.acts.get_mut(event.data() as usize) {
                    Some(act) => act(),
                    None => return,
                }
            }
            glance();
        }
    }
}

fn eventfd() -> Result<EventFd> {
    EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(Error::system("eventfd2"))
}

/// A loop in its thread, which ends when this is dropped, after what it is about.
#[derive(Debug)]
pub struct EventThread {
    stop: EventFd,
    /// Held by the thread while it is at work.
    gate: Arc<Mutex<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EventThread {
    /// Waits until the thread has done what it is about, and keeps it from more until the guard
    /// goes.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EventThread {
    fn drop(&mut self) {
        // It fails only when the counter is full, and then the order is given.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; here is nothing left to end.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        time::{Duration, Instant},
    };

    use super::{
        super::{
            console::{
                Console,
                tests::{CapturedOutput, pipe},
            },
            driver::Driver,
            rng::Rng,
        },
        *,
    };

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn eventually(mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < TIMEOUT, "it does not come");
            thread::yield_now();
        }
    }

    #[test]
    fn a_doorbell_is_served_in_the_thread_of_the_loop() {
        let mut driver = Driver::of(Rng);
        let mut events = EventLoop::new().unwrap();
        let mut doorbells = Vec::new();
        let mut connect = |_, doorbell: &EventFd| {
            doorbells.push(doorbell.try_clone().unwrap());
            Ok(())
        };
        events.serve(&driver.device, &mut connect).unwrap();
        let running = events.start(|| Ok(|| ())).unwrap();
        for _ in 0..100 {
            driver.add(0, &[], &[8]);
            doorbells[0].write(1).unwrap();
            eventually(|| driver.used(0).is_some_and(|bytes| bytes.len() == 8));
        }
        drop(running);
        driver.add(0, &[], &[8]);
        doorbells[0].write(1).unwrap();
        assert_eq!(driver.used(0), None, "nobody listens any more");
    }

    #[test]
    fn input_of_the_host_wakes_the_guest() {
        let (mut keyboard, input) = pipe();
        let console = Console::new(CapturedOutput::default().port(Some(input)), 80, 25);
        let mut driver = Driver::of(console);
        let mut events = EventLoop::new().unwrap();
        events.watch_files(&driver.device).unwrap();
        let _running = events.start(|| Ok(|| ())).unwrap();
        for text in [b"one", b"two"] {
            driver.add(0, &[], &[8]);
            keyboard.write_all(text).unwrap();
            eventually(|| driver.used(0).is_some_and(|bytes| bytes == text));
        }
    }

    #[test]
    fn what_is_left_lying_does_not_keep_the_loop_busy() {
        let (mut writer, reader) = pipe();
        let (news, heard) = mpsc::channel();
        let mut events = EventLoop::new().unwrap();
        events.watch(reader.as_raw_fd(), move || news.send(()).unwrap()).unwrap();
        let _running = events.start(|| Ok(|| ())).unwrap();
        writer.write_all(b"x").unwrap();
        heard.recv_timeout(TIMEOUT).unwrap();
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
        writer.write_all(b"y").unwrap();
        heard.recv_timeout(TIMEOUT).unwrap();
    }

    #[test]
    fn a_file_on_a_disk_needs_no_waiting_for() {
        let file = tempfile::tempfile().unwrap();
        let mut events = EventLoop::new().unwrap();
        events.watch(file.as_raw_fd(), || unreachable!()).unwrap();
        assert!(events.watch(-1, || ()).is_err());
    }
}
