//! Eight threads for all clients: the ninth one waits.

use std::{io, os::unix::net::UnixListener, process::ExitCode, thread};

use tiny_engine::{Answer, Engine};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn serve(engine: &Engine, listener: &UnixListener) -> io::Result<()> {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Ok((client, _)) = listener.accept() {
                    let _ = engine.answer(&client);
                }
            });
        }
    });
    Ok(())
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { serve, ..solution::ANSWER })
}
