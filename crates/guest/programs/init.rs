//! The first process of every Linux guest of isolab: it executes the steps of its plan.
//!
//! `guest::plan` documents the steps and writes them; `words` decodes them. What only the host
//! knows, such as devices and modules, is in the plan and not in this program.
#![no_std]
#![no_main]

#[path = "init/calls.rs"]
mod calls;
#[path = "init/channel.rs"]
mod channel;
#[path = "init/command.rs"]
mod command;
#[path = "init/disk.rs"]
mod disk;
#[path = "init/files.rs"]
mod files;
#[path = "../src/frames.rs"]
mod frames;
#[path = "init/freeze.rs"]
mod freeze;
#[path = "init/machine.rs"]
mod machine;
#[path = "init/memory.rs"]
mod memory;
#[path = "init/network.rs"]
mod network;
#[path = "init/order.rs"]
mod order;
#[path = "init/pack.rs"]
mod pack;
#[path = "init/pages.rs"]
mod pages;
#[path = "../src/ring.rs"]
mod ring;
#[path = "init/session.rs"]
mod session;
#[path = "init/sink.rs"]
mod sink;
mod system;
#[path = "init/terminal.rs"]
mod terminal;
#[path = "init/user.rs"]
mod user;
#[path = "../src/words.rs"]
mod words;

use core::{arch::naked_asm, ffi::CStr, net::Ipv4Addr};

use calls::{Errno, Result};
use channel::Channel;
use command::ExitStatus;
use sink::{Page, Sink};
use user::{Setting, User};

/// The path of the plan in the initramfs.
const PLAN: &CStr = c"/isolab/plan";

#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    naked_asm!("and rsp, -16", "call {main}", main = sym main)
}

extern "C" fn main() -> ! {
    calls::fill_standard_streams();
    let mut init = Init {
        report: Sink::Device(1),
        end: ShutdownMethod::PowerOff,
        streams: [0, 1, 2].map(Sink::Device),
        environment: &mut [],
        variables: 0,
        user: User::ROOT,
        channel: Channel::closed(),
    };
    // A missing plan is reported as step 0.
    if let Err((step, errno)) = init.follow_plan() {
        init.report.line("failed", &[step, errno.0 as usize]);
    }
    init.end()
}

/// How the machine ends after the plan.
enum ShutdownMethod {
    PowerOff,
    Reboot,
    /// By a device of the machine that ends it when this port is written.
    Port(u16),
}

struct Init {
    report: Sink,
    end: ShutdownMethod,
    /// Standard input, output and error of the commands.
    streams: [Sink; 3],
    /// Addresses of `NAME=VALUE`, terminated by a null.
    environment: &'static mut [usize],
    variables: usize,
    /// As whom the commands run.
    user: User,
    /// Signals for the commands, and sessions beside them.
    channel: Channel,
}

impl Init {
    fn follow_plan(&mut self) -> core::result::Result<(), (usize, Errno)> {
        let plan = pages::read_file(PLAN).map_err(|errno| (0, errno))?;
        // No list in a plan can be longer than the plan.
        let room = plan.len() + 1;
        self.environment = pages::list(room).map_err(|errno| (0, errno))?;
        for (number, line) in plan.split_inclusive_mut(|byte| *byte == b'\n').enumerate() {
            self.step(Words(line), room).map_err(|errno| (number + 1, errno))?;
        }
        Ok(())
    }

