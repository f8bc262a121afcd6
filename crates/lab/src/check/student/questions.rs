//! What init looks at for the check, in the namespaces of a process inside.

use std::net::SocketAddr;

use container::netlink::Link;

use super::Student;
use crate::check::{finding::Checked, jail::InitRequest, kernel::Process};

impl Student {
    /// The host name in the namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn host_name(&self, process: Process) -> Checked<String> {
        let pid = self.inside(process)?;
        self.question(&InitRequest::HostName(pid))
    }

    /// The content of a file below `/proc/net`, in the network namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn network_file(&self, process: Process, file: &str) -> Checked<String> {
        let pid = self.inside(process)?;
        self.question(&InitRequest::NetworkFile(pid, file.to_owned()))
    }

    /// The names of the network links of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn links(&self, process: Process) -> Checked<Vec<String>> {
        let table = self.network_file(process, "/proc/net/dev")?;
        let names =
            table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        Ok(names.collect())
    }

    /// The link `name` of `process`, if there is one.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn link(&self, process: Process, name: &str) -> Checked<Option<Link>> {
        let pid = self.inside(process)?;
        let answer = self.question(&InitRequest::Link(pid, name.to_owned()))?;
        let numbers: Vec<i64> = answer.split(' ').map_while(|number| number.parse().ok()).collect();
        let [index, flags, other] = numbers[..] else { return Ok(None) };
        Ok(Some(Link { index: index as i32, flags: flags as u32, other: other as i32 }))
    }

    /// Whether this kernel has pairs of links (veth(4)).
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn has_veth(&self) -> Checked<bool> {
        Ok(self.question(&InitRequest::Veth)? == "true")
    }

    /// Sends a datagram to `to`, from the network namespace of `process`.
    ///
    /// # Errors
    ///
    /// When no way leads there.
    pub fn send_datagram(&self, process: Process, to: SocketAddr, text: &str) -> Checked<()> {
        let pid = self.inside(process)?;
        self.question(&InitRequest::Datagram(pid, to, text.to_owned())).map(drop)
    }

    /// How many System V segments there are in the IPC namespace of `process`.
    ///
    /// # Errors
    ///
    /// When init cannot tell.
    pub fn segments(&self, process: Process) -> Checked<u64> {
        let pid = self.inside(process)?;
        let count = self.question(&InitRequest::Segments(pid))?;
        Ok(count.parse().unwrap_or(0))
    }

    /// Kills a process of the program.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn kill(&self, process: Process) -> Checked<()> {
        let pid = self.inside(process)?;
        self.question(&InitRequest::Kill(pid)).map(drop)
    }

    fn question(&self, asked: &InitRequest) -> Checked<String> {
        self.line.question(asked, self.deadline())
    }
}
