//! isolab in a container of its own: what cannot work there is said, and why.

mod common;

use common::{can, isolab, output_of};

/// What isolab says and its exit code, as the program of a container with these options.
fn inside(options: &[&str], words: &[&str]) -> (i32, String, String) {
    let volume = format!("{}:/isolab:ro", env!("CARGO_BIN_EXE_isolab"));
    let outer = [&["run", "-v", &volume], options, &["--", "/isolab"], words].concat();
    output_of(&mut isolab(&outer))
}

/// What doctor found there, by what it is about: the state and what to do.
fn doctor(options: &[&str]) -> Vec<(String, String, String)> {
    let (_, output, errors) = inside(options, &["doctor", "--json"]);
    let page: serde_json::Value = serde_json::from_str(&output).expect(&errors);
    let text = |finding: &serde_json::Value, key: &str| {
        finding[key].as_str().unwrap_or_default().to_owned()
    };
    let findings = page["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| (text(finding, "about"), text(finding, "state"), text(finding, "fix")))
        .collect()
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

#[test]
fn doctor_says_what_an_outer_container_does_not_allow() {
    if !can("container", container::available()) {
        return;
    }
    let findings = doctor(&[]);
    let of = |about: &str| findings.iter().find(|finding| finding.0 == about).cloned();
    assert!(of("outer container").is_some(), "{findings:?}");
    for (about, way_out) in [("user namespaces", "seccomp="), ("containers", "--privileged")] {
        let (_, state, fix) = of(about).unwrap();
        assert_eq!(state, "lacks", "{about}: {findings:?}");
        assert!(fix.contains(way_out), "{about}: {fix}");
    }
    if let Some((_, state, fix)) = of("/dev/kvm")
        && state == "lacks"
    {
        assert!(fix.contains("--device /dev/kvm"), "{fix}");
    }
}

#[test]
fn a_container_with_all_power_holds_another() {
    if !can("container", container::available()) || !is_root() {
        return;
    }
    let (code, output, errors) = inside(&["--privileged"], &["run", "hello"]);
    assert_eq!((code, &*output), (0, "hello\n"), "{errors}");
    let findings = doctor(&["--privileged"]);
    let of = |about: &str| findings.iter().find(|finding| finding.0 == about).cloned();
    assert_eq!(of("containers").unwrap().1, "ok", "{findings:?}");
    // This host may itself be one.
    if doctor_here_has_no_walls() {
        assert_eq!(of("outer container"), None, "{findings:?}");
    }
}

fn doctor_here_has_no_walls() -> bool {
    !output_of(&mut isolab(&["doctor", "--json"])).1.contains("outer container")
}

#[test]
fn a_container_that_cannot_be_started_inside_has_a_way_out() {
    if !can("container", container::available()) {
        return;
    }
    for options in [&[][..], &["--cap-add", "sys_ptrace"], &["--cap-drop", "all"]] {
        let (code, _, errors) = inside(options, &["run", "--", "/bin/true"]);
        assert_eq!(code, 125, "{options:?}: {errors}");
        assert!(errors.contains("help: "), "{options:?}: {errors}");
    }
}
