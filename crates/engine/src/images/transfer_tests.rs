//! Pulls and pushes, with isolab's own registry at the other end.

use std::{io, net::TcpListener};

use serde_json::{Value, json};

use super::{
    ImageError,
    inspect::inspect,
    names,
    pull::{PullRequest, pull},
    push::{PushRequest, push},
    registries::{Registries, RegistryAuth},
    remove::tag,
    test_images::TestStore,
    test_registry::{TestLines, TestRegistry},
};

fn auth(json: &Value) -> RegistryAuth {
    RegistryAuth::of_body(json.to_string().as_bytes()).unwrap()
}

fn pulled(directory: &TestStore, request: &PullRequest) -> (Result<(), ImageError>, TestLines) {
    let mut lines = TestLines::default();
    let result = pull(&directory.open(), &Registries::default(), request, &mut lines.take());
    (result, lines)
}

fn pushed(directory: &TestStore, request: &PushRequest) -> (Result<(), ImageError>, TestLines) {
    let mut lines = TestLines::default();
    let result = push(&directory.open(), &Registries::default(), request, &mut lines.take());
    (result, lines)
}

#[test]
fn an_image_goes_to_a_registry_and_comes_back_as_it_was() {
    let (registry, here, there) = (TestRegistry::start(), TestStore::new(), TestStore::new());
    let at = registry.at;
    here.image("one:1", &"one ".repeat(100_000));
    let name = format!("{at}/class/one");
    for known in ["1", "2"] {
        tag(&here.open(), "one:1", &name, known).unwrap();
    }
    let id = names::find(&here.open(), "one:1").unwrap().image.id;

    let request = PushRequest { name: name.clone(), tag: "1".into(), ..PushRequest::default() };
    let (result, lines) = pushed(&here, &request);
    result.unwrap();
    let statuses = lines.texts("status");
    assert_eq!(statuses[0], format!("The push refers to repository [{name}]"));
    assert_eq!(statuses[1], "Preparing");
    assert!(statuses.contains(&"Pushed"), "{statuses:?}");
    assert!(statuses.last().unwrap().starts_with("1: digest: sha256:"), "{statuses:?}");
    let aux = &lines.0.last().unwrap()["aux"];
    assert_eq!(aux["Tag"], "1");
    let digest = aux["Digest"].as_str().unwrap().to_owned();

    // All tags.
    let request = PushRequest { name: name.clone(), ..PushRequest::default() };
    let (result, lines) = pushed(&here, &request);
    result.unwrap();
    assert_eq!(lines.texts("status").iter().filter(|it| **it == "Layer already exists").count(), 2);

    let request = PullRequest { image: name.clone(), tag: "1".into(), ..PullRequest::default() };
    let (result, lines) = pulled(&there, &request);
    result.unwrap();
    assert_eq!(lines.0[0], json!({ "status": "Pulling from class/one", "id": "1" }));
    let statuses = lines.texts("status");
    for text in ["Pulling fs layer", "Download complete", "Extracting", "Pull complete"] {
        assert!(statuses.contains(&text), "{text}: {statuses:?}");
    }
    let end = [format!("Digest: {digest}"), format!("Status: Downloaded newer image for {name}:1")];
    assert_eq!(statuses[statuses.len() - 2..], end);
    let found = inspect(&there.open(), &format!("{name}:1")).unwrap();
    assert_eq!((found.id, found.size), (Some(id.to_string()), Some(400_000)));

    let (result, lines) = pulled(&there, &request);
    result.unwrap();
    assert_eq!(
        lines.texts("status"),
        [
            "Pulling from class/one",
            &*format!("Digest: {digest}"),
            &format!("Status: Image is up to date for {name}:1")
        ]
    );

    // By its digest, and all tags.
    let by_digest =
        PullRequest { image: name.clone(), tag: digest.clone(), ..PullRequest::default() };
    pulled(&there, &by_digest).0.unwrap();
    names::find(&there.open(), &format!("{name}@{digest}")).unwrap();
    let all = PullRequest { image: name.clone(), ..PullRequest::default() };
    pulled(&there, &all).0.unwrap();
    names::find(&there.open(), &format!("{name}:2")).unwrap();
}

