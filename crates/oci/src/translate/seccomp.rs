//! Question 4, the last barrier: `linux.seccomp`.

use container::seccomp::{Action, FilterOptions, Listener, Profile, Seccomp};

use crate::{
    config,
    error::{Result, property},
};

/// Flags of linux/seccomp.h that a configuration may have, with their numbers.
pub(crate) const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", 1),
    ("SECCOMP_FILTER_FLAG_LOG", 2),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
    (WAIT_KILLABLE, 32),
];
/// Only with a listener.
const WAIT_KILLABLE: &str = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";

/// The architectures of the specification. What runs on this machine are the first three, of which x32
/// is always denied.
const ARCHITECTURES: [&str; 22] = [
    "X86_64",
    "X86",
    "X32",
    "ARM",
    "AARCH64",
    "MIPS",
    "MIPS64",
    "MIPS64N32",
    "MIPSEL",
    "MIPSEL64",
    "MIPSEL64N32",
    "PPC",
    "PPC64",
    "PPC64LE",
    "S390",
    "S390X",
    "PARISC",
    "PARISC64",
    "RISCV64",
    "LOONGARCH64",
    "M68K",
    "SH",
];

/// The filter, and how it is installed.
pub(super) fn seccomp(given: Option<&config::Seccomp>) -> Result<(Seccomp, FilterOptions)> {
    let Some(given) = given else { return Ok((Seccomp::Unconfined, FilterOptions::default())) };
    check(&given.profile)?;
    let listener = listener(given)?;
    let mut flags = 0;
    for name in &given.flags {
        let known = FLAGS.iter().find(|(known, _)| known == name);
        let why = || format!("{name:?} is not a flag of seccomp(2)");
        let (_, flag) = known.ok_or_else(|| property("linux.seccomp.flags", why()))?;
        if name != WAIT_KILLABLE || listener.is_some() {
            flags |= flag;
        }
    }
    let profile = given.profile.clone().as_in_runc();
    Ok((Seccomp::Profile(profile), FilterOptions { flags, listener }))
}

/// Who decides, if a call is left to it; otherwise nobody is told.
fn listener(given: &config::Seccomp) -> Result<Option<Listener>> {
    let path = given.listener_path.as_ref().filter(|path| !path.as_os_str().is_empty());
    let metadata = given.listener_metadata.clone().filter(|text| !text.is_empty());
    match (given.profile.notifies(), path) {
        (true, None) => {
            let why = "it is missing, and there are calls with the action SCMP_ACT_NOTIFY";
            Err(property("linux.seccomp.listenerPath", why))
        }
        (_, None) if metadata.is_some() => {
            Err(property("linux.seccomp.listenerMetadata", "it needs a listenerPath"))
        }
        (true, Some(path)) if !path.is_absolute() => {
            Err(property("linux.seccomp.listenerPath", "it is not an absolute path"))
        }
        (true, Some(path)) => Ok(Some(Listener { path: path.clone(), metadata })),
        (false, _) => Ok(None),
    }
}

fn check(profile: &Profile) -> Result<()> {
    for (number, name) in profile.architectures.iter().enumerate() {
        let plain = name.strip_prefix("SCMP_ARCH_").unwrap_or_default();
        if !ARCHITECTURES.contains(&plain) {
            let place = format!("linux.seccomp.architectures[{number}]");
            return Err(property(place, format!("{name:?} is not an architecture")));
        }
    }
    let has_number = |action| matches!(action, Action::Errno | Action::Trace);
    let why = "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have a number";
    if profile.default_errno.is_some() && !has_number(profile.default_action) {
        return Err(property("linux.seccomp.defaultErrnoRet", why));
    }
    for (number, rule) in profile.rules.iter().enumerate() {
        let place = |name: &str| format!("linux.seccomp.syscalls[{number}].{name}");
        if rule.errno.is_some() && !has_number(rule.action) {
            return Err(property(place("errnoRet"), why));
        }
        if rule.names.is_empty() {
            return Err(property(place("names"), "it is empty"));
        }
        if let Some(argument) = rule.arguments.iter().find(|argument| argument.index > 5) {
            let why =
                format!("{} is not the index of an argument: they are 0 to 5", argument.index);
            return Err(property(place("args"), why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn translated(value: Value) -> Result<(Seccomp, FilterOptions)> {
        seccomp(Some(&serde_json::from_value(value).unwrap()))
    }

    #[test]
    fn a_listener_is_told_only_of_calls_that_are_left_to_it() {
        let rule = |action: &str| json!([{ "names": ["mkdir"], "action": action }]);
        let with = |action: &str, path: &str| {
            translated(json!({
                "defaultAction": "SCMP_ACT_ALLOW", "syscalls": rule(action), "listenerPath": path,
                "flags": [WAIT_KILLABLE, "SECCOMP_FILTER_FLAG_LOG"],
            }))
        };
        let (_, options) = with("SCMP_ACT_NOTIFY", "/x").unwrap();
        assert_eq!((options.flags, options.listener.is_some()), (34, true));
        let (_, options) = with("SCMP_ACT_LOG", "/x").unwrap();
        assert_eq!((options.flags, options.listener), (2, None));
        assert!(with("SCMP_ACT_NOTIFY", "").unwrap_err().to_string().contains("listenerPath"));
        assert!(with("SCMP_ACT_NOTIFY", "x").unwrap_err().to_string().contains("absolute"));
    }

    #[test]
    fn what_seccomp_does_not_have_is_refused_by_its_property() {
        let base = || json!({ "defaultAction": "SCMP_ACT_ALLOW" });
        let rule = |rule: Value| json!([rule]);
        for (name, value) in [
            ("flags", json!(["X"])),
            ("architectures", json!(["SCMP_ARCH_X"])),
            ("defaultErrnoRet", json!(1)),
            ("listenerMetadata", json!("x")),
            ("syscalls", rule(json!({ "names": [], "action": "SCMP_ACT_LOG" }))),
            ("syscalls", rule(json!({ "names": ["x"], "action": "SCMP_ACT_LOG", "errnoRet": 1 }))),
        ] {
            let mut given = base();
            given[name] = value;
            let error = translated(given).unwrap_err().to_string();
            assert!(error.contains(&format!("linux.seccomp.{name}")), "{name}: {error}");
        }
    }
}
