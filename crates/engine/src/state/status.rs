//! Where a container is in its life.

use bollard_stubs::models::{ContainerState, ContainerStateStatusEnum, Health};
use serde::{Deserialize, Serialize};

use crate::time;

/// The phases of a container's life, as `docker ps` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Made and never started.
    #[default]
    Created,
    /// Its first process runs.
    Up,
    /// All its processes are frozen.
    Paused,
    /// It has ended, and its restart policy will start it again.
    Restarting,
    /// It has ended.
    Exited,
    /// It is being removed.
    Removing,
}

impl Phase {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Up => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Removing => "removing",
        }
    }

    /// Whether it has processes.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Paused)
    }
}

/// Where a container is in its life, and how the last run of it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The phase.
    pub phase: Phase,
    /// The first process, in the host's pid namespace; 0 while it has none.
    pub pid: u32,
    /// The exit code of the last run: 128 + the signal that killed it.
    pub exit_code: i64,
    /// Why the last start failed.
    pub error: String,
    /// Whether the kernel killed a process of it for lack of memory.
    pub oom_killed: bool,
    /// When it was last started, by RFC 3339.
    pub started_at: String,
    /// When it last ended.
    pub finished_at: String,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            phase: Phase::Created,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            oom_killed: false,
            started_at: time::NEVER.into(),
            finished_at: time::NEVER.into(),
        }
    }
}

impl Status {
    /// As the API writes it.
    pub fn state(&self, health: Option<Health>) -> ContainerState {
        use ContainerStateStatusEnum as Name;
        let name = match self.phase {
            Phase::Created => Name::CREATED,
            Phase::Up => Name::RUNNING,
            Phase::Paused => Name::PAUSED,
            Phase::Restarting => Name::RESTARTING,
            Phase::Exited => Name::EXITED,
            Phase::Removing => Name::REMOVING,
        };
        ContainerState {
            status: Some(name),
            running: Some(self.phase.is_up() || self.phase == Phase::Restarting),
            paused: Some(self.phase == Phase::Paused),
            restarting: Some(self.phase == Phase::Restarting),
            oom_killed: Some(self.oom_killed),
            dead: Some(false),
            pid: Some(self.pid.into()),
            exit_code: Some(self.exit_code),
            error: Some(self.error.clone()),
            started_at: Some(self.started_at.clone()),
            finished_at: Some(self.finished_at.clone()),
            health,
        }
    }

    /// As `docker ps` shows it: `Up 3 minutes (healthy)`, `Exited (0) 5 seconds ago`.
    pub fn words(&self, health: Option<&str>) -> String {
        let ago = |text: &str| {
            let now = time::since_1970(&time::now()).unwrap_or_default();
            time::human(now.saturating_sub(time::since_1970(text).unwrap_or(now)))
        };
        match self.phase {
            Phase::Created => "Created".into(),
            Phase::Up => match health {
                Some(health) => format!("Up {} ({health})", ago(&self.started_at)),
                None => format!("Up {}", ago(&self.started_at)),
            },
            Phase::Paused => format!("Up {} (Paused)", ago(&self.started_at)),
            Phase::Restarting => {
                format!("Restarting ({}) {} ago", self.exit_code, ago(&self.finished_at))
            }
            Phase::Exited => format!("Exited ({}) {} ago", self.exit_code, ago(&self.finished_at)),
            Phase::Removing => "Removal In Progress".into(),
        }
    }
}
