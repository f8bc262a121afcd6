//! `isolab demo`: what the kernel does, live, for the front of a class.

use std::{io::IsTerminal as _, path::PathBuf, time::Duration};

use clap::Args;
use demo::{
    Demo, Language, Source,
    layers::LayersDemo,
    page::Page,
    recording::{Recorder, Replay},
    screen::{Rehearsal, Show},
    script::NEXT,
    tour::Tour,
};

use image::{
    manifest::Platform,
    store::{Lock, Store},
};

use crate::{
    failure::Failure, image::of_image, language::LanguageOption, nearest, output, stderr,
    termination::TerminationSignals, units,
};

/// Show live what the kernel does, for a class: in the terminal, and on a web page served on this
/// machine.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Name of the demo; `list` lists all, `tour` shows all in order
    #[arg(value_name = "NAME")]
    name: String,
    /// With the demo `layers`, show the layers of this image
    #[arg(long, value_name = "IMAGE", conflicts_with = "replay")]
    image: Option<String>,
    /// Also serve it as a web page on this machine
    #[arg(long)]
    web: bool,
    /// Port of the page [default: a free one]
    #[arg(
        long,
        value_name = "PORT",
        requires = "web",
        default_value_t = 0,
        hide_default_value = true
    )]
    port: u16,
    /// Record to this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Replay a recording instead of showing this machine; without FILE, the one built into isolab
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[arg(conflicts_with = "record")]
    replay: Option<Option<PathBuf>>,
    /// Exit after this long [default: when Esc is pressed]
    #[arg(long = "for", value_name = "TIME", value_parser = units::deadline)]
    length: Option<Duration>,
    /// Go through the steps automatically, this long each
    #[arg(long, value_name = "TIME", value_parser = units::deadline)]
    pace: Option<Duration>,
    /// Print the teacher's notes: what to say, how long it takes, what to ask
    #[arg(long)]
    notes: bool,
    #[command(flatten)]
    language: LanguageOption,
}

const EXAMPLES: &str = "Examples:
  isolab demo list
  isolab demo slices --web
  isolab demo slices --notes               # what to say, minutes, questions to ask
  isolab demo tour                         # all demos, one key press per step
  isolab demo layers --image IMAGE         # the layers of an image on this host
  isolab demo slices --for 60s --record slices.demo
  isolab demo slices --replay slices.demo
  isolab demo slices --replay              # on a laptop without root or KVM
";

/// Shows it.
pub fn demo(arguments: &Arguments) -> Result<u8, Failure> {
    let language = arguments.language.chosen();
    if arguments.name == "list" {
        let line = |name: &str, title: &str| format!("{name:10}  {title}\n");
        let one = |demo: Demo| line(demo.name(), demo.script().title.of(language));
        let tour = line(
            "tour",
            language
                .either("all demos, one key press per step", "依次演示全部，每按一次键前进一步"),
        );
        output::print(&(Demo::ALL.map(one).concat() + &tour))?;
        return Ok(0);
    }
    let chosen = Chosen::by(&arguments.name)?;
    let is_layers = matches!(chosen, Chosen::One(Demo::Layers));
    if arguments.image.is_some() && !is_layers {
        let failure = Failure::usage(format!("the demo {} shows no image", arguments.name));
        return Err(failure.help("`isolab demo layers --image IMAGE` shows the layers of one"));
    }
    if arguments.notes {
        output::print(&chosen.notes(language))?;
        return Ok(0);
    }
    // Before anything is begun that has to be ended.
    let signals =
        TerminationSignals::listen().map_err(Failure::at("set the handlers of signals"))?;
    let page = arguments.web.then(|| Page::open(arguments.port, language)).transpose()?;
    if let Some(page) = &page {
        stderr::remark(&format!("isolab: open this page on this machine: {}\n", page.url()));
    }
    // Until the demonstration has ended, nobody removes its layers.
    let real = arguments.image.as_deref().map(RealImage::find).transpose()?;
    let mut source: Box<dyn Source> = match (&arguments.replay, chosen) {
        (Some(Some(file)), _) => Box::new(Replay::open(file)?),
        (Some(None), Chosen::One(demo)) => Box::new(demo.recorded()?),
        (Some(None), Chosen::Tour) => Box::new(Tour::recorded(language)?),
        (None, Chosen::One(demo)) => match &real {
            Some(RealImage { name, lowers, .. }) => {
                LayersDemo::of_image(name, lowers).map(|it| Box::new(it) as Box<dyn Source>)
            }
            None => demo.live(),
        }
        .map_err(|error| {
            let help = format!("`isolab demo {} --replay` shows a recording", demo.name());
            Failure::from(error).help(help)
        })?,
        (None, Chosen::Tour) => Box::new(Tour::start(language)?),
    };
    let mut recorder = arguments.record.as_deref().map(Recorder::create).transpose()?;
    let mut show = Show {
        language,
        length: arguments.length,
        asked_to_end: &|| signals.have_arrived(),
        rehearsal: arguments.pace.map(|pace| Rehearsal::new(chosen.keys(), pace)),
        recorder: recorder.as_mut(),
        page: page.as_ref(),
    };
    let summary = show.run(&mut *source);
    // What was written down is complete even where the end was a failure.
    if let Some(recorder) = recorder {
        recorder.finish()?;
    }
    output::print(&summary?.unwrap_or_default())?;
    Ok(if signals.have_arrived() { signals.exit_code() } else { 0 })
}

