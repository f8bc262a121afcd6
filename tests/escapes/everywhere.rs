//! One attempt in containers of all kinds, and what each of them must answer.

use std::fs;

use container::Network;
use nix::unistd::Uid;

use crate::{
    host::Host,
    launch::{Files, Launch, Who, words},
};

/// What lies at `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    Host,
    Directory,
    Overlay,
}

/// A kind of container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub who: Who,
    pub root: Root,
    pub network: Network,
    pub init: bool,
    /// In the launcher's own pid namespace.
    pub share_pids: bool,
    pub user_namespace: bool,
    /// Files keep their owners in the user namespace.
    pub keep_owners: bool,
    pub unconfined: bool,
    /// The attempt is a second process, that joins.
    pub joins: bool,
}

impl Kind {
    const fn of(who: Who, root: Root, network: Network) -> Self {
        let (share_pids, user_namespace, unconfined, joins) = (false, false, false, false);
        let (init, keep_owners) = (true, false);
        Self {
            who,
            root,
            network,
            init,
            share_pids,
            user_namespace,
            keep_owners,
            unconfined,
            joins,
        }
    }

    const fn without_init(self) -> Self {
        Self { init: false, ..self }
    }

    const fn sharing_pids(self) -> Self {
        Self { share_pids: true, ..self }
    }

    const fn in_user_namespace(self) -> Self {
        Self { user_namespace: true, ..self }
    }

    const fn keeping_owners(self) -> Self {
        Self { keep_owners: true, ..self.in_user_namespace() }
    }

    const fn unconfined(self) -> Self {
        Self { unconfined: true, ..self }
    }

    const fn joined(self) -> Self {
        Self { joins: true, ..self }
    }

    /// Whether the files and the process that must not be changed are those of the user inside, as
    /// they are where an ordinary user runs these tests.
    pub fn is_owner(&self) -> bool {
        self.is_hosts_root() || !Uid::effective().is_root()
    }

    /// Whether root inside is root outside.
    pub fn is_hosts_root(&self) -> bool {
        self.who != Who::Ordinary && !self.user_namespace
    }
}

/// Each with each is too many: every two settings meet here at least once.
const KINDS: [Kind; 24] = {
    use Network::{Host as HostNet, None as NoNet, Veth};
    use Root::{Directory, Host, Overlay};
    use Who::{Ordinary, Root as AsRoot};
    [
        Kind::of(AsRoot, Host, NoNet),
        Kind::of(AsRoot, Directory, NoNet),
        Kind::of(AsRoot, Overlay, NoNet),
        Kind::of(AsRoot, Directory, Veth).without_init(),
        Kind::of(AsRoot, Host, HostNet),
        Kind::of(AsRoot, Directory, HostNet).without_init().sharing_pids(),
        Kind::of(AsRoot, Overlay, NoNet).in_user_namespace(),
        Kind::of(AsRoot, Directory, NoNet).in_user_namespace().joined(),
        Kind::of(AsRoot, Host, HostNet).joined(),
        Kind::of(AsRoot, Directory, NoNet).without_init().sharing_pids().joined(),
        Kind::of(AsRoot, Overlay, Veth).joined(),
        Kind::of(AsRoot, Directory, NoNet).unconfined(),
        Kind::of(AsRoot, Host, NoNet).in_user_namespace().unconfined(),
        Kind::of(AsRoot, Overlay, HostNet).without_init().unconfined().joined(),
        Kind::of(AsRoot, Host, NoNet).keeping_owners(),
        Kind::of(AsRoot, Directory, NoNet).keeping_owners(),
        Kind::of(AsRoot, Overlay, HostNet).keeping_owners().joined(),
        Kind::of(AsRoot, Directory, Veth).keeping_owners().without_init().unconfined(),
        Kind::of(Ordinary, Host, NoNet),
        Kind::of(Ordinary, Directory, NoNet).joined(),
        Kind::of(Ordinary, Overlay, HostNet),
        Kind::of(Ordinary, Directory, HostNet).without_init(),
        Kind::of(Ordinary, Overlay, NoNet).without_init().unconfined(),
        Kind::of(Ordinary, Directory, NoNet).sharing_pids().joined(),
    ]
};

