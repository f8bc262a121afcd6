//! Containers in networks: from before their start until after their end.
//!
//! ```text
//!   prepare   addresses are chosen, bridges made, ports opened; the launcher gets the links
//!   started   ports are passed on, names answered
//!   stopped   everything is given back
//! ```

use container::{Network, link};
use sandbox::Process;

use super::{
    bridges::make_bridge,
    container_request::{Chosen, ContainerRequest, PreparedNetwork},
    dns,
    endpoint::{AttachmentRecord, EndpointRecord},
    endpoints::{choose_default_route, has_names, new_endpoint},
    error::{Error, kernel},
    names::{NameTable, names_of},
    networks::Networks,
    ports::{PortError, Ports},
    state::State,
};

impl Networks {
    /// Chooses addresses for a container that is about to start, makes its bridges, and opens its
    /// ports. They are kept until [`Networks::stopped`]; what an earlier start has left is given
    /// back first.
    ///
    /// # Errors
    ///
    /// When a network does not exist, an address or a port is taken, or the kernel refuses a bridge;
    /// then nothing is kept.
    pub fn prepare(&self, request: &ContainerRequest) -> Result<PreparedNetwork, Error> {
        let mut state = self.lock();
        self.release(&mut state, &request.id)?;
        let chosen = match request.choose(&state)? {
            Chosen::NoBridge(network) => {
                return Ok(PreparedNetwork::without_links(network, &request.servers));
            }
            Chosen::Bridges(chosen) => chosen,
        };
        let mut record = AttachmentRecord {
            container: request.id.clone(),
            name: request.name.clone(),
            hostname: request.hostname.clone(),
            endpoints: Vec::new(),
            ports: Vec::new(),
            servers: request.servers.clone(),
            process: None,
        };
        let mut warnings = Vec::new();
        for (network, asked) in &chosen {
            warnings.extend(make_bridge(network)?);
            let endpoint = new_endpoint(&state, &record, network, asked)?;
            record.endpoints.push(endpoint);
        }
        choose_default_route(&mut record, &state);
        let ports = open_ports(request, &record)?;
        record.ports = ports.published();
        self.attachment_files.save(&record.container, &record)?;
        self.services.prepare(&record, ports);
        let prepared = prepared(request, &record, has_names(&record, &state), warnings);
        state.attached.insert(record.container.clone(), record);
        self.services.set_names(NameTable::of(&state));
        Ok(prepared)
    }

    /// Serves a prepared container whose first process is `process`. It may wait to be started, and
    /// the names of other containers are known to it from now on. Of a container without bridges,
    /// nothing is to be done.
    ///
    /// # Errors
    ///
    /// When the process has ended, or the kernel refuses the sockets.
    pub fn started(&self, container: &str, process: Process) -> Result<(), Error> {
        let mut state = self.lock();
        let Some(record) = state.attached.get_mut(container) else { return Ok(()) };
        record.process = Some(process);
        self.attachment_files.save(container, record)?;
        let has_names = has_names(&state.attached[container], &state);
        self.services.start(container, &process, has_names)
    }

    /// Gives back what a container has: addresses, links, ports. It is not an error if it has none.
    ///
    /// # Errors
    ///
    /// When a link or a file cannot be removed; everything else is given back all the same.
    pub fn stopped(&self, container: &str) -> Result<(), Error> {
        self.release(&mut self.lock(), container)
    }

    /// The networks of a running container; `None` if it has no bridges.
    pub fn attachment(&self, container: &str) -> Option<AttachmentRecord> {
        self.lock().attached.get(container).cloned()
    }

    /// Gives a running container another name.
    ///
    /// # Errors
    ///
    /// When its file cannot be written.
    pub fn renamed(&self, container: &str, name: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let Some(mut record) = state.attached.get(container).cloned() else { return Ok(()) };
        name.clone_into(&mut record.name);
        for endpoint in &mut record.endpoints {
            endpoint.names = names_of(container, name, &record.hostname, &endpoint.aliases);
        }
        self.keep(&mut state, record)
    }

