//! A launcher in a process of its own: with another user's id, other streams, other mounts.

use std::{
    fs::{self, File},
    os::unix::{fs::chown, process::CommandExt as _},
    process::{Command, exit},
};

use nix::{
    mount::{MsFlags, mount},
    unistd::Uid,
};

use crate::{
    host::Host,
    launch::{Launch, ORDINARY, Who},
};

/// The first word of the command line of a launcher.
pub const ROLE: &str = "--launch";

impl Launch {
    /// The command that launches it, and says what came of it on its standard output, or in the file
    /// `answer` of the host's folder if the container has that output for its own.
    pub fn launcher(&self, who: Who, host: &Host) -> Command {
        let mut launcher = Command::new(host.program());
        launcher.arg(ROLE).arg(serde_json::to_string(self).unwrap());
        let own = host.folder().join("own");
        fs::create_dir_all(&own).unwrap();
        launcher.arg(own.join("answer"));
        if who == Who::Ordinary {
            launcher.env("XDG_RUNTIME_DIR", &own);
            if Uid::effective().is_root() {
                chown(&own, Some(ORDINARY), Some(ORDINARY)).unwrap();
                launcher.uid(ORDINARY).gid(ORDINARY); // and no other group: std sees to it
            }
        }
        launcher
    }
}

/// The launcher's process.
pub fn play(words: &[String]) -> ! {
    let [launch, answer] = words else { exit(2) };
    let launch: Launch = serde_json::from_str(launch).expect("the test has written it");
    let none = None::<&str>;
    for (source, target) in &launch.before {
        crate::host::have_mounts_of_our_own();
        mount(Some(source), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .expect("root of its own mounts");
    }
    let description = launch.here();
    if launch.inherit {
        let file = File::create(answer).expect("the test has made the folder");
        serde_json::to_writer(file, &description).expect("plain data");
    } else {
        println!("{}", serde_json::to_string(&description).expect("plain data"));
    }
    exit(0)
}
