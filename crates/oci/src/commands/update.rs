//! `update`: other limits for a container that exists.

use std::{fs, io::Read as _};

use crate::{
    config::Resources,
    error::{Error, Result, file, property},
    options::Update,
    record::Record,
    store::Store,
    translate::budget,
};

pub(super) fn update(store: &Store, options: &Update) -> Result<()> {
    let directory = store.open(&options.id)?;
    let mut record = Record::load(&directory.path)?;
    let changes = match &options.resources {
        Some(path) => read(path)?,
        None => of_options(options)?,
    };
    let state = record.living()?;
    state.write_cgroup(&budget::files(&changes)?)?;
    record.resources = changes;
    record.save(&directory)
}

fn read(path: &std::path::Path) -> Result<Resources> {
    let mut text = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut text).map_err(file("read", "standard input"))?;
    } else {
        text = fs::read(path).map_err(file("read", path))?;
    }
    serde_json::from_slice(&text)
        .map_err(|error| Error::Invalid { path: path.to_owned(), why: error.to_string() })
}

fn of_options(options: &Update) -> Result<Resources> {
    if options.kernel_memory.is_some_and(|bytes| bytes != 0) {
        let why =
            "the kernel counts it as memory, and limits it no longer alone (since Linux 5.16)";
        return Err(property("--kernel-memory", why));
    }
    let mut resources = Resources::default();
    let memory = resources.memory.get_or_insert_default();
    memory.limit = options.memory;
    memory.swap = options.memory_swap;
    memory.reservation = options.memory_reservation;
    memory.kernel_tcp = options.kernel_memory_tcp;
    let cpu = resources.cpu.get_or_insert_default();
    cpu.quota = options.cpu_quota;
    cpu.period = options.cpu_period;
    cpu.shares = options.cpu_share;
    cpu.burst = options.cpu_burst;
    cpu.realtime_runtime = options.cpu_rt_runtime;
    cpu.realtime_period = options.cpu_rt_period;
    cpu.idle = options.cpu_idle;
    cpu.cpus.clone_from(&options.cpuset_cpus);
    cpu.mems.clone_from(&options.cpuset_mems);
    resources.pids.get_or_insert_default().limit = options.pids_limit;
    resources.block_io.get_or_insert_default().weight = options.blkio_weight;
    Ok(resources)
}
