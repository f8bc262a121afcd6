//! The daemon and clients other than the docker command: docker-py, bollard, and those that come by
//! the network with a certificate.

mod common;

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use bollard::{
    Docker, body_full,
    exec::StartExecResults,
    models::{ContainerCreateBody, ExecConfig, NetworkCreateRequest, VolumeCreateRequest},
    query_parameters as with,
};
use common::{
    engine::{Daemon, can_serve, has_docker},
    output_of, skip,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

/// A Python that has docker-py: the distribution's own has its package if the first one has not.
fn python() -> Option<&'static str> {
    let has_it = |python: &str| {
        let mut import = Command::new(python);
        let import = import.args(["-c", "import docker"]).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(|python| has_it(python))
}

#[test]
fn docker_py_works() {
    if !can_serve() {
        return;
    }
    let Some(python) = python() else {
        return skip::<()>("docker", "no python3 has the module docker (python3-docker)")
            .unwrap_or(());
    };
    let daemon = Daemon::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/docker/client.py");
    let socket = format!("unix://{}", daemon.path("engine.sock").display());
    let (code, output, errors) = output_of(Command::new(python).args([script, &socket]));
    assert_eq!(code, 0, "{output}{errors}");
}

#[test]
fn bollard_works() {
    if !can_serve() {
        return;
    }
    let daemon = Daemon::start();
    let (path, registry) = (daemon.path("engine.sock"), daemon.registry());
    let client =
        Docker::connect_with_unix(path.to_str().unwrap(), 60, bollard::API_DEFAULT_VERSION)
            .unwrap();
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    threads.block_on(async {
        let client = client.negotiate_version().await.unwrap();
        runs_and_execs(&client).await.unwrap();
        builds_and_pushes(&client, &registry.address).await.unwrap();
        networks_volumes_and_events(&client).await.unwrap();
    });
}

type Done = Result<(), bollard::errors::Error>;

fn words(text: &str) -> Option<Vec<String>> {
    Some(text.split(' ').map(str::to_owned).collect())
}

/// The text of a stream of output, framed or raw.
async fn text_of<S>(stream: S) -> Result<String, bollard::errors::Error>
where
    S: futures_util::Stream<Item = Result<bollard::container::LogOutput, bollard::errors::Error>>,
{
    let pieces: Vec<_> = stream.try_collect().await?;
    Ok(pieces.iter().map(ToString::to_string).collect())
}

async fn runs_and_execs(client: &Docker) -> Done {
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(["sh", "-c", "echo out; echo err >&2; sleep 1000"].map(str::to_owned).into()),
        ..ContainerCreateBody::default()
    };
    let options = with::CreateContainerOptionsBuilder::default().name("life").build();
    let id = client.create_container(Some(options), body).await?.id;
    client.start_container(&id, None).await?;
    let config = ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: words("echo from inside"),
        ..ExecConfig::default()
    };
    let exec = client.create_exec(&id, config).await?.id;
    let StartExecResults::Attached { output, .. } = client.start_exec(&exec, None).await? else {
        panic!("it is attached");
    };
    assert_eq!(text_of(output).await?, "from inside\n");
    assert_eq!(client.inspect_exec(&exec).await?.exit_code, Some(0));
    let logs = with::LogsOptionsBuilder::default().stdout(true).stderr(true).build();
    let logs = text_of(client.logs(&id, Some(logs))).await?;
    assert!(logs == "out\nerr\n" || logs == "err\nout\n", "{logs}");
    let once = with::StatsOptionsBuilder::default().stream(false).build();
    let stats = client.stats(&id, Some(once)).next().await.unwrap()?;
    assert!(stats.memory_stats.unwrap().usage.unwrap() > 0);
    assert!(client.top_processes(&id, None).await?.processes.is_some());
    client.kill_container(&id, None).await?;
    let waited = client.wait_container(&id, None).next().await.unwrap();
    let code = match waited {
        Ok(waited) => waited.status_code,
        Err(bollard::errors::Error::DockerContainerWaitError { code, .. }) => code,
        Err(error) => return Err(error),
    };
    assert_eq!(code, 137);
    client.remove_container(&id, None).await?;
    let gone = client.inspect_container("life", None).await.unwrap_err();
    assert!(matches!(
        gone,
        bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }
    ));
    Ok(())
}

