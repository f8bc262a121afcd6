//! Files of Docker's, and files that only look like it.

use super::*;
use crate::capabilities::CapabilitySet;

fn read(text: &str, capabilities: &[&str]) -> Result<Profile, Error> {
    let capabilities = CapabilitySet::of(capabilities.iter().copied()).unwrap();
    Profile::from_docker(text.as_bytes(), capabilities)
}

/// The calls that a profile has rules for, in order.
fn named(profile: &Profile) -> Vec<&str> {
    profile.rules.iter().flat_map(|rule| &rule.names).map(String::as_str).collect()
}

/// A file whose default is EPERM, with these rules.
fn with(rules: &str) -> String {
    format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#)
}

fn answer(profile: &Profile, name: &str, first: u64) -> u32 {
    let number = syscalls::X86_64.numbers()[name];
    run(&compile(profile).unwrap(), &call(number, [first, 0, 0, 0, 0, 0]))
}

#[test]
fn a_file_of_dockers_is_read_with_all_that_it_has() {
    let text = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "unknown": {"field": [1]},
        "archMap": [
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}
        ],
        "syscalls": [
            {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW", "args": null,
             "comment": "why", "includes": {}, "excludes": {}},
            {"name": "write", "action": "SCMP_ACT_ALLOW", "args": []},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
        ]
    }"#;
    let profile = read(text, &[]).unwrap();
    assert_eq!(profile.architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    assert_eq!(named(&profile), ["read", "no_such_call", "write", "clone3"]);
    assert_eq!((profile.default_action, profile.default_errno), (Action::Errno, Some(1)));
    assert_eq!(answer(&profile, "read", 0), ALLOW);
    assert_eq!(answer(&profile, "open", 0), REFUSED);
    assert_eq!(answer(&profile, "clone3", 0), UNKNOWN);
    let program = compile(&profile).unwrap();
    assert_eq!(run(&program, &call_i386(3, [0; 6])), ALLOW, "read");
}

#[test]
fn a_section_of_config_json_is_read_too() {
    let profile = Seccomp::default_profile(0);
    let text = serde_json::to_string(&profile).unwrap();
    let again = read(&text, &[]).unwrap();
    for number in 0..470 {
        for call in [call(number, [2; 6]), call_i386(number, [2; 6])] {
            let [one, other] = [&profile, &again].map(|it| expected(it, &call));
            assert_eq!(one, other, "{call:?}");
        }
    }
}

#[test]
fn conditions_are_decided_by_capabilities_architecture_and_kernel() {
    let rule = |name: &str, conditions: &str| {
        format!(r#"{{"names": ["{name}"], "action": "SCMP_ACT_ALLOW", {conditions}}}"#)
    };
    let text = with(
        &[
            rule("mount", r#""includes": {"caps": ["CAP_SYS_ADMIN"]}"#),
            rule("reboot", r#""includes": {"caps": ["CAP_SYS_ADMIN", "CAP_SYS_BOOT"]}"#),
            rule("umount2", r#""includes": {"caps": ["CAP_OF_TOMORROW"]}"#),
            rule("clone", r#""excludes": {"caps": ["CAP_SYS_ADMIN"]}"#),
            rule("acct", r#""excludes": {"caps": ["CAP_OF_TOMORROW"], "arches": []}"#),
            rule("read", r#""includes": {"arches": ["amd64", "x32"]}"#),
            rule("write", r#""includes": {"arches": ["s390"], "caps": null}"#),
            rule("open", r#""excludes": {"arches": ["amd64"]}"#),
            rule("ptrace", r#""includes": {"minKernel": "4.8"}"#),
            rule("close", r#""includes": {"minKernel": "99.1"}"#),
            rule("kcmp", r#""excludes": {"minKernel": "4.8"}"#),
            rule("dup", r#""includes": {"minKernel": ""}"#),
        ]
        .join(","),
    );
    assert_eq!(named(&read(&text, &[]).unwrap()), ["clone", "acct", "read", "ptrace", "dup"]);
    let admin = read(&text, &["sys_admin"]).unwrap();
    assert_eq!(named(&admin), ["mount", "acct", "read", "ptrace", "dup"]);
    let both = read(&text, &["sys_admin", "sys_boot"]).unwrap();
    assert_eq!(named(&both), ["mount", "reboot", "acct", "read", "ptrace", "dup"]);
}

#[test]
fn rules_of_one_call_mean_what_they_mean_to_libseccomp() {
    let equal = |value: u64| format!(r#"{{"index": 0, "value": {value}, "op": "SCMP_CMP_EQ"}}"#);
    let rule = |action: &str, arguments: &str| {
        format!(r#"{{"name": "personality", "action": "{action}", "args": [{arguments}]}}"#)
    };
    // Two conditions on one argument: either.
    let both = format!("{}, {}", equal(1), equal(2));
    let profile = read(&with(&rule("SCMP_ACT_ALLOW", &both)), &[]).unwrap();
    assert_eq!([0, 1, 2].map(|it| answer(&profile, "personality", it)), [REFUSED, ALLOW, ALLOW]);
    // A rule without conditions wins, though it stands behind.
    let two = [rule("SCMP_ACT_KILL", &equal(1)), rule("SCMP_ACT_ALLOW", "")].join(",");
    let profile = read(&with(&two), &[]).unwrap();
    assert_eq!([0, 1].map(|it| answer(&profile, "personality", it)), [ALLOW, ALLOW]);
    // Unless it says what the default says.
    let two = [rule("SCMP_ACT_ERRNO", ""), rule("SCMP_ACT_ALLOW", &equal(1))].join(",");
    let profile = read(&with(&two), &[]).unwrap();
    assert_eq!([0, 1].map(|it| answer(&profile, "personality", it)), [REFUSED, ALLOW]);
}

#[test]
fn what_is_not_known_is_named() {
    let rule = |rest: &str| with(&format!(r#"{{"names": ["read"], {rest}}}"#));
    for (text, word) in [
        ("".into(), "EOF"),
        ("[]".into(), "invalid"),
        ("{}".into(), "defaultAction"),
        (r#"{"defaultAction": "SCMP_ACT_SING"}"#.into(), "SCMP_ACT_SING"),
        (r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000}"#.into(), "5000"),
        (rule(r#""action": "SCMP_ACT_NOTIFY""#), "SCMP_ACT_NOTIFY"),
        (rule(r#""action": "SCMP_ACT_ERRNO", "errnoRet": 70000"#), "70000"),
        (rule(r#""action": "SCMP_ACT_ALLOW", "name": "write""#), "both name and names"),
        (rule(r#""action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new"}"#), "\"new\""),
        (
            rule(r#""action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "LIKE"}]"#),
            "LIKE",
        ),
        (
            rule(
                r#""action": "SCMP_ACT_ALLOW",
                   "args": [{"index": 9, "value": 0, "op": "SCMP_CMP_EQ"}]"#,
            ),
            "argument 9 of read",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}"#
                .into(),
            "archMap",
        ),
        (" ".repeat(1 << 21), "1 MiB"),
        (format!("{{\"x\": {}", "[".repeat(100_000)), "EOF"),
    ] {
        let message = read(&text, &[]).unwrap_err().to_string();
        assert!(message.contains(word), "{message}: {}", &text[..text.len().min(200)]);
    }
}

proptest::proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in "[{}\\[\\]\":,a-zA-Z_0-9 ]{0,80}") {
        let _ = read(&text, &[]);
        let _ = read(&with(&text), &[]);
    }
}
