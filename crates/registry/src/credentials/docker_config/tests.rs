//! Tests of the credentials.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

fn config(text: &str) -> (TempDir, DockerConfig) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, text).unwrap();
    let config =
        DockerConfig { helper_folder: Some(folder.path().into()), ..DockerConfig::at(&path) };
    (folder, config)
}

fn password(user: &str, password: &str) -> Credential {
    Credential::Password { username: user.into(), password: Secret::new(password) }
}

#[test]
fn entries_are_read_as_docker_writes_them() {
    let (_folder, config) = config(
        r#"{"auths":{
            "https://index.docker.io/v1/":{"auth":"YW5uYTpwOmFzcw=="},
            "127.0.0.1:5000":{"username":"ben","password":"word"},
            "https://registry.example/v2/":{"identitytoken":"tok"},
            "damaged.example":{"auth":"not base64"},
            "empty.example":{}}}"#,
    );
    let find = |registry| config.find(registry).unwrap();
    assert_eq!(find("docker.io"), Some(password("anna", "p:ass")));
    assert_eq!(find("127.0.0.1:5000"), Some(password("ben", "word")));
    assert_eq!(find("registry.example"), Some(Credential::IdentityToken(Secret::new("tok"))));
    assert_eq!(find("empty.example"), None);
    assert_eq!(find("127.0.0.1"), None);
    assert_eq!(find("example"), None);
    let error = config.find("damaged.example").unwrap_err().to_string();
    assert!(error.contains("damaged.example") && error.contains("login"), "{error}");
}

#[test]
fn a_login_keeps_other_keys_and_only_its_owner_can_read_it() {
    let (_folder, config) = config(
        r#"{"auths":{"http://a.example":{"auth":"eDp5"}},"psFormat":"table","HttpHeaders":{"X":"1"}}"#,
    );
    fs::set_permissions(&config.path, fs::Permissions::from_mode(0o644)).unwrap();
    let kept = config.keep("a.example", &password("anna", "secret")).unwrap();
    assert_eq!(kept, KeptIn::File(config.path.clone()));
    config.keep("docker.io", &password("ben", "other")).unwrap();
    assert_eq!(config.find("a.example").unwrap(), Some(password("anna", "secret")));
    let text = fs::read_to_string(&config.path).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["psFormat"], &value["HttpHeaders"]["X"]), (&json!("table"), &json!("1")));
    assert_eq!(value["auths"].as_object().unwrap().len(), 2);
    assert!(value["auths"][DOCKER_KEY].is_object(), "{text}");
    assert_eq!(fs::metadata(&config.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(config.forget("a.example").unwrap());
    assert!(!config.forget("a.example").unwrap());
    assert_eq!(config.find("a.example").unwrap(), None);
    assert_eq!(config.find("docker.io").unwrap(), Some(password("ben", "other")));
}

#[test]
fn a_file_that_is_not_understood_is_not_overwritten_and_not_shown() {
    for text in ["{\"auths\": sEcReT", "[\"sEcReT\"]", "{\"auths\":\"sEcReT\"}"] {
        let (_folder, config) = config(text);
        let error = config.keep("a.example", &password("anna", "sEcReT")).unwrap_err();
        let error = format!("{error} {error:?}");
        assert!(error.contains("config.json") && !error.contains("sEcReT"), "{error}");
        assert_eq!(fs::read_to_string(&config.path).unwrap(), text);
    }
}

#[test]
fn many_logins_at_once_are_all_kept() {
    let folder = TempDir::new().unwrap();
    let config = DockerConfig::at(&folder.path().join("new/config.json"));
    std::thread::scope(|scope| {
        for number in 0..8 {
            let config = &config;
            scope.spawn(move || {
                // Processes have different ids; threads must not share the temporary file either.
                let registry = format!("r{number}.example");
                config.keep(&registry, &password("anna", "x")).unwrap();
            });
        }
    });
    for number in 0..8 {
        assert!(config.find(&format!("r{number}.example")).unwrap().is_some());
    }
    assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
}

#[test]
fn a_secret_does_not_show() {
    let credential = password("anna", "sEcReT");
    assert!(!format!("{credential:?} {:?}", Secret::new("sEcReT")).contains("sEcReT"));
}

/// One test: while a script is being written, no other thread may fork, or it is busy.
#[test]
fn helpers_are_asked_and_time_out_and_their_answers_are_bounded() {
    let (folder, mut config) = config(
        r#"{"credsStore":"good","credHelpers":{"a.example":"bad","b.example":"slow",
            "c.example":"../../bin/sh","d.example":"missing","e.example":"huge","f.example":"token"}}"#,
    );
    let script = |name: &str, text: &str| {
        let path = folder.path().join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    script(
        "good",
        r#"cd "$(dirname "$0")"; case $1 in
            get) read -r key || :; if test -e "entry"; then cat entry; else echo credentials not found in native keychain; exit 1; fi;;
            store) cat > entry;;
            erase) rm entry;;
        esac"#,
    );
    script("bad", r#"echo '{"Username":"anna","Secret":"sEcReT"}'; exit 1"#);
    script("slow", "sleep 10");
    script("huge", "yes");
    script("token", r#"echo '{"Username":"<token>","Secret":"tok"}'"#);
    config.helper_timeout = Duration::from_secs(2);
    assert_eq!(config.find("z.example").unwrap(), None);
    let kept = config.keep("z.example", &password("anna", "sEcReT")).unwrap();
    assert_eq!(kept, KeptIn::Helper("good".into()));
    assert!(!fs::read_to_string(&config.path).unwrap().contains("sEcReT"));
    assert_eq!(config.find("z.example").unwrap(), Some(password("anna", "sEcReT")));
    assert!(config.forget("z.example").unwrap());
    assert_eq!(config.find("z.example").unwrap(), None);
    let token = Credential::IdentityToken(Secret::new("tok"));
    assert_eq!(config.find("f.example").unwrap(), Some(token));
    for (registry, why) in [
        ("a.example", "failed with exit status: 1"),
        ("b.example", "did not answer within 2 s"),
        ("c.example", "its name"),
        ("d.example", "cannot be run"),
        ("e.example", "credential helper huge"),
    ] {
        let error = config.find(registry).unwrap_err();
        let error = format!("{error} {error:?}");
        assert!(error.contains(why) && !error.contains("sEcReT"), "{registry}: {error}");
    }
}
