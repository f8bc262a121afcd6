//! `isolab registry`: a registry of one's own.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use registry::server::{self, Options, ServeError};

use crate::{failure::Failure, image::of_image, stderr, units};

/// Serve a registry.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a registry on this host, until a signal ends it
    ///
    /// It speaks the OCI distribution protocol, as docker, podman and `isolab image` do, and has a page
    /// for browsers at /. The access log goes to standard output, a line of JSON for each request.
    Serve(ServeArguments),
}

#[derive(Debug, Args)]
struct ServeArguments {
    /// Address and port to listen at; port 0 means a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// Directory for the images [default: /var/lib/isolab/registry for root, otherwise
    /// ~/.local/share/isolab/registry]
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Let only the users in this file in, who are written by `htpasswd -B`
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// Certificate for TLS, a PEM file
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The certificate's private key, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Refuse pushes and deletions
    #[arg(long)]
    read_only: bool,
    /// Size limit for a blob
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    max_blob: Option<u64>,
    /// Size limit for all blobs together
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    max_total: Option<u64>,
    /// Discard an upload that nobody has continued for this long [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = units::deadline)]
    upload_expiry: Option<Duration>,
    /// Write everything through to the disk before it is acknowledged, against power cuts
    #[arg(long)]
    sync: bool,
}

/// Serves it.
pub fn registry(arguments: &Arguments) -> Result<u8, Failure> {
    let Command::Serve(arguments) = &arguments.command;
    serve(arguments)
}

fn serve(arguments: &ServeArguments) -> Result<u8, Failure> {
    let options = arguments.options()?;
    let is_open = options.htpasswd.is_none() && !options.read_only;
    if is_open && !options.listen.ip().is_loopback() {
        stderr::remark(
            "isolab: anybody who reaches this host can push and delete images\n  help: --htpasswd FILE lets users in by password\n",
        );
    }
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let data = options.data.display().to_string();
    let ready = |at: SocketAddr| {
        stderr::remark(&format!("serving {data} at {scheme}://{at}/\n"));
    };
    server::serve(options, Box::new(io::stdout()), ready, server::terminated()).map_err(failed)?;
    Ok(0)
}

fn failed(error: ServeError) -> Failure {
    let in_use = matches!(
        &error,
        ServeError::Io { source, .. } if source.kind() == io::ErrorKind::AddrInUse
    );
    let failure = of_image(error);
    match in_use {
        true => {
            failure.help("another program listens there; --listen 127.0.0.1:0 takes a free port")
        }
        false => failure,
    }
}

impl ServeArguments {
    fn options(&self) -> Result<Options, Failure> {
        let data = match &self.data {
            Some(data) => data.clone(),
            None => host::data_directory("registry").ok_or_else(|| {
                let why = "neither XDG_DATA_HOME nor HOME is set";
                Failure::refused(format!("no directory for the registry: {why}"))
                    .help("name one with --data")
            })?,
        };
        let mut options = Options::new(data);
        options.listen = self.listen;
        options.htpasswd.clone_from(&self.htpasswd);
        options.tls = self.cert.clone().zip(self.key.clone());
        options.read_only = self.read_only;
        options.max_blob = self.max_blob.unwrap_or(options.max_blob);
        options.max_total = self.max_total;
        options.upload_expiry = self.upload_expiry.unwrap_or(options.upload_expiry);
        options.sync = self.sync;
        Ok(options)
    }
}
