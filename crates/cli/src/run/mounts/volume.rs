//! `-v SOURCE:DESTINATION[:OPTIONS]`.

use std::ffi::OsStr;

use container::Mount;

use super::path;

/// Reads one.
pub(super) fn parse(text: &OsStr) -> Result<Mount, String> {
    let parts = path::split(text);
    let (source, destination, options) = match parts.as_slice() {
        [source, destination] => (source, destination, OsStr::new("")),
        [source, destination, options] => (source, destination, options.as_os_str()),
        [_] => {
            return Err("it has no destination: write SOURCE:DESTINATION, or --tmpfs DESTINATION \
                        for files that are gone afterwards"
                .into());
        }
        _ => {
            return Err(
                r"it has too many colons: write a colon of a path as \:, or use --mount".into()
            );
        }
    };
    // The destination first: what cannot be meant is said before what is missing.
    let destination = path::destination(destination)?;
    let mut mount = bind(path::source(source)?, destination);
    let options = options.to_str().ok_or("its options are not UTF-8")?;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        mount.options.extend(meaning(option)?.map(str::to_owned));
    }
    Ok(mount)
}

/// A volume that can be written to, with what is mounted below it.
pub(super) fn bind(source: std::path::PathBuf, destination: std::path::PathBuf) -> Mount {
    Mount { destination, kind: "bind".into(), source, options: vec!["rbind".into()] }
}

/// The mount's own word for an option of Docker's or podman's; `None` if it means nothing here.
fn meaning(option: &str) -> Result<Option<&str>, String> {
    match option {
        "ro" | "readonly" => Ok(Some("ro")),
        "noexec" | "nosuid" | "nodev" | "dev" | "suid" | "noatime" | "nodiratime" => {
            Ok(Some(option))
        }
        // What a volume is anyway, labels of SELinux, and hints for other systems.
        "rw" | "exec" | "rbind" | "z" | "Z" | "cached" | "delegated" | "consistent" => Ok(None),
        "nocopy" => Ok(None),
        other => propagation(other).map(|()| None),
    }
}

/// Whether it is a propagation that a container has: none, so that a mount made later on the host or
/// inside stays there.
pub(super) fn propagation(word: &str) -> Result<(), String> {
    match word {
        "private" | "rprivate" => Ok(()),
        "shared" | "rshared" | "slave" | "rslave" => Err(format!(
            "{word}: mounts made later do not spread into or out of a container; use rprivate"
        )),
        other => Err(format!("unknown option {other:?}: ro, rw, noexec, nosuid, dev, suid")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn it_is_read_as_docker_reads_it() {
        let mount = parse("/tmp:/inside/../in:ro,z".as_ref()).unwrap();
        assert_eq!((&*mount.source, &*mount.destination), (Path::new("/tmp"), Path::new("/in")));
        assert_eq!(mount.options, ["rbind", "ro"]);
        for plain in ["/tmp:/x", "/tmp:/x:rw", "/tmp:/x:Z,rprivate", "/tmp:/x:"] {
            assert_eq!(parse(plain.as_ref()).unwrap().options, ["rbind"], "{plain}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        for (text, reason) in [
            ("/tmp", "no destination"),
            ("/a:/b:ro:x", "too many colons"),
            ("name:/x", "named volume"),
            (":/x", "empty"),
            ("/tmp:x", "absolute"),
            ("/tmp:/", "root itself"),
            ("/tmp:/x:rshared", "do not spread"),
            ("/tmp:/x:upside-down", "unknown option"),
        ] {
            let error = parse(text.as_ref()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
