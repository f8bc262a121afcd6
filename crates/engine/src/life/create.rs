//! From a client's words to a record: nothing of the container runs yet.

use std::{collections::HashMap, fs, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc};

use bollard_stubs::models::{
    ContainerConfig, ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig,
    MountPoint, MountType, NetworkingConfig, RestartPolicyNameEnum,
};
use image::{
    config::Execution,
    manifest::Platform,
    store::{Image, Lock, Store, StoreError},
};

use super::volume_content;
use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    id::new_id,
    names,
    runtime::Runtime,
    spec::{self, Shared, microvm},
    state::{
        record::{self, FORMAT, Record, SHM_BYTES},
        status::Status,
    },
    time,
    volumes::VolumeRecord,
};

/// A container that was created.
pub struct Created {
    /// Its id.
    pub id: String,
    /// What its client should know.
    pub warnings: Vec<String>,
}

/// Creates a container of `body` with that name, or with a made up one.
///
/// # Errors
///
/// 404 when there is no such image, 409 when the name is taken, 400 for options that contradict each
/// other, 500.
pub fn create(engine: &Engine, name: Option<&str>, body: ContainerCreateBody) -> Result<Created> {
    let id = new_id();
    let name = match name {
        Some(name) => {
            let name = name.strip_prefix('/').unwrap_or(name);
            names::check("container", name)?;
            name.to_owned()
        }
        None => {
            let mut names = (0..).map(|again| names::make_up(&id, again));
            names.find(|name| !engine.has_name(name)).unwrap_or_else(|| id.clone())
        }
    };
    let store = engine.store()?;
    let wanted = body.image.clone().filter(|image| !image.is_empty());
    let wanted = wanted.ok_or_else(|| ApiError::invalid("no image was named"))?;
    let (image, layers, in_use) = find_image(&store, &wanted)?;
    let (host, networking) = (body.host_config.clone(), body.networking_config.clone());
    let (host, warnings) = complete_host(host.unwrap_or_default())?;
    let networking = complete_networking(networking, &host);
    let config = complete_config(body, &image.config.config, &id, &host);
    let arguments = arguments(&config)?;
    let mut record = Record {
        format: FORMAT,
        created: time::now(),
        image: image.id().map_err(|error| ApiError::of(&error))?.to_string(),
        layers,
        arguments,
        config,
        host,
        networking,
        mounts: Vec::new(),
        status: Status::default(),
        restarts: 0,
        stopped_by_client: false,
        id,
        name,
    };
    if record.runtime() == Runtime::Microvm {
        microvm::available()?;
    }
    record.mounts = mounts(engine, &record, &image.config.config)?;
    let (mounts, directory) = (record.mounts.clone(), engine.directory(&record.id));
    let container = make(engine, record, &directory, in_use).inspect_err(|_| {
        let _ = crate::volumes::remove(&directory); // made for it
        for name in mounts.into_iter().filter_map(|mount| mount.name) {
            // Those that only this container would have had.
            if engine.volumes.find(&name).is_ok_and(|volume| volume.anonymous) {
                let _ = engine.volumes.remove(&name, &[]);
            }
        }
    })?;
    container.emit(&engine.events, "create", &[]);
    Ok(Created { id: container.id.clone(), warnings })
}

/// The container of a record whose volumes are there.
fn make(engine: &Engine, record: Record, directory: &Path, in_use: Lock) -> Result<Arc<Container>> {
    // What cannot be started is refused now, while its client looks.
    spec::of(&record, directory, &Shared::default())?;
    let made = fs::DirBuilder::new().mode(0o700).create(directory);
    made.map_err(ApiError::failed("create the container's directory"))?;
    volume_content::fill(engine, &record, &directory.join("files"))?;
    let container = Container::new(directory.to_owned(), record, Some(in_use));
    container.save()?;
    engine.add(Arc::clone(&container))?;
    Ok(container)
}

/// The image with its layers unpacked, and what keeps them.
fn find_image(store: &Store, name: &str) -> Result<(Image, Vec<std::path::PathBuf>, Lock)> {
    let named = store.resolve(name).map_err(|error| match error {
        // The docker command pulls it then; the words matter.
        StoreError::NoImage { .. } => {
            ApiError::not_found(format!("No such image: {}", tagged(name)))
        }
        error => ApiError::of(&error),
    })?;
    let of = |error: StoreError| ApiError::of(&error);
    let image = store.image_at(&named.descriptor, &Platform::host()).map_err(of)?;
    let in_use = store.use_image(&image).map_err(of)?;
    let layers = store.unpack(&image).map_err(|error| ApiError::of(&error))?;
    Ok((image, layers, in_use))
}

