//! Registries: which of them may be asked by plain HTTP, and what clients show them.

use std::{collections::HashMap, net::IpAddr};

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bollard_stubs::models::AuthResponse;
use image::reference::{DEFAULT_REGISTRY, Reference};
use registry::{
    client::{Client, ClientError, ClientOptions, Credentials, Failure},
    credentials::{Credential, Secret},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::error::{ImageError, Result, chain};

/// No header or body with credentials is longer.
const MAX_CREDENTIALS: usize = 64 << 10;

/// How the engine talks to registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    /// Those that are asked by plain HTTP, each `HOST`, `HOST:PORT` or a network such as `10.0.0.0/8`.
    /// On this host plain HTTP is spoken anyway if a registry has no TLS.
    pub insecure: Vec<String>,
}

/// What a client of the API shows a registry: the header `X-Registry-Auth`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct RegistryAuth {
    #[serde(deserialize_with = "null_is_empty")]
    username: String,
    #[serde(deserialize_with = "null_is_empty")]
    password: String,
    #[serde(deserialize_with = "null_is_empty")]
    serveraddress: String,
    #[serde(deserialize_with = "null_is_empty")]
    identitytoken: String,
}

/// Some clients (bollard) write null for what is not given, which is nothing to Go's dockerd.
fn null_is_empty<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("RegistryAuth");
        debug.field("username", &self.username).field("serveraddress", &self.serveraddress);
        debug.finish_non_exhaustive()
    }
}

impl RegistryAuth {
    /// Reads the header `X-Registry-Auth`: base64 of a JSON object. An empty one has no credentials.
    ///
    /// # Errors
    ///
    /// 400 when it is not that.
    pub fn of_header(text: &str) -> Result<Self> {
        read_header(text, "X-Registry-Auth")
    }

    /// Reads the body of `POST /auth`.
    ///
    /// # Errors
    ///
    /// 400 when it is not a JSON object with credentials.
    pub fn of_body(bytes: &[u8]) -> Result<Self> {
        let invalid = |why: String| ImageError::Invalid(format!("invalid credentials: {why}"));
        if bytes.len() > MAX_CREDENTIALS {
            return Err(invalid(format!("more than {MAX_CREDENTIALS} bytes")));
        }
        serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))
    }

    fn credentials(&self) -> Credentials {
        if !self.identitytoken.is_empty() {
            let token = Secret::new(&*self.identitytoken);
            return Credentials::Given(Credential::IdentityToken(token));
        }
        match self.username.is_empty() {
            true => Credentials::Anonymous,
            false => Credentials::Given(Credential::Password {
                username: self.username.clone(),
                password: Secret::new(&*self.password),
            }),
        }
    }
}

/// What a build shows the registries of its base images: the header `X-Registry-Config`.
#[derive(Debug, Clone, Default)]
pub struct BuildAuth(HashMap<String, RegistryAuth>);

impl BuildAuth {
    /// Reads the header `X-Registry-Config`: base64 of a JSON object of registries.
    ///
    /// # Errors
    ///
    /// 400 when it is not that.
    pub fn of_header(text: &str) -> Result<Self> {
        let all: HashMap<String, RegistryAuth> = read_header(text, "X-Registry-Config")?;
        Ok(Self(all.into_iter().map(|(address, auth)| (host(&address).to_owned(), auth)).collect()))
    }

    /// What is for that registry.
    pub(super) fn of_registry(&self, registry: &str) -> RegistryAuth {
        self.0.get(registry).cloned().unwrap_or_default()
    }
}

fn read_header<T: DeserializeOwned + Default>(text: &str, name: &str) -> Result<T> {
    // Clients differ in the alphabet and the padding.
    const ANY: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let invalid = |why: String| ImageError::Invalid(format!("invalid {name} header: {why}"));
    if text.is_empty() {
        return Ok(T::default());
    }
    if text.len() > MAX_CREDENTIALS {
        return Err(invalid(format!("more than {MAX_CREDENTIALS} bytes")));
    }
    let url_safe = text.replace('+', "-").replace('/', "_");
    let bytes = ANY.decode(url_safe.trim()).map_err(|error| invalid(error.to_string()))?;
    // The causes of serde's errors would show what was sent.
    let read: Result<Option<T>, _> = serde_json::from_slice(&bytes);
    Ok(read.map_err(|_| invalid("not a JSON object of credentials".into()))?.unwrap_or_default())
}

impl Registries {
    /// A client for one request to `registry`.
    pub(super) fn client(&self, registry: &str, auth: &RegistryAuth) -> Client {
        Client::new(ClientOptions {
            plain_http: self.is_insecure(registry),
            credentials: auth.credentials(),
            user_agent: concat!("isolab-engine/", env!("CARGO_PKG_VERSION")).into(),
            ..ClientOptions::default()
        })
    }

