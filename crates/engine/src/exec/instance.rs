//! An exec: a command for a container, before, while and after it runs.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bollard_stubs::models::{ExecConfig, ExecInspectResponse, ProcessConfig};

use crate::container::Container;

/// A command for a container that was created, and may have been started.
pub struct Exec {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The container that it joins.
    pub container: Arc<Container>,
    /// What it is.
    pub config: ExecConfig,
    /// Its directory, while it runs.
    pub directory: PathBuf,
    pub(crate) status: Mutex<ExecStatus>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ExecStatus {
    pub(crate) started: bool,
    pub(crate) up: bool,
    pub(crate) pid: u32,
    pub(crate) exit_code: Option<i64>,
}

impl Exec {
    pub(crate) fn status(&self) -> MutexGuard<'_, ExecStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has a terminal.
    pub fn tty(&self) -> bool {
        self.config.tty.unwrap_or(false)
    }

    /// Kills its process, if it runs.
    pub(crate) fn kill(&self) {
        let status = *self.status();
        if let Some(pid) = i32::try_from(status.pid).ok().filter(|_| status.up) {
            // It is its supervisor's child until that has told of its end.
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
        }
    }

    /// As the API writes it.
    pub fn inspect(&self) -> ExecInspectResponse {
        let status = *self.status();
        let words = self.config.cmd.clone().unwrap_or_default();
        let process = ProcessConfig {
            privileged: self.config.privileged,
            user: self.config.user.clone(),
            tty: Some(self.tty()),
            entrypoint: words.first().cloned(),
            arguments: Some(words.get(1..).unwrap_or_default().to_vec()),
        };
        ExecInspectResponse {
            can_remove: Some(false),
            detach_keys: self.config.detach_keys.clone(),
            id: Some(self.id.clone()),
            running: Some(status.up),
            exit_code: status.exit_code,
            process_config: Some(process),
            open_stdin: self.config.attach_stdin,
            open_stderr: self.config.attach_stderr,
            open_stdout: self.config.attach_stdout,
            container_id: Some(self.container.id.clone()),
            pid: Some(status.pid.into()),
        }
    }
}
