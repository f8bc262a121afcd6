//! `isolab measure`: a measuring process, which `isolab compare` starts.

use std::{
    env, io,
    path::PathBuf,
    process::{self, Command},
};

use measure::{MeasureOptions, Part, peers::PeerChoice};
use nix::{sys::prctl, sys::signal::Signal, unistd::getppid};

/// One part of the comparison, in a process of its own.
#[derive(Debug, Clone, clap::Args)]
pub struct MeasureArgs {
    /// The part of the comparison
    pub part: Part,
    /// The number of the process among those that measure this part
    #[arg(long, default_value_t = 0)]
    pub process: u32,
    /// How many processes measure it, one after the other
    #[arg(long, default_value_t = 1)]
    pub processes: u32,
    /// Seed of the order of the sandboxes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Fewer rounds and smaller workloads
    #[arg(long)]
    pub quick: bool,
    /// Rounds that count [default: depends on the part]
    #[arg(long)]
    pub rounds: Option<u32>,
    /// The process runs in a nest
    #[arg(long)]
    pub in_nest: bool,
    /// Programs of others that take part
    #[arg(long, default_value = "none")]
    pub peers: PeerChoice,
    /// Number of instances to start at once
    #[arg(long)]
    pub density: Option<u32>,
    /// The process that reads the output; this one ends with it
    #[arg(long)]
    pub parent: Option<i32>,
}

/// Measures one part and writes what it finds to standard output.
///
/// # Errors
///
/// When nobody reads any more, or when the host's clocks cannot be read.
pub fn run(arguments: &MeasureArgs) -> io::Result<()> {
    if let Some(parent) = arguments.parent {
        // If the parent is killed, nobody else would end this process and what it runs.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid().as_raw() != parent {
            process::exit(1);
        }
    }
    let &MeasureArgs {
        part, process, processes, seed, quick, rounds, in_nest, peers, density, ..
    } = arguments;
    let peers = peers.resolve();
    let options =
        MeasureOptions { part, process, processes, seed, quick, rounds, in_nest, peers, density };
    let isolab = env::current_exe()?;
    if processes <= 1 {
        return measure::measure(&options, &isolab, io::stdout());
    }
    measure::in_turn(&options, io::stdout(), |options| {
        let mut command = Command::new(&isolab);
        command.args(own_words(options)).arg(format!("--parent={}", process::id()));
        command
    })
}

/// A client of a daemon: what `docker run --rm` asks for.
#[derive(Debug, Clone, clap::Args)]
pub struct ClientArgs {
    /// The daemon's socket
    socket: PathBuf,
    /// The runtime [default: the daemon's]
    #[arg(long)]
    runtime: Option<String>,
    /// The network: none or host
    #[arg(long, default_value = "none")]
    network: String,
}

/// Runs the image of the comparison by a daemon, and gives the exit code of its program.
///
/// # Errors
///
/// When the daemon cannot be reached or refuses.
pub fn measure_client(arguments: &ClientArgs) -> io::Result<u8> {
    let ClientArgs { socket, runtime, network } = arguments.clone();
    measure::engine::run(&measure::engine::ClientOptions { socket, runtime, network })
}

/// Writes, reads and sends what standard input asks for: the program inside a sandbox whose disk and
/// network are measured.
///
/// # Errors
///
/// When nobody reads its answers, or what is asked for is no request.
pub fn measure_io() -> io::Result<()> {
    measure::serve_io(io::stdin().lock(), io::stdout().lock())
}

/// The arguments after `isolab` that make a process of these options: the inverse of [`run`].
pub fn words(options: &MeasureOptions) -> Vec<String> {
    let own = own_words(options);
    if options.in_nest {
        let nest = "nest --icount --memory 2G --deadline 5m --".split(' ').map(str::to_owned);
        return nest.chain(own).collect();
    }
    own.into_iter().chain([format!("--parent={}", process::id())]).collect()
}

/// The same for a process of this machine, without its parent.
fn own_words(options: &MeasureOptions) -> Vec<String> {
    let &MeasureOptions { part, process, processes, seed, quick, rounds, in_nest, peers, density } =
        options;
    let mut words = vec!["measure".to_owned(), part.to_string()];
    words.extend([format!("--process={process}"), format!("--seed={seed}")]);
    words.extend((processes > 1).then(|| format!("--processes={processes}")));
    words.extend(in_nest.then(|| "--in-nest".to_owned()));
    words.extend(quick.then(|| "--quick".to_owned()));
    words.push(format!("--peers={}", peers.names()));
    words.extend(density.map(|number| format!("--density={number}")));
    words.extend(rounds.map(|rounds| format!("--rounds={rounds}")));
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Measure {
        #[command(flatten)]
        arguments: MeasureArgs,
    }

    #[test]
    fn the_words_are_the_arguments_of_a_measuring_process() {
        let PeerChoice::Listed(peers) = "runc,docker".parse().unwrap() else { panic!() };
        for (in_nest, rounds) in [(true, Some(3)), (false, None)] {
            let options = MeasureOptions {
                part: Part::Linux,
                process: 1,
                processes: if in_nest { 5 } else { 1 },
                seed: 7,
                quick: true,
                rounds,
                in_nest,
                peers,
                density: rounds,
            };
            let words = words(&options);
            assert!(words.contains(&"--peers=runc,docker".to_owned()));
            let own = words.iter().skip_while(|word| *word != "measure");
            let read = Measure::try_parse_from(own).unwrap().arguments;
            assert_eq!((read.part, read.process, read.seed), (Part::Linux, 1, 7));
            assert_eq!((read.density, read.processes), (rounds, options.processes));
            assert_eq!((read.quick, read.rounds, read.in_nest), (true, rounds, in_nest));
            // A process in a nest has another parent there.
            assert_eq!(read.parent.is_none(), in_nest);
            assert_eq!(words[0] == "nest", in_nest);
        }
    }
}
