//! What stands where a service manager would: it starts the daemon, and kills it with all that is in
//! its process group, when the check says so.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use lab::program::{Host, Trouble};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

/// A name for the payload that makes the second field of `/proc/PID/stat` what it may be: anything.
const ODD_NAME: &str = "odd) name (17";

/// What the check wants done.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Start the daemon.
    Start,
    /// Kill it and its process group, as Ctrl-C in a terminal would, but with SIGKILL.
    Kill,
    /// Create an empty file.
    Mark(PathBuf),
    /// Write a file.
    Write(PathBuf, String),
    /// Nothing: only meet the check.
    Meet,
}

/// The program's first process: it does what the check says until that says nothing more.
pub(crate) fn service(host: &Host) -> Result<(), Trouble> {
    if !host.is_checked() {
        return host.step("start", || Err("by hand, say which: lab17 daemon DIRECTORY"));
    }
    let work = PathBuf::from(format!("/tmp/lab17-{}", std::process::id()));
    let (directory, marks, payload) =
        (work.join("engine"), work.join("marks"), work.join(ODD_NAME));
    host.step("create the marks", || fs::create_dir_all(&marks))?;
    let own = host.step("find the program", std::env::current_exe)?;
    host.step("link the payload", || symlink(&own, &payload))?;
    host.say("directory", directory.display());
    host.say("marks", marks.display());
    host.say("payload", payload.display());
    let mut daemon = None;
    loop {
        let given = host.meet("ready");
        if given.is_empty() {
            break;
        }
        let order: Order = host.step("read the order", || serde_json::from_str(&given))?;
        match order {
            Order::Start => {
                let started = host.step("start the daemon", || start(&own, &directory))?;
                host.say("daemon", started.id());
                daemon = Some(started);
            }
            Order::Kill => host.step("kill the daemon", || kill(daemon.take()))?,
            Order::Mark(path) => host.step("create a mark", || fs::write(path, ""))?,
            Order::Write(path, text) => host.step("write a file", || fs::write(path, text))?,
            Order::Meet => {}
        }
    }
    host.step("kill the daemon", || kill(daemon.take()))
}

/// Starts it, and waits until it listens, or has ended: then it has told why.
fn start(program: &Path, directory: &Path) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg("daemon").arg(directory).process_group(0).stdout(Stdio::piped());
    let mut daemon = command.spawn()?;
    let mut line = String::new();
    let output = daemon.stdout.take();
    BufReader::new(output.expect("it was piped")).read_line(&mut line)?;
    Ok(daemon)
}

fn kill(daemon: Option<Child>) -> io::Result<()> {
    let Some(mut daemon) = daemon else { return Ok(()) };
    // Not reaped yet: the number is its own.
    match kill_process_group(Pid::from_child(&daemon), Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(error.into()),
    }
    daemon.wait().map(drop)
}
