//! What a container is: a process whose tables are not the host's. The numbers of the tables, seen
//! in `/proc/PID/ns` (namespaces(7)), and one process as both sides see it.
//!
//! ```text
//!   isolab (host)                      a shell in the container
//!   start   clone3, unshare  --------> reads who it is, in its own /proc, and writes it down
//!   looks   /proc/PID/ns     the numbers of its tables
//!           /proc/PID/root   what it wrote, and the processes that it sees
//!   enter   setns            --------> another shell, with the same tables
//!   kill    SIGKILL          --------> number 1 ends, and with it all in its pid namespace
//! ```
//!
//! The shells wait for a line that never comes; when isolab is gone, so is their input, and they
//! end by themselves.

mod answers;
mod column;
mod draw;
mod look;
mod notes;
mod page;
mod shell;
mod source;
mod who;

use serde::{Deserialize, Serialize};

pub use answers::Answers;
pub use draw::{draw, summary};
pub use notes::SCRIPT;
pub use source::NamespacesDemo;

use crate::Language;

/// A kind of namespace: its link in `/proc/PID/ns`, and what its table holds.
pub(crate) struct Kind {
    pub(crate) link: &'static str,
    en: &'static str,
    zh: &'static str,
}

impl Kind {
    /// All of them. The first six are the ones that a container is made of; the last two came later.
    pub(crate) const ALL: [Self; 8] = [
        Self { link: "mnt", en: "mounts", zh: "挂载" },
        Self { link: "user", en: "users", zh: "用户号" },
        Self { link: "pid", en: "pids", zh: "进程号" },
        Self { link: "uts", en: "hostname", zh: "主机名" },
        Self { link: "ipc", en: "SysV IPC", zh: "SysV IPC" },
        Self { link: "net", en: "links", zh: "网络" },
        Self { link: "cgroup", en: "paths", zh: "控制组" },
        Self { link: "time", en: "clocks", zh: "时钟" },
    ];
    /// Where the pid namespace is among them.
    pub(crate) const PID: usize = 2;

    /// What its table holds, in a word.
    pub(crate) fn holds(&self, language: Language) -> &'static str {
        language.either(self.en, self.zh)
    }
}

/// The tables of the host, and those of the containers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Namespaces {
    /// The process that looks: isolab.
    pub host: Box<Column>,
    /// The containers, oldest first.
    pub containers: Vec<Column>,
    /// Whether one process is seen from both sides, in place of the namespaces.
    pub who: bool,
    /// What happened last.
    #[serde(alias = "told")]
    pub last_change: LastChange,
    /// Why something did not happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A process and the tables that it uses. What is not known yet is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the ledger of what runs, by which `isolab exec` knows it too.
    pub name: String,
    /// Whether it is being killed.
    pub ending: bool,
    /// Its number outside.
    pub pid: Option<u32>,
    /// Its number inside, as the host's kernel knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<u32>,
    /// Its user outside.
    pub user: Option<u32>,
    /// Its cgroup, as it is called outside.
    pub cgroup: Option<String>,
    /// What it says of itself; a container that was started elsewhere is not asked.
    pub answers: Option<Answers>,
    /// How many processes are seen inside.
    pub processes: Option<usize>,
    /// The inode numbers of its namespaces, in the order of the kinds.
    pub tables: [Option<u64>; 8],
    /// Who else is in its pid namespace: the number inside, and the one outside.
    pub others: Vec<(u32, u32)>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastChange {
    /// Nothing yet.
    Nothing,
    /// One process was asked who it is.
    Asked,
    /// A container was started.
    Started {
        /// Its name.
        name: String,
    },
    /// Another process joined one.
    Entered {
        /// Its name.
        name: String,
    },
    /// One was killed, with all that was in it.
    Killed {
        /// Its name.
        name: String,
        /// How many processes were in it.
        processes: usize,
    },
    /// One ended by itself, or somebody else ended it.
    Ended {
        /// Its name.
        name: String,
    },
}

impl Namespaces {
    pub(crate) fn page(&self, language: Language) -> String {
        page::page(self, language)
    }

    pub(crate) fn is_on(&self, key: char) -> bool {
        key == 'w' && self.who
    }

    /// How many of the column's namespaces are not the host's.
    pub(crate) fn new_tables(&self, column: &Column) -> usize {
        let pairs = column.tables.iter().zip(&self.host.tables);
        pairs.filter(|(own, host)| own.is_some() && own != host).count()
    }
}
