//! `isolab image build`: an image by a Dockerfile, each RUN in a container.

use std::{
    env, fs,
    io::{self, Read as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use clap::Args;
use container::{Container, Network, Root, Upper, mount_points, users};
use image::{
    build::{AnyError, Builder, Event, Images, Request, Run, RunStep},
    manifest::Platform,
    reference::Reference,
    store::{Image, Store},
};
use sandbox::{Sandbox as _, Status, Stdio, Workload};
use serde_json::json;

use super::{history::printable, names::name_to_give, of_image, pull_for_run, store};
use crate::{ansi::Ansi, failure::Failure, output, stderr, units};

/// A Dockerfile is a page or two.
const MAX_DOCKERFILE: u64 = 1 << 20;

/// Build an image by a Dockerfile.
///
/// Each step that was built before from the same files is taken from the cache. RUN runs in a
/// container; the images that FROM names are fetched if they are not on this host. With
/// SOURCE_DATE_EPOCH in the environment, the same files give the same image to the byte.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory with the files that COPY and ADD take, or - for a Dockerfile on standard input
    #[arg(value_name = "DIRECTORY")]
    context: String,
    /// Name for the image; may be repeated
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    tags: Vec<String>,
    /// Dockerfile [default: DIRECTORY/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Value for an ARG, or the caller's variable with NAME alone; may be repeated
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    build_args: Vec<String>,
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Add a label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Build every step anew
    #[arg(long)]
    no_cache: bool,
    /// Fetch the images of FROM even if they are on this host
    #[arg(long)]
    pull: bool,
    /// Network of RUN [default: veth for root, otherwise host]
    #[arg(long, value_enum, value_name = "NETWORK")]
    network: Option<BuildNetwork>,
    /// Write the id of the image to this file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Print only the id
    #[arg(short, long)]
    quiet: bool,
    /// Print the image as a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum BuildNetwork {
    /// A loop-back link only
    None,
    /// The host's own
    Host,
    /// A link to the host, which passes on what is for others
    #[value(alias = "default", alias = "bridge")]
    Veth,
}

/// Builds it.
pub fn build(arguments: &Arguments) -> Result<u8, Failure> {
    let tags = arguments.tags.iter().map(|tag| name_to_give(tag));
    let tags = tags.collect::<Result<Vec<Reference>, _>>()?;
    let request = arguments.request()?;
    let store = store()?;
    let shown = Shown { quiet: arguments.quiet || arguments.json, ansi: Ansi::of_errors() };
    let usual = match nix::unistd::geteuid().is_root() {
        true => BuildNetwork::Veth,
        false => BuildNetwork::Host,
    };
    let network = arguments.network.unwrap_or(usual);
    let run = Containers { network, quiet: shown.quiet };
    let images = Fetched { store: &store, always: arguments.pull };
    let events = |event: Event<'_>| shown.show(&event);
    let builder = Builder { store: &store, run: &run, images: &images, events: &events };
    let built = builder.build(&request).map_err(of_image)?;
    match tags.is_empty() {
        true => store.keep(&built.descriptor)?,
        false => tags.iter().try_for_each(|tag| store.tag(tag, &built.descriptor))?,
    }
    if let Some(path) = &arguments.iidfile {
        let written = fs::write(path, built.id.to_string());
        written.map_err(Failure::at(format!("write the id into {path:?}")))?;
    }
    let names: Vec<String> = tags.iter().map(Reference::familiar).collect();
    if arguments.json {
        let digest = built.descriptor.digest().to_string();
        output::print_json(&json!({ "id": built.id, "digest": digest, "names": names }))?;
    } else if arguments.quiet {
        output::print(&format!("{}\n", built.id))?;
    } else {
        let named = names.iter().map(|name| format!("named {name}\n")).collect::<String>();
        output::print(&format!("built {}\n{named}", built.id.short()))?;
    }
    Ok(0)
}

impl Arguments {
    fn request(&self) -> Result<Request, Failure> {
        let is_stdin = self.context == "-";
        let context = (!is_stdin).then(|| PathBuf::from(&self.context));
        if let Some(context) = context.as_ref().filter(|context| !context.is_dir()) {
            return Err(Failure::usage(format!("{} is not a directory", context.display()))
                .help("name the directory with the Dockerfile, or - for standard input"));
        }
        let (file, dockerfile) = self.dockerfile(context.as_deref())?;
        let pair = |text: &String| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (text.clone(), String::new()),
        };
        let given = |text: &String| match text.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            // As docker: a variable that the caller does not have is not given.
            None => env::var(text).ok().map(|value| (text.clone(), value)),
        };
        Ok(Request {
            file,
            dockerfile,
            context,
            target: self.target.clone(),
            arguments: self.build_args.iter().filter_map(given).collect(),
            labels: self.labels.iter().map(pair).collect(),
            no_cache: self.no_cache,
            source_date_epoch: env::var("SOURCE_DATE_EPOCH").ok(),
        })
    }

    /// Its name for messages, and its text.
    fn dockerfile(&self, context: Option<&Path>) -> Result<(String, Vec<u8>), Failure> {
        let path = match (&self.file, context) {
            (Some(path), _) if path == Path::new("-") => None,
            (Some(path), _) => Some(path.clone()),
            (None, Some(context)) => {
                // podman's and buildah's other name for it.
                let names = ["Dockerfile", "Containerfile"].map(|name| context.join(name));
                let [usual, other] = names;
                Some(if !usual.exists() && other.exists() { other } else { usual })
            }
            (None, None) => None,
        };
        let mut text = Vec::new();
        let (name, read) = match &path {
            Some(path) => {
                let read = fs::File::open(path)
                    .and_then(|file| file.take(MAX_DOCKERFILE + 1).read_to_end(&mut text));
                (path.display().to_string(), read)
            }
            None => ("-".into(), io::stdin().take(MAX_DOCKERFILE + 1).read_to_end(&mut text)),
        };
        read.map_err(Failure::at(format!("read the Dockerfile {name}")))
            .map_err(|failure| failure.help("name another with --file"))?;
        if text.len() as u64 > MAX_DOCKERFILE {
            return Err(Failure::refused(format!("{name} has more than {MAX_DOCKERFILE} bytes")));
        }
        Ok((name, text))
    }
}

