//! `isolab lab class`: what a teacher does for a class.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lab::runner::{self, Answer, LabContext};

use super::front::Terminal;

/// The exports of a class, or what else is done for one.
#[derive(Debug, Args)]
pub(super) struct ClassArguments {
    #[command(subcommand)]
    pub(super) command: Option<ClassCommand>,
    /// The exports
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
    /// Output directory for index.html and class.csv
    #[arg(long, value_name = "FOLDER", required = true)]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClassCommand {
    /// Make what a student gets: labs without solutions, all crates they need, and isolab.
    Handout {
        /// Numbers or names of labs [default: all]
        #[arg(value_name = "NUMBER")]
        numbers: Vec<String>,
        /// Output directory, or archive: .tar.gz, .tar.zst
        #[arg(long, value_name = "PATH")]
        out: PathBuf,
        /// Leave out what is compiled already
        #[arg(long)]
        no_prebuilt: bool,
    },
    /// Mark answers that were handed in: compile each in a jail, judge it, compare it with the others.
    Collect {
        /// Directory of the answers: STUDENT/NN.rs, STUDENT/NN-name/student.rs, exports
        #[arg(value_name = "FOLDER")]
        answers: PathBuf,
        /// Output directory for index.html, similar.html and collect.csv
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Judge again what was judged before
        #[arg(long)]
        again: bool,
        /// Run the checks in the nest, an emulated computer that meets all requirements
        #[arg(long)]
        nest: bool,
    },
}

impl ClassCommand {
    /// Does it.
    pub(super) fn answer(
        &self,
        context: &LabContext,
        front: &mut Terminal,
    ) -> runner::Result<Answer> {
        match self {
            Self::Handout { numbers, out, no_prebuilt } => {
                runner::handout(context, numbers, out, !no_prebuilt, front)
            }
            Self::Collect { answers, out, again, nest } => {
                let how = runner::Collecting { again: *again, nest: *nest };
                runner::collect(context, answers, out, how, front)
            }
        }
    }
}
