//! Lab 17, solved.
//!
//! `engine` is the same for docker's client: a supervisor for each container, which also holds its
//! terminal; attached clients; networks, volumes and images.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixListener, process::ExitStatusExt},
    },
    path::Path,
    process::{ExitCode, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setsid},
};
use tiny_engine::{Answer, Container, Engine, Refusal, State, isolated};

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn serve(engine: &Engine, listener: &UnixListener) -> io::Result<()> {
    loop {
        let (client, _) = listener.accept()?;
        let engine = engine.clone();
        // What a client does wrong is its own business.
        thread::spawn(move || engine.answer(&client));
    }
}

fn save(engine: &Engine, container: &Container) -> io::Result<()> {
    let draft = engine.draft(&container.id);
    fs::write(&draft, serde_json::to_vec(container)?)?;
    fs::rename(draft, engine.state_file(&container.id))
}

fn start(engine: &Engine, id: &str) -> Result<(), Refusal> {
    let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
    if matches!(container.state, State::Running { .. }) {
        return Err(Refusal::AlreadyStarted);
    }
    let mut shim = engine.shim_command(id).stdout(Stdio::piped()).spawn()?;
    let output = shim.stdout.take().expect("it was piped");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    // Who waits for it keeps it from staying a zombie; a daemon that is killed leaves it to process 1.
    thread::spawn(move || shim.wait());
    match line.trim().parse::<u32>() {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::other(line.trim().to_owned()).into()),
    }
}

fn shim(engine: &Engine, mut container: Container) -> io::Result<()> {
    setsid()?;
    let log = File::options().create(true).append(true).open(engine.log(&container.id))?;
    let process = isolated(&container, log)?;
    let pid = process.pid();
    container.state = State::Running { pid, start_time: engine.start_time(pid)? };
    engine.save(&container)?;
    writeln!(io::stdout(), "{pid}")?;
    let status = process.wait()?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or_default();
    container.state = State::Exited { code };
    engine.save(&container)
}

fn start_time(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field, the name in parentheses, may have spaces and parentheses in it.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
    let field = fields.and_then(|fields| fields.split_whitespace().nth(22 - 3)?.parse().ok());
    field.ok_or_else(|| io::Error::other(format!("{stat:?} has no start time")))
}

fn adopt(engine: &Engine, pid: u32, start_time: u64) -> Option<OwnedFd> {
    let process = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
    // In this order: what has the right start time now is what the descriptor refers to.
    (engine.start_time(pid).ok()? == start_time).then_some(process)
}

fn wait(engine: &Engine, id: &str) -> Result<i32, Refusal> {
    loop {
        let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
        match container.state {
            State::Exited { code } => return Ok(code),
            State::Running { pid, start_time } => {
                if let Some(process) = engine.adopt(pid, start_time) {
                    poll(&mut [PollFd::new(&process, PollFlags::IN)], None)?;
                }
            }
            State::Created => {}
        }
        // It has ended, and its shim records that now; or it has not begun.
        thread::sleep(Duration::from_millis(2));
    }
}

fn remove(engine: &Engine, id: &str, force: bool) -> Result<(), Refusal> {
    let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
    if let State::Running { pid, start_time } = container.state {
        if !force {
            return Err(Refusal::Conflict);
        }
        if let Some(process) = engine.adopt(pid, start_time) {
            pidfd_send_signal(process, Signal::KILL)?;
        }
        // Its shim writes into the directory once more.
        engine.wait(id)?;
    }
    Ok(fs::remove_dir_all(engine.container(id))?)
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer =
    Answer { listen, serve, save, start, shim, start_time, adopt, wait, remove };

fn main() -> ExitCode {
    tiny_engine::program(&ANSWER)
}