/// A name with its tag.
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.contains([':', '@']) {
        true => name.to_owned(),
        false => format!("{name}:latest"),
    }
}

/// What the client says, and the image for what it does not say.
fn complete_config(
    body: ContainerCreateBody,
    image: &Execution,
    id: &str,
    host: &HostConfig,
) -> ContainerConfig {
    let text = |given: Option<String>, other: &str| {
        Some(given.filter(|text| !text.is_empty()).unwrap_or_else(|| other.to_owned()))
    };
    let words = |given: Option<Vec<String>>| given.filter(|words| !words.is_empty());
    let entrypoint = words(body.entrypoint);
    let cmd = match (words(body.cmd), &entrypoint) {
        (Some(cmd), _) => Some(cmd),
        // The image's Cmd was for the image's entrypoint.
        (None, Some(_)) => None,
        (None, None) => image.cmd.clone(),
    };
    let mut env = image.env.clone();
    for given in body.env.into_iter().flatten() {
        let name = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
        match env.iter_mut().find(|known| name(known) == name(&given)) {
            Some(known) => *known = given,
            None => env.push(given),
        }
    }
    if !env.iter().any(|known| known.starts_with("PATH=")) {
        env.push(format!("PATH={}", image::process::USUAL_PATH));
    }
    let mut labels: HashMap<String, String> = image.labels.clone().into_iter().collect();
    labels.extend(body.labels.unwrap_or_default());
    let union = |given: Option<Vec<String>>, own: Vec<String>| {
        let mut all: Vec<String> = given.into_iter().flatten().chain(own).collect();
        all.sort();
        all.dedup();
        Some(all).filter(|all| !all.is_empty())
    };
    let shares_name =
        host.uts_mode.as_deref() == Some("host") || host.network_mode.as_deref() == Some("host");
    let own_name = match shares_name {
        true => fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default(),
        false => record::short(id).to_owned(),
    };
    ContainerConfig {
        hostname: text(body.hostname, own_name.trim()),
        domainname: text(body.domainname, ""),
        user: text(body.user, &image.user),
        attach_stdin: Some(body.attach_stdin.unwrap_or(false)),
        attach_stdout: Some(body.attach_stdout.unwrap_or(false)),
        attach_stderr: Some(body.attach_stderr.unwrap_or(false)),
        exposed_ports: union(body.exposed_ports, image.exposed_ports.keys().cloned().collect()),
        tty: Some(body.tty.unwrap_or(false)),
        open_stdin: Some(body.open_stdin.unwrap_or(false)),
        stdin_once: Some(body.stdin_once.unwrap_or(false)),
        env: Some(env),
        cmd,
        healthcheck: healthcheck(body.healthcheck, image),
        args_escaped: None,
        image: body.image,
        volumes: union(body.volumes, image.volumes.keys().cloned().collect()),
        working_dir: text(body.working_dir, &image.working_dir),
        entrypoint: entrypoint.or_else(|| image.entrypoint.clone()),
        network_disabled: body.network_disabled,
        on_build: image.on_build.clone(),
        labels: Some(labels),
        stop_signal: text(body.stop_signal, &image.stop_signal).filter(|text| !text.is_empty()),
        stop_timeout: body.stop_timeout,
        shell: body.shell.or_else(|| image.shell.clone()),
    }
}

/// The client's healthcheck; what it leaves open is the image's.
fn healthcheck(given: Option<HealthConfig>, image: &Execution) -> Option<HealthConfig> {
    let nanoseconds = |number: u64| Some(i64::try_from(number).unwrap_or(i64::MAX));
    let own = image.healthcheck.as_ref().map(|own| HealthConfig {
        test: Some(own.test.clone()),
        interval: nanoseconds(own.interval),
        timeout: nanoseconds(own.timeout),
        retries: i64::try_from(own.retries).ok(),
        start_period: nanoseconds(own.start_period),
        start_interval: nanoseconds(own.start_interval),
    });
    match (given, own) {
        (Some(given), Some(own)) => {
            let number = |given: Option<i64>, own: Option<i64>| given.filter(|it| *it != 0).or(own);
            let test = given.test.filter(|words| !words.is_empty()).or(own.test);
            Some(HealthConfig {
                test,
                interval: number(given.interval, own.interval),
                timeout: number(given.timeout, own.timeout),
                retries: number(given.retries, own.retries),
                start_period: number(given.start_period, own.start_period),
                start_interval: number(given.start_interval, own.start_interval),
            })
        }
        (given, own) => given.or(own),
    }
}

