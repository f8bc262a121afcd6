//! `update`: other limits for a container that exists.

use std::{fs, io::Read as _};

use crate::{
    config::Resources,
    error::{Error, Result, file},
    options::Update,
    record::Record,
    store::Store,
    translate::budget,
};

pub(super) fn update(store: &Store, options: &Update) -> Result<()> {
    let place = store.open(&options.id)?;
    let mut record = Record::load(&place.directory)?;
    let changes = match &options.resources {
        Some(path) => read(path)?,
        None => of_options(options),
    };
    let state = record.living()?;
    state.write_cgroup(&budget::files(&changes)?)?;
    record.resources = changes;
    record.save(&place)
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

fn of_options(options: &Update) -> Resources {
    let mut resources = Resources::default();
    let memory = resources.memory.get_or_insert_default();
    memory.limit = options.memory;
    memory.swap = options.memory_swap;
    memory.reservation = options.memory_reservation;
    let cpu = resources.cpu.get_or_insert_default();
    cpu.quota = options.cpu_quota;
    cpu.period = options.cpu_period;
    cpu.shares = options.cpu_share;
    cpu.cpus.clone_from(&options.cpuset_cpus);
    cpu.mems.clone_from(&options.cpuset_mems);
    resources.pids.get_or_insert_default().limit = options.pids_limit;
    resources.block_io.get_or_insert_default().weight = options.blkio_weight;
    resources
}