async fn builds_and_pushes(client: &Docker, registry: &str) -> Done {
    let mut archive = tar::Builder::new(Vec::new());
    let text = b"FROM busybox\nRUN echo built > /b\nCMD cat /b\n";
    let mut head = tar::Header::new_gnu();
    head.set_size(text.len() as u64);
    head.set_mode(0o644);
    archive.append_data(&mut head, "Dockerfile", &text[..]).unwrap();
    let archive = archive.into_inner().unwrap();
    let options = with::BuildImageOptionsBuilder::default().t("built:1").build();
    let built = client.build_image(options, None, Some(body_full(archive.into())));
    let lines: Vec<_> = built.try_collect().await?;
    assert!(lines.iter().any(|line| line.aux.is_some()), "{lines:?}");
    assert!(client.inspect_image("built:1").await?.id.is_some());
    // To a registry, and where nobody is.
    for (registry, is_there) in [(registry, true), ("127.0.0.1:1", false)] {
        let name = format!("{registry}/built");
        let tag = with::TagImageOptionsBuilder::default().repo(&name).tag("1").build();
        client.tag_image("built:1", Some(tag)).await?;
        let push = with::PushImageOptionsBuilder::default().tag("1").build();
        let pushed: Result<Vec<_>, _> =
            client.push_image(&name, Some(push), None).try_collect().await;
        assert_eq!(pushed.is_ok(), is_there, "{pushed:?}");
        client.remove_image(&format!("{name}:1"), None::<with::RemoveImageOptions>, None).await?;
    }
    client.remove_image("built:1", None::<with::RemoveImageOptions>, None).await?;
    let pull = with::CreateImageOptionsBuilder::default();
    let pull = pull.from_image(&format!("{registry}/built")).tag("1").build();
    let _: Vec<_> = client.create_image(Some(pull), None, None).try_collect().await?;
    assert!(client.inspect_image(&format!("{registry}/built:1")).await.is_ok());
    Ok(())
}

async fn networks_volumes_and_events(client: &Docker) -> Done {
    let request = NetworkCreateRequest { name: "own".into(), ..NetworkCreateRequest::default() };
    let network = client.create_network(request).await?.id;
    let request =
        VolumeCreateRequest { name: Some("kept".into()), ..VolumeCreateRequest::default() };
    client.create_volume(request).await?;
    let inspected = client.inspect_network("own", None).await?;
    assert_eq!(inspected.id.as_ref(), Some(&network));
    assert!(
        client
            .list_volumes(None::<with::ListVolumesOptions>)
            .await?
            .volumes
            .unwrap()
            .iter()
            .any(|it| it.name == "kept")
    );
    client.remove_volume("kept", None::<with::RemoveVolumeOptions>).await?;
    client.remove_network("own").await?;
    // It asks once it is waited for: what has happened is kept.
    let filters = HashMap::from([("type", vec!["network", "volume"])]);
    let events = with::EventsOptionsBuilder::default().since("1").filters(&filters).build();
    let mut events = Box::pin(client.events(Some(events)));
    let mut actions = Vec::new();
    while actions.len() < 4 {
        let next = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
        let event = next.expect("an event in 20 s").unwrap()?;
        let name = event.actor.unwrap().attributes.unwrap().get("name").cloned();
        let is_own = name.is_none_or(|name| name == "own");
        actions.extend(is_own.then(|| (event.typ.unwrap().to_string(), event.action.unwrap())));
    }
    let expected = [
        ("network", "create"),
        ("volume", "create"),
        ("volume", "destroy"),
        ("network", "destroy"),
    ];
    assert_eq!(actions, expected.map(|(kind, action)| (kind.to_owned(), action.to_owned())));
    Ok(())
}

