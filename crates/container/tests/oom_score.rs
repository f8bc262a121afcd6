//! Question 4: whom the kernel kills first, for a child of each kind.

mod common;

use std::fs;

use common::{Need, ready, ready_with, run, text};
use container::{Container, Namespace, Network};
use sandbox::{Builtin, Sandbox as _, Workload};

const SHOW: &str =
    "cat /proc/self/oom_score_adj; (cat /proc/self/oom_score_adj); cat /proc/1/oom_score_adj";

fn own() -> String {
    fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().to_owned()
}

fn container(score: i32) -> Container {
    let mut container = Container::default();
    container.spec.power.oom_score_adj = Some(score);
    container
}

/// The scores that this process may give: a lower one takes power on the host.
fn allowed() -> Vec<i32> {
    let own: i32 = own().parse().unwrap();
    let lower = (own - 1).max(-1000);
    let may_lower = fs::write("/proc/self/oom_score_adj", lower.to_string()).is_ok();
    fs::write("/proc/self/oom_score_adj", own.to_string()).unwrap();
    if !may_lower {
        println!("skipped: a lower score than {own}, which takes CAP_SYS_RESOURCE");
    }
    [1000, 321].into_iter().chain(may_lower.then_some(lower)).collect()
}

// One test, because another thread's container would be started with the score of this one's launcher.
#[test]
fn a_container_has_its_score_and_the_launcher_keeps_its_own() {
    type Kind = (&'static [Need], fn(&mut Container));
    let kinds: [Kind; 4] = [
        (&[], |container| container.spec.way_out.init = true),
        (&[], |container| container.spec.way_out.init = false),
        (&[Need::UserNamespace], |it| it.spec.boundary.namespaces.user = Namespace::New),
        (&[Need::Veth], |container| container.spec.way_out.network = Network::Veth),
    ];
    for (needs, make) in kinds {
        if !ready_with(needs) {
            continue;
        }
        let before = own();
        for score in allowed() {
            let mut container = container(score);
            make(&mut container);
            assert_eq!(text(&run(&container, SHOW)), format!("{score}\n{score}\n{score}"));
            assert_eq!(own(), before);
        }
        let mut container = container(700);
        make(&mut container);
        container.run(&Workload::command(["/no such program"])).unwrap_err();
        assert_eq!(own(), before);
        container.spec.power.oom_score_adj = None;
        assert_eq!(text(&run(&container, SHOW)).lines().next(), Some(&*before));
    }
}

#[test]
fn a_score_that_there_is_not_is_refused() {
    for score in [-1001, 1001, i32::MIN] {
        let error = container(score).run(&Workload::builtin(Builtin::Hello, &[])).unwrap_err();
        let message = sandbox::chain(&error);
        assert!(
            message.contains("oom-score-adj") && message.contains("-1000 to 1000"),
            "{message}"
        );
    }
}

#[test]
fn root_of_a_container_is_told_why_it_cannot_lower_the_score() {
    const AGAIN: &str = "ISOLAB_TEST_WITHOUT_RESOURCE";
    if std::env::var_os(AGAIN).is_some() {
        let error = container(-500).run(&Workload::builtin(Builtin::Hello, &[])).unwrap_err();
        println!("{}: {}", sandbox::chain(&error), error.fix().unwrap_or_default());
        return;
    }
    if !ready() {
        return;
    }
    // The same program once more, without the capability.
    let output = std::process::Command::new("capsh")
        .args(["--drop=cap_sys_resource", "--", "-c"])
        .arg("exec \"$0\" root_of_a_container_is_told --nocapture")
        .arg(std::env::current_exe().unwrap())
        .env(AGAIN, "1")
        .output();
    let Ok(output) = output else {
        return println!("skipped: no capsh here (Debian: libcap2-bin)");
    };
    let message = String::from_utf8_lossy(&output.stdout);
    assert!(message.contains("write -500 to oom_score_adj"), "{message}");
    assert!(message.contains("CAP_SYS_RESOURCE"), "{message}");
}
