//! Many instances in one launcher, this process.

use std::io;

use crate::{
    chain,
    settled::{is_alive, let_end, let_settle},
};
use sandbox::{Builtin, Instance, Sandbox, Workload};

/// How many a hall takes: each has some descriptors, of which a process may have 1024.
pub const MOST: usize = 110;

/// A hall of instances. Each is idle, but some end as soon as they have begun, as programs do that
/// crash at their start: they were started, and they are not there.
pub struct Hall<'a> {
    sandbox: &'a dyn Sandbox,
    mortal: u64,
    started: usize,
    instances: Vec<Box<dyn Instance>>,
}

impl<'a> Hall<'a> {
    /// An empty one, in which every so many instances one ends at once.
    pub(crate) fn new(sandbox: &'a dyn Sandbox, mortal: u64) -> Self {
        Self { sandbox, mortal: mortal.max(2), started: 0, instances: Vec::new() }
    }

    /// Starts and ends one, so that what only the first of all costs is paid.
    pub(crate) fn warm_up(&mut self) -> io::Result<()> {
        let outcome = self.sandbox.run(&Workload::builtin(Builtin::Hello, &[]));
        outcome.map(drop).map_err(|error| chain(&error))
    }

    /// Starts one more.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or there are too many.
    pub fn start(&mut self) -> io::Result<()> {
        if self.instances.len() >= MOST {
            return Err(io::Error::other(format!("there are {MOST} instances already")));
        }
        let others = self.alive();
        let ends_at_once = self.started as u64 % self.mortal == self.mortal - 1;
        let builtin = if ends_at_once { Builtin::Hello } else { Builtin::Idle };
        let instance = self.sandbox.spawn(&Workload::builtin(builtin, &[]));
        self.instances.push(instance.map_err(|error| chain(&error))?);
        self.started += 1;
        let last = &**self.instances.last().expect("it was pushed above");
        let_settle(last);
        if ends_at_once {
            let_end(last, others);
        }
        Ok(())
    }

    /// How many were ever started.
    pub fn started(&self) -> usize {
        self.started
    }

    /// How many live now.
    pub fn alive(&self) -> usize {
        self.instances.iter().filter(|instance| is_alive(&***instance)).count()
    }

    /// The process that holds them: this one.
    pub fn launcher(&self) -> u32 {
        std::process::id()
    }

    /// The processes inside of those that live. A microVM has none: it is in its launcher.
    pub fn inside(&self) -> Vec<u32> {
        let alive = self.instances.iter().filter(|instance| is_alive(&***instance));
        alive.flat_map(|instance| instance.processes()).collect()
    }

    /// Stops all and waits for each.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        for instance in &self.instances {
            instance.control().stop();
        }
        for instance in self.instances.drain(..) {
            instance.wait().map_err(|error| chain(&error))?;
        }
        Ok(())
    }
}
