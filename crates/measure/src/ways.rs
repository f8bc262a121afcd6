//! The ways to start something whole, each of them a fresh process of this host.

use report::metric;

use crate::{
    peers::PeerSet,
    session::Task,
    subjects::{AGAIN, LINUX},
};

/// A way to start something whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `isolab run --in X hello`, or the command of a peer.
    Run,
    /// `isolab run --image`.
    Image,
    /// A client of isolab's daemon.
    Engine,
    /// A client of Docker's.
    Dockerd,
    /// A machine of a peer's that boots a whole distribution.
    Login,
}

impl Task for Way {
    fn metrics(&self) -> Vec<&'static str> {
        match self {
            Self::Run => vec![metric::STARTUP_COLD_FIRST_BYTE, metric::STARTUP_COLD_EXITED],
            Self::Image => vec![metric::STARTUP_IMAGE_FIRST_BYTE],
            Self::Engine => vec![metric::STARTUP_ENGINE_FIRST_BYTE],
            Self::Dockerd => vec![metric::STARTUP_DOCKERD_FIRST_BYTE],
            Self::Login => vec![metric::STARTUP_LOGIN],
        }
    }
}

impl Way {
    /// Those in which a comparison with these peers starts something: without a distribution among them
    /// nothing has a login prompt.
    pub fn all(peers: PeerSet) -> Vec<Self> {
        let mut all = vec![Self::Run, Self::Image, Self::Engine, Self::Dockerd];
        all.extend(peers.iter().any(|peer| peer.boots.is_some()).then_some(Self::Login));
        all
    }

    /// The one in which a peer is started that boots a distribution, or does not.
    pub fn of_peer(boots: bool) -> Self {
        if boots { Self::Login } else { Self::Run }
    }

    /// Why a sandbox of isolab's is not started in this way; `None` if it is.
    pub fn why_not(self, label: &str) -> Option<&'static str> {
        match (self, label) {
            (Self::Login, _) => Some(NO_DISTRIBUTION),
            (Self::Run, _) | (_, "container") => None,
            (Self::Engine, "process" | AGAIN) => None,
            (_, LINUX) => Some("the last question is of it"),
            (Self::Image, "microvm") => Some("a bare program has no image"),
            (Self::Engine, "microvm") => {
                Some("its runtime microvm boots a Linux guest: the last question is of that")
            }
            (Self::Image, _) => Some("an image is the root of a container"),
            (Self::Dockerd, _) => Some("dockerd has containers only"),
            (Self::Engine, _) => Some("the engine has no such runtime"),
        }
    }

    /// Why a peer is not started in this way, which boots a distribution, or does not.
    pub fn why_no_peer(self, boots: bool) -> Option<&'static str> {
        match (self, boots) {
            _ if self == Self::of_peer(boots) => None,
            (_, true) => Some("it boots a distribution, which does not start the program"),
            (Self::Login, _) => Some(NO_DISTRIBUTION),
            _ => Some("this row is isolab's; its own whole command is above"),
        }
    }
}

/// Why everything but a machine with a distribution has no login prompt.
pub const NO_DISTRIBUTION: &str = "it starts a program, not a distribution";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::PeerChoice;

    fn ways(peers: &str) -> Vec<Way> {
        let PeerChoice::Listed(peers) = peers.parse().unwrap() else { panic!("{peers}") };
        Way::all(peers)
    }

    #[test]
    fn every_way_but_to_a_login_starts_a_container() {
        for way in ways("none") {
            assert!(way.why_not("container").is_none(), "{way:?}");
        }
        assert!(Way::Engine.why_not(AGAIN).is_none(), "or there is no noise floor");
    }

    #[test]
    fn a_login_is_only_asked_of_where_a_distribution_is_booted() {
        assert!(!ways("runc,qemu-kvm").contains(&Way::Login));
        assert!(ways("runc,qemu-tcg-login").contains(&Way::Login));
        for (boots, own) in [(true, Way::Login), (false, Way::Run)] {
            for way in ways("qemu-kvm-login") {
                assert_eq!(way.why_no_peer(boots).is_none(), way == own, "{way:?}");
            }
        }
        for label in ["process", "container", "microvm", LINUX] {
            assert!(Way::Login.why_not(label).is_some(), "{label}");
        }
    }
}
