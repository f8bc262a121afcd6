//! Other limits and devices for a container that exists.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::Path,
};

use super::given::{CgroupFile, write_all};
use crate::{
    Error,
    devices::{self, DeviceRule},
    error::{Result, file},
    state::State,
};

impl State {
    /// Writes files of its cgroup, as in an update of its limits.
    ///
    /// # Errors
    ///
    /// When none of its directories has a file, or the kernel refuses a value.
    pub fn write_cgroup(&self, files: &[CgroupFile]) -> Result<()> {
        let paths: Vec<&Path> = self.cgroups().collect();
        Ok(write_all(&paths, files)?)
    }

    /// The content of a file of its cgroup; `None` if none of its directories has it.
    pub fn read_cgroup(&self, name: &str) -> Option<String> {
        let mut paths = self.cgroups().map(|path| path.join(name));
        paths.find_map(|path| fs::read_to_string(path).ok())
    }

    /// Lets it use the devices of the rules `new` and no others, where those of `old` were in force.
    ///
    /// # Errors
    ///
    /// When it has no cgroup for devices, or the kernel refuses the rules.
    pub fn set_devices(&self, old: &[DeviceRule], new: &[DeviceRule]) -> Result<()> {
        Ok(self.change_devices(old, new)?)
    }

    fn change_devices(&self, old: &[DeviceRule], new: &[DeviceRule]) -> Result<(), Error> {
        if let Some(path) = self.cgroups().find(|path| path.join("devices.allow").exists()) {
            for (name, line) in changes(&devices::lines(old)?, &devices::lines(new)?) {
                let path = path.join(name);
                fs::write(&path, line).map_err(file("write a device rule to", &path))?;
            }
            return Ok(());
        }
        let Some(path) = self.cgroups().find(|path| path.join("cgroup.type").exists()) else {
            let (controller, why) = ("devices".into(), "the container has no cgroup".into());
            return Err(Error::NoControllerFile { controller, why });
        };
        let cgroup = File::open(path).map_err(file("open", path))?;
        devices::replace(new, cgroup.as_fd())
    }
}

/// The lines that lead from one list to another. With the same default only what differs is written: a
/// program that uses a device meanwhile is not disturbed.
fn changes(
    old: &[(&'static str, String)],
    new: &[(&'static str, String)],
) -> Vec<(&'static str, String)> {
    let [(default, _), exceptions @ ..] = new else { return Vec::new() };
    if old.first() != new.first() {
        return new.to_vec();
    }
    let gone = old.iter().filter(|line| !new.contains(line));
    // Taken out of the exceptions by the file of the default.
    gone.map(|(_, line)| (*default, line.clone())).chain(exceptions.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_taken_away() {
        let rules = |json: &str| {
            let all: Vec<DeviceRule> = serde_json::from_str(json).unwrap();
            devices::lines(&all).unwrap()
        };
        let old = rules(
            r#"[{"allow":false},{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"},
                {"allow":true,"type":"c","major":1,"minor":5,"access":"r"}]"#,
        );
        let new = rules(
            r#"[{"allow":false},{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}]"#,
        );
        let written = changes(&old, &new);
        let expected = [("devices.deny", "c 1:5 r"), ("devices.allow", "c 1:3 rw")];
        assert_eq!(written, expected.map(|(file, line)| (file, line.to_owned())));
        let all = rules(r#"[{"allow":true}]"#);
        assert_eq!(changes(&old, &all), [("devices.allow", "a".to_owned())]);
    }
}
