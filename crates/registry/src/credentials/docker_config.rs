//! The file in which `docker` keeps credentials: read whole, and replaced whole.

use std::{
    env,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Credential, CredentialsError, KeptIn, Secret, helper::Helper};

type Result<T> = std::result::Result<T, CredentialsError>;

/// Under which key `docker` keeps the credentials of docker.io.
const DOCKER_KEY: &str = "https://index.docker.io/v1/";

/// A keychain may ask its user first.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);

const MAX_FILE: u64 = 4 << 20;

/// The file in which `docker` keeps credentials.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    path: PathBuf,
    helper_folder: Option<PathBuf>,
    helper_timeout: Duration,
}

impl DockerConfig {
    /// The calling user's: `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`.
    ///
    /// # Errors
    ///
    /// When neither `DOCKER_CONFIG` nor `HOME` is set.
    pub fn of_user() -> Result<Self> {
        let folder = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let of_home = || folder("HOME").map(|home| home.join(".docker"));
        let folder = folder("DOCKER_CONFIG").or_else(of_home);
        Ok(Self::at(&folder.ok_or(CredentialsError::NoDirectory)?.join("config.json")))
    }

    /// The file `path`, which need not exist.
    pub fn at(path: &Path) -> Self {
        Self { path: path.into(), helper_folder: None, helper_timeout: HELPER_TIMEOUT }
    }

    /// What is kept for `registry`.
    ///
    /// # Errors
    ///
    /// When the file is invalid, or a helper fails.
    pub fn find(&self, registry: &str) -> Result<Option<Credential>> {
        let config = self.read()?;
        if let Some(helper) = self.helper(&config, registry)?
            && let Some(found) = helper.get(key(registry))?
        {
            return Ok(Some(found));
        }
        let entry = auths(&config).and_then(|auths| {
            auths.iter().find(|(name, _)| names(name, registry)).map(|(_, entry)| entry)
        });
        entry.map_or(Ok(None), |entry| self.credential(registry, entry))
    }

    /// Keeps `credential` for `registry`: by the helper if one is configured, or in the file.
    ///
    /// # Errors
    ///
    /// When the file is invalid or cannot be written, or the helper fails.
    pub fn keep(&self, registry: &str, credential: &Credential) -> Result<KeptIn> {
        let _lock = self.lock()?;
        let mut config = self.read()?;
        let helper = self.helper(&config, registry)?;
        let entry = match (&helper, credential) {
            (Some(helper), _) => {
                helper.store(key(registry), credential)?;
                json!({})
            }
            (None, Credential::Password { username, password }) => {
                let pair = format!("{username}:{}", password.expose());
                json!({ "auth": STANDARD.encode(pair) })
            }
            (None, Credential::IdentityToken(token)) => json!({ "identitytoken": token.expose() }),
        };
        let auths = config.entry("auths").or_insert_with(|| json!({}));
        let invalid = || self.invalid("\"auths\" is not an object");
        let auths = auths.as_object_mut().ok_or_else(invalid)?;
        auths.retain(|name, _| !names(name, registry));
        auths.insert(key(registry).into(), entry);
        self.write(&config)?;
        Ok(match helper {
            Some(helper) => KeptIn::Helper(helper.name().into()),
            None => KeptIn::File(self.path.clone()),
        })
    }

