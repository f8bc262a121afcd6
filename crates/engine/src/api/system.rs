//! `/_ping`, `/version`, `/info`.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use bollard_stubs::models::{
    self, PluginsInfo, SystemInfo, SystemInfoCgroupDriverEnum, SystemInfoCgroupVersionEnum,
    SystemVersion, SystemVersionComponents, SystemVersionPlatform,
};
use container::CgroupLayout;

use super::{
    MAX_VERSION, MIN_VERSION,
    always::completed,
    response::{json, of_type},
};
use crate::{engine::Engine, error::Result, runtime::Runtime, state::status::Phase, time};

/// What dockerd says of requests for a swarm.
pub(super) const NO_SWARM: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \
                                   \"docker swarm join\" to connect this node to swarm and try again.";

/// The version of isolab.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn ping() -> Response<Body> {
    let mut response = of_type(StatusCode::OK, "text/plain; charset=utf-8", Body::from("OK"));
    let never = HeaderValue::from_static("no-cache, no-store, must-revalidate");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

pub(super) fn version(_engine: &Engine) -> Result<Response<Body>> {
    let kernel = nix_release();
    let details = [
        ("ApiVersion", MAX_VERSION),
        ("MinAPIVersion", MIN_VERSION),
        ("Os", "linux"),
        ("Arch", "amd64"),
        ("KernelVersion", &kernel),
    ];
    let component = SystemVersionComponents {
        name: "Engine".into(),
        version: VERSION.into(),
        details: Some(details.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
    };
    json(&SystemVersion {
        platform: Some(SystemVersionPlatform { name: "isolab".into() }),
        components: Some(vec![component]),
        version: Some(VERSION.into()),
        api_version: Some(MAX_VERSION.into()),
        min_api_version: Some(MIN_VERSION.into()),
        git_commit: Some(String::new()),
        go_version: Some(String::new()),
        os: Some("linux".into()),
        arch: Some("amd64".into()),
        kernel_version: Some(kernel),
        experimental: None,
        build_time: None,
    })
}

fn nix_release() -> String {
    let name = rustix::system::uname();
    name.release().to_string_lossy().into_owned()
}

/// How many containers are in each phase: all, running, paused, stopped.
fn counts(engine: &Engine) -> [i64; 4] {
    let mut counts = [0; 4];
    for container in engine.containers() {
        counts[0] += 1;
        counts[match container.status().phase {
            Phase::Up => 1,
            Phase::Paused => 2,
            _ => 3,
        }] += 1;
    }
    counts
}

pub(super) async fn info(engine: &Arc<Engine>) -> Result<Response<Body>> {
    let [all, running, paused, stopped] = counts(engine);
    let own = Arc::clone(engine);
    let images = tokio::task::spawn_blocking(move || {
        own.store()
            .and_then(|store| store.all().map_err(|error| crate::error::ApiError::of(&error)))
    });
    let images = images.await.ok().and_then(std::result::Result::ok).map_or(0, |all| all.len());
    let host = container::host();
    let has = |name: &str| host.controllers.iter().any(|it| it.name == name && it.parent.is_some());
    let on = |controller: &str| Some(has(controller));
    let described = || models::Runtime { path: Some("isolab".into()), ..Default::default() };
    let runtimes = Runtime::NAMES.iter().map(|(name, _)| ((*name).to_owned(), described()));
    let uname = rustix::system::uname();
    let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let version = match host.cgroup_layout {
        CgroupLayout::V2 => SystemInfoCgroupVersionEnum::_2,
        _ => SystemInfoCgroupVersionEnum::_1,
    };
    let info = SystemInfo {
        id: Some(engine.id.clone()),
        containers: Some(all),
        containers_running: Some(running),
        containers_paused: Some(paused),
        containers_stopped: Some(stopped),
        images: i64::try_from(images).ok(),
        driver: Some("overlay2".into()),
        driver_status: Some(vec![vec!["Supports d_type".into(), "true".into()]]),
        docker_root_dir: Some(engine.options.data.display().to_string()),
        plugins: Some(PluginsInfo {
            volume: list(&["local"]),
            network: list(&["bridge", "host", "null"]),
            authorization: None,
            log: list(&["json-file", "local"]),
        }),
        memory_limit: on("memory"),
        swap_limit: on("memory"),
        cpu_cfs_period: on("cpu"),
        cpu_cfs_quota: on("cpu"),
        cpu_shares: on("cpu"),
        cpu_set: Some(
            std::fs::read_to_string("/proc/cgroups").is_ok_and(|text| text.contains("cpuset")),
        ),
        pids_limit: on("pids"),
        oom_kill_disable: Some(matches!(version, SystemInfoCgroupVersionEnum::_1)),
        ipv4_forwarding: Some(
            std::fs::read("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.starts_with(b"1")),
        ),
        debug: Some(false),
        nfd: std::fs::read_dir("/proc/self/fd")
            .ok()
            .and_then(|all| i64::try_from(all.count()).ok()),
        system_time: Some(time::now()),
        logging_driver: Some("json-file".into()),
        cgroup_driver: Some(SystemInfoCgroupDriverEnum::CGROUPFS),
        cgroup_version: Some(version),
        n_events_listener: i64::try_from(engine.events.listeners()).ok(),
        kernel_version: Some(uname.release().to_string_lossy().into_owned()),
        operating_system: Some(operating_system()),
        os_type: Some("linux".into()),
        architecture: Some("x86_64".into()),
        ncpu: std::thread::available_parallelism().ok().and_then(|n| i64::try_from(n.get()).ok()),
        mem_total: i64::try_from(super::stats::host_memory()).ok(),
        index_server_address: Some("https://index.docker.io/v1/".into()),
        name: Some(uname.nodename().to_string_lossy().into_owned()),
        labels: Some(Vec::new()),
        experimental_build: Some(false),
        server_version: Some(VERSION.into()),
        runtimes: Some(runtimes.collect()),
        default_runtime: Some(Runtime::DEFAULT.into()),
        live_restore_enabled: Some(true),
        init_binary: Some("isolab".into()),
        security_options: list(&["name=seccomp,profile=builtin", "name=cgroupns"]),
        warnings: Some(Vec::new()),
        ..SystemInfo::default()
    };
    json(&completed(&info, "Info")?)
}

/// The name of the host's distribution (os-release(5)).
fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |name| name.trim_matches('"').to_owned())
}