/// Checks what is not a question of the container's walls, and fills in dockerd's defaults.
fn complete_host(mut host: HostConfig) -> Result<(HostConfig, Vec<String>)> {
    let mut warnings = Vec::new();
    if let Some(policy) = &host.restart_policy {
        let name = policy.name.unwrap_or(RestartPolicyNameEnum::EMPTY);
        let retries = policy.maximum_retry_count.unwrap_or(0);
        if retries != 0 && name != RestartPolicyNameEnum::ON_FAILURE {
            return Err(ApiError::invalid(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            ));
        }
        if retries < 0 {
            return Err(ApiError::invalid(
                "invalid restart policy: maximum retry count cannot be negative",
            ));
        }
        let restarts = !matches!(name, RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY);
        if restarts && host.auto_remove == Some(true) {
            return Err(ApiError::invalid(
                "can't create 'AutoRemove' container with restart policy",
            ));
        }
    }
    let runtime = host.runtime.take().filter(|name| !name.is_empty());
    let runtime = runtime.unwrap_or_else(|| Runtime::DEFAULT.into());
    let kind: Runtime = runtime.parse()?;
    host.runtime = Some(runtime);
    let network = host.network_mode.as_deref().filter(|mode| !mode.is_empty());
    host.network_mode = Some(match network {
        None | Some("default") => {
            warnings.extend(kind.network_warning().map(str::to_owned));
            kind.default_network().to_owned()
        }
        Some(mode) => mode.to_owned(),
    });
    let log = host.log_config.take().unwrap_or_default();
    let kind = log.typ.filter(|kind| !kind.is_empty()).unwrap_or_else(|| "json-file".into());
    if !["json-file", "local", "none"].contains(&kind.as_str()) {
        return Err(ApiError::invalid(format!(
            "logger: no log driver named '{kind}' is registered"
        )));
    }
    host.log_config =
        Some(HostConfigLogConfig { typ: Some(kind), config: Some(log.config.unwrap_or_default()) });
    host.shm_size = Some(host.shm_size.filter(|bytes| *bytes > 0).unwrap_or(SHM_BYTES));
    Ok((host, warnings))
}

/// The networks that are asked for by name. The docker command calls the default one so here too, of
/// which a runtime without bridges knows nothing.
fn complete_networking(
    networking: Option<NetworkingConfig>,
    host: &HostConfig,
) -> NetworkingConfig {
    let mut networking = networking.unwrap_or(NetworkingConfig { endpoints_config: None });
    if Runtime::of(host) != Runtime::Container
        && let Some(networks) = &mut networking.endpoints_config
    {
        networks.remove("default");
    }
    networking
}

/// The program and its arguments.
fn arguments(config: &ContainerConfig) -> Result<Vec<String>> {
    let both = config.entrypoint.iter().chain(&config.cmd);
    // `--entrypoint ""` is sent as one empty word.
    let is_none = |words: &&Vec<String>| words.len() == 1 && words[0].is_empty();
    let all: Vec<String> = both.filter(|words| !is_none(words)).flatten().cloned().collect();
    match all.is_empty() {
        true => Err(ApiError::invalid("no command specified")),
        false => Ok(all),
    }
}

