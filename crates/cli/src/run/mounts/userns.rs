//! `--userns host|auto|keep-id`: who the users inside are outside.

use clap::ValueEnum;
use container::{
    Namespace, Spec,
    privileges::{IdMap, IdMaps, User},
};
use nix::unistd::{Gid, Uid};

use crate::failure::Failure;

/// Whose users a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum UserNamespace {
    /// The host's own: root inside is root outside
    Host,
    /// A range of ids that nobody has outside; files keep their owners inside
    Auto,
    /// The caller has the same id inside
    KeepId,
}

impl UserNamespace {
    pub(super) fn apply(self, spec: &mut Spec) -> Result<(), Failure> {
        let (user, group) = (Uid::effective(), Gid::effective());
        match (self, user.is_root()) {
            (Self::Host, true) => spec.boundary.namespaces.user = Namespace::Shared,
            (Self::Host, false) => {
                return Err(Failure::refused("only root runs a container with the host's users")
                    .help("leave --userns out, or use sudo"));
            }
            (Self::Auto, true) => {
                spec.boundary.namespaces.user = Namespace::New;
                spec.inside.keep_owners = true;
            }
            // What such a caller has anyway: a range takes root's power to map it.
            (Self::Auto, false) => spec.boundary.namespaces.user = Namespace::New,
            (Self::KeepId, true) => {
                return Err(Failure::refused("root has the id 0 inside anyway")
                    .help("use --userns auto for a root inside that is nobody outside"));
            }
            (Self::KeepId, false) => {
                let map = |id| vec![IdMap { container_id: id, host_id: id, size: 1 }];
                let (uid, gid) = (user.as_raw(), group.as_raw());
                spec.boundary.namespaces.user = Namespace::New;
                spec.power.id_maps = Some(IdMaps { uid: map(uid), gid: map(gid) });
                if spec.power.user == User::default() {
                    (spec.power.user.uid, spec.power.user.gid) = (uid, gid);
                }
            }
        }
        Ok(())
    }
}
