//! `/proc/PID/stat`: the state of a process or thread, in numbered fields; see proc_pid_stat(5).

use std::{fs, io, path::Path, str::FromStr};

use crate::read_proc;

/// The fields of one `stat` file from the third on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStat {
    fields: String,
}

impl ProcessStat {
    /// Reads that of process `pid`.
    ///
    /// # Errors
    ///
    /// Those of [`ProcessStat::read`].
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(format!("/proc/{pid}/stat"))
    }

    /// Reads a file `/proc/PID/stat` or `/proc/PID/task/TID/stat`.
    ///
    /// # Errors
    ///
    /// When there is no such process or thread any more; those of open(2) and read(2).
    pub fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        let text = read_proc(path)?;
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not the format of stat");
        Self::parse(&String::from_utf8_lossy(&text)).ok_or_else(malformed)
    }

    /// Parses the text of such a file.
    pub fn parse(text: &str) -> Option<Self> {
        // The second field is the name in parentheses and may hold anything, parentheses too.
        let (_, fields) = text.rsplit_once(')')?;
        Some(Self { fields: fields.trim().to_owned() })
    }

    /// The field with this number in proc_pid_stat(5), from 3 on, if it is one of that type.
    pub fn field<T: FromStr>(&self, number: usize) -> Option<T> {
        self.fields.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
    }

    /// Its state, a letter: `R` running, `S` sleeping, `D` waiting for a disk, `T` stopped, `Z` a
    /// zombie, `X` dead.
    pub fn state(&self) -> Option<char> {
        self.field(3)
    }

    /// Whether it has ended: a zombie waits only to be reaped.
    pub fn has_ended(&self) -> bool {
        matches!(self.state(), Some('Z' | 'X'))
    }

    /// The number of its parent.
    pub fn parent(&self) -> Option<u32> {
        self.field(4)
    }

    /// User and system time of it and of its children that have been waited for, in clock ticks.
    pub fn cpu_ticks(&self) -> u64 {
        (14..=17).filter_map(|number| self.field::<u64>(number)).fold(0, u64::saturating_add)
    }

    /// How many threads it has.
    pub fn threads(&self) -> Option<u64> {
        self.field(20)
    }

    /// When it started, in clock ticks since boot. A later process with the same number has
    /// another start time.
    pub fn start_time(&self) -> Option<u64> {
        self.field(22)
    }
}

/// The process `root` and all its descendants, itself first.
pub fn process_tree(root: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> =
        pids.filter_map(|pid| Some((pid, ProcessStat::of(pid).ok()?.parent()?))).collect();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&member) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(pid, _)| *pid));
        next += 1;
    }
    tree
}

#[cfg(test)]
mod tests {
    use std::process::{Command, id};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        let stat = ProcessStat::parse("7 (a) R 9 (b) S 3 7 7\n").unwrap();
        assert_eq!((stat.state(), stat.parent(), stat.field(6)), (Some('S'), Some(3), Some(7)));
        assert_eq!(stat.field::<u64>(7), None);
        assert_eq!(stat.field::<u64>(2), None);
    }

    #[test]
    fn times_and_threads_are_read_by_their_numbers() {
        let numbers: Vec<String> = (4..=52).map(|number: u32| number.to_string()).collect();
        let stat = ProcessStat::parse(&format!("1 (x) Z {}", numbers.join(" "))).unwrap();
        assert_eq!(stat.cpu_ticks(), 14 + 15 + 16 + 17);
        assert_eq!((stat.threads(), stat.start_time()), (Some(20), Some(22)));
        assert!(stat.has_ended());
    }

    #[test]
    fn this_process_and_its_child_are_a_tree() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let tree = process_tree(id());
        let parent = ProcessStat::of(child.id()).unwrap().parent();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((tree[0], parent), (id(), Some(id())));
        assert!(tree.contains(&child.id()), "{tree:?}");
        assert!(ProcessStat::of(child.id()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,400}", number in 0usize..60) {
            let stat = ProcessStat::parse(&text);
            stat.map(|stat| (stat.field::<u64>(number), stat.cpu_ticks(), stat.state()));
        }
    }
}
