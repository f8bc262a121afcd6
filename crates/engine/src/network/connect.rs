//! Connecting running containers to networks, and disconnecting them.

use container::{link, name_server::set_name_server};
use sandbox::Process;

use super::{
    bridges::make_bridge,
    container_request::{EndpointRequest, not_with_others},
    dns,
    endpoint::{AttachmentRecord, EndpointRecord},
    endpoints::{choose_default_route, has_names, new_endpoint},
    error::{Error, kernel},
    networks::Networks,
    state::State,
};

/// A running container's new connection to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// Its endpoint there.
    pub endpoint: EndpointRecord,
    /// What does not work on this host.
    pub warnings: Vec<String>,
}

impl Networks {
    /// Connects a running container to the network `term`, as [`Networks::find`] finds it.
    ///
    /// # Errors
    ///
    /// When it is connected already, has no bridges or does not run, and those of
    /// [`Networks::prepare`].
    pub fn connect(
        &self,
        term: &str,
        container: &str,
        request: &EndpointRequest,
    ) -> Result<Connected, Error> {
        let mut state = self.lock();
        let network = state.find(term)?.clone();
        if network.bridge.is_none() {
            return Err(not_with_others(network.driver));
        }
        let not_running =
            || Error::invalid(format!("the container {container} does not run in networks"));
        let mut record = state.attached.get(container).cloned().ok_or_else(not_running)?;
        let process = record.process.ok_or_else(not_running)?;
        if record.endpoint(&network.id).is_some() {
            let (container, network) = (record.name, network.name);
            return Err(Error::AlreadyConnected { container, network });
        }
        let mut warnings: Vec<String> = make_bridge(&network)?.into_iter().collect();
        let endpoint = new_endpoint(&state, &record, &network, request)?;
        link::connect(&process, &endpoint.link)
            .map_err(kernel(format!("connect {} to {}", record.name, network.name)))?;
        let is_first = !has_names(&record, &state);
        record.endpoints.push(endpoint.clone());
        let is_named = is_first && has_names(&record, &state);
        let connected = self.replace(&mut state, record, &process);
        if connected.is_err() {
            let _ = link::disconnect(&endpoint.link.host_name); // the first failure counts
        }
        connected?;
        if is_named && let Err(error) = set_name_server(&process, dns::ADDRESS.into()) {
            warnings.push(format!("it does not find other containers by name: {error}"));
        }
        Ok(Connected { endpoint, warnings })
    }

    /// Disconnects a running container from the network `term`.
    ///
    /// # Errors
    ///
    /// When it is not connected, or the kernel refuses.
    pub fn disconnect(&self, term: &str, container: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let network = state.find(term)?.clone();
        let not_connected = |container: &str| {
            let (container, network) = (container.to_owned(), network.name.clone());
            Error::NotConnected { container, network }
        };
        let known = state.attached.get(container).cloned();
        let mut record = known.ok_or_else(|| not_connected(container))?;
        let endpoint = record.endpoint(&network.id).cloned();
        let endpoint = endpoint.ok_or_else(|| not_connected(&record.name))?;
        link::disconnect(&endpoint.link.host_name)
            .map_err(kernel(format!("disconnect {} from {}", record.name, network.name)))?;
        record.endpoints.retain(|other| other.id != endpoint.id);
        match record.process {
            Some(process) => self.replace(&mut state, record, &process),
            None => self.keep(&mut state, record),
        }
    }

    /// Keeps the record of a running container whose endpoints have changed, and sets its default
    /// route.
    fn replace(
        &self,
        state: &mut State,
        mut record: AttachmentRecord,
        process: &Process,
    ) -> Result<(), Error> {
        let route = |record: &AttachmentRecord| {
            record.endpoints.iter().find(|one| one.link.is_default_route).cloned()
        };
        let before = route(&record);
        choose_default_route(&mut record, state);
        if let Some(after) = route(&record)
            && before.is_none_or(|before| before.id != after.id)
        {
            link::set_default_route(process, &after.link)
                .map_err(kernel(format!("set the default route of {}", record.name)))?;
        }
        self.services.start(&record.container, process, has_names(&record, state))?;
        self.services.retarget(&record);
        self.keep(state, record)
    }
}
