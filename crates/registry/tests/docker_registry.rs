//! The client against Debian's `docker-registry`: plain, with passwords, and with TLS.

mod common;

use std::{fs, path::PathBuf, process::Command, time::Duration};

use common::{
    chain, count,
    fixture::Fixture,
    peer::{Peer, find, output},
    skip, store,
};
use image::{manifest::Platform, reference::Reference};
use registry::{
    client::{Client, ClientError, ClientOptions, Credentials},
    credentials::{Credential, DockerConfig, Secret},
};
use tempfile::TempDir;

fn nothing(_: &TempDir) -> String {
    String::new()
}

/// A client with more patience than those of hostile registries.
fn client(options: ClientOptions) -> Client {
    Client::new(ClientOptions { idle: Duration::from_secs(30), ..options })
}

fn reference(peer: &Peer, name: &str) -> Reference {
    format!("{}/{name}", peer.address).parse().unwrap()
}

/// Pushes an image and pulls it into another store.
fn there_and_back(client: &Client, name: &Reference) -> Result<(), ClientError> {
    let fixture = Fixture::new(&[3 << 20, 100, 2 << 20, 0, 70_000]);
    let ((_one, from), (_other, to)) = (store(), store());
    fixture.keep(&from, name);
    let pushed = client.push(&from, name, &())?;
    let pulled = client.pull(&to, name, &Platform::host(), &())?;
    assert_eq!(pushed.digest(), pulled.digest());
    assert_eq!(pushed.digest(), fixture.descriptor().digest());
    to.image(name, &Platform::host()).unwrap();
    assert_eq!(count(&to), (7, 0));
    Ok(())
}

#[test]
fn an_image_goes_there_and_back() {
    let Some(peer) = Peer::start(&nothing, &nothing) else {
        return skip("docker-registry is not installed");
    };
    let client = client(ClientOptions::default());
    let name = reference(&peer, "class/hello:1");
    there_and_back(&client, &name).unwrap();
    assert_eq!(client.tags(&name).unwrap(), ["1"]);
    let missing = name.with_tag("2").unwrap();
    let (_folder, here) = store();
    let error = client.pull(&here, &missing, &Platform::host(), &()).unwrap_err();
    assert!(chain(&error).contains("the repository has the tags 1"), "{error}");
    // Its layers are mounted into another repository.
    let other = reference(&peer, "class/other:3");
    let found = client.pull(&here, &name, &Platform::host(), &()).unwrap();
    here.tag(&other, &found).unwrap();
    client.push(&here, &other, &()).unwrap();
    let digest = found.digest().to_string().parse().unwrap();
    client.delete(&other.with_digest(digest)).unwrap();
    let error = client.pull(&here, &other, &Platform::host(), &()).unwrap_err();
    assert!(chain(&error).contains("no such image"), "{error}");
}

#[test]
fn who_has_the_password_is_let_in() {
    if find("htpasswd").is_none() {
        return skip("htpasswd (apache2-utils) is not installed");
    }
    let auth = |folder: &TempDir| {
        let line = output(Command::new("htpasswd").args(["-Bbn", "anna", "sEcReT"]));
        let path = folder.path().join("htpasswd");
        fs::write(&path, line).unwrap();
        format!("auth:\n  htpasswd:\n    realm: class\n    path: {}\n", path.display())
    };
    let Some(peer) = Peer::start(&auth, &nothing) else {
        return skip("docker-registry is not installed");
    };
    let name = reference(&peer, "class/hello:1");
    let config = DockerConfig::at(&peer.folder.path().join("docker/config.json"));
    let docker = || ClientOptions {
        credentials: Credentials::Docker(config.clone()),
        ..ClientOptions::default()
    };
    let error = there_and_back(&client(docker()), &name).unwrap_err();
    assert!(chain(&error).contains("isolab image login"), "{error}");
    for (password, is_right) in [("wrong", false), ("sEcReT", true)] {
        let (username, password) = ("anna".into(), Secret::new(password));
        let credential = Credential::Password { username, password };
        let given = Credentials::Given(credential.clone());
        let given = ClientOptions { credentials: given, ..ClientOptions::default() };
        let checked = client(given).check_login(&peer.address);
        assert_eq!(checked.is_ok(), is_right);
        if let Err(error) = checked {
            let error = chain(&error);
            assert!(error.contains("refused the credentials"), "{error}");
        }
        config.keep(&peer.address, &credential).unwrap();
    }
    there_and_back(&client(docker()), &name).unwrap();
}

/// A certificate for `name`, made by `openssl`: the lines that configure it, and its file.
fn certificate(folder: &TempDir, name: &str) -> (String, PathBuf) {
    let (key, cert) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
    let (authority, authority_key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
    let request = folder.path().join("request.pem");
    let openssl = |arguments: &[&str], files: &[(&str, &PathBuf)]| {
        let mut command = Command::new("openssl");
        command.args(arguments);
        for (option, path) in files {
            command.arg(option).arg(path);
        }
        output(&mut command);
    };
    let ec = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(
        &[&ec[..], &["-x509", "-days", "2", "-subj", "/CN=class authority"]].concat(),
        &[("-keyout", &authority_key), ("-out", &authority)],
    );
    let (subject, names) = (format!("/CN={name}"), format!("subjectAltName={name}"));
    openssl(
        &[&ec[..], &["-subj", &subject, "-addext", &names]].concat(),
        &[("-keyout", &key), ("-out", &request)],
    );
    openssl(
        &["x509", "-req", "-days", "2", "-copy_extensions", "copy", "-CAcreateserial"],
        &[("-in", &request), ("-out", &cert), ("-CA", &authority), ("-CAkey", &authority_key)],
    );
    let lines =
        format!("  tls:\n    certificate: {}\n    key: {}\n", cert.display(), key.display());
    (lines, authority)
}

#[test]
fn a_certificate_is_checked_and_its_error_names_the_way_out() {
    if find("openssl").is_none() {
        return skip("openssl is not installed");
    }
    for (subject, is_right) in [("IP:127.0.0.1", true), ("DNS:other.example", false)] {
        let Some(peer) = Peer::start(&nothing, &|folder| certificate(folder, subject).0) else {
            return skip("docker-registry is not installed");
        };
        let name = reference(&peer, "class/hello:1");
        // Of two errors, the first is that nobody knows the authority.
        let error = chain(&there_and_back(&client(ClientOptions::default()), &name).unwrap_err());
        assert!(error.contains("--cacert FILE") && error.contains(&peer.address), "{error}");
        let cacert = Some(peer.folder.path().join("ca.pem"));
        let result = there_and_back(&client(ClientOptions { cacert, ..Default::default() }), &name);
        match is_right {
            true => result.unwrap(),
            false => {
                let error = chain(&result.unwrap_err());
                assert!(error.contains("it is the certificate of other.example\n"), "{error}");
            }
        }
    }
}

#[test]
fn a_file_without_certificates_is_said() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "nothing").unwrap();
    for (path, why) in [(empty, "no certificate"), (folder.path().join("missing"), "No such file")]
    {
        let options = ClientOptions { cacert: Some(path), ..ClientOptions::default() };
        // Not reached: the file is read before anything is sent.
        let error = Client::new(options).check_login("192.0.2.1").unwrap_err();
        assert!(chain(&error).contains(why), "{error}");
    }
}
