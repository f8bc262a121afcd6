//! `--tmpfs DESTINATION[:OPTIONS]`: files in memory, gone with the container.

use std::ffi::OsStr;

use container::Mount;

use super::path;

/// What one has unless its options say otherwise, as with Docker.
const USUAL: [&str; 3] = ["nosuid", "nodev", "noexec"];

/// Reads one.
pub(super) fn parse(text: &OsStr) -> Result<Mount, String> {
    let parts = path::split(text);
    let (destination, options) = match parts.as_slice() {
        [destination] => (destination, ""),
        [destination, options] => {
            (destination, options.to_str().ok_or("its options are not UTF-8")?)
        }
        _ => return Err(r"it has too many colons: write a colon of a path as \:".into()),
    };
    let mut mount = empty(path::destination(destination)?);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        add(&mut mount.options, option)?;
    }
    Ok(mount)
}

/// One without further options.
pub(in crate::run) fn empty(destination: std::path::PathBuf) -> Mount {
    let options = USUAL.map(str::to_owned).into();
    Mount { destination, kind: "tmpfs".into(), source: "tmpfs".into(), options }
}

/// Adds an option of tmpfs(5), or one of the mount that may undo what is usual.
pub(super) fn add(options: &mut Vec<String>, option: &str) -> Result<(), String> {
    let key = option.split_once('=').map_or(option, |(key, _)| key);
    match (key, option.contains('=')) {
        ("exec" | "suid" | "dev", false) => options.retain(|usual| *usual != format!("no{key}")),
        ("rw" | "noexec" | "nosuid" | "nodev", false) => {}
        ("ro" | "noatime" | "nodiratime" | "strictatime", false) => options.push(option.into()),
        ("size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks" | "huge", true) => {
            options.push(option.into());
        }
        _ => {
            return Err(format!(
                "unknown option {option:?} of a tmpfs: size=64m, mode=1777, uid=, gid=, nr_inodes=, \
                 exec, suid, dev, ro"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_it_is_executed_unless_asked_for() {
        let options = |text: &str| parse(text.as_ref()).unwrap().options;
        assert_eq!(options("/run"), ["nosuid", "nodev", "noexec"]);
        assert_eq!(
            options("/run:exec,size=64m,mode=700"),
            ["nosuid", "nodev", "size=64m", "mode=700"]
        );
        assert_eq!(options("/run:rw,noexec,ro"), ["nosuid", "nodev", "noexec", "ro"]);
    }

    #[test]
    fn other_options_are_refused() {
        for text in ["/run:x", "/run:size", "/run:exec=1", "run", "/", "/proc/x", "/a:b:c"] {
            assert!(parse(text.as_ref()).is_err(), "{text}");
        }
    }
}
