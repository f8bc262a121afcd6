//! `isolab image login` and `isolab image logout`.

use std::io::{IsTerminal as _, Read as _, stdin};

use clap::Args;
use host::TerminalMode;
use image::reference::DEFAULT_REGISTRY;
use registry::{
    client::Credentials,
    credentials::{Credential, DockerConfig, KeptIn, Secret},
};
use serde_json::json;

use super::{connection::ConnectionArguments, of_image};
use crate::{failure::Failure, output, stderr};

/// No password is longer.
const MAX_PASSWORD: u64 = 64 << 10;

/// Log in to a registry.
///
/// The registry is asked whether it accepts the password, which is then kept where `docker login`
/// keeps it: by its credential helper, or in ~/.docker/config.json ($DOCKER_CONFIG, if set).
#[derive(Debug, Args)]
pub struct LoginArguments {
    /// Registry: HOST or HOST:PORT
    #[arg(value_name = "REGISTRY", default_value = DEFAULT_REGISTRY)]
    registry: String,
    /// User name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Refused: other users of this host can read the words of a command
    #[arg(short, long, hide = true, value_name = "PASSWORD")]
    password: Option<String>,
    /// Print where the password is kept as a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Logs in.
pub fn login(arguments: &LoginArguments) -> Result<u8, Failure> {
    if arguments.password.is_some() {
        return Err(Failure::usage(
            "a password on the command line can be read by other users of this host",
        )
        .help("write it to standard input: --password-stdin"));
    }
    let username = match &arguments.username {
        Some(name) => name.clone(),
        None if arguments.password_stdin => {
            return Err(Failure::usage("--password-stdin needs a user name").help("-u NAME"));
        }
        None => ask_name()?,
    };
    let password = match arguments.password_stdin {
        true => read_password()?,
        false => ask_password()?,
    };
    let credential = Credential::Password { username, password };
    let client = arguments.connection.client_with(Credentials::Given(credential.clone()));
    client.check_login(&arguments.registry).map_err(of_image)?;
    let config = DockerConfig::of_user().map_err(of_image)?;
    let kept = config.keep(&arguments.registry, &credential).map_err(of_image)?;
    let (file, helper) = match &kept {
        KeptIn::File(path) => (Some(path), None),
        KeptIn::Helper(name) => (None, Some(name)),
    };
    if arguments.json {
        let registry = &arguments.registry;
        output::print_json(&json!({ "registry": registry, "file": file, "helper": helper }))?;
        return Ok(0);
    }
    if let Some(path) = file {
        stderr::remark(&format!(
            "the password is in {}, not encrypted\n  help: a credential helper keeps it safe; see `docker login --help`\n",
            path.display()
        ));
    }
    output::print("login succeeded\n")?;
    Ok(0)
}

fn read_password() -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = stdin().take(MAX_PASSWORD).read_to_string(&mut text);
    read.map_err(Failure::at("read the password from standard input"))?;
    // What `echo` adds.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.is_empty() {
        true => Err(Failure::usage("the password on standard input is empty")),
        false => Ok(Secret::new(text)),
    }
}

fn ask_name() -> Result<String, Failure> {
    ensure_terminal()?;
    stderr::remark("user name: ");
    let mut name = String::new();
    stdin().read_line(&mut name).map_err(Failure::at("read the user name"))?;
    Ok(name.trim().to_owned())
}

fn ask_password() -> Result<Secret, Failure> {
    ensure_terminal()?;
    stderr::remark("password: ");
    let quiet = TerminalMode::without_echo();
    let mut password = String::new();
    let read = stdin().read_line(&mut password);
    drop(quiet);
    stderr::remark("\n");
    read.map_err(Failure::at("read the password"))?;
    Ok(Secret::new(password.trim_end_matches(['\r', '\n'])))
}

fn ensure_terminal() -> Result<(), Failure> {
    match stdin().is_terminal() {
        true => Ok(()),
        false => Err(Failure::usage("standard input is not a terminal")
            .help("-u NAME --password-stdin reads the password from standard input")),
    }
}

/// Log out of a registry.
#[derive(Debug, Args)]
pub struct LogoutArguments {
    /// Registry: HOST or HOST:PORT
    #[arg(value_name = "REGISTRY", default_value = DEFAULT_REGISTRY)]
    registry: String,
    /// Print whether there was a password as a JSON object
    #[arg(long)]
    json: bool,
}

/// Forgets the password.
pub fn logout(arguments: &LogoutArguments) -> Result<u8, Failure> {
    let config = DockerConfig::of_user().map_err(of_image)?;
    let removed = config.forget(&arguments.registry).map_err(of_image)?;
    let registry = &arguments.registry;
    match (arguments.json, removed) {
        (true, _) => output::print_json(&json!({ "registry": registry, "removed": removed }))?,
        (false, true) => output::print(&format!("removed the password for {registry}\n"))?,
        (false, false) => output::print(&format!("not logged in to {registry}\n"))?,
    }
    Ok(0)
}