    fn is_insecure(&self, registry: &str) -> bool {
        let name = registry.rsplit_once(':').map_or(registry, |(name, _)| name);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = name.parse().ok();
        self.insecure.iter().any(|allowed| {
            allowed == registry
                || allowed == name
                || address.is_some_and(|address| is_in_network(address, allowed))
        })
    }

    /// Asks a registry whether it accepts what a client shows.
    ///
    /// # Errors
    ///
    /// 400 when its address is not one, 401 when it does not, 500 when it cannot be asked.
    pub fn check(&self, auth: &RegistryAuth) -> Result<AuthResponse> {
        let registry = match host(&auth.serveraddress) {
            "" => DEFAULT_REGISTRY,
            registry => registry,
        };
        // Only what can be the registry of a name is asked.
        let reference = Reference::new(registry, "name")?;
        let registry = reference.registry();
        match self.client(registry, auth).check_login(registry) {
            Ok(()) => Ok(AuthResponse {
                status: "Login Succeeded".into(),
                identity_token: Some(String::new()),
            }),
            Err(error) => Err(refused(registry, &error)),
        }
    }
}

fn refused(registry: &str, error: &ClientError) -> ImageError {
    match &*error.failure {
        Failure::Denied { .. } | Failure::LoginNeeded { .. } => ImageError::Unauthorized(format!(
            "login attempt to https://{registry}/v2/ failed with status: 401 Unauthorized"
        )),
        other => of_registry(other),
    }
}

/// The failure of a registry that nothing more is known of.
pub(super) fn of_registry(failure: &Failure) -> ImageError {
    match failure {
        Failure::Cancelled => ImageError::ClientGone,
        Failure::Unreachable { host, source } => {
            ImageError::Failed(format!("Get \"https://{host}/v2/\": {source}"))
        }
        other => ImageError::Failed(chain(other)),
    }
}

/// `https://index.docker.io/v1/`, as clients call Docker's registry, without scheme and path.
fn host(address: &str) -> &str {
    let bare = address.split_once("://").map_or(address, |(_, rest)| rest);
    match bare.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
        host => host,
    }
}

/// Whether an address is in a network such as `10.0.0.0/8`.
fn is_in_network(address: IpAddr, network: &str) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let parsed = network.split_once('/').and_then(|(base, length)| {
        Some((base.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?))
    });
    let Some((base, length)) = parsed else { return false };
    let ((one, width), (other, other_width)) = (bits(address), bits(base));
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length)).unwrap_or(0);
    width == other_width && length <= width && one & mask == other & mask
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn credentials_come_in_every_base64_and_are_not_shown() {
        let json = r#"{"username":"ada","password":"p?~ssÿ","serveraddress":"127.0.0.1:5000"}"#;
        for text in [STANDARD.encode(json), URL_SAFE_NO_PAD.encode(json)] {
            let auth = RegistryAuth::of_header(&text).unwrap();
            let Credentials::Given(Credential::Password { password, .. }) = auth.credentials()
            else {
                panic!("no password")
            };
            assert_eq!(password.expose(), "p?~ssÿ");
            assert!(!format!("{auth:?}").contains("p?"), "{auth:?}");
        }
        for text in ["", "e30=", "e30", "bnVsbA"] {
            let auth = RegistryAuth::of_header(text).unwrap();
            assert!(matches!(auth.credentials(), Credentials::Anonymous), "{text}");
        }
        let long = "a".repeat(MAX_CREDENTIALS + 1);
        for text in ["!", "MQ", "eyJ1c2VybmFtZSI6IDF9", &*long] {
            assert_eq!(RegistryAuth::of_header(text).unwrap_err().status(), 400, "{text:.20}");
        }
        let all = r#"{"https://index.docker.io/v1/":{"username":"a"},"h:1":{"username":"b"}}"#;
        let all = BuildAuth::of_header(&STANDARD.encode(all)).unwrap();
        assert_eq!(all.of_registry(DEFAULT_REGISTRY).username, "a");
        assert_eq!(all.of_registry("h:1").username, "b");
        assert_eq!(all.of_registry("h").username, "");
    }

    #[test]
    fn only_registries_that_are_named_are_asked_by_plain_http() {
        let insecure = ["a.example", "b.example:5000", "10.0.0.0/8", "::/0", "1.2.3.4/33"];
        let registries = Registries { insecure: insecure.map(str::to_owned).to_vec() };
        for (registry, expected) in [
            ("a.example:80", true),
            ("b.example:5000", true),
            ("b.example:5001", false),
            ("10.1.2.3:5000", true),
            ("11.1.2.3", false),
            ("[2001:db8::1]:5000", true),
            ("1.2.3.4", false),
            ("docker.io", false),
        ] {
            assert_eq!(registries.is_insecure(registry), expected, "{registry}");
        }
    }
}