/// Whether these tests may run; says why not. `ISOLAB_REQUIRE=container` makes that a failure.
pub fn ready() -> bool {
    let available = match container::available() {
        Err(error) => Err(sandbox::chain(&error)),
        Ok(()) if !Uid::effective().is_root() => Ok(()),
        // Whether this is the first user namespace, which maps every id to itself.
        Ok(()) => match fs::read_to_string("/proc/self/uid_map") {
            Ok(map) if map.split_whitespace().eq(["0", "0", "4294967295"]) => Ok(()),
            _ => Err("this root is one of a user namespace, not the host's".to_owned()),
        },
    };
    available.map_err(|reason| skip(&reason)).is_ok()
}

/// The same for a test that takes root's power to make.
pub fn ready_as_root() -> bool {
    match Uid::effective().is_root() {
        true => ready(),
        false => {
            skip("this test needs root");
            false
        }
    }
}

/// Who can launch containers here: root and an ordinary user, or the ordinary user who runs this.
pub fn callers() -> Vec<Who> {
    let root = Uid::effective().is_root().then_some(Who::Root);
    root.into_iter().chain([Who::Ordinary]).collect()
}

/// The same, each in a process of its own.
pub fn callers_elsewhere() -> Vec<Who> {
    let root = Uid::effective().is_root().then_some(Who::RootElsewhere);
    root.into_iter().chain([Who::Ordinary]).collect()
}

/// Whether there can be limits, too.
pub fn ready_for_limits() -> bool {
    if !ready_as_root() {
        return false;
    }
    let problem = container::host().controllers.into_iter().find_map(|facts| facts.problem);
    problem.map(|problem| skip(&problem)).is_none()
}

/// Says that the test is skipped, and why.
pub fn skip(reason: &str) {
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == "container"), "container required: {reason}");
    println!("skipped: {reason}");
}

/// A container of that kind in which the attempt is made.
pub fn launch(host: &Host, kind: &Kind, attempt: &[&str]) -> Launch {
    let files = match kind.root {
        Root::Host => Files::Host,
        Root::Directory => Files::Directory(host.new_root("root")),
        Root::Overlay => Files::Overlay(host.new_root("root")),
    };
    let words = |attempt: &[&str]| words(host, &files, attempt);
    let (words, joins) = match kind.joins {
        false => (words(attempt), None),
        true => (words(&["idle"]), Some(words(attempt))),
    };
    Launch {
        files,
        words,
        joins,
        network: kind.network,
        no_init: !kind.init,
        share_pids: kind.share_pids,
        user_namespace: kind.user_namespace,
        keep_owners: kind.keep_owners,
        unconfined: kind.unconfined,
        ..Launch::default()
    }
}

/// Makes an attempt, of which `words` says name and words for a host, in containers of all kinds; what
/// each answers is `expected`, which is `None` where there is nothing to attempt.
pub fn everywhere(
    words: impl Fn(&Host) -> Vec<String>,
    expected: impl Fn(&Kind) -> Option<String>,
) {
    everywhere_with(|_, _| (), words, expected);
}

/// The same in containers that are `changed` before.
pub fn everywhere_with(
    changed: impl Fn(&Host, &mut Launch),
    words: impl Fn(&Host) -> Vec<String>,
    expected: impl Fn(&Kind) -> Option<String>,
) {
    if !ready() {
        return;
    }
    let mut wrong = Vec::new();
    let is_root = Uid::effective().is_root();
    for kind in KINDS.iter().filter(|kind| is_root || kind.who == Who::Ordinary) {
        let Some(expected) = expected(kind) else { continue };
        let mut host = Host::watched();
        let words = words(&host);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut launch = launch(&host, kind, &words);
        changed(&host, &mut launch);
        let answer = launch.run_as(kind.who, &host);
        let description = answer.describe();
        if let Some(reason) = answer.unavailable {
            skip(&format!("{:?}: {reason}", kind.who));
            continue;
        }
        let no_links = ["EOPNOTSUPP", "EPERM"].iter().any(|errno| description.contains(errno));
        if kind.network == Network::Veth && answer.error.is_some() && no_links {
            skip(&description);
            continue;
        }
        if description != expected {
            wrong.push(format!("{kind:?}\n   answers {description:?}\n  instead of {expected:?}"));
        }
        host.is_unchanged(&format!("{words:?} in {kind:?}"));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The same for an attempt without words that is answered alike everywhere.
pub fn everywhere_is(attempt: &str, expected: &str) {
    everywhere(|_| vec![attempt.to_owned()], |_| Some(expected.to_owned()));
}