    /// Serves the containers `running` again after the daemon was started anew, and gives back what
    /// others have left. Returns what cannot be served.
    pub fn adopt(&self, running: &[(String, Process)]) -> Vec<String> {
        let mut state = self.lock();
        let mut warnings = Vec::new();
        let known: Vec<AttachmentRecord> = state.attached.values().cloned().collect();
        for mut record in known {
            let process = running.iter().find(|(container, _)| *container == record.container);
            let adopted = match process {
                Some((_, process)) => {
                    record.process = Some(*process);
                    self.serve_again(&mut state, record, process, &mut warnings)
                }
                None => self.release(&mut state, &record.container),
            };
            warnings.extend(adopted.err().map(|error| sandbox::chain(&error)));
        }
        self.services.set_names(NameTable::of(&state));
        warnings
    }

    fn serve_again(
        &self,
        state: &mut State,
        record: AttachmentRecord,
        process: &Process,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        for endpoint in &record.endpoints {
            let network = state.networks.get(&endpoint.network);
            warnings.extend(network.map(make_bridge).transpose()?.flatten());
        }
        let ports = Ports::open_again(&record.ports).unwrap_or_else(|error| {
            warnings.push(sandbox::chain(&port_error(error, &record)));
            Ports::default()
        });
        self.services.prepare(&record, ports);
        self.services.start(&record.container, process, has_names(&record, state))?;
        self.keep(state, record)
    }

    /// Keeps the record of a running container that has changed.
    pub(super) fn keep(&self, state: &mut State, record: AttachmentRecord) -> Result<(), Error> {
        self.attachment_files.save(&record.container, &record)?;
        state.attached.insert(record.container.clone(), record);
        self.services.set_names(NameTable::of(state));
        Ok(())
    }

    fn release(&self, state: &mut State, container: &str) -> Result<(), Error> {
        let Some(record) = state.attached.remove(container) else { return Ok(()) };
        self.services.set_names(NameTable::of(state));
        self.services.stop(container);
        let removed = record.endpoints.iter().map(|endpoint| {
            link::disconnect(&endpoint.link.host_name)
                .map_err(kernel(format!("remove a link of {}", record.name)))
        });
        removed.fold(Ok(()), Result::and).and(self.attachment_files.remove(container))
    }
}

/// Opens the ports of a container that others can reach; one without a default route has none.
fn open_ports(request: &ContainerRequest, record: &AttachmentRecord) -> Result<Ports, Error> {
    match record.published_address() {
        Some(_) => Ports::open(&request.ports).map_err(|error| port_error(error, record)),
        None => Ok(Ports::default()),
    }
}

fn port_error(error: PortError, record: &AttachmentRecord) -> Error {
    let route = record.endpoints.iter().find(|endpoint| endpoint.link.is_default_route);
    Error::Port {
        container: record.name.clone(),
        endpoint: route.map(|endpoint| endpoint.id.clone()).unwrap_or_default(),
        address: error.address,
        why: error.why,
    }
}

fn prepared(
    request: &ContainerRequest,
    record: &AttachmentRecord,
    has_names: bool,
    warnings: Vec<String>,
) -> PreparedNetwork {
    let address = |endpoint: &EndpointRecord| (record.hostname.clone(), endpoint.link.address);
    PreparedNetwork {
        network: Network::Bridge,
        links: record.endpoints.iter().map(|endpoint| endpoint.link.clone()).collect(),
        servers: if has_names { vec![dns::ADDRESS.into()] } else { request.servers.clone() },
        // The first question is for the name as it is: containers have names without dots.
        resolver_options: if has_names { vec!["ndots:0".into()] } else { Vec::new() },
        hosts: record.endpoints.iter().map(address).collect(),
        endpoints: record.endpoints.clone(),
        ports: record.ports.clone(),
        warnings,
    }
}
