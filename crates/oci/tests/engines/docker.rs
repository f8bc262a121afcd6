//! Docker's own daemon.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use crate::{
    bundle::{self, RUNTIME},
    containerd::containerd,
    installed::{Client, Daemon, nothing_left, place, text},
};

#[test]
fn docker_makes_its_containers_with_it() {
    let Some(place) = place(&["dockerd", "docker", "containerd", "unshare"]) else { return };
    let at = |name: &str| text(&place.path().join(name));
    let (containerd, socket) = containerd(place.path(), None);
    let host = format!("unix://{}", at("docker.sock"));
    let log = File::create(at("docker.log")).unwrap();
    // A network namespace of its own: dockerd changes the rules of the one that it is in.
    let mut command = Command::new("unshare");
    command.args(["-n", "dockerd", "--iptables=false", "--bridge=none"]);
    command.args([
        "--exec-opt",
        "native.cgroupdriver=cgroupfs",
        "--containerd",
        &socket,
        "-H",
        &host,
    ]);
    command.args(["--data-root", &at("docker"), "--exec-root", &at("docker-exec")]);
    command.args(["-p", &at("docker.pid"), "--add-runtime", &format!("isolab={RUNTIME}")]);
    command.stdout(Stdio::null()).stderr(log);
    let daemon = Daemon(command.spawn().unwrap());
    let docker = Client { program: "docker", words: vec!["-H".into(), host] };
    bundle::wait_until("dockerd listens", || {
        let mut version = Command::new("docker");
        version.args(&docker.words).arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().unwrap().success()
    });
    docker.says(&["import", &at("root.tar"), "isolab-test"], 0);
    docker.runs_containers(&["--runtime=isolab", "--network=none"]);
    nothing_left(place.path());
    drop((daemon, containerd));
}
