//! Question 5: the program, its environment and how it finds others.

use std::path::PathBuf;

use container::{
    Network, Spec,
    hosts::{HostAddress, NameService},
};
use sandbox::{
    Program, Stdio,
    environment::{self, PATH, Variable},
};

use super::network::NetworkSetup;
use crate::{
    error::{ApiError, Result},
    state::record::Record,
};

pub(super) fn apply(spec: &mut Spec, record: &Record) -> Result<()> {
    let (config, way_out) = (&record.config, &mut spec.way_out);
    let words = record.arguments.iter().map(Into::into).collect();
    way_out.program = Program::Command(words);
    way_out.environment = variables(record);
    let directory = config.working_dir.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    if !directory.starts_with('/') {
        return Err(ApiError::invalid(format!(
            "the working directory '{directory}' is invalid, it needs to be an absolute path"
        )));
    }
    way_out.directory = PathBuf::from(directory);
    way_out.stdio = stdio(record);
    way_out.init = record.host.init.unwrap_or(false);
    way_out.network = match record.host.network_mode.as_deref() {
        Some("host") => Network::Host,
        _ => Network::None,
    };
    way_out.names = Some(names(record)?);
    Ok(())
}

/// Where its streams lead: to a terminal, or to its supervisor's pipes.
pub(super) fn stdio(record: &Record) -> Stdio {
    if record.tty() { Stdio::Terminal } else { Stdio::Inherit }
}

/// Its links, and whom it asks for names.
pub(super) fn connect(spec: &mut Spec, setup: &NetworkSetup) {
    let way_out = &mut spec.way_out;
    (way_out.network, way_out.links) = (setup.network, setup.links.clone());
    let Some(names) = &mut way_out.names else { return };
    if !setup.servers.is_empty() {
        names.servers.clone_from(&setup.servers);
    }
    if names.options.is_empty() {
        names.options.clone_from(&setup.resolver_options);
    }
    let own =
        setup.hosts.iter().map(|(name, address)| (name.clone(), HostAddress::Address(*address)));
    names.hosts.extend(own);
}

/// The environment: the usual, the image's and the client's. `NAME` alone removes a variable.
fn variables(record: &Record) -> Vec<Variable> {
    let hostname = record.config.hostname.clone().unwrap_or_default();
    let mut all: Vec<Variable> =
        vec![("PATH".into(), PATH.into()), ("HOSTNAME".into(), hostname.into())];
    if record.tty() {
        all.push(("TERM".into(), "xterm".into()));
    }
    for given in record.config.env.iter().flatten() {
        match given.split_once('=') {
            Some((name, value)) => environment::add(&mut all, &[(name.into(), value.into())]),
            None => all.retain(|(name, _)| name != given.as_str()),
        }
    }
    all
}

fn names(record: &Record) -> Result<NameService> {
    let host = &record.host;
    let mut names = NameService::default();
    for text in host.extra_hosts.iter().flatten() {
        let bad = || ApiError::invalid(format!("bad format for add-host: \"{text}\""));
        let (name, address) = text.split_once([':', '=']).ok_or_else(bad)?;
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let address = match bare {
            "host-gateway" => HostAddress::Gateway,
            bare => HostAddress::Address(bare.parse().map_err(|_| bad())?),
        };
        names.hosts.push((name.to_owned(), address));
    }
    for text in host.dns.iter().flatten() {
        let address = text.parse();
        let address = address.map_err(|_| {
            ApiError::invalid(format!("bad dns address: {text} is not an IP address"))
        })?;
        names.servers.push(address);
    }
    names.search = host.dns_search.clone().unwrap_or_default();
    names.options = host.dns_options.clone().unwrap_or_default();
    Ok(names)
}
