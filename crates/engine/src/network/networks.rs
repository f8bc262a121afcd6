//! The networks: list, create, remove.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use container::bridge;

use crate::id::new_id;

use super::{
    bridges::{default_bridge, in_use, make_bridge, not_in_use, remove_bridge, subnet_of_ours},
    endpoint::{AttachmentRecord, EndpointRecord},
    error::Error,
    pool::free_subnet,
    record::{BridgeRecord, Driver, NetworkRecord, PREDEFINED},
    request::NetworkRequest,
    services::Services,
    state::State,
    store::Store,
};

/// The networks of a host, and the containers in them. All methods ask the kernel and wait for
/// files: milliseconds, and not for the thread of an asynchronous task.
#[derive(Debug)]
pub struct Networks {
    pub(super) network_files: Store<NetworkRecord>,
    pub(super) attachment_files: Store<AttachmentRecord>,
    pub(super) state: Mutex<State>,
    pub(super) services: Services,
}

/// A network that has been created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The network's id.
    pub id: String,
    /// What of it does not work on this host.
    pub warnings: Vec<String>,
}

impl Networks {
    /// Opens the networks in `directory`, which is made if it does not exist, and creates the
    /// predefined ones if they are missing. Also returns warnings: files that are ignored.
    ///
    /// What containers had under an earlier daemon is kept for them until [`Networks::adopt`], which
    /// is to be called once, when it is known which of them still run.
    ///
    /// # Errors
    ///
    /// When the files cannot be read or written.
    pub fn open(directory: &Path) -> Result<(Self, Vec<String>), Error> {
        let network_files = Store::open(&directory.join("networks"))?;
        let attachment_files = Store::open(&directory.join("attachments"))?;
        let (networks, mut warnings) = network_files.load()?;
        let (attached, others): (Vec<AttachmentRecord>, _) = attachment_files.load()?;
        warnings.extend(others);
        let mut state = State::default();
        let by_id = |network: NetworkRecord| (network.id.clone(), network);
        state.networks.extend(networks.into_iter().map(by_id));
        let by_container = |one: AttachmentRecord| (one.container.clone(), one);
        state.attached.extend(attached.into_iter().map(by_container));
        for (name, driver) in PREDEFINED {
            if state.networks.values().any(|network| network.name == name) {
                continue;
            }
            let bridge = match driver {
                Driver::Bridge => Some(default_bridge(&state, &mut warnings)),
                Driver::Host | Driver::Null => None,
            };
            let record = new_record(new_id(), name, driver, bridge);
            network_files.save(&record.id, &record)?;
            state.networks.insert(record.id.clone(), record);
        }
        let services = Services::new().map_err(|source| Error::Socket {
            operation: "start the threads of the network".into(),
            source,
        })?;
        let state = Mutex::new(state);
        Ok((Self { network_files, attachment_files, state, services }, warnings))
    }

    /// All networks, in the order of their creation.
    pub fn list(&self) -> Vec<NetworkRecord> {
        let mut all: Vec<_> = self.lock().networks.values().cloned().collect();
        all.sort_by(|one, other| (one.created_ms, &one.id).cmp(&(other.created_ms, &other.id)));
        all
    }

    /// The network with the name or the id `term`, or with an id that begins with it.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one id begins so.
    pub fn find(&self, term: &str) -> Result<NetworkRecord, Error> {
        self.lock().find(term).cloned()
    }

    /// The running containers in the network with that id, and their endpoints in it.
    pub fn containers(&self, id: &str) -> Vec<(AttachmentRecord, EndpointRecord)> {
        let state = self.lock();
        state.endpoints(id).map(|(one, endpoint)| (one.clone(), endpoint.clone())).collect()
    }

    /// Creates a network and its bridge.
    ///
    /// # Errors
    ///
    /// When the request is invalid, the name or the subnet is taken, or the kernel refuses the
    /// bridge; then nothing is left of it.
    pub fn create(&self, request: &NetworkRequest) -> Result<Created, Error> {
        request.check()?;
        let options = request.bridge_options()?;
        let mut state = self.lock();
        if state.networks.values().any(|network| network.name == request.name) {
            return Err(Error::Exists { name: request.name.clone() });
        }
        let asked = request.chosen_subnet()?;
        let is_chosen = asked.is_some();
        let chosen = match asked {
            Some(asked) => not_in_use(&state, asked)?,
            None => subnet_of_ours(free_subnet(&in_use(&state)).ok_or(Error::NoSubnet)?),
        };
        let id = new_id();
        let record = NetworkRecord {
            internal: request.internal,
            attachable: request.attachable,
            labels: request.labels.clone(),
            options: request.options.clone(),
            ..new_record(
                id.clone(),
                &request.name,
                Driver::Bridge,
                Some(BridgeRecord {
                    name: bridge::name_of(&id),
                    gateway: chosen.host_address()?,
                    subnet: chosen.subnet,
                    is_chosen,
                    ip_range: chosen.ip_range,
                    auxiliary: chosen.auxiliary,
                    mtu: options.mtu,
                    masquerade: options.masquerade,
                }),
            )
        };
        let mut warnings = options.warnings;
        let made = make_bridge(&record).and_then(|warning| {
            warnings.extend(warning);
            self.network_files.save(&id, &record)
        });
        if let Err(error) = made {
            remove_bridge(&record)?;
            return Err(error);
        }
        state.networks.insert(id.clone(), record);
        Ok(Created { id, warnings })
    }

    /// Removes the network `term`, as [`Networks::find`] finds it, and its bridge. Returns what it
    /// was.
    ///
    /// # Errors
    ///
    /// When there is none, it is a predefined one, containers are in it, or the kernel refuses.
    pub fn remove(&self, term: &str) -> Result<NetworkRecord, Error> {
        let mut state = self.lock();
        let network = state.find(term)?.clone();
        if network.is_predefined() {
            return Err(Error::PredefinedStays { name: network.name });
        }
        let endpoint = |(one, endpoint): (&AttachmentRecord, &EndpointRecord)| {
            format!("name:{:?} id:{:?}", one.name, endpoint.id.get(..12).unwrap_or(&endpoint.id))
        };
        let endpoints: Vec<String> = state.endpoints(&network.id).map(endpoint).collect();
        if !endpoints.is_empty() {
            let endpoints = endpoints.join(", ");
            return Err(Error::ActiveEndpoints { name: network.name, endpoints });
        }
        remove_bridge(&network)?;
        self.network_files.remove(&network.id)?;
        state.networks.remove(&network.id);
        Ok(network)
    }

    /// Removes all networks that users created, that no running container is in, and that `which`
    /// chooses. Returns those that were removed; one that cannot be removed stays.
    pub fn prune(&self, which: impl Fn(&NetworkRecord) -> bool) -> Vec<NetworkRecord> {
        let chosen = self.list().into_iter().filter(NetworkRecord::is_user_defined).filter(which);
        chosen.filter_map(|network| self.remove(&network.id).ok()).collect()
    }

    /// A panic under the lock leaves the state as the last complete step left it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_record(
    id: String,
    name: &str,
    driver: Driver,
    bridge: Option<BridgeRecord>,
) -> NetworkRecord {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    NetworkRecord {
        id,
        name: name.to_owned(),
        created_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        driver,
        bridge,
        internal: false,
        attachable: false,
        labels: [].into(),
        options: [].into(),
    }
}
