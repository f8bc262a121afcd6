//! Other limits and devices for a container that exists.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::Path,
};

use crate::{
    Error,
    devices::{self, DeviceRule},
    error::file,
};

/// Lets what is in these directories of a cgroup use the devices of the rules `new` and no others,
/// where those of `old` were in force.
pub(crate) fn change_devices(
    directories: &[&Path],
    old: &[DeviceRule],
    new: &[DeviceRule],
) -> Result<(), Error> {
    let with = |name: &str| directories.iter().find(|path| path.join(name).exists());
    if let Some(path) = with("devices.allow") {
        for (name, line) in changes(&devices::lines(old)?, &devices::lines(new)?) {
            let path = path.join(name);
            fs::write(&path, line).map_err(file("write a device rule to", &path))?;
        }
        return Ok(());
    }
    let Some(path) = with("cgroup.type") else {
        let (controller, why) = ("devices".into(), "the container has no cgroup".into());
        return Err(Error::NoControllerFile { controller, why });
    };
    let cgroup = File::open(path).map_err(file("open", *path))?;
    devices::replace(new, cgroup.as_fd())
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
