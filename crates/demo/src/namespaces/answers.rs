//! Who am I? The same files are read by isolab and by the shell in a container, each in its own
//! `/proc`; what they find there is not the same.

use std::{fs::File, io::Read as _};

use container::mounts::parse_line;
use serde::{Deserialize, Serialize};

/// What a process reads about itself: proc_pid_status(5), proc_sys_kernel(5),
/// proc_pid_mountinfo(5), proc_pid_net(5), cgroups(7).
const QUESTIONS: [&str; 5] = [
    "/proc/self/status",
    "/proc/sys/kernel/hostname",
    "/proc/self/mountinfo",
    "/proc/self/net/dev",
    "/proc/self/cgroup",
];
/// Behind each of them, in what the shell writes.
const END: &str = ".\n";
/// The tmpfs that every container has for itself; who writes there writes nothing of the host's.
const ANSWERS_FILE: &str = "/dev/shm/who-am-i";
/// Nobody's answers are longer.
const LONGEST: u64 = 256 << 10;

/// What a process says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// Its number.
    pub pid: u32,
    /// Its user.
    pub user: u32,
    /// The name of its host.
    pub host_name: String,
    /// The type of file system of its root.
    pub root: String,
    /// How many mounts there are.
    pub mounts: usize,
    /// The network links, by name.
    pub links: Vec<String>,
    /// Its cgroup.
    pub cgroup: String,
}

/// What the shell does. It calls no other program: who answers is the one who was asked.
pub(super) fn script() -> String {
    let files = QUESTIONS.join(" ");
    format!(
        "for file in {files}; do while IFS= read -r line; do printf '%s\\n' \"$line\"; \
         done <$file; echo .; done >{ANSWERS_FILE}; read -r line"
    )
}

impl Answers {
    /// The calling process's own.
    pub(super) fn own(hierarchy: &str) -> Option<Self> {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        Self::of(&QUESTIONS.map(|path| read(path).unwrap_or_default()), hierarchy)
    }

    /// Those of the first process of a container, when it has written them down.
    pub(super) fn of_process(pid: u32, hierarchy: &str) -> Option<Self> {
        let mut text = String::new();
        let file = File::open(format!("/proc/{pid}/root{ANSWERS_FILE}")).ok()?;
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        Self::written(&text, hierarchy)
    }

    fn written(text: &str, hierarchy: &str) -> Option<Self> {
        // A line of one dot is in none of the files.
        let mut parts = text.split_inclusive('\n').fold(vec![String::new()], |mut parts, line| {
            match (line, parts.last_mut()) {
                (END, _) => parts.push(String::new()),
                (line, Some(part)) => part.push_str(line),
                _ => {}
            }
            parts
        });
        parts.pop();
        Self::of(&parts.try_into().ok()?, hierarchy)
    }

    fn of([status, host_name, mountinfo, links, cgroup]: &[String; 5], id: &str) -> Option<Self> {
        let mounts: Vec<_> =
            mountinfo.lines().filter_map(|line| parse_line(line.as_bytes())).collect();
        let root = mounts.iter().rfind(|mount| mount.point.as_os_str() == "/");
        let mut links: Vec<String> =
            links.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().into())).collect();
        links.sort();
        Some(Self {
            pid: number(status, "Pid:")?,
            user: number(status, "Uid:")?,
            host_name: host_name.trim().into(),
            root: root.map(|mount| mount.kind.clone()).unwrap_or_default(),
            mounts: mounts.len(),
            links,
            cgroup: cgroup_in(cgroup, id).unwrap_or_default().into(),
        })
    }
}

/// The first number of a line of `/proc/PID/status`.
pub(super) fn number(status: &str, name: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The path of a process in the hierarchy `id`, the first field of a line of `/proc/PID/cgroup`.
pub(super) fn cgroup_in<'a>(text: &'a str, id: &str) -> Option<&'a str> {
    let mut fields = text.lines().map(|line| line.splitn(3, ':'));
    fields.find_map(|mut line| (line.next()? == id).then(|| line.nth(1))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "Name:\tsh\nPid:\t1\nUid:\t0\t0\t0\t0\n.\ndemo-1\n.\n\
        95 43 0:39 / / rw - overlay overlay rw\n96 95 0:45 / /proc rw - proc proc rw\n.\n\
        Inter-|   Receive\n face |bytes\n    lo:       0\n.\n8:pids:/\n0::/\n.\n";

    #[test]
    fn what_the_shell_wrote_is_read_when_it_is_complete() {
        let answers = Answers::written(WRITTEN, "8").unwrap();
        assert_eq!((answers.pid, answers.user, &*answers.host_name), (1, 0, "demo-1"));
        assert_eq!((&*answers.root, answers.mounts), ("overlay", 2));
        assert_eq!((answers.links, &*answers.cgroup), (vec!["lo".to_owned()], "/"));
        for (at, _) in WRITTEN.char_indices() {
            assert_eq!(Answers::written(&WRITTEN[..at], "8"), None, "{at}");
        }
    }

    #[test]
    fn the_shell_reads_the_same_files_as_isolab() {
        let own = Answers::own("0").unwrap();
        assert_eq!(own.pid, std::process::id());
        assert!(own.mounts > 0 && own.links.contains(&"lo".to_owned()), "{own:?}");
        assert!(QUESTIONS.iter().all(|file| script().contains(file)));
    }

    #[test]
    fn a_cgroup_is_found_by_its_hierarchy() {
        let text = "9:name=systemd:/\n8:pids:/isolab-demo-1\n0::/a:b\n";
        assert_eq!(cgroup_in(text, "8"), Some("/isolab-demo-1"));
        assert_eq!(cgroup_in(text, "0"), Some("/a:b"));
        assert_eq!(cgroup_in(text, "7"), None);
    }
}
