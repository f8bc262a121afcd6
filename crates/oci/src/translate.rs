//! From config.json to `container::Spec`: five sections, each in a file named after its question.

mod boundary;
pub(crate) mod budget;
mod inside;
mod power;
mod scheduling;
mod seccomp;
mod way_out;

use container::Spec;
use serde_json::{Map, json};

use crate::{
    SPEC_VERSION,
    bundle::Bundle,
    error::{Result, property},
    systemd::Unit,
};

pub(crate) use power::{power, unknown_capabilities};
pub(crate) use scheduling::affinity;
pub(crate) use seccomp::FLAGS as SECCOMP_FLAGS;
pub(crate) use way_out::{environment, words};

/// The container that a bundle describes, under this id; with a unit, in the cgroup that systemd makes.
pub(crate) fn spec(bundle: &Bundle, id: &str, unit: Option<&Unit>) -> Result<Spec> {
    let config = &bundle.config;
    refuse_what_is_not_done(bundle)?;
    let process = config.process.as_ref();
    let process = process.ok_or_else(|| property("process", "it is missing"))?;
    let boundary = boundary::boundary(config)?;
    let mut spec = Spec {
        budget: budget::budget(config, id, unit)?,
        inside: inside::inside(bundle)?,
        power: power(process, config)?,
        way_out: way_out::way_out(process, config, &boundary)?,
        boundary,
    };
    let mut state = Map::new();
    state.insert("ociVersion".into(), SPEC_VERSION.into());
    state.insert("id".into(), id.into());
    state.insert("bundle".into(), json!(bundle.directory));
    state.insert("annotations".into(), json!(config.annotations));
    spec.way_out.hooks.state = state;
    Ok(spec)
}

/// Properties that are understood and refused: without them the container would be another one.
fn refuse_what_is_not_done(bundle: &Bundle) -> Result<()> {
    let linux = &bundle.config.linux;
    let given = [
        (linux.intel_rdt.is_some(), "linux.intelRdt", "isolab does not use resctrl"),
        (linux.memory_policy.is_some(), "linux.memoryPolicy", "isolab sets no memory policy"),
        (
            linux.mount_label.as_ref().is_some_and(|label| !label.is_empty()),
            "linux.mountLabel",
            "isolab does not support SELinux; leave it out",
        ),
        (!linux.net_devices.is_empty(), "linux.netDevices", "isolab moves no network devices"),
    ];
    match given.into_iter().find(|(is_given, ..)| *is_given) {
        Some((_, name, why)) => Err(property(name, why)),
        None => Ok(()),
    }
}
