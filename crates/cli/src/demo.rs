//! `isolab demo`: what the kernel does, live, for the front of a class.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use demo::{
    Demo, Source,
    page::Page,
    recording::{Recorder, Replay},
    screen::Show,
};

use crate::{failure::Failure, language::Spoken, output, units};

/// Show what the kernel does, live, for the front of a class: in the terminal, and on a page of
/// this machine.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Which one; `list` says what there is
    #[arg(value_name = "NAME")]
    name: String,
    /// Also show it on a page of this machine
    #[arg(long)]
    web: bool,
    /// The page's port [default: one that is free]
    #[arg(
        long,
        value_name = "PORT",
        requires = "web",
        default_value_t = 0,
        hide_default_value = true
    )]
    port: u16,
    /// Write down what is seen
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Show what was written down, instead of this machine; without FILE what comes with isolab
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(conflicts_with = "record")]
    replay: Option<Option<PathBuf>>,
    /// End after so long [default: when Esc is pressed]
    #[arg(long = "for", value_name = "TIME", value_parser = units::deadline)]
    length: Option<Duration>,
    /// Print what to say, how long it takes, what to ask
    #[arg(long)]
    notes: bool,
    #[command(flatten)]
    spoken: Spoken,
}

const EXAMPLES: &str = "Examples:
  isolab demo list
  isolab demo slices --web
  isolab demo slices --for 60s --record slices.demo
  isolab demo slices --replay=slices.demo
  isolab demo slices --replay              # on a laptop without root or KVM
";

/// Shows it.
pub fn demo(arguments: &Arguments) -> Result<u8, Failure> {
    let language = arguments.spoken.language();
    if arguments.name == "list" {
        let line = |demo: Demo| format!("{:10} {}\n", demo.name(), demo.title(language));
        output::print(&Demo::ALL.map(line).concat())?;
        return Ok(0);
    }
    let found = Demo::ALL.into_iter().find(|demo| demo.name() == arguments.name);
    let found = found.ok_or_else(|| {
        Failure::usage(format!("there is no demonstration {:?}", arguments.name))
            .help("`isolab demo list` says what there is")
    })?;
    if arguments.notes {
        output::print(found.notes(language))?;
        return Ok(0);
    }
    let page = arguments.web.then(|| Page::open(arguments.port, language)).transpose()?;
    if let Some(page) = &page {
        output::remark(&format!("isolab: the page is {}\n", page.url()));
    }
    let mut source: Box<dyn Source> = match &arguments.replay {
        Some(Some(file)) => Box::new(Replay::open(file)?),
        Some(None) => Box::new(found.recorded()?),
        None => found.live()?,
    };
    let mut recorder = arguments.record.as_deref().map(Recorder::create).transpose()?;
    let mut show = Show {
        language,
        length: arguments.length,
        recorder: recorder.as_mut(),
        page: page.as_ref(),
    };
    let summary = show.run(&mut *source);
    // What was written down is complete even where the end was a failure.
    if let Some(recorder) = recorder {
        recorder.finish()?;
    }
    output::print(&summary?.unwrap_or_default())?;
    Ok(0)
}