    fn step(&mut self, mut words: Words, room: usize) -> Result<()> {
        match words.next()?.to_bytes() {
            b"report" => self.report = words.sink()?,
            b"end" => self.end = words.end()?,
            b"mount" => {
                let [kind, source, target, data] = words.take()?;
                let mut flags = 0;
                while let Some(flag) = words.optional()? {
                    flags |= files::mount_flag(flag.to_bytes())?;
                }
                files::make_directories(target)?;
                files::mount(kind, source, target, data, flags)?;
            }
            b"module" => {
                let [file, parameters] = words.take()?;
                files::load_module(file, parameters)?;
            }
            b"link" => {
                let [target, path] = words.take()?;
                files::link(target, path)?;
            }
            b"disk" => {
                let [attribute, value, path] = words.take()?;
                disk::link(attribute, value, path)?;
            }
            b"write" => {
                let [file, text] = words.take()?;
                files::write_file(file, text.to_bytes())?;
            }
            b"file" => {
                let [path, text] = words.take()?;
                files::put_file(path, text.to_bytes())?;
            }
            b"up" => network::up(words.next()?)?,
            b"address" => {
                let (name, inside) = (words.next()?, words.address()?);
                network::address(name, inside, words.number()?, words.address()?)?;
            }
            b"root" => files::change_root(words.next()?)?,
            b"directory" => files::change_directory(words.next()?)?,
            b"variable" => {
                self.environment[self.variables] = words.next()?.as_ptr() as usize;
                self.variables += 1;
            }
            b"user" => {
                let (uid, gid) = (words.number()?, words.number()?);
                let group = || words.optional()?.map(|word| number(word.to_bytes())).transpose();
                self.user = User::new(uid, gid, room, group)?;
            }
            b"stdin" => self.streams[0] = words.sink()?,
            b"stdout" => self.streams[1] = words.sink()?,
            b"stderr" => self.streams[2] = words.sink()?,
            b"plain" => terminal::make_plain(calls::open_device(words.next()?)?)?,
            b"terminal" => {
                let device = calls::open_device(words.next()?)?;
                let [rows, columns] = [words.number()?, words.number()?];
                terminal::set_window(device, rows as u16, columns as u16)?;
                self.streams = [Sink::Device(device); 3];
            }
            b"control" => self.channel = Channel::open(words.next()?)?,
            b"ready" => self.report.line("ready", &[]),
            b"freeze" => {
                self.channel.freeze_port = words.ports(4)?;
                freeze::freeze(self.channel.freeze_port)?;
            }
            b"run" => {
                let arguments = pages::list(room)?;
                let mut count = 0;
                while let Some(word) = words.optional()? {
                    arguments[count] = word.as_ptr() as usize;
                    count += 1;
                }
                let setting = Setting { environment: self.environment, user: self.user };
                match command::run(arguments, setting, self.streams, &mut self.channel)? {
                    ExitStatus::Exited(code) => self.report.line("exit", &[code]),
                    ExitStatus::Signaled(signal) => self.report.line("signal", &[signal]),
                }
            }
            b"pack" => {
                let [directory, disk] = words.take()?;
                pack::pack(directory, disk)?;
            }
            _ => return Err(Errno::UNKNOWN_STEP),
        }
        Ok(())
    }

    fn end(&self) -> ! {
        machine::sync();
        match self.end {
            ShutdownMethod::PowerOff => {}
            ShutdownMethod::Reboot => machine::reboot(),
            ShutdownMethod::Port(port) => sink::output_byte(port, 0),
        }
        loop {
            machine::power_off();
        }
    }
}

fn number(digits: &[u8]) -> Result<usize> {
    let digits = core::str::from_utf8(digits);
    digits.ok().and_then(|digits| digits.parse().ok()).ok_or(Errno::MALFORMED)
}

/// The remaining words of a step.
struct Words(&'static mut [u8]);

impl Words {
    fn optional(&mut self) -> Result<Option<&'static CStr>> {
        words::next_word(&mut self.0).map_err(|_| Errno::MALFORMED)
    }

    fn next(&mut self) -> Result<&'static CStr> {
        self.optional()?.ok_or(Errno::MALFORMED)
    }

    fn take<const COUNT: usize>(&mut self) -> Result<[&'static CStr; COUNT]> {
        let mut words = [c""; COUNT];
        for word in &mut words {
            *word = self.next()?;
        }
        Ok(words)
    }

    fn number(&mut self) -> Result<usize> {
        number(self.next()?.to_bytes())
    }

    fn address(&mut self) -> Result<Ipv4Addr> {
        let mut parts = self.next()?.to_bytes().split(|byte| *byte == b'.').map(number);
        let mut octets = [0; 4];
        for octet in &mut octets {
            *octet = parts.next().ok_or(Errno::MALFORMED)?? as u8;
        }
        Ok(octets.into())
    }

    fn port(&mut self) -> Result<u16> {
        self.ports(1)
    }

    /// The first of `count` ports, all of which this process may use from here on.
    fn ports(&mut self, count: usize) -> Result<u16> {
        let port = u16::try_from(self.number()?).map_err(|_| Errno::MALFORMED)?;
        machine::allow_ports(port, count)?;
        Ok(port)
    }

    fn sink(&mut self) -> Result<Sink> {
        match self.next()?.to_bytes() {
            b"port" => Ok(Sink::Port(self.port()?)),
            b"device" => Ok(Sink::Device(calls::open_device(self.next()?)?)),
            b"page" => {
                let (address, bytes) = (self.number()?, self.number()?);
                let start = pages::map_physical(address, bytes)?;
                Ok(Sink::Page(Page { start, bytes }))
            }
            _ => Err(Errno::MALFORMED),
        }
    }

    fn end(&mut self) -> Result<ShutdownMethod> {
        match self.next()?.to_bytes() {
            b"power-off" => Ok(ShutdownMethod::PowerOff),
            b"reboot" => Ok(ShutdownMethod::Reboot),
            b"port" => Ok(ShutdownMethod::Port(self.port()?)),
            _ => Err(Errno::MALFORMED),
        }
    }
}
