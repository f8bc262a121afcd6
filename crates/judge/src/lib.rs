//! The checks of all labs, as a part of isolab: the judge is never built from what is judged.
//!
//! ```text
//!   labs/NN-name/check.rs  --- when isolab is built --->  isolab lab judge NN
//!                          --- isolab lab verify NN --->  labNN-check, for whoever writes the lab
//! ```
//!
//! `isolab lab check` builds the student's program as the student and judges it with what is here.
//! A student can change every file of the checkout, and this is not one of them.
#![warn(missing_docs)]
#![forbid(unsafe_code)]
// Each is a program of its own, too.
#![expect(dead_code, reason = "the checks' `main`, which this crate does not call")]

use lab::check::{BuiltIn, digest};

#[path = "../../../labs/01-time-slices/check.rs"]
mod lab01;
#[path = "../../../labs/02-hello-kvm/check.rs"]
mod lab02;
#[path = "../../../labs/03-exit-loop/check.rs"]
mod lab03;
#[path = "../../../labs/04-long-mode/check.rs"]
mod lab04;
#[path = "../../../labs/05-three-virtualizations/check.rs"]
mod lab05;
#[path = "../../../labs/06-qemu-and-kvm/check.rs"]
mod lab06;
#[path = "../../../labs/07-vcpu-threads/check.rs"]
mod lab07;
#[path = "../../../labs/08-own-name/check.rs"]
mod lab08;
#[path = "../../../labs/09-own-root/check.rs"]
mod lab09;
#[path = "../../../labs/10-own-user/check.rs"]
mod lab10;
#[path = "../../../labs/11-own-network/check.rs"]
mod lab11;
#[path = "../../../labs/12-cpu-quota/check.rs"]
mod lab12;
#[path = "../../../labs/13-memory-and-pids/check.rs"]
mod lab13;
#[path = "../../../labs/14-layers/check.rs"]
mod lab14;
#[path = "../../../labs/15-unpack-image/check.rs"]
mod lab15;
#[path = "../../../labs/16-pull-image/check.rs"]
mod lab16;
#[path = "../../../labs/17-tiny-engine/check.rs"]
mod lab17;
#[path = "../../../labs/18-start-up/check.rs"]
mod lab18;
#[path = "../../../labs/19-footprint/check.rs"]
mod lab19;
#[path = "../../../labs/20-verdict/check.rs"]
mod lab20;

/// The check of a lab, and which state of its sources that is.
macro_rules! built_in {
    ($lab:literal, $name:literal, $module:ident) => {{
        macro_rules! source {
            ($path:literal) => {
                include_bytes!(concat!("../../../labs/", $lab, "-", $name, "/", $path))
            };
        }
        const SOURCES: u64 = digest([source!("check.rs"), source!("src/lib.rs")]);
        BuiltIn { lab: $lab, name: $name, sources: SOURCES, check: $module::check }
    }};
}

/// All of them, by number.
pub static CHECKS: &[BuiltIn] = &[
    built_in!("01", "time-slices", lab01),
    built_in!("02", "hello-kvm", lab02),
    built_in!("03", "exit-loop", lab03),
    built_in!("04", "long-mode", lab04),
    built_in!("05", "three-virtualizations", lab05),
    built_in!("06", "qemu-and-kvm", lab06),
    built_in!("07", "vcpu-threads", lab07),
    built_in!("08", "own-name", lab08),
    built_in!("09", "own-root", lab09),
    built_in!("10", "own-user", lab10),
    built_in!("11", "own-network", lab11),
    built_in!("12", "cpu-quota", lab12),
    built_in!("13", "memory-and-pids", lab13),
    built_in!("14", "layers", lab14),
    built_in!("15", "unpack-image", lab15),
    built_in!("16", "pull-image", lab16),
    built_in!("17", "tiny-engine", lab17),
    built_in!("18", "start-up", lab18),
    built_in!("19", "footprint", lab19),
    built_in!("20", "verdict", lab20),
];

/// Judges with the check of the lab with that number; `None` if there is none. Gives the exit code.
pub fn judge(lab: &str, again: &[&str], arguments: &[String]) -> Option<u8> {
    let built_in = CHECKS.iter().find(|it| it.lab == lab)?;
    Some(lab::check::judge(lab, again, arguments, built_in.check))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::check::SOURCES;
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn every_lab_has_its_judge_here() {
        let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs");
        let all = fs::read_dir(&labs).unwrap().map(|entry| entry.unwrap().path());
        let all = all.filter(|folder| folder.join("check.rs").exists());
        let all: BTreeSet<_> = all.map(|path| path.file_name().unwrap().to_owned()).collect();
        let folder = |it: &BuiltIn| format!("{}-{}", it.lab, it.name);
        let known: BTreeSet<_> = CHECKS.iter().map(|it| folder(it).into()).collect();
        assert_eq!(all, known);
        for it in CHECKS {
            let sources = SOURCES.map(|path| fs::read(labs.join(folder(it)).join(path)).unwrap());
            assert_eq!(digest(sources.each_ref().map(Vec::as_slice)), it.sources, "lab {}", it.lab);
        }
    }
}