#[test]
fn what_a_registry_does_not_have_is_an_error_before_the_first_line() {
    let (registry, directory) = (TestRegistry::start(), TestStore::new());
    let image = format!("{}/class/none", registry.at);
    for (image, tag, platform, status, words) in [
        (&*image, "1", "", 404, "manifest for 127.0.0.1:"),
        (&image, "1", "linux", 400, "\"linux\": not OS/ARCHITECTURE"),
        (&image, "a/b", "", 400, "invalid reference format"),
        (&image, "sha256:1", "", 400, "invalid reference format"),
        ("../x", "", "", 400, "invalid reference format"),
        ("", "", "", 400, "invalid reference format"),
        (&image, "", "", 404, "manifest unknown"),
    ] {
        let request = PullRequest {
            image: image.into(),
            tag: tag.into(),
            platform: platform.into(),
            ..PullRequest::default()
        };
        let (result, lines) = pulled(&directory, &request);
        let error = result.unwrap_err();
        assert_eq!(error.status(), status, "{image}: {error}");
        assert!(error.to_string().contains(words), "{image}: {error}");
        assert!(lines.0.is_empty(), "{:?}", lines.0);
    }
    // Nobody listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let request = PullRequest { image: format!("{closed}/a:1"), ..PullRequest::default() };
    let error = pulled(&directory, &request).0.unwrap_err();
    assert_eq!(error.status(), 500);
    assert!(error.to_string().contains("refused"), "{error}");
    // What is pushed is looked for before the registry is asked.
    let (result, lines) =
        pushed(&directory, &PushRequest { name: image, ..PushRequest::default() });
    assert!(result.unwrap_err().to_string().starts_with("An image does not exist locally"));
    assert_eq!(lines.0.len(), 1);
}

#[test]
fn a_client_that_goes_away_stops_a_pull() {
    let (registry, here, there) = (TestRegistry::start(), TestStore::new(), TestStore::new());
    here.image(&format!("{}/a:1", registry.at), "one");
    let name = format!("{}/a", registry.at);
    pushed(&here, &PushRequest { name: name.clone(), ..PushRequest::default() }).0.unwrap();
    let request = PullRequest { image: name, tag: "1".into(), ..PullRequest::default() };
    let mut gone = |_| Err(io::ErrorKind::BrokenPipe.into());
    let error = pull(&there.open(), &Registries::default(), &request, &mut gone).unwrap_err();
    assert_eq!(error, ImageError::ClientGone);
}

#[test]
fn a_registry_with_users_wants_their_passwords() {
    let hash = bcrypt::hash("s3cret", 4).unwrap();
    let registry = TestRegistry::with_users(Some(&format!("ada:{hash}\n")));
    let address = registry.at.to_string();
    let registries = Registries::default();
    let right = json!({ "username": "ada", "password": "s3cret", "serveraddress": address });
    let wrong = json!({ "username": "ada", "password": "guess", "serveraddress": address });
    let answer = registries.check(&auth(&right)).unwrap();
    assert_eq!(answer.status, "Login Succeeded");
    let error = registries.check(&auth(&wrong)).unwrap_err();
    assert_eq!(error.status(), 401);
    assert!(error.to_string().ends_with("401 Unauthorized"), "{error}");
    let nonsense = json!({ "serveraddress": "http://../x" });
    assert_eq!(registries.check(&auth(&nonsense)).unwrap_err().status(), 400);

    let directory = TestStore::new();
    let name = format!("{address}/a");
    directory.image(&format!("{name}:1"), "one");
    let push = |auth| PushRequest { name: name.clone(), tag: "1".into(), auth };
    let error = pushed(&directory, &push(RegistryAuth::default())).0.unwrap_err();
    assert_eq!(error.to_string(), "unauthorized: authentication required");
    pushed(&directory, &push(auth(&right))).0.unwrap();
    let pull =
        |auth| PullRequest { image: name.clone(), tag: "1".into(), auth, ..PullRequest::default() };
    let error = pulled(&directory, &pull(auth(&wrong))).0.unwrap_err();
    assert_eq!(error.status(), 404);
    assert!(error.to_string().starts_with(&format!("pull access denied for {name}")), "{error}");
    pulled(&directory, &pull(auth(&right))).0.unwrap();
}
