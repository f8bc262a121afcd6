//! Starts the measuring processes one after the other and collects what they report.

use std::{
    env,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use container::Scratch;
use microvm::kernels;
use report::{Method, Order, metric};
use sandbox::chain;

use crate::{
    Amount, Cancellation, Collection, CompareOptions, MeasureOptions, Part,
    host_load::HostLoad,
    message::Message,
    peers::{PeerSet, StartedDockerd, remove_leftovers},
};

/// How long a peer takes for its part of a round, roughly: slow ones sit out most rounds.
fn peer_milliseconds(part: Part) -> u64 {
    match part {
        Part::Programs => 400,
        // It only says why it has no rates.
        Part::Io => 0,
        _ => 150,
    }
}

/// How long one of many instances takes to start and to end, in all sandboxes together, roughly.
const INSTANCE_MILLISECONDS: u64 = 40;

/// What the caller of [`conduct`] supplies.
pub trait Caller {
    /// A command that calls [`measure`](crate::measure) with these options, its output standard
    /// output; in a nest if they say so.
    ///
    /// # Errors
    ///
    /// When there is no such program.
    fn command(&self, options: &MeasureOptions) -> io::Result<Command>;

    /// How long all of it takes, roughly.
    fn expects(&mut self, milliseconds: u64);

    /// A process begins: which of how many of this part.
    fn begins(&mut self, part: Part, process: u32, processes: u32);

    /// About this much of the expected time has passed.
    fn advances(&mut self, milliseconds: u64);
}

/// The comparison was cancelled.
#[derive(Debug)]
pub struct Cancelled;

/// Runs every part of the comparison in its fresh processes.
///
/// # Errors
///
/// When it was cancelled: what had been measured until then is not returned, because it is not a
/// comparison. What cannot be measured is part of the collection.
pub fn conduct(
    options: &CompareOptions,
    cancellation: &Cancellation,
    caller: &mut dyn Caller,
) -> Result<Collection, Cancelled> {
    let mut collection = Collection::by(method(options));
    let mut load = HostLoad::start();
    // Where measuring processes put what is temporary: one that is killed removes nothing itself.
    let scratch = Scratch::make(&env::temp_dir(), "compare", "compare", &["compare"]).ok();
    let scratch = scratch.as_ref().map(Scratch::path);
    let dockerd = scratch.and_then(|scratch| dockerd(options, scratch, &mut collection));
    let parts = Part::ALL.map(|part| {
        let in_nest = is_in_nest(part);
        (part, in_nest, amount(part, options))
    });
    let duration = |(part, _, amount): &(Part, bool, Amount)| {
        let Amount { processes, warm_up, rounds, .. } = *amount;
        u64::from(processes * (warm_up + rounds)) * milliseconds(*part, options, *amount)
    };
    caller.expects(parts.iter().map(duration).sum());
    for (part, in_nest, amount) in parts {
        let mut reason = String::from("the measuring process did not report it");
        // A nest takes longer to boot than a process to measure: all are in one.
        let (commands, in_each) =
            if in_nest { (1, amount.processes) } else { (amount.processes, 1) };
        for command in 0..commands {
            let mut process = command;
            caller.begins(part, process, amount.processes);
            let ended = one(
                &MeasureOptions {
                    part,
                    process,
                    processes: in_each,
                    seed: options.seed,
                    quick: options.quick,
                    rounds: Some(amount.rounds),
                    in_nest,
                    peers: peers_of(part, options).filtered(|peer| {
                        // One that has failed would take its whole timeout again.
                        let metric = metric::STARTUP_LOGIN;
                        peer.boots.is_none() || !collection.has_failed(metric, peer.name)
                    }),
                    density: options.density.filter(|_| part == Part::Density),
                },
                scratch,
                dockerd.as_ref(),
                cancellation,
                caller,
                |message, caller| {
                    match message {
                        Message::Round => caller.advances(milliseconds(part, options, amount)),
                        Message::Process(number) => {
                            process = number;
                            caller.begins(part, process, amount.processes);
                        }
                        _ => {}
                    }
                    collection.take(message, process);
                },
            );
            match ended {
                Ok(failed) => reason = failed.unwrap_or(reason),
                Err(error) => reason = format!("measuring failed: {}", chain(&error)),
            }
            // A process that was killed removes nothing itself.
            let left = scratch.map_or(0, remove_leftovers);
            if left > 0 {
                let text =
                    format!("{left} containers of peers were left by a killed process, removed");
                collection.take(Message::Fact("leftovers".into(), text), process);
            }
            if cancellation.is_cancelled() {
                return Err(Cancelled);
            }
            collection.condition(load.since(&part.to_string()));
        }
        collection.complete(part, &reason);
        if let Some(why) = part.without_peers() {
            collection.gaps(part, options.peers.iter().map(|it| it.name), why);
        }
    }
    Ok(collection)
}

/// Docker's daemon, if it has to be started.
fn dockerd(
    options: &CompareOptions,
    scratch: &Path,
    collection: &mut Collection,
) -> Option<StartedDockerd> {
    if !options.peers.has("docker") || !StartedDockerd::is_needed().is_ok_and(|needed| needed) {
        return None;
    }
    let started = StartedDockerd::start(&scratch.join("dockerd"));
    let text = match &started {
        Ok(_) => "started for this comparison, in a network namespace of its own".to_owned(),
        Err(error) => format!("could not be started: {error}"),
    };
    collection.take(Message::Fact("docker.daemon".into(), text), 0);
    started.ok()
}

/// The programs of others that take part in `part`.
fn peers_of(part: Part, options: &CompareOptions) -> PeerSet {
    match part.without_peers() {
        None => options.peers,
        Some(_) => PeerSet::default(),
    }
}

/// How long a round of `part` takes, roughly.
fn milliseconds(part: Part, options: &CompareOptions, amount: Amount) -> u64 {
    let peers = peers_of(part, options);
    let count = peers.iter().filter(|peer| peer.boots.is_none()).count() as u64;
    // A distribution boots once in each process.
    let boots = if part == Part::Cold { peers.boots() } else { Duration::ZERO };
    let rounds = u64::from(amount.warm_up + amount.rounds).max(1);
    let instances = options.density.filter(|_| part == Part::Density).unwrap_or(0);
    part.amount(options.quick).milliseconds
        + count * peer_milliseconds(part)
        + boots.as_millis() as u64 / rounds
        + u64::from(instances) * INSTANCE_MILLISECONDS
}

/// How the parts with the most rounds are measured.
fn method(options: &CompareOptions) -> Method {
    let amounts = Part::ALL.map(|part| part.amount(options.quick));
    let most = amounts.into_iter().max_by_key(|it| it.processes * it.rounds);
    let Amount { processes, warm_up, rounds, .. } = most.expect("there are parts");
    let rounds = options.rounds.unwrap_or(rounds);
    Method { processes, rounds, warm_up, order: Order::Balanced, measured_twice: true }
}

/// Whether a part is measured in a nest: where this host can boot no Linux guest itself.
fn is_in_nest(part: Part) -> bool {
    part == Part::Linux
        && microvm::linux::available().is_err()
        && nest::available().is_ok()
        && kernels::chosen().is_ok()
}

/// How often a part is repeated, fixed before anything is measured.
fn amount(part: Part, options: &CompareOptions) -> Amount {
    let usual = part.amount(options.quick);
    // Many instances take long to start, and each of them is a sample.
    if part == Part::Density && options.density.is_some() {
        return Amount { processes: 1, rounds: 1, ..usual };
    }
    Amount { rounds: options.rounds.unwrap_or(usual.rounds), ..usual }
}

/// Runs one measuring process to its end; returns why it failed, if it did.
fn one(
    options: &MeasureOptions,
    scratch: Option<&Path>,
    dockerd: Option<&StartedDockerd>,
    cancellation: &Cancellation,
    caller: &mut dyn Caller,
    mut receive: impl FnMut(Message, &mut dyn Caller),
) -> io::Result<Option<String>> {
    let mut command = caller.command(options)?;
    command.envs(scratch.map(|path| ("TMPDIR", path)));
    command.envs(dockerd.map(StartedDockerd::variable));
    // A group of its own: it can be killed with all that it starts, and Ctrl-C reaches it through
    // the caller alone.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = cancellation.spawn(&mut command)?;
    let mut errors = child.stderr.take().expect("it was asked for");
    let errors = thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    for line in BufReader::new(child.stdout.take().expect("it was asked for")).lines() {
        // A line that the end of the process has cut short says nothing.
        if let Ok(message) = serde_json::from_str(&line?) {
            receive(message, caller);
        }
    }
    let status = cancellation.wait(child)?;
    let errors = errors.join().ok().and_then(Result::ok).unwrap_or_default();
    Ok((!status.success()).then(|| format!("measuring ended with {status}: {}", errors.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::PeerChoice;

    #[test]
    fn a_distribution_is_expected_to_boot_once_in_each_process() {
        let expected = |peers: &str| {
            let PeerChoice::Listed(peers) = peers.parse().unwrap() else { panic!("{peers}") };
            let options =
                CompareOptions { quick: false, seed: 1, rounds: None, peers, density: None };
            let amount = Part::Cold.amount(false);
            let rounds = u64::from(amount.warm_up + amount.rounds);
            milliseconds(Part::Cold, &options, amount) * rounds
        };
        let boots = expected("qemu-tcg-login") - expected("none");
        assert!((29_000..=30_000).contains(&boots), "{boots}");
        assert_eq!(expected("runc") - expected("none"), 23 * peer_milliseconds(Part::Cold));
    }
}
