//! What the daemon does for running containers: their resolvers and their published ports.

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sandbox::Process;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use super::{
    dns::{Resolver, SharedNames},
    endpoint::AttachmentRecord,
    error::Error,
    names::NameTable,
    ports::Ports,
};

/// The services of all containers, and the threads that they run on.
#[derive(Debug)]
pub(crate) struct Services {
    names: SharedNames,
    containers: Mutex<HashMap<String, ContainerServices>>,
    /// Always there, except while it is dropped.
    runtime: Option<Runtime>,
}

/// The services of one container; they end when this is dropped.
#[derive(Debug)]
struct ContainerServices {
    ports: Ports,
    resolver: Option<Resolver>,
    /// Where published ports lead.
    address: watch::Sender<Option<Ipv4Addr>>,
}

impl Services {
    /// None yet.
    pub(crate) fn new() -> io::Result<Self> {
        // Of their own: methods wait for the end of tasks, which a task's own thread must not.
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("isolab-network")
            .enable_io()
            .enable_time()
            .build()?;
        let names = SharedNames::default();
        Ok(Self { names, containers: Mutex::default(), runtime: Some(runtime) })
    }

    /// Takes the open ports of a container that is about to start.
    pub(crate) fn prepare(&self, record: &AttachmentRecord, ports: Ports) {
        let (address, _) = watch::channel(record.published_address());
        let prepared = ContainerServices { ports, resolver: None, address };
        self.lock().insert(record.container.clone(), prepared);
    }

    /// Serves a container that runs: its ports, and names inside if `has_names`.
    pub(crate) fn start(
        &self,
        container: &str,
        process: &Process,
        has_names: bool,
    ) -> Result<(), Error> {
        let mut containers = self.lock();
        let Some(services) = containers.get_mut(container) else { return Ok(()) };
        let runtime = self.runtime.as_ref().expect("it is not dropped").handle();
        let served = services.ports.serve(runtime, &services.address.subscribe());
        let operation = || format!("serve the ports of the container {container}");
        served.map_err(|source| Error::Socket { operation: operation(), source })?;
        if has_names && services.resolver.is_none() {
            let names = Arc::clone(&self.names);
            services.resolver = Some(Resolver::start(runtime, names, container, process)?);
        }
        Ok(())
    }

    /// Lets the published ports of a container lead to its present address.
    pub(crate) fn retarget(&self, record: &AttachmentRecord) {
        if let Some(services) = self.lock().get(&record.container) {
            services.address.send_replace(record.published_address());
        }
    }

    /// Ends the services of a container; its ports are closed when this returns.
    pub(crate) fn stop(&self, container: &str) {
        let stopped = self.lock().remove(container);
        drop(stopped);
    }

    /// Replaces the names that resolvers answer.
    pub(crate) fn set_names(&self, names: NameTable) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ContainerServices>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.lock().clear();
        // An asynchronous caller must not wait here.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
