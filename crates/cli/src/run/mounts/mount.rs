//! `--mount type=bind,src=..,dst=..`: fields between commas, as in a line of a CSV file (RFC 4180), so
//! that a path with a comma is written `"src=/a,b"`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use container::Mount;

use super::{path, tmpfs, volume};

/// Reads one.
pub(super) fn parse(text: &OsStr) -> Result<Mount, String> {
    let fields = fields(text.as_bytes())?;
    let mut asked = Asked::default();
    for field in &fields {
        asked.read(field)?;
    }
    asked.mount()
}

/// What the fields say.
#[derive(Debug, Default)]
struct Asked {
    kind: Option<String>,
    source: Option<OsString>,
    destination: Option<OsString>,
    read_only: bool,
    flat: bool,
    /// Options of a tmpfs.
    tmpfs: Vec<String>,
}

impl Asked {
    fn read(&mut self, field: &[u8]) -> Result<(), String> {
        let at = field.iter().position(|byte| *byte == b'=');
        let (key, value) = match at {
            Some(at) => (&field[..at], Some(OsStr::from_bytes(&field[at + 1..]))),
            None => (field, None),
        };
        let key = String::from_utf8_lossy(key);
        let text = || {
            let text = value.and_then(OsStr::to_str).filter(|text| !text.is_empty());
            text.ok_or_else(|| format!("the field {key:?} has no value"))
        };
        match &*key {
            "type" => self.kind = Some(text()?.to_owned()),
            "src" | "source" => self.source = value.map(OsStr::to_owned),
            "dst" | "destination" | "target" => self.destination = value.map(OsStr::to_owned),
            "readonly" | "ro" => self.read_only = is_true(&key, value)?,
            "bind-propagation" => volume::propagation(text()?)?,
            "bind-nonrecursive" => self.flat = is_true(&key, value)?,
            "bind-recursive" => match text()? {
                "enabled" | "readonly" => {}
                "disabled" => self.flat = true,
                other => return Err(format!("bind-recursive={other}: enabled or disabled")),
            },
            // A hint for other systems.
            "consistency" => _ = text()?,
            "tmpfs-size" => self.tmpfs.push(format!("size={}", text()?)),
            "tmpfs-mode" => self.tmpfs.push(format!("mode={}", text()?)),
            key if key.starts_with("volume-") => return Err(NO_VOLUMES.into()),
            _ => {
                return Err(format!(
                    "unknown field {key:?}: type, src, dst, readonly, bind-propagation, \
                     bind-recursive, tmpfs-size, tmpfs-mode"
                ));
            }
        }
        Ok(())
    }

    fn mount(self) -> Result<Mount, String> {
        let place = self.destination.ok_or("it has no dst=DESTINATION")?;
        let destination: PathBuf = path::destination(&place)?;
        let mut mount = match (self.kind.as_deref(), self.source) {
            (Some("bind"), Some(source)) => {
                let mut mount = volume::bind(path::source(&source)?, destination);
                if self.flat {
                    mount.options = vec!["bind".into()];
                }
                mount
            }
            (Some("bind"), None) => return Err("it has no src=SOURCE".into()),
            (Some("tmpfs"), None) => tmpfs::empty(destination),
            (Some("tmpfs"), Some(_)) => return Err("a tmpfs has no source".into()),
            (Some("volume"), _) => return Err(NO_VOLUMES.into()),
            (Some(other), _) => return Err(format!("unknown type={other}: bind or tmpfs")),
            (None, _) => return Err("it has no type: type=bind or type=tmpfs".into()),
        };
        if !self.tmpfs.is_empty() && mount.kind != "tmpfs" {
            return Err("tmpfs-size and tmpfs-mode are for type=tmpfs".into());
        }
        self.tmpfs.iter().try_for_each(|option| tmpfs::add(&mut mount.options, option))?;
        if self.read_only {
            mount.options.push("ro".into());
        }
        Ok(mount)
    }
}

const NO_VOLUMES: &str = "volumes come with images: use type=bind with a directory, or type=tmpfs";

fn is_true(key: &str, value: Option<&OsStr>) -> Result<bool, String> {
    match value.map(|value| value.to_string_lossy().to_lowercase()).as_deref() {
        None | Some("1" | "true") => Ok(true),
        Some("0" | "false") => Ok(false),
        Some(other) => Err(format!("{key}={other}: true or false")),
    }
}

/// Splits at commas. A field in quotation marks may have commas; `""` in it is one such mark.
fn fields(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let mut field = Vec::new();
        if let Some(mut quoted) = rest.strip_prefix(b"\"") {
            rest = loop {
                match quoted {
                    [b'"', b'"', tail @ ..] => (field.push(b'"'), quoted = tail).1,
                    [b'"', tail @ ..] => break tail,
                    [byte, tail @ ..] => (field.push(*byte), quoted = tail).1,
                    [] => return Err("a quotation mark is not closed".into()),
                }
            };
        } else {
            let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            field.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        all.push(field);
        match rest {
            [] => return Ok(all),
            [b',', tail @ ..] => rest = tail,
            _ => return Err("after a closing quotation mark comes a comma".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::ffi::OsStringExt as _, path::Path};

    use super::*;

    #[test]
    fn fields_are_read_as_docker_reads_them() {
        let mount = parse("type=bind,source=/tmp,target=/x,readonly".as_ref()).unwrap();
        assert_eq!((&*mount.source, &*mount.destination), (Path::new("/tmp"), Path::new("/x")));
        assert_eq!(mount.options, ["rbind", "ro"]);
        let flat = "type=bind,src=/tmp,dst=/x,bind-recursive=disabled,ro=false";
        assert_eq!(parse(flat.as_ref()).unwrap().options, ["bind"]);
        let tmpfs = parse("type=tmpfs,dst=/x,tmpfs-size=64m,tmpfs-mode=1770".as_ref()).unwrap();
        assert_eq!(tmpfs.options, ["nosuid", "nodev", "noexec", "size=64m", "mode=1770"]);
    }

    #[test]
    fn a_field_with_a_comma_is_quoted() {
        let all = |text: &str| fields(text.as_bytes()).map(|all| all.len());
        assert_eq!(fields(br#"a,"b,""c",d"#).unwrap(), [&b"a"[..], b"b,\"c", b"d"]);
        assert_eq!(all("a,,b"), Ok(3));
        assert!(all("\"a").is_err() && all("\"a\"b").is_err());
        let bytes = OsString::from_vec(b"type=tmpfs,dst=/\xff".to_vec());
        assert_eq!(parse(&bytes).unwrap().destination.as_os_str().as_bytes(), b"/\xff");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        for (text, reason) in [
            ("src=/tmp,dst=/x", "no type"),
            ("type=bind,src=/tmp", "no dst"),
            ("type=bind,dst=/x", "no src"),
            ("type=volume,src=v,dst=/x", "images"),
            ("type=npipe,dst=/x", "unknown type"),
            ("type=tmpfs,src=/tmp,dst=/x", "no source"),
            ("type=bind,src=/tmp,dst=/x,tmpfs-size=1m", "for type=tmpfs"),
            ("type=bind,src=/tmp,dst=/x,readonly=maybe", "true or false"),
            ("type=bind,src=/tmp,dst=/x,bind-propagation=rshared", "do not spread"),
            ("type=bind,src=/tmp,dst=/x,colour=red", "unknown field"),
        ] {
            let error = parse(text.as_ref()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