    /// Forgets what is kept for `registry`; returns whether there was anything.
    ///
    /// # Errors
    ///
    /// When the file is invalid or cannot be written, or the helper fails.
    pub fn forget(&self, registry: &str) -> Result<bool> {
        if !self.path.exists() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let mut config = self.read()?;
        let mut found = match self.helper(&config, registry)? {
            Some(helper) => helper.erase(key(registry))?,
            None => false,
        };
        if let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) {
            let before = auths.len();
            auths.retain(|name, _| !names(name, registry));
            if auths.len() < before {
                found = true;
                self.write(&config)?;
            }
        }
        Ok(found)
    }

    fn helper(&self, config: &Map<String, Value>, registry: &str) -> Result<Option<Helper>> {
        let own = config.get("credHelpers").and_then(|helpers| helpers.get(key(registry)));
        let own = own.or_else(|| config.get("credHelpers")?.get(registry));
        let name = own.or_else(|| config.get("credsStore")).and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty());
        let helper = |name| Helper::new(name, self.helper_folder.as_deref(), self.helper_timeout);
        name.map(helper).transpose()
    }

    fn credential(&self, registry: &str, entry: &Value) -> Result<Option<Credential>> {
        let field = |name| entry.get(name)?.as_str().filter(|text| !text.is_empty());
        if let Some(token) = field("identitytoken") {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        let pair = match (field("auth"), field("username"), field("password")) {
            (Some(auth), ..) => {
                let bytes = STANDARD.decode(auth.trim()).ok();
                let pair = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                let split = pair.as_ref().and_then(|pair| pair.split_once(':'));
                let (user, password) = split.ok_or_else(|| CredentialsError::Entry {
                    path: self.path.clone(),
                    key: key(registry).into(),
                })?;
                // Docker ends old passwords with zero bytes.
                (user.to_owned(), password.trim_end_matches('\0').to_owned())
            }
            (None, Some(user), Some(password)) => (user.to_owned(), password.to_owned()),
            _ => return Ok(None),
        };
        Ok(Some(Credential::Password { username: pair.0, password: Secret::new(pair.1) }))
    }

    fn read(&self) -> Result<Map<String, Value>> {
        let bytes = match fs::metadata(&self.path) {
            Ok(found) if found.len() > MAX_FILE => return Err(self.invalid("it is too large")),
            Ok(_) => fs::read(&self.path).map_err(io_error("read", &self.path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
            Err(error) => return Err(io_error("read", &self.path)(error)),
        };
        if bytes.trim_ascii().is_empty() {
            return Ok(Map::new());
        }
        // An error of syntax names a line and a column, and nothing of the content.
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| self.invalid(&error.to_string()))?;
        match value {
            Value::Object(config) => Ok(config),
            _ => Err(self.invalid("it is another JSON value")),
        }
    }

    /// Writes the file so that it is the old or the new one at any moment.
    fn write(&self, config: &Map<String, Value>) -> Result<()> {
        // A link is kept, for those who keep their settings elsewhere.
        let target = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let temporary = target.with_extension(format!("isolab-{}", std::process::id()));
        let _ = fs::remove_file(&temporary);
        let mut bytes = serde_json::to_vec_pretty(config).expect("a JSON value is valid JSON");
        bytes.push(b'\n');
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&temporary);
        let written = opened.and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &target)
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(io_error("write", &target))
    }

    /// Held while the file is changed, so that of two logins none is lost.
    fn lock(&self) -> Result<File> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(io_error("create", folder))?;
        let file = File::open(folder).map_err(io_error("open", folder))?;
        file.lock().map_err(io_error("lock", folder))?;
        Ok(file)
    }

    fn invalid(&self, why: &str) -> CredentialsError {
        CredentialsError::Invalid { path: self.path.clone(), why: why.into() }
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CredentialsError {
    let path = path.to_owned();
    move |source| CredentialsError::Io { action, path, source }
}

fn auths(config: &Map<String, Value>) -> Option<&Map<String, Value>> {
    config.get("auths")?.as_object()
}

/// Under which key the credentials of `registry` are kept.
fn key(registry: &str) -> &str {
    match registry {
        image::reference::DEFAULT_REGISTRY => DOCKER_KEY,
        _ => registry,
    }
}

/// Whether an entry called `name` is for `registry`: some tools write URLs.
fn names(name: &str, registry: &str) -> bool {
    let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
    let host = bare.unwrap_or(name).split('/').next();
    name == key(registry) || host == Some(registry)
}

#[cfg(test)]
mod tests;
