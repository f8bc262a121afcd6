//! containerd as Kubernetes speaks to it: pods and their containers, by the Container Runtime Interface.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    bundle::{self, RUNTIME, skip},
    containerd::containerd,
    installed::{Client, Daemon, Directory, nothing_left, place, said, text},
};

const IMAGE: &str = "docker.io/library/isolab-test:latest";
/// The cgroup of the pods, which a kubelet would make.
const PARENT: &str = "isolab-cri-test";
/// A network for pods by two of the standard plugins (CNI specification).
const NETWORK: &str = r#"{
  "cniVersion": "0.4.0", "name": "test", "plugins": [{
    "type": "bridge", "bridge": "pods0", "isGateway": true,
    "ipam": { "type": "host-local", "subnet": "10.123.0.0/24", "dataDir": "DATA" }
  }]
}"#;

/// A client of the interface: each call is a program, as with crictl.
struct Kubelet {
    descriptors: String,
    socket: String,
}

impl Kubelet {
    fn call(&self, method: &str, request: &Value) -> Value {
        let mut command = Command::new("timeout");
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engines/cri/call.py");
        command.args(["60", "/usr/bin/python3", program, &self.descriptors, &self.socket, method]);
        command.arg(request.to_string());
        serde_json::from_str(&said(command, 0)).unwrap()
    }

    fn exec(&self, container: &Value, script: &str) -> (String, i64) {
        let cmd = ["sh", "-c", script];
        let answer = self.call("ExecSync", &json!({ "container_id": container, "cmd": cmd }));
        let output = answer["stdout"].as_str().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo \"$0\" | base64 -d", output]);
        (said(command, 0), answer["exitCode"].as_i64().unwrap())
    }

    fn status(&self, container: &Value) -> Value {
        self.call("ContainerStatus", &json!({ "container_id": container }))["status"].clone()
    }
}

/// A kubelet's containerd, with the image; its configuration is the recipe's.
fn kubelet(place: &Path, cni: &Path) -> (Daemon, Kubelet) {
    let at = |name: &str| text(&place.join(name));
    fs::create_dir(at("cni")).unwrap();
    fs::write(at("cni/test.conflist"), NETWORK.replace("DATA", &at("cni-data"))).unwrap();
    let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
    let configuration = format!(
        "[{cri}]\nsandbox_image = {IMAGE:?}\nrestrict_oom_score_adj = true\n\
         disable_apparmor = true\n\
         [{cri}.cni]\nbin_dir = {cni:?}\nconf_dir = {:?}\n\
         [{cri}.containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\
         [{cri}.containerd.runtimes.isolab]\nruntime_type = \"io.containerd.runc.v2\"\n\
         [{cri}.containerd.runtimes.isolab.options]\nBinaryName = {RUNTIME:?}\n\
         SystemdCgroup = false\n",
        at("cni"),
    );
    let (daemon, socket) = containerd(place, Some(&configuration));
    let ctr = Client { program: "ctr", words: vec!["-a".into(), socket.clone()] };
    make_image(place);
    ctr.says(&["-n", "k8s.io", "images", "import", &at("image.tar")], 0);
    let mut protoc = Command::new("protoc");
    protoc.arg(concat!("-I", env!("CARGO_MANIFEST_DIR"), "/tests/engines/cri"));
    protoc.arg(format!("--descriptor_set_out={}", at("descriptors"))).arg("cri.proto");
    said(protoc, 0);
    (daemon, Kubelet { descriptors: at("descriptors"), socket })
}

/// The root of the test as an archive that `docker save` could have written.
fn make_image(place: &Path) {
    let mut sum = Command::new("sha256sum");
    sum.arg(place.join("root.tar"));
    let digest = said(sum, 0).split(' ').next().unwrap().to_owned();
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Cmd": ["/bin/pause"], "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": [IMAGE], "Layers": ["root.tar"] }]);
    fs::write(place.join("config.json"), config.to_string()).unwrap();
    fs::write(place.join("manifest.json"), manifest.to_string()).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(place).args(["-cf", &text(&place.join("image.tar"))]);
    tar.args(["manifest.json", "config.json", "root.tar"]);
    said(tar, 0);
}

