//! Paths in the options of mounts: where one may be put inside, and what of the host it shows.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

/// Splits at each colon. A colon that belongs to a path is written `\:`, a backslash before a colon
/// `\\`, as in the options of overlayfs; any other backslash stands for itself.
pub(in crate::run) fn split(text: &OsStr) -> Vec<OsString> {
    let mut parts = vec![Vec::new()];
    let mut bytes = text.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let last = parts.len() - 1;
        match (byte, bytes.peek().copied()) {
            (b'\\', Some(next @ (b':' | b'\\'))) => {
                bytes.next();
                parts[last].push(next);
            }
            (b':', _) => parts.push(Vec::new()),
            (byte, _) => parts[last].push(byte),
        }
    }
    parts.into_iter().map(OsString::from_vec).collect()
}

/// A place inside: absolute, without a step up, and not where the kernel's own views are.
pub(super) fn destination(path: &OsStr) -> Result<PathBuf, String> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err(format!("the destination {path:?} is not an absolute path"));
    }
    let clean = container::without_steps_up(path);
    if clean == Path::new("/") {
        return Err("the destination is the root itself: --root DIRECTORY gives another one".into());
    }
    if clean.starts_with("/proc") {
        return Err(format!("{clean:?} is the kernel's view of processes: nothing covers it"));
    }
    if clean.starts_with("/sys") {
        return Err(format!(
            "{clean:?} is the kernel's view of devices: nothing covers it, and the container's own \
             cgroup is at /sys/fs/cgroup already"
        ));
    }
    Ok(clean)
}

/// A part of the host's files, which is there: as it is found from the current directory.
pub(super) fn source(path: &OsStr) -> Result<PathBuf, String> {
    let path = Path::new(path);
    let first = path.components().next();
    match first {
        Some(Component::RootDir | Component::CurDir | Component::ParentDir) => {}
        None => return Err("the source is empty".into()),
        _ => {
            return Err(format!(
                "{path:?} would be a named volume, and volumes come with images: write ./{} for the \
                 directory, or --tmpfs DESTINATION for one that is gone afterwards",
                path.display()
            ));
        }
    }
    let found = std::path::absolute(path).map_err(|error| format!("{path:?}: {error}"))?;
    match found.symlink_metadata() {
        Ok(_) => Ok(found),
        Err(error) => Err(format!(
            "the source {found:?} cannot be shown: {error}; it is not made, for a misspelt path would \
             be an empty directory: mkdir -p it if it is meant"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_of_a_path_has_a_backslash() {
        let parts = |text: &str| split(OsStr::new(text));
        assert_eq!(parts("/a:/b:ro"), ["/a", "/b", "ro"]);
        assert_eq!(parts(r"/a\:b:/c"), ["/a:b", "/c"]);
        assert_eq!(parts(r"/a\\:/c"), [r"/a\", "/c"]);
        assert_eq!(parts(r"/a\n:/c"), [r"/a\n", "/c"]);
        assert_eq!(parts("::"), ["", "", ""]);
        let bytes = OsString::from_vec(b"/\xff:/\xfe".to_vec());
        assert_eq!(
            split(&bytes),
            [&b"/\xff"[..], b"/\xfe"].map(|part| OsString::from_vec(part.to_vec()))
        );
    }

    #[test]
    fn a_destination_is_cleaned_and_below_the_root() {
        let clean = |text: &str| destination(OsStr::new(text));
        assert_eq!(clean("/a/../b//c/.").unwrap(), Path::new("/b/c"));
        assert_eq!(clean("/../../x").unwrap(), Path::new("/x"));
        for refused in
            ["/", "/a/..", "a", "", "./a", "/proc", "/proc/1", "/x/../sys", "/sys/fs/cgroup"]
        {
            assert!(clean(refused).is_err(), "{refused:?}");
        }
        assert!(clean("/process").is_ok() && clean("/system").is_ok());
    }

    #[test]
    fn a_name_is_no_source_and_neither_is_what_is_missing() {
        let refused = |text: &str| source(OsStr::new(text)).unwrap_err();
        assert!(refused("vol").contains("named volume"));
        assert!(refused("a/b").contains("./a/b"));
        assert!(refused("/no such").contains("mkdir -p"));
        assert!(source(OsStr::new(".")).unwrap().is_absolute());
    }
}
