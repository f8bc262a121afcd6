//! The variables of a build: `ARG`, `ENV`, and those that need no declaration.
//!
//! ```text
//!   --build-arg V=3    ARG V=1 (before FROM)    ARG V=2 (in a stage)    ENV V=4
//!        beats                beats a bare             beats nothing          beats all of them
//!     any default           ARG V of a stage           else                in its stage
//! ```
//!
//! <https://docs.docker.com/reference/dockerfile/#arg>

use std::collections::{BTreeMap, BTreeSet};

use super::variables::Scope;

/// Those that a build may be given without an `ARG`, and that are in no history.
const PREDEFINED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Those that the builder itself sets before the first `FROM`; a stage declares what it needs.
/// This builder makes images for the machine that it runs on.
const PLATFORM: [(&str, &str); 8] = [
    ("TARGETPLATFORM", "linux/amd64"),
    ("TARGETOS", "linux"),
    ("TARGETARCH", "amd64"),
    ("TARGETVARIANT", ""),
    ("BUILDPLATFORM", "linux/amd64"),
    ("BUILDOS", "linux"),
    ("BUILDARCH", "amd64"),
    ("BUILDVARIANT", ""),
];

/// What a build was given: `--build-arg NAME=VALUE`.
pub type Given = BTreeMap<String, String>;

/// The arguments before the first `FROM`.
#[derive(Debug, Clone, Default)]
pub struct Global {
    given: Given,
    values: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl Global {
    /// Before the first line.
    #[must_use]
    pub fn new(given: Given) -> Self {
        let values = PLATFORM.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { given, values: values.into(), used: BTreeSet::new() }
    }

    /// `ARG` before the first `FROM`.
    pub fn declare(&mut self, name: &str, default: Option<String>) {
        self.used.insert(name.to_owned());
        if let Some(value) = self.given.get(name).cloned().or(default) {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// The scope of a stage that begins with these variables of its base image.
    #[must_use]
    pub fn stage(&self, env: Vec<(String, String)>) -> Stage {
        Stage { global: self.clone(), declared: BTreeMap::new(), env }
    }

    /// The arguments that were given and are declared nowhere, with those that `stages` declare.
    #[must_use]
    pub fn unused<'a>(&'a self, declared: &BTreeSet<String>) -> Vec<&'a str> {
        let unused = self.given.keys().filter(|name| {
            !self.used.contains(*name)
                && !declared.contains(*name)
                && !PREDEFINED.contains(&name.as_str())
                && *name != "SOURCE_DATE_EPOCH"
        });
        unused.map(String::as_str).collect()
    }
}

impl Scope for Global {
    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// The variables of one stage.
#[derive(Debug, Clone)]
pub struct Stage {
    global: Global,
    declared: BTreeMap<String, Option<String>>,
    env: Vec<(String, String)>,
}

impl Stage {
    /// `ARG` in the stage.
    pub fn declare(&mut self, name: &str, default: Option<String>) {
        let value = self.global.given.get(name).cloned().or(default);
        let value = value.or_else(|| self.global.value(name).map(str::to_owned));
        self.declared.insert(name.to_owned(), value);
    }

    /// `ENV`: the variable keeps its place.
    pub fn set(&mut self, name: &str, value: String) {
        match self.env.iter_mut().find(|(other, _)| other == name) {
            Some(old) => old.1 = value,
            None => self.env.push((name.to_owned(), value)),
        }
    }

    /// The variables of the image.
    #[must_use]
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// The arguments that `RUN` sees beside the image's variables, sorted by name.
    #[must_use]
    pub fn run_arguments(&self) -> BTreeMap<&str, &str> {
        let declared = self.declared.iter();
        let declared =
            declared.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
        let predefined =
            self.global.given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let predefined = predefined.filter(|(name, _)| PREDEFINED.contains(name));
        let all = predefined.chain(declared);
        all.filter(|(name, _)| self.env.iter().all(|(other, _)| other != name)).collect()
    }

    /// Those of them that are in the history and decide about the cache: not a proxy, unless the
    /// Dockerfile declares it.
    #[must_use]
    pub fn recorded_arguments(&self) -> BTreeMap<&str, &str> {
        let mut arguments = self.run_arguments();
        arguments.retain(|name, _| !PREDEFINED.contains(name) || self.declared.contains_key(*name));
        arguments
    }

    /// The names that the stage has declared.
    pub fn declared(&self) -> impl Iterator<Item = &String> {
        self.declared.keys()
    }
}

impl Scope for Stage {
    fn value(&self, name: &str) -> Option<&str> {
        let env = self.env.iter().find(|(other, _)| other == name);
        match env {
            Some((_, value)) => Some(value),
            None => self.declared.get(name)?.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Given {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_argument_before_from_is_unknown_in_a_stage_until_it_is_declared() {
        let mut global = Global::new(Given::new());
        global.declare("VERSION", Some("latest".into()));
        assert_eq!(global.value("VERSION"), Some("latest"));
        let mut stage = global.stage(vec![]);
        assert_eq!(stage.value("VERSION"), None);
        stage.declare("VERSION", None);
        assert_eq!(stage.value("VERSION"), Some("latest"));
        assert_eq!(global.stage(vec![]).value("VERSION"), None, "each stage has its own");
    }

    #[test]
    fn what_is_given_beats_defaults_and_env_beats_all() {
        let mut global = Global::new(given(&[("V", "given")]));
        global.declare("V", Some("global".into()));
        assert_eq!(global.value("V"), Some("given"));
        let mut stage = global.stage(vec![]);
        stage.declare("V", Some("default".into()));
        assert_eq!(stage.value("V"), Some("given"));
        stage.set("V", "env".into());
        assert_eq!(stage.value("V"), Some("env"));
        stage.declare("V", Some("again".into()));
        assert_eq!(stage.value("V"), Some("env"));
        assert!(stage.run_arguments().is_empty());
    }

    #[test]
    fn a_bare_argument_has_no_value_and_is_in_no_environment() {
        let mut stage = Global::new(Given::new()).stage(vec![]);
        stage.declare("NONE", None);
        assert_eq!(stage.value("NONE"), None);
        assert!(stage.run_arguments().is_empty());
    }

    #[test]
    fn proxies_need_no_declaration_and_are_not_recorded() {
        let mut stage = Global::new(given(&[("HTTP_PROXY", "http://p"), ("X", "1")])).stage(vec![]);
        assert_eq!(stage.value("HTTP_PROXY"), None, "they are for programs only");
        assert_eq!(stage.run_arguments(), BTreeMap::from([("HTTP_PROXY", "http://p")]));
        assert!(stage.recorded_arguments().is_empty());
        stage.declare("HTTP_PROXY", None);
        assert_eq!(stage.recorded_arguments(), BTreeMap::from([("HTTP_PROXY", "http://p")]));
        let global = Global::new(given(&[("HTTP_PROXY", ""), ("X", "1"), ("Y", "1")]));
        assert_eq!(global.unused(&BTreeSet::from(["Y".to_owned()])), ["X"]);
    }
}
