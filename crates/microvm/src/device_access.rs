//! Who may open KVM's device, and what somebody who may not can do about it.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups};

/// Read and write, as `KVM_CREATE_VM` needs them, in the bits of one class of users.
const READ_WRITE: u32 = 0o6;

/// The owner and the mode of a device, and what its group is called.
#[derive(Debug, Clone)]
struct Device {
    owner: Uid,
    group: Gid,
    group_name: Option<String>,
    mode: u32,
}

/// Somebody who wants to open it.
#[derive(Debug, Clone)]
struct Caller {
    user: Uid,
    /// The groups of this process.
    groups: Vec<Gid>,
    /// Whether /etc/group has the user in the device's group, which a new login would bring.
    is_member: bool,
}

/// What the caller of this process can do to be let in to `device`; for the help of an error.
pub(crate) fn how_to_get_access(device: &Path) -> String {
    let shown = device.display();
    let Ok(metadata) = fs::metadata(device) else {
        return format!("see who may open it: `ls -l {shown}`");
    };
    let group = Gid::from_raw(metadata.gid());
    let user = geteuid();
    let found = record("/etc/group", metadata.gid());
    let name = record("/etc/passwd", user.as_raw()).and_then(|user| user.into_iter().next());
    // A group's fourth field lists its members (group(5)).
    let members = found.as_ref().and_then(|group| group.get(3));
    let is_member = members
        .zip(name)
        .is_some_and(|(members, name)| members.split(',').any(|member| member == name));
    let mut groups = getgroups().unwrap_or_default();
    groups.push(getegid());
    let caller = Caller { user, groups, is_member };
    let device = Device {
        owner: Uid::from_raw(metadata.uid()),
        group,
        group_name: found.and_then(|group| group.into_iter().next()),
        mode: metadata.mode(),
    };
    device.advice(&caller, &shown.to_string())
}

/// The fields of the line whose third is `number`, of a file such as `/etc/group`. The C library's
/// own lookup would load modules into a static program, and ask servers.
fn record(path: &str, number: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(path).ok()?;
    let mut records = text.lines().map(|line| line.split(':').map(str::to_owned).collect());
    records
        .find(|fields: &Vec<String>| fields.get(2).is_some_and(|field| field.parse() == Ok(number)))
}

impl Device {
    fn advice(&self, caller: &Caller, path: &str) -> String {
        let allows = |shift: u32| self.mode >> shift & READ_WRITE == READ_WRITE;
        let is_let_in = match caller {
            _ if caller.user.is_root() => true,
            _ if caller.user == self.owner => allows(6),
            _ if caller.groups.contains(&self.group) => allows(3),
            _ => allows(0),
        };
        if is_let_in {
            return format!(
                "its mode lets you in, so a device cgroup or a security module keeps you out: start \
                 the container that this is in with `--device {path}`"
            );
        }
        // The superuser's own group is nothing to join.
        let joinable = self.group_name.as_ref().filter(|_| self.group != Gid::from_raw(0));
        match joinable.filter(|_| allows(3)) {
            Some(_) if caller.is_member => {
                "log in again: you are in the group that owns it, but this session began before that"
                    .to_owned()
            }
            Some(group) => format!(
                "join the group that owns it (`sudo usermod -aG {group} $USER`) and log in again"
            ),
            None => format!(
                "no group that you could join may use it: `sudo setfacl -m u:$USER:rw {path}` lets \
                 you in until the next boot"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(
        mode: u32,
        group: (u32, Option<&str>),
        caller: (u32, &[u32]),
        member: bool,
    ) -> String {
        let device = Device {
            owner: Uid::from_raw(0),
            group: Gid::from_raw(group.0),
            group_name: group.1.map(str::to_owned),
            mode: 0o20_000 | mode,
        };
        let groups = caller.1.iter().map(|group| Gid::from_raw(*group)).collect();
        let caller = Caller { user: Uid::from_raw(caller.0), groups, is_member: member };
        device.advice(&caller, "/dev/kvm")
    }

    #[test]
    fn it_names_the_group_that_owns_the_device() {
        let kvm = (104, Some("kvm"));
        assert!(advice(0o660, kvm, (1000, &[1000]), false).contains("usermod -aG kvm "));
        let other = (36, Some("virtual"));
        assert!(advice(0o660, other, (1000, &[1000]), false).contains("usermod -aG virtual "));
        assert!(advice(0o660, kvm, (1000, &[1000]), true).starts_with("log in again"));
    }

    #[test]
    fn a_group_that_helps_nobody_is_not_named() {
        let root = (0, Some("root"));
        for (mode, group) in
            [(0o600, root), (0o660, root), (0o640, (104, Some("kvm"))), (0o660, (104, None))]
        {
            let advice = advice(mode, group, (1000, &[1000]), false);
            assert!(advice.contains("setfacl"), "{mode:o} {group:?}: {advice}");
        }
    }

    #[test]
    fn a_record_is_found_by_its_number() {
        let root = record("/etc/passwd", 0).unwrap();
        assert_eq!(root[0], "root");
        assert_eq!(record("/etc/group", u32::MAX), None);
        assert_eq!(record("/no/such/file", 0), None);
    }

    #[test]
    fn who_is_let_in_by_the_mode_looks_elsewhere() {
        let kvm = (104, Some("kvm"));
        for (mode, caller) in [
            (0o666, (1000, &[1000][..])),
            (0o660, (1000, &[1000, 104][..])),
            (0o600, (0, &[0][..])),
        ] {
            assert!(advice(mode, kvm, caller, false).contains("--device /dev/kvm"), "{mode:o}");
        }
    }
}
