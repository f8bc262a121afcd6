//! `-v` and `--mount type=bind` of a Linux guest: a directory of the host's, which it reads.

use container::Mount;
use microvm::linux::Share;

use crate::failure::Failure;

/// The directory that a guest is to have for this mount.
///
/// # Errors
///
/// When a guest has no such mount. One that could be written to is not silently another.
pub(super) fn of(mount: &Mount) -> Result<Share, Failure> {
    let (source, target) = (mount.source.display(), mount.destination.display());
    if mount.kind != "bind" {
        return Err(Failure::usage(format!("a Linux guest has no {} from outside", mount.kind))
            .help(format!("mount it in the guest: `mount -t tmpfs none {target}`")));
    }
    let has = |word: &str| mount.options.iter().any(|option| option == word);
    if !has("ro") {
        let what = format!("a Linux guest can only read a directory of the host's: {target}");
        return Err(Failure::usage(what).help(format!(
            "write `-v {source}:{target}:ro` (with --mount, `readonly`); what it is to write, give it \
             on a disk: `--disk FILE`"
        )));
    }
    let unless = |without: &str, word: &'static str| (!has(without)).then_some(word);
    let usual = [unless("suid", "nosuid"), unless("dev", "nodev")];
    Ok(Share {
        source: mount.source.clone(),
        target: mount.destination.clone(),
        with_mounts: has("rbind"),
        options: usual.into_iter().flatten().chain(has("noexec").then_some("noexec")).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        super::{mount, volume},
        *,
    };

    #[test]
    fn a_volume_that_is_only_read_is_a_guests_too() {
        let share = of(&volume::parse("/tmp:/x:ro".as_ref()).unwrap()).unwrap();
        assert_eq!((&*share.source, &*share.target), (Path::new("/tmp"), Path::new("/x")));
        assert_eq!((share.with_mounts, &*share.options), (true, &["nosuid", "nodev"][..]));
        let flat = "type=bind,src=/tmp,dst=/x,readonly,bind-recursive=disabled";
        assert!(!of(&mount::parse(flat.as_ref()).unwrap()).unwrap().with_mounts);
        let open = of(&volume::parse("/tmp:/x:ro,suid,dev,noexec".as_ref()).unwrap()).unwrap();
        assert_eq!(open.options, ["noexec"]);
    }

    #[test]
    fn one_that_could_be_written_to_is_refused_with_the_way_out() {
        for text in ["/tmp:/x", "/tmp:/x:rw"] {
            let failure = of(&volume::parse(text.as_ref()).unwrap()).unwrap_err();
            let text = format!("{failure:?}");
            assert!(text.contains("only read"), "{text}");
            assert!(text.contains("-v /tmp:/x:ro"), "{text}");
        }
        let tmpfs = mount::parse("type=tmpfs,dst=/x".as_ref()).unwrap();
        assert!(format!("{:?}", of(&tmpfs).unwrap_err()).contains("mount -t tmpfs none /x"));
    }
}