/// Certificates of an authority, of a daemon at 127.0.0.1, and of a client; and one of a stranger, who
/// signs their own.
fn certificates(folder: &Path) {
    let openssl = |words: &[&str]| {
        let made = Command::new("openssl").args(words).current_dir(folder).output().unwrap();
        assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"];
    for name in ["ca", "stranger"] {
        let (key_file, subject) = (format!("{name}-key.pem"), format!("/CN={name}"));
        let rest = [&key_file, "-out", &format!("{name}.pem"), "-subj", &subject, "-days", "2"];
        openssl(&[&["req", "-x509"], &key[..], &rest].concat());
    }
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    for name in ["server", "client"] {
        let (key_file, request) = (format!("{name}-key.pem"), format!("{name}.csr"));
        let rest = [&key_file, "-out", &request, "-subj", &format!("/CN={name}")];
        openssl(&[&["req"], &key[..], &rest].concat());
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca-key.pem",
            "-CAcreateserial",
            "-out",
            &format!("{name}.pem"),
            "-days",
            "2",
            "-extfile",
            "names",
        ]);
    }
}

#[test]
fn in_the_network_only_a_client_with_a_certificate_is_served() {
    if !can_serve() || !has_docker() {
        return;
    }
    if Command::new("openssl").arg("version").output().is_err() {
        return skip::<()>("docker", "openssl is not installed").unwrap_or(());
    }
    let address = "tcp://127.0.0.1:2376";
    let daemon = Daemon::start_with(|folder| {
        certificates(folder);
        let file = |name: &str| folder.join(name).display().to_string();
        let options = ["-H", address, "--tlsverify", "--tlscacert", &file("ca.pem"), "--tlscert"];
        let rest = [&file("server.pem"), "--tlskey", &file("server-key.pem")];
        options.iter().chain(&rest).map(ToString::to_string).collect()
    });
    let ask = |options: &[&str]| {
        let words = [&["docker", "-H", address], options, &["version", "-f", "{{.Server.Os}}"]];
        output_of(daemon.in_its_network(&words.concat()).env_remove("DOCKER_HOST"))
    };
    let path = |name: &str| daemon.path(name).display().to_string();
    let with = |name: &str| {
        let (cert, key, ca) =
            (path(&format!("{name}.pem")), path(&format!("{name}-key.pem")), path("ca.pem"));
        ask(&["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key])
    };
    let (code, output, errors) = with("client");
    assert_eq!((code, output.as_str()), (0, "linux\n"), "{errors}");
    for (who, answer) in [
        ("a stranger", with("stranger")),
        ("nobody", ask(&["--tlsverify", "--tlscacert", &path("ca.pem")])),
        ("without TLS", ask(&[])),
    ] {
        assert_ne!(answer.0, 0, "{who} is served: {answer:?}");
    }
    assert_eq!(with("client").0, 0);
}

#[test]
fn ten_thousand_silent_connections_and_endless_bodies_leave_it_small_and_awake() {
    if !can_serve() {
        return;
    }
    const CONNECTIONS: u64 = 10_000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < CONNECTIONS + 500) {
        let most = limit.maximum.unwrap_or(0);
        eprintln!("skipped: a process may have {most} descriptors only");
        return;
    }
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let daemon = Daemon::start();
    let socket = daemon.path("engine.sock");
    let idle: Vec<UnixStream> =
        (0..CONNECTIONS).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    assert_eq!(daemon.request("GET", "/_ping", &Value::Null).0, 200);
    let (status, body) =
        daemon.request("POST", "/containers/create", &json!({ "Image": "busybox" }));
    assert_eq!(status, 201, "{body}");
    drop(idle);
    // Bodies without an end, of JSON and of archives: the first is refused early, the second is
    // taken as it comes, and neither is kept.
    for path in ["/containers/create", "/images/load", "/build"] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let piece = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        for _ in 0..2000 {
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
    }
    assert_eq!(daemon.request("GET", "/_ping", &Value::Null).0, 200);
    let most = daemon.peak_memory();
    assert!(most < 300 << 20, "{} MiB", most >> 20);
    let all: HashMap<String, Value> =
        serde_json::from_value(daemon.request("GET", "/info", &Value::Null).1).unwrap();
    assert_eq!(all["Containers"], 1);
}
