//! Profiles in Docker's file format: `--security-opt seccomp=FILE`.
//!
//! Docker's format is that of config.json (`linux.seccomp` of the OCI runtime spec) with
//! conditions: which rules apply with which capabilities, on which architecture, from which kernel
//! version on. They are evaluated here, as in `profiles/seccomp/seccomp_linux.go` of
//! github.com/moby/moby; the remaining rules are ordered as libseccomp, which Docker's runtime
//! uses, interprets them:
//!
//! - a rule without arguments takes precedence over all others of its call;
//! - a rule with the default action is ignored;
//! - when two conditions of a rule are about the same argument, each condition is a rule of its own.

use serde::{Deserialize, de::DeserializeOwned};

use super::{Action, Argument, Operator, Profile, Rule};
use crate::{Error, capabilities::CapabilitySet};

/// A longer file is not a profile; Docker's own has 20 kB.
const MOST_BYTES: usize = 1 << 20;

/// The greatest error number (include/linux/err.h).
const MOST_ERRNO: u16 = 4095;

/// Docker's names for x86_64, in conditions and in maps of architectures.
const AMD64: &str = "amd64";
const SCMP_ARCH_X86_64: &str = "SCMP_ARCH_X86_64";

/// The file. A `null` in it counts as missing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    default_action: Option<String>,
    default_errno_ret: Option<u16>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<Architecture>>,
    syscalls: Option<Vec<Calls>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architecture {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u16>,
    args: Option<Vec<Comparison>>,
    includes: Option<Conditions>,
    excludes: Option<Conditions>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    index: u8,
    value: u64,
    value_two: Option<u64>,
    op: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Conditions {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// The environment for which the conditions are evaluated.
struct Here {
    capabilities: CapabilitySet,
    kernel: (u32, u32),
}

impl Profile {
    /// Reads a profile in Docker's format, or `linux.seccomp` of a config.json, for a container
    /// with these capabilities in its bounding set, on the kernel of this host.
    ///
    /// # Errors
    ///
    /// When it is not such a file, or contains something unknown to isolab.
    pub fn from_docker(json: &[u8], capabilities: CapabilitySet) -> Result<Self, Error> {
        let release = nix::sys::utsname::uname().ok();
        let release = release.as_ref().map(|name| name.release().to_string_lossy());
        let kernel = release.and_then(|release| version(&release)).unwrap_or_default();
        read(json, &Here { capabilities, kernel })
    }
}

impl Profile {
    /// The same profile of a config.json, with its rules as libseccomp, which runc uses, understands them.
    #[must_use]
    pub fn as_in_runc(mut self) -> Self {
        self.rules = self.rules.into_iter().flat_map(Rule::split).collect();
        self.sorted()
    }

    /// In the order in which libseccomp lets rules take precedence.
    fn sorted(mut self) -> Self {
        let default = self.default_action.answer(self.default_errno);
        self.rules.sort_by_key(|rule| match rule.action.answer(rule.errno) == default {
            true => 2,
            false => usize::from(!rule.arguments.is_empty()),
        });
        self
    }
}

impl Rule {
    /// A rule for each condition, if two of them are about the same argument.
    fn split(self) -> Vec<Self> {
        let mut seen = [false; 256];
        let mut again = |it: &Argument| std::mem::replace(&mut seen[usize::from(it.index)], true);
        let Self { names, action, errno, arguments } = self;
        let rule = |arguments| Self { names: names.clone(), action, errno, arguments };
        match arguments.iter().any(&mut again) {
            true => arguments.into_iter().map(|argument| rule(vec![argument])).collect(),
            false => vec![rule(arguments)],
        }
    }
}

fn read(json: &[u8], here: &Here) -> Result<Profile, Error> {
    if json.len() > MOST_BYTES {
        return Err(refused("it has more than 1 MiB"));
    }
    let file: File = serde_json::from_slice(json).map_err(|error| refused(error.to_string()))?;
    let Some(default_action) = &file.default_action else {
        return Err(refused("it has no defaultAction; for no filter at all there is `unconfined`"));
    };
    let default_action: Action = known("action", default_action)?;
    let default_errno = errno(file.default_errno_ret)?;
    let architectures = architectures(file.architectures, file.arch_map)?;
    let mut rules = Vec::new();
    for calls in file.syscalls.unwrap_or_default() {
        if here.has(calls.includes.as_ref(), calls.excludes.as_ref())? {
            rules.extend(rules_of(calls)?);
        }
    }
    let profile = Profile { default_action, default_errno, architectures, rules };
    match profile.notifies() {
        true => Err(refused("SCMP_ACT_NOTIFY needs a listener, which such a file cannot name")),
        false => Ok(profile.sorted()),
    }
}

fn refused(why: impl Into<String>) -> Error {
    Error::SeccompProfile { why: why.into() }
}

/// An action or operator by libseccomp's name.
fn known<T: DeserializeOwned>(kind: &str, name: &str) -> Result<T, Error> {
    let value = serde_json::Value::String(name.to_owned());
    serde_json::from_value(value).map_err(|_| refused(format!("unknown {kind} {name:?}")))
}

fn errno(given: Option<u16>) -> Result<Option<u16>, Error> {
    match given {
        Some(errno) if errno > MOST_ERRNO => {
            Err(refused(format!("the error number {errno} is more than {MOST_ERRNO}")))
        }
        given => Ok(given),
    }
}

/// The architectures that are named, or mapped to x86_64.
fn architectures(
    named: Option<Vec<String>>,
    map: Option<Vec<Architecture>>,
) -> Result<Vec<String>, Error> {
    match (named.unwrap_or_default(), map.unwrap_or_default()) {
        (named, map) if map.is_empty() => Ok(named),
        (named, map) if named.is_empty() => {
            let own = map.into_iter().find(|it| it.architecture == SCMP_ARCH_X86_64);
            let names = |it: Architecture| {
                [it.architecture]
                    .into_iter()
                    .chain(it.sub_architectures.unwrap_or_default())
                    .collect()
            };
            Ok(own.map_or_else(Vec::new, names))
        }
        _ => Err(refused("it has both architectures and archMap")),
    }
}

impl Here {
    /// Whether a rule with these conditions applies.
    fn has(
        &self,
        includes: Option<&Conditions>,
        excludes: Option<&Conditions>,
    ) -> Result<bool, Error> {
        let (all, none) = (Conditions::default(), Conditions::default());
        let (includes, excludes) = (includes.unwrap_or(&all), excludes.unwrap_or(&none));
        let included = includes.caps().all(|name| self.holds(name))
            && (includes.arches().next().is_none() || includes.arches().any(|name| name == AMD64))
            && self.is_since(includes)?.unwrap_or(true);
        let excluded = excludes.caps().any(|name| self.holds(name))
            || excludes.arches().any(|name| name == AMD64)
            || self.is_since(excludes)?.unwrap_or(false);
        Ok(included && !excluded)
    }

    /// Whether the container has the capability; an unknown one it does not have.
    fn holds(&self, name: &str) -> bool {
        CapabilitySet::of([name]).is_ok_and(|one| one.0 & self.capabilities.0 == one.0)
    }

    /// Whether the kernel has at least that version, if one is named.
    fn is_since(&self, conditions: &Conditions) -> Result<Option<bool>, Error> {
        let named = conditions.min_kernel.as_ref().filter(|named| !named.is_empty());
        let since = |named: &String| {
            let first = version(named).ok_or_else(|| refused(format!("minKernel {named:?}")))?;
            Ok(first <= self.kernel)
        };
        named.map(since).transpose()
    }
}

impl Conditions {
    fn caps(&self) -> impl Iterator<Item = &str> {
        self.caps.iter().flatten().map(String::as_str)
    }

    fn arches(&self) -> impl Iterator<Item = &str> {
        self.arches.iter().flatten().map(String::as_str)
    }
}

/// The first two numbers of `4.8` and `6.18.2-amd64`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|character: char| !character.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The rules of one entry.
fn rules_of(calls: Calls) -> Result<Vec<Rule>, Error> {
    let names = match (calls.name.filter(|name| !name.is_empty()), calls.names.unwrap_or_default())
    {
        (Some(name), names) if names.is_empty() => vec![name],
        (None, names) => names,
        (Some(name), _) => {
            return Err(refused(format!("it has both name and names in the rule of {name:?}")));
        }
    };
    let action: Action = known("action", &calls.action)?;
    let errno = errno(calls.errno_ret)?;
    let arguments = calls.args.iter().flatten().map(argument);
    let arguments = arguments.collect::<Result<Vec<Argument>, Error>>()?;
    if let Some(index) = arguments.iter().map(|it| it.index).find(|index| *index > 5) {
        return Err(Error::SeccompArgument {
            name: names.first().cloned().unwrap_or_default(),
            index,
        });
    }
    Ok(Rule { names, action, errno, arguments }.split())
}

fn argument(it: &Comparison) -> Result<Argument, Error> {
    let operator: Operator = known("operator", &it.op)?;
    let value_two = it.value_two.unwrap_or_default();
    Ok(Argument { index: it.index, value: it.value, value_two, operator })
}