/// All mounts but those in memory: `-v`, `--mount`, and the image's volumes.
fn mounts(engine: &Engine, record: &Record, image: &Execution) -> Result<Vec<MountPoint>> {
    let mut all: Vec<MountPoint> = Vec::new();
    let mut add = |point: MountPoint| {
        if all.iter().any(|known| known.destination == point.destination) {
            let path = point.destination.clone().unwrap_or_default();
            return Err(ApiError::invalid(format!("Duplicate mount point: {path}")));
        }
        all.push(point);
        Ok(())
    };
    for text in record.host.binds.iter().flatten() {
        add(bind(engine, text)?)?;
    }
    for mount in record.host.mounts.iter().flatten() {
        let invalid = |kind: &str, why: String| {
            ApiError::invalid(format!("invalid mount config for type \"{kind}\": {why}"))
        };
        let target = mount.target.clone().unwrap_or_default();
        let source = mount.source.clone().unwrap_or_default();
        let writable = mount.read_only != Some(true);
        match mount.typ {
            Some(MountType::BIND) => {
                check_destination(&target).map_err(|why| invalid("bind", why))?;
                if !source.starts_with('/') {
                    let why = format!("invalid mount path: '{source}' mount path must be absolute");
                    return Err(invalid("bind", why));
                }
                if !Path::new(&source).exists() {
                    let why = format!("bind source path does not exist: {source}");
                    return Err(invalid("bind", why));
                }
                add(host_path(source, target, writable))?;
            }
            Some(MountType::VOLUME) => {
                check_destination(&target).map_err(|why| invalid("volume", why))?;
                let options = mount.volume_options.clone().unwrap_or_default();
                add(volume(engine, &source, &target, writable, options.labels)?)?;
            }
            Some(MountType::TMPFS) => {
                check_destination(&target).map_err(|why| invalid("tmpfs", why))?;
            }
            other => {
                return Err(ApiError::invalid(format!(
                    "mount type unknown: {:?}",
                    other.map(|kind| kind.to_string()).unwrap_or_default()
                )));
            }
        }
    }
    let asked = record.config.volumes.iter().flatten().chain(image.volumes.keys());
    for path in asked {
        let in_memory = record.host.tmpfs.as_ref().is_some_and(|all| all.contains_key(path));
        let is_taken = all.iter().any(|known| known.destination.as_ref() == Some(path));
        // What a guest writes is its own.
        let is_guests = record.runtime() == Runtime::Microvm;
        if !is_taken && !in_memory && !is_guests && check_destination(path).is_ok() {
            all.push(volume(engine, "", path, true, None)?);
        }
    }
    Ok(all)
}

/// `SOURCE:DESTINATION[:OPTIONS]`; a source without a slash is a volume's name.
fn bind(engine: &Engine, text: &str) -> Result<MountPoint> {
    let invalid = || ApiError::invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, options) = match parts[..] {
        [source, destination] => (source, destination, ""),
        [source, destination, options] => (source, destination, options),
        _ => return Err(invalid()),
    };
    check_destination(destination).map_err(|why| {
        ApiError::invalid(format!("invalid volume specification: '{text}': {why}"))
    })?;
    let known = ["", "ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent"];
    let propagation = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
    let mut all = options.split(',');
    if let Some(bad) = all.find(|word| !known.contains(word) && !propagation.contains(word)) {
        return Err(ApiError::invalid(format!("invalid mode: {bad}")));
    }
    let writable = !options.split(',').any(|word| word == "ro");
    if !source.starts_with('/') {
        return volume(engine, source, destination, writable, None);
    }
    // As with Docker, a missing source of -v becomes a directory.
    if !Path::new(source).exists() {
        let made = fs::create_dir_all(source);
        made.map_err(ApiError::failed(&format!(
            "error while creating mount source path '{source}'"
        )))?;
    }
    Ok(host_path(source.to_owned(), destination.to_owned(), writable))
}

fn host_path(source: String, destination: String, writable: bool) -> MountPoint {
    MountPoint {
        typ: Some("bind".into()),
        source: Some(source),
        destination: Some(destination),
        mode: Some(String::new()),
        rw: Some(writable),
        propagation: Some("rprivate".into()),
        ..MountPoint::default()
    }
}

/// The mount of the volume of that name, which is made if it is missing; an empty name makes a new
/// one.
fn volume(
    engine: &Engine,
    name: &str,
    destination: &str,
    writable: bool,
    labels: Option<HashMap<String, String>>,
) -> Result<MountPoint> {
    let record = match name {
        "" => engine.volumes.create_anonymous()?,
        name => {
            let (labels, options) = (labels.unwrap_or_default(), HashMap::new());
            let (name, created) = (name.to_owned(), time::now());
            let wanted = VolumeRecord { name, created, labels, options, anonymous: false };
            engine.volumes.create(wanted)?.0
        }
    };
    Ok(MountPoint {
        typ: Some("volume".into()),
        source: Some(engine.volumes.data(&record.name).display().to_string()),
        name: Some(record.name),
        destination: Some(destination.to_owned()),
        driver: Some("local".into()),
        mode: Some("z".into()),
        rw: Some(writable),
        propagation: Some(String::new()),
    })
}

fn check_destination(path: &str) -> std::result::Result<(), String> {
    match path {
        path if !path.starts_with('/') => {
            Err(format!("invalid mount path: '{path}' mount path must be absolute"))
        }
        path if container::without_steps_up(Path::new(path)) == Path::new("/") => {
            Err("invalid specification: destination can't be '/'".into())
        }
        _ => Ok(()),
    }
}
