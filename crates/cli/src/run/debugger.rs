//! `--gdb`: a way for a debugger into a virtual machine.

use std::{
    ffi::{OsStr, OsString},
    net::{Ipv4Addr, TcpListener},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use microvm::gdb::Listener;

use crate::{failure::Failure, stderr};

#[derive(Debug, Args)]
#[command(next_help_heading = "Only for virtual machines")]
pub(super) struct DebuggerArguments {
    /// Wait for gdb before the first instruction, on this loopback port or on a new socket at this
    /// path; 0 picks a free port. In gdb: `target remote :PORT`
    #[arg(long, value_name = "PORT|PATH")]
    pub(super) gdb: Option<OsString>,
}

impl DebuggerArguments {
    /// Listens at the given address, and prints it.
    pub(super) fn listen(&self) -> Result<Option<Arc<Listener>>, Failure> {
        let Some(address) = &self.gdb else { return Ok(None) };
        let (listener, address) = match address.to_str().map(str::parse::<u16>) {
            Some(Ok(port)) => {
                let failed = || Failure::at(format!("listen for gdb at port {port}"));
                let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed())?;
                let port = bound.local_addr().map_err(failed())?.port();
                (Listener::Tcp(bound), format!(":{port}"))
            }
            _ => of_path(address)?,
        };
        stderr::remark(&format!("isolab: waiting for gdb: `target remote {address}`\n"));
        Ok(Some(Arc::new(listener)))
    }
}

fn of_path(address: &OsStr) -> Result<(Listener, String), Failure> {
    let failed = Failure::at(format!("listen for gdb at {address:?}"));
    // Absolute: whoever removes it may be elsewhere by then.
    let path = std::path::absolute(PathBuf::from(address));
    let listener = path.and_then(|path| {
        let listener = UnixListener::bind(&path)?;
        Ok(Listener::Unix(listener, path))
    });
    match listener {
        Ok(listener) => Ok((listener, address.display().to_string())),
        Err(error) => Err(failed(error).help("name a port, or a path at which there is nothing")),
    }
}
