//! The names of containers, for the resolvers inside of them.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
};

use super::{resolv_conf, state::State};

/// What each container can find by name: the containers in the networks that it is in and that users
/// created.
#[derive(Debug, Default)]
pub(crate) struct NameTable {
    /// By the ids of networks.
    networks: HashMap<String, NetworkNames>,
    /// By the ids of containers.
    views: HashMap<String, View>,
}

/// The names in one network.
#[derive(Debug, Default)]
struct NetworkNames {
    name: String,
    addresses: BTreeMap<String, Vec<Ipv4Addr>>,
    names: HashMap<Ipv4Addr, String>,
}

/// Where one container looks.
#[derive(Debug)]
struct View {
    networks: Vec<String>,
    servers: Vec<IpAddr>,
    /// Whether it reaches other networks: otherwise names would be a way out of it.
    asks_others: bool,
}

impl NameTable {
    /// The table of the containers that are running.
    pub(crate) fn of(state: &State) -> Self {
        let mut table = Self::default();
        let is_internal = |id: &String| state.networks.get(id).is_some_and(|it| it.internal);
        for one in state.attached.values() {
            let ids = || one.endpoints.iter().map(|endpoint| &endpoint.network);
            let view = View {
                networks: ids().cloned().collect(),
                servers: one.servers.clone(),
                asks_others: !ids().all(is_internal),
            };
            table.views.insert(one.container.clone(), view);
            for endpoint in &one.endpoints {
                let Some(network) = state.networks.get(&endpoint.network) else { continue };
                if !network.is_user_defined() {
                    continue;
                }
                let names = table.networks.entry(network.id.clone()).or_default();
                names.name = network.name.to_ascii_lowercase();
                let address = endpoint.link.address;
                for name in &endpoint.names {
                    names.addresses.entry(name.clone()).or_default().push(address);
                }
                let first = endpoint.names.first().cloned().unwrap_or_default();
                names.names.insert(address, format!("{first}.{}", network.name));
            }
        }
        table
    }

    /// The addresses that a name in lower case has for a container: `web`, or `web.NETWORK`.
    pub(crate) fn addresses(&self, container: &str, name: &str) -> &[Ipv4Addr] {
        let found = self.networks_of(container).find_map(|network| {
            let short = || {
                let rest = name.strip_suffix(&network.name)?.strip_suffix('.')?;
                network.addresses.get(rest)
            };
            network.addresses.get(name).or_else(short)
        });
        found.map_or(&[], Vec::as_slice)
    }

    /// The name that an address has for a container.
    pub(crate) fn name(&self, container: &str, address: Ipv4Addr) -> Option<&str> {
        self.networks_of(container).find_map(|network| network.names.get(&address)).map(|it| &**it)
    }

    /// The name servers that a container's other questions go to; none if it may not ask others.
    pub(crate) fn servers(&self, container: &str) -> Vec<IpAddr> {
        match self.views.get(container) {
            Some(view) if view.asks_others && view.servers.is_empty() => resolv_conf::servers(),
            Some(view) if view.asks_others => view.servers.clone(),
            _ => Vec::new(),
        }
    }

    fn networks_of(&self, container: &str) -> impl Iterator<Item = &NetworkNames> {
        let ids = self.views.get(container).into_iter().flat_map(|view| &view.networks);
        ids.filter_map(|id| self.networks.get(id))
    }
}

/// The names of a container in a network, in lower case and each once, its own name first: those
/// that it was started with, the beginning of its id, and its host name.
pub(crate) fn names_of(
    container: &str,
    name: &str,
    hostname: &str,
    aliases: &[String],
) -> Vec<String> {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let short_id = container.get(..12).unwrap_or(container);
    let aliases = aliases.iter().map(String::as_str);
    let mut names = Vec::new();
    for name in [name].into_iter().chain(aliases).chain([short_id, hostname]) {
        let name = name.to_ascii_lowercase();
        let can_be_asked = (1..=LONGEST).contains(&name.len())
            && name.split('.').all(|label| (1..=LONGEST_LABEL).contains(&label.len()));
        if can_be_asked && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixtures::{container, network},
        *,
    };

    fn table() -> NameTable {
        let mut state = State::default();
        for (id, name, internal) in
            [("n1", "front", false), ("n2", "Back", true), ("n3", "bridge", false)]
        {
            state.networks.insert(id.into(), network(id, name, internal));
        }
        let containers = [
            container("0123456789abcdef", "Web", &[("n1", 2, &["shop", "all"])]),
            container("c2", "db", &[("n2", 3, &["all"])]),
            container("c3", "api", &[("n1", 4, &["all"]), ("n2", 5, &[])]),
            container("c4", "old", &[("n3", 6, &[])]),
        ];
        for mut one in containers {
            for endpoint in &mut one.endpoints {
                endpoint.names =
                    names_of(&one.container, &one.name, &one.hostname, &endpoint.aliases);
            }
            state.attached.insert(one.container.clone(), one);
        }
        NameTable::of(&state)
    }

    #[test]
    fn only_containers_in_common_networks_are_found() {
        let table = table();
        let last = |container: &str, name: &str| -> Vec<u8> {
            table.addresses(container, name).iter().map(|found| found.octets()[3]).collect()
        };
        assert_eq!(last("c3", "web"), [2]);
        assert_eq!(last("c3", "web.front"), [2]);
        assert_eq!(last("c3", "db.back"), [3]);
        assert_eq!(last("c3", "shop"), [2]);
        assert_eq!(last("c3", "0123456789ab"), [2]);
        assert_eq!(last("c3", "all"), [2, 4]);
        assert_eq!(last("c2", "web"), [0; 0]);
        assert_eq!(last("c2", "api"), [5]);
        assert_eq!(last("0123456789abcdef", "api"), [4]);
        assert_eq!(last("0123456789abcdef", "box.example"), [2, 4]);
        // Of the predefined network, there are no names.
        assert_eq!(last("c4", "old"), [0; 0]);
        assert_eq!(last("nobody", "web"), [0; 0]);
    }

    #[test]
    fn an_address_has_the_name_of_its_container() {
        let table = table();
        assert_eq!(table.name("c3", [10, 0, 0, 2].into()), Some("web.front"));
        assert_eq!(table.name("c2", [10, 0, 0, 2].into()), None);
        assert_eq!(table.name("c3", [10, 0, 0, 3].into()), Some("db.Back"));
    }

    #[test]
    fn a_container_without_a_way_out_asks_nobody() {
        let table = table();
        assert_eq!(table.servers("c2"), [] as [IpAddr; 0]);
        assert_eq!(table.servers("c3"), ["192.0.2.53".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn names_that_nobody_could_ask_for_are_left_out() {
        let long = "x".repeat(64);
        let aliases = ["Shop".to_owned(), "web".to_owned(), "a..b".to_owned(), long];
        let names = names_of("0123456789abcdef", "web", "web", &aliases);
        assert_eq!(names, ["web", "shop", "0123456789ab"]);
    }
}
