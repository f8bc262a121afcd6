//! The commands of the client.

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientCommand {
    /// `docker run`, whose output is the client's.
    Run,
    /// `docker run -d`: the container stays.
    RunDetached,
    /// `docker exec` in it.
    Exec,
    /// `docker logs` of it.
    Logs,
}

/// What the container that stays does: a line a second.
const LINES: &str = "n=0; while sleep 1; do n=$((n+1)); echo line $n; done";

impl ClientCommand {
    /// The command of a key.
    pub(super) fn of_key(key: char) -> Option<Self> {
        Some(match key {
            'r' => Self::Run,
            'd' => Self::RunDetached,
            'x' => Self::Exec,
            'l' => Self::Logs,
            _ => return None,
        })
    }

    /// The name of the container, if it has one.
    pub(super) fn container(self) -> Option<&'static str> {
        (self != Self::Run).then_some("web")
    }

    /// What runs inside.
    pub(super) fn inside(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["sh", "-c", "echo hello from process $$"],
            Self::RunDetached => &["sh", "-c", LINES],
            Self::Exec => &["sh", "-c", "echo I am process $$"],
            Self::Logs => &[],
        }
    }

    /// The words behind `docker`.
    pub(super) fn words(self) -> Vec<&'static str> {
        let options: &[&str] = match self {
            Self::Run => &["run", "--rm", "-m", "64m", "demo"],
            Self::RunDetached => &["run", "-d", "--name", "web", "demo"],
            Self::Exec => &["exec", "web"],
            Self::Logs => &["logs", "--tail", "5", "web"],
        };
        [options, self.inside()].concat()
    }

    /// The line that a user would type.
    pub(super) fn line(self) -> String {
        let quoted = |word: &str| match word.contains([' ', '$', ';']) {
            true => format!("'{word}'"),
            false => word.to_owned(),
        };
        let words = self.words().into_iter().map(quoted);
        ["docker".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_line_for_a_shell() {
        let line = ClientCommand::Run.line();
        assert_eq!(line, "docker run --rm -m 64m demo sh -c 'echo hello from process $$'");
        assert_eq!(ClientCommand::of_key('l').unwrap().line(), "docker logs --tail 5 web");
        assert!(ClientCommand::of_key('k').is_none());
    }
}