/// What the client and the network of pods need.
fn cri_place() -> Option<(Directory, &'static Path)> {
    let place = place(&["containerd", "ctr", "protoc", "unshare"])?;
    let mut import = Command::new("/usr/bin/python3");
    import.args(["-c", "import grpc, google.protobuf"]).stderr(Stdio::null());
    if !import.status().is_ok_and(|status| status.success()) {
        return skip("engines", "there is no grpc for Python; apt-get install python3-grpcio");
    }
    let directories = ["/usr/lib/cni", "/opt/cni/bin"].map(Path::new);
    match directories.into_iter().find(|it| it.join("bridge").exists()) {
        Some(cni) => Some((place, cni)),
        None => skip("engines", "there is no CNI; apt-get install containernetworking-plugins"),
    }
}

#[test]
fn a_kubelets_containerd_makes_pods_with_it() {
    let Some((place, cni)) = cri_place() else { return };
    let (daemon, kubelet) = kubelet(place.path(), cni);
    let logs = place.path().join("logs");
    let pod = json!({
        "metadata": { "name": "pod", "uid": "1", "namespace": "test" },
        "hostname": "pod",
        "log_directory": logs,
        "linux": { "cgroup_parent": format!("/{PARENT}"),
                   "sysctls": { "net.ipv4.ip_unprivileged_port_start": "0" } },
    });
    let request = json!({ "config": pod, "runtime_handler": "isolab" });
    let sandbox = kubelet.call("RunPodSandbox", &request)["podSandboxId"].clone();
    let status = kubelet.call("PodSandboxStatus", &json!({ "pod_sandbox_id": sandbox }));
    let address = status["status"]["network"]["ip"].as_str().unwrap().to_owned();
    assert!(address.starts_with("10.123.0."), "{status}");

    let container = |name: &str, script: &str| {
        let config = json!({
            "metadata": { "name": name },
            "image": { "image": IMAGE },
            "command": ["sh", "-c", script],
            "log_path": format!("{name}.log"),
            "linux": { "resources": { "memory_limit_in_bytes": 64 << 20, "cpu_quota": 50_000,
                                      "cpu_period": 100_000, "cpu_shares": 512 },
                       "security_context": { "no_new_privs": true } },
        });
        let request = json!({ "pod_sandbox_id": sandbox, "config": config, "sandbox_config": pod });
        let id = kubelet.call("CreateContainer", &request)["containerId"].clone();
        kubelet.call("StartContainer", &json!({ "container_id": id }));
        id
    };
    let stays = container("stays", "echo begun; exec sleep 1000");
    let other = container("other", "echo >&2 ends; exit 7");
    assert_eq!(kubelet.status(&stays)["state"], "CONTAINER_RUNNING");
    bundle::wait_until("it has ended", || {
        let status = kubelet.status(&other);
        status["state"] == "CONTAINER_EXITED" && status["exitCode"] == 7
    });
    let log = |name: &str| fs::read_to_string(logs.join(name)).unwrap();
    assert!(log("stays.log").ends_with(" stdout F begun\n"), "{}", log("stays.log"));
    assert!(log("other.log").ends_with(" stderr F ends\n"), "{}", log("other.log"));

    assert_eq!(kubelet.exec(&stays, "echo inside; exit 3"), ("inside\n".into(), 3));
    let (links, _) = kubelet.exec(&stays, "ip -o -4 addr show eth0");
    assert!(links.contains(&address), "{links}");
    let (hostname, _) = kubelet.exec(&stays, "cat /proc/sys/kernel/hostname");
    assert_eq!(hostname, "pod\n");
    let stats = kubelet.call("ContainerStats", &json!({ "container_id": stays }));
    let memory = stats["stats"]["memory"]["workingSetBytes"]["value"].as_str().unwrap();
    assert!(memory.parse::<u64>().unwrap() > 0, "{stats}");
    let more = json!({ "container_id": stays, "linux": { "memory_limit_in_bytes": 128 << 20 } });
    kubelet.call("UpdateContainerResources", &more);

    kubelet.call("StopContainer", &json!({ "container_id": stays, "timeout": 1 }));
    assert_eq!(kubelet.status(&stays)["state"], "CONTAINER_EXITED");
    for id in [&stays, &other] {
        kubelet.call("RemoveContainer", &json!({ "container_id": id }));
    }
    kubelet.call("StopPodSandbox", &json!({ "pod_sandbox_id": sandbox }));
    kubelet.call("RemovePodSandbox", &json!({ "pod_sandbox_id": sandbox }));
    for id in [&sandbox, &stays, &other] {
        assert_eq!(bundle::cgroups_named(id.as_str().unwrap()).len(), 0, "{id}");
    }
    for parent in bundle::cgroups_named(PARENT) {
        fs::remove_dir(parent).unwrap();
    }
    drop(daemon);
    nothing_left(place.path());
}