/// The images that FROM names: those of the store, fetched if they are not there.
struct Fetched<'s> {
    store: &'s Store,
    always: bool,
}

impl Images for Fetched<'_> {
    fn image(&self, name: &str) -> Result<Image, AnyError> {
        if !self.always
            && let Ok(named) = self.store.resolve(name)
        {
            return Ok(self.store.image_at(&named.descriptor, &Platform::host())?);
        }
        let reference: Reference = name.parse()?;
        pull_for_run(self.store, &reference).map_err(Failure::into_error)?;
        Ok(self.store.image(&reference, &Platform::host())?)
    }
}

/// Runs commands in containers.
struct Containers {
    network: BuildNetwork,
    quiet: bool,
}

impl Run for Containers {
    fn run(&self, step: &RunStep<'_>) -> Result<ExitStatus, AnyError> {
        let upper = Upper::Kept(step.kept.to_owned());
        let root = match step.layers {
            // An overlay has a lower layer.
            [] => return Err("FROM scratch has no program to run".into()),
            layers => Root::Overlay { lowers: layers.to_vec(), upper },
        };
        let mut container = Container::default().root(root).network(match self.network {
            BuildNetwork::None => Network::None,
            BuildNetwork::Host => Network::Host,
            BuildNetwork::Veth => Network::Veth,
        });
        let found = users::find(&container.spec.inside.root, step.user, &[])?;
        container.spec.power.user = found.user;
        let mut workload = Workload::command(step.arguments);
        let text = |(name, value): &(String, String)| (name.into(), value.into());
        if let Some(home) = found.home {
            workload.environment.push(("HOME".into(), home.into()));
        }
        workload.environment.extend(step.environment.iter().map(text));
        workload.directory = Some(step.directory.into());
        let workload = workload.stdio(if self.quiet { Stdio::Capture } else { Stdio::Inherit });
        let outcome = container.run(&workload)?;
        mount_points::remove(&step.kept.join("upper"), step.layers)?;
        if self.quiet && outcome.status.code() != 0 {
            let both = [&*outcome.output, &outcome.errors].concat();
            stderr::remark(&String::from_utf8_lossy(&both));
        }
        Ok(match outcome.status {
            Status::Exited(code) => ExitStatus::from_raw(i32::from(code) << 8),
            Status::Signaled(signal) => ExitStatus::from_raw(signal),
        })
    }
}

/// What is said while it is built.
struct Shown {
    quiet: bool,
    ansi: Ansi,
}

impl Shown {
    fn show(&self, event: &Event<'_>) {
        let text = match event {
            _ if self.quiet => return,
            Event::Done { .. } => return,
            Event::Step { number, total, text, .. } => {
                format!("Step {number}/{total} : {}", self.ansi.bold(&printable(text)))
            }
            Event::Triggers(count) => {
                format!(" ---> {count} ONBUILD instructions of the base image")
            }
            Event::Cached => " ---> Using cache".into(),
            Event::Layer { digest, bytes } => {
                format!(" ---> layer {}, {}", digest.short(), units::show_size(*bytes))
            }
            Event::Warning(text) => self.ansi.yellow(&format!("warning: {}", printable(text))),
        };
        stderr::remark(&format!("{text}\n"));
    }
}
