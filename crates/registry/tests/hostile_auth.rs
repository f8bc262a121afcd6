//! Registries and token servers that ask for credentials, and those that want to steal them.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{
    chain,
    fixture::Fixture,
    hello, options,
    script::{Reply, Request, Script, Step},
    store,
};
use image::manifest::Platform;
use registry::{
    client::{Client, ClientOptions, Credentials},
    credentials::{Credential, Secret},
};

const PASSWORD: &str = "sEcReT";

fn with_password() -> Client {
    let (username, password) = ("anna".into(), Secret::new(PASSWORD));
    let credentials = Credentials::Given(Credential::Password { username, password });
    Client::new(ClientOptions { credentials, ..options() })
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("anna:{PASSWORD}")))
}

/// A token server that gives `token1`, `token2`, ..
fn token_server(field: &'static str) -> Script {
    Script::new(move |_, before| {
        let token = format!(r#"{{"{field}":"token{}","expires_in":3600}}"#, before + 1);
        Reply::new(200).body(token.as_bytes())
    })
}

fn challenge(realm: &str) -> Reply {
    let value = format!(
        r#"Bearer realm="{realm}",service="r.example",scope="repository:class/hello:pull""#
    );
    Reply::new(401).header("WWW-Authenticate", &value).body(b"")
}

/// Pulls with a password, and returns the error without a trace of the password.
fn refused(client: &Client, server: &Script) -> String {
    let (_folder, store) = store();
    let name = hello(&server.address);
    let error = chain(&client.pull(&store, &name, &Platform::host(), &()).unwrap_err());
    let encoded = STANDARD.encode(format!("anna:{PASSWORD}"));
    assert!(!error.contains(PASSWORD) && !error.contains(&encoded), "{error}");
    error
}

#[test]
fn a_password_is_sent_only_when_asked_for() {
    let fixture = Fixture::new(&[1000, 2000]);
    let (_folder, store) = store();
    let served = fixture.clone();
    let server = Script::new(move |request, _| match request.header("authorization") {
        Some(value) if value == basic() => served.answer(request),
        _ => Reply::new(401).header("WWW-Authenticate", "Basic realm=\"class\"").body(b"{}"),
    });
    let name = hello(&server.address);
    with_password().pull(&store, &name, &Platform::host(), &()).unwrap();
    let unasked = server.log().iter().filter(|r| r.header("authorization").is_none()).count();
    assert_eq!(unasked, 1);
    assert_eq!(server.log().len(), 5);
    let client = Client::new(options());
    let error = refused(&client, &server);
    assert!(error.contains("asks for a user and a password"), "{error}");
    assert!(error.contains(&format!("isolab image login {}", server.address)), "{error}");
    assert!(with_password().check_login(&server.address).is_err_and(|e| chain(&e).contains("404")));
}

#[test]
fn a_wrong_password_is_shown_once_and_never_printed() {
    let server = Script::new(|request, _| {
        // It sends back what it was sent.
        let message = format!("no: {} {PASSWORD}", request.header("authorization").unwrap_or(""));
        let body =
            serde_json::json!({ "errors": [{ "code": "UNAUTHORIZED", "message": message }] });
        Reply::new(401).header("WWW-Authenticate", "Basic").body(body.to_string().as_bytes())
    });
    let error = refused(&with_password(), &server);
    assert!(error.contains("refused the credentials: UNAUTHORIZED: no: Basic *** ***"), "{error}");
    assert_eq!(server.log().len(), 2);
}

#[test]
fn a_token_is_fetched_once_and_again_when_it_is_no_longer_accepted() {
    for field in ["token", "access_token"] {
        let fixture = Fixture::new(&[1000, 2000, 3000]);
        let (_folder, store) = store();
        let tokens = token_server(field);
        let realm = format!("http://{}/token", tokens.address);
        // The first token is good for two requests.
        let uses = Arc::new(AtomicUsize::new(0));
        let served = fixture.clone();
        let server = Script::new(move |request, _| match request.header("authorization") {
            Some("Bearer token1") if uses.fetch_add(1, Ordering::Relaxed) < 2 => {
                served.answer(request)
            }
            Some("Bearer token2") => served.answer(request),
            _ => challenge(&realm),
        });
        let name = hello(&server.address);
        with_password().pull(&store, &name, &Platform::host(), &()).unwrap();
        let log = tokens.log();
        assert_eq!(log.len(), 2, "{log:?}");
        assert_eq!(log[0].header("authorization"), Some(&*basic()));
        assert!(log[0].path.contains("service=r.example"), "{}", log[0].path);
        assert!(log[0].path.contains("scope=repository%3Aclass%2Fhello%3Apull"), "{}", log[0].path);
        assert!(!log[0].path.contains(PASSWORD));
        // The registry itself never sees the password.
        let seen = |request: &Request| {
            request.header("authorization").is_some_and(|v| v.starts_with("Basic"))
        };
        assert!(!server.log().iter().any(seen));
    }
}

#[test]
fn an_identity_token_is_exchanged_and_goes_in_the_body() {
    let fixture = Fixture::new(&[10]);
    let (_folder, store) = store();
    let tokens = token_server("access_token");
    let realm = format!("http://{}/token", tokens.address);
    let server = Script::new(move |request, _| match request.header("authorization") {
        Some("Bearer token1") => fixture.answer(request),
        _ => challenge(&realm),
    });
    let credentials = Credentials::Given(Credential::IdentityToken(Secret::new(PASSWORD)));
    let client = Client::new(ClientOptions { credentials, ..options() });
    client.pull(&store, &hello(&server.address), &Platform::host(), &()).unwrap();
    let log = tokens.log();
    assert_eq!((&*log[0].method, &*log[0].path), ("POST", "/token"));
    let body = String::from_utf8(log[0].body.clone()).unwrap();
    assert!(body.contains("grant_type=refresh_token") && body.contains(PASSWORD), "{body}");
}

#[test]
fn a_password_does_not_go_to_a_realm_that_could_be_anybody() {
    for (why, realm) in [
        ("speaks plain HTTP", "http://192.0.2.1/token"),
        ("speaks plain HTTP", "http://127.0.0.1.example/token"),
        ("contains credentials", "https://x:y@192.0.2.1/token"),
        ("neither http nor https", "ftp://127.0.0.1/token"),
        ("not an absolute URL", "/token"),
    ] {
        let server = Script::new(move |_, _| challenge(realm));
        let error = refused(&with_password(), &server);
        assert!(error.contains(why), "{why}: {error}");
        assert_eq!(server.log().len(), 1);
    }
}

#[test]
fn what_is_for_the_registry_does_not_go_elsewhere() {
    let fixture = Fixture::new(&[1000]);
    let (_folder, store) = store();
    let served = fixture.clone();
    let thief = Script::new(move |request, _| served.answer(request));
    let to = thief.address.clone();
    let server = Script::new(move |request, _| match request.header("authorization") {
        Some(_) if request.path.contains("/blobs/") => {
            Reply::new(302).header("Location", &format!("http://{to}{}", request.path))
        }
        Some(_) => fixture.answer(request),
        None => Reply::new(401).header("WWW-Authenticate", "Basic").body(b""),
    });
    with_password().pull(&store, &hello(&server.address), &Platform::host(), &()).unwrap();
    assert_eq!(thief.log().len(), 2);
    assert!(thief.log().iter().all(|request| request.header("authorization").is_none()));
    // A challenge from elsewhere is not answered either.
    let thief = Script::new(|_, _| Reply::new(401).header("WWW-Authenticate", "Basic").body(b""));
    let to = thief.address.clone();
    let server = Script::new(move |request, _| match request.header("authorization") {
        Some(_) => Reply::new(302).header("Location", &format!("http://{to}/x")),
        None => Reply::new(401).header("WWW-Authenticate", "Basic").body(b""),
    });
    let error = refused(&with_password(), &server);
    assert!(error.contains("401"), "{error}");
    assert!(thief.log().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn token_servers_that_lie_stall_or_never_end_are_refused() {
    let replies = [
        ("gave no token", Reply::new(200).body(b"sEcReT")),
        ("gave no token", Reply::new(200).body(br#"{"token":""}"#)),
        ("gave no token", Reply::new(200).body(br#"{"token":"a\r\nX: y"}"#)),
        ("gave no token", Reply::new(200).body(br#"{"token":{"sEcReT":1}}"#)),
        (
            "has more than",
            Reply::new(200).header("Connection", "close").step(Step::Endless(vec![b' '; 65536])),
        ),
        ("refused the credentials", Reply::new(401)),
        ("answered 302", Reply::new(302).header("Location", "http://127.0.0.1:1/")),
        ("answered 503", Reply::new(503)),
        (
            "sent nothing for too long",
            Reply::raw(vec![Step::Stall(std::time::Duration::from_secs(2)), Step::Close]),
        ),
    ];
    for (why, reply) in replies {
        let tokens = Script::new(move |_, _| reply.clone());
        let realm = format!("http://{}/token", tokens.address);
        let server = Script::new(move |_, _| challenge(&realm));
        let error = refused(&with_password(), &server);
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn a_token_that_is_refused_again_ends_it() {
    let tokens = token_server("token");
    let realm = format!("http://{}/token", tokens.address);
    let server = Script::new(move |_, _| challenge(&realm));
    let error = refused(&with_password(), &server);
    assert!(error.contains("refused the credentials"), "{error}");
    assert_eq!((server.log().len(), tokens.log().len()), (2, 1));
    let error = refused(&Client::new(options()), &server);
    assert!(error.contains("or has no such repository"), "{error}");
}

#[test]
fn a_registry_that_forbids_without_asking_is_not_a_matter_of_credentials() {
    let server = Script::new(|_, _| Reply::error(403, "DENIED", "read-only"));
    let error = refused(&with_password(), &server);
    assert!(error.contains("the registry answered 403: DENIED: read-only"), "{error}");
}

#[test]
fn options_do_not_show_the_password() {
    assert!(!format!("{:?}", with_password()).contains(PASSWORD));
}