/// An image whose layers are shown.
struct RealImage {
    name: String,
    /// Its layers as directories, the uppermost first.
    lowers: Vec<PathBuf>,
    _in_use: Lock,
}

impl RealImage {
    fn find(name: &str) -> Result<Self, Failure> {
        let store = Store::of_user()?;
        let at = store.resolve(name)?.descriptor;
        let image = store.image_at(&at, &Platform::host())?;
        let in_use = store.use_image(&image)?;
        let lowers = store.unpack(&image).map_err(of_image)?;
        if lowers.is_empty() {
            return Err(Failure::refused(format!("the image {name} has no layers")));
        }
        Ok(Self { name: name.to_owned(), lowers, _in_use: in_use })
    }
}

/// Measures the starts of the demonstration `race`, as one JSON object: what it runs in a nest.
pub fn starts() -> Result<u8, Failure> {
    let starts = serde_json::to_value(demo::race::with_linux())
        .map_err(|error| Failure::at("print the starts")(error.into()))?;
    output::print_json(&starts)?;
    Ok(0)
}

/// Has the daemon of the demonstration `engine`, until standard input ends.
pub fn keep_engine() -> Result<u8, Failure> {
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    ::demo::engine::keep(input, output).map_err(Failure::at("keep the daemon"))?;
    Ok(0)
}

/// Columns of a sheet of paper, and the fewest of a line of notes.
const PAPER: usize = 80;
const MIN_NOTES: usize = 40;

/// One of them, or all in order.
#[derive(Clone, Copy)]
enum Chosen {
    One(Demo),
    Tour,
}

impl Chosen {
    fn by(name: &str) -> Result<Self, Failure> {
        let found = Demo::ALL.into_iter().find(|demo| demo.name() == name).map(Self::One);
        found.or((name == "tour").then_some(Self::Tour)).ok_or_else(|| {
            let failure = Failure::usage(format!("unknown demo {name:?}"));
            match nearest::to(name, Demo::ALL.map(Demo::name).into_iter().chain(["tour"])) {
                Some(nearest) => {
                    failure.help(format!("the nearest is {nearest}; `isolab demo list` lists all"))
                }
                None => failure.help("`isolab demo list` lists all"),
            }
        })
    }

    /// As wide as the terminal; on paper and in files, 79 columns.
    fn notes(self, language: Language) -> String {
        let columns = match std::io::stdout().is_terminal() {
            true => usize::from(host::terminal_size().1),
            false => PAPER,
        };
        let width = columns.saturating_sub(1).max(MIN_NOTES);
        match self {
            Self::One(demo) => demo.script().notes(language, width),
            Self::Tour => {
                let all = Demo::ALL.map(|demo| demo.script().notes(language, width));
                all.join("\n")
            }
        }
    }

    /// What a rehearsal presses.
    fn keys(self) -> Vec<Option<char>> {
        match self {
            Self::One(demo) => demo.script().presses(),
            Self::Tour => {
                let rest = vec![Some(NEXT.0); Tour::steps() - 1];
                [vec![None], rest].concat()
            }
        }
    }
}
