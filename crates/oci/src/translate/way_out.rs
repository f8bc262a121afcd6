//! Question 5: the program, its streams, its network and hooks.

use std::ffi::OsString;

use container::{
    Namespace, Network,
    hooks::Hooks,
    spec::{Boundary, WayOut},
};
use sandbox::{Program, Stdio};

use crate::{
    config::{Config, Process},
    error::{Result, property},
};

pub(super) fn way_out(process: &Process, config: &Config, boundary: &Boundary) -> Result<WayOut> {
    let hooks = &config.hooks;
    let create_runtime = hooks.prestart.iter().chain(&hooks.create_runtime).cloned().collect();
    Ok(WayOut {
        program: Program::Command(words(process)?),
        environment: environment(process),
        directory: process.cwd.clone(),
        stdio: if process.terminal { Stdio::Terminal } else { Stdio::Inherit },
        network: match boundary.namespaces.net {
            Namespace::New => Network::None,
            _ => Network::Host,
        },
        names: None,
        hooks: Hooks {
            create_runtime,
            create_container: hooks.create_container.clone(),
            start_container: hooks.start_container.clone(),
            poststart: hooks.poststart.clone(),
            poststop: hooks.poststop.clone(),
            ..Hooks::default()
        },
        init: false,
        ..WayOut::default()
    })
}

/// Its arguments, the first of which names the program.
pub(crate) fn words(process: &Process) -> Result<Vec<OsString>> {
    if process.args.first().is_none_or(String::is_empty) {
        return Err(property("process.args", "it is empty"));
    }
    if !process.cwd.is_absolute() {
        return Err(property("process.cwd", "it is not an absolute path"));
    }
    Ok(process.args.iter().map(OsString::from).collect())
}

/// All of its environment; entries without `=` are variables without a value.
pub(crate) fn environment(process: &Process) -> Vec<(OsString, OsString)> {
    let pair = |variable: &String| {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        (name.into(), value.into())
    };
    process.env.iter().map(pair).collect()
}
