//! Writes the man pages of isolab and of all its commands: `cargo run -p cli --example man DIRECTORY`.

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(directory) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: man DIRECTORY, such as ~/.local/share/man/man1");
        return ExitCode::from(2);
    };
    let written = std::fs::create_dir_all(&directory)
        .and_then(|()| clap_mangen::generate_to(cli::command(), &directory));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("man: write into {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}
