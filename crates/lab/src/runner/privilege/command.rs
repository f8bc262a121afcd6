//! Calls of programs as another user.

use std::{ffi::OsStr, fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use nix::unistd::Gid;

use super::{as_user, environment, local_user::LocalUser};

impl LocalUser {
    /// A call of a program in `folder` as this user: by root with none of root's powers.
    pub(crate) fn command(&self, program: &OsStr, folder: &Path) -> Command {
        let mut command = match self.is_not_root_here() {
            true => as_user::command(
                self.uid,
                self.gid,
                &groups(&self.name, self.gid),
                folder.as_os_str(),
                program,
            ),
            false => Command::new(program),
        };
        if !self.is_not_root_here() {
            // A key that interrupts isolab lets it end this itself, and all that comes of it.
            command.current_dir(folder).process_group(0);
        }
        environment::prepare(&mut command, self);
        command
    }
}

/// The groups that group(5) names the account in, and its own.
fn groups(name: &str, own: Gid) -> Vec<Gid> {
    let file = fs::read_to_string("/etc/group").unwrap_or_default();
    let others = file.lines().filter_map(|line| member_of(line, name));
    std::iter::once(own).chain(others.filter(|group| *group != own)).collect()
}

/// The group in a line of group(5), if the account is named in it.
fn member_of(line: &str, name: &str) -> Option<Gid> {
    let fields: Vec<&str> = line.split(':').collect();
    let [_, _, number, members] = fields[..] else { return None };
    let named = members.split(',').any(|member| member == name);
    named.then(|| number.parse().ok().map(Gid::from_raw))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_in_the_groups_that_name_it() {
        let gid = |line| member_of(line, "ada").map(Gid::as_raw);
        assert_eq!(gid("kvm:x:108:lin,ada"), Some(108));
        for line in ["kvm:x:108:", "kvm:x:108:adam", "damaged", "kvm:x:-1:ada"] {
            assert_eq!(gid(line), None, "{line}");
        }
    }
}
