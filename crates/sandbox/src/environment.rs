//! The environment of a command in a sandbox: not the caller's, which would reveal information
//! about the host.

use std::ffi::{OsStr, OsString};

/// A variable, its name and its value: any bytes but null, and no `=` in the name.
pub type Variable = (OsString, OsString);

/// The search path for a command without a slash, unless the environment has a `PATH`.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The default environment of a command.
pub fn usual() -> Vec<Variable> {
    let variables = [("PATH", PATH), ("HOME", "/root"), ("TERM", "xterm"), ("LANG", "C.UTF-8")];
    variables.map(|(name, value)| (name.into(), value.into())).into()
}

/// Adds the `given` variables. Of those with the same name, the last one counts.
pub fn add(environment: &mut Vec<Variable>, given: &[Variable]) {
    for (name, value) in given {
        match environment.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(value),
            None => environment.push((name.clone(), value.clone())),
        }
    }
}

/// The value of `PATH`.
pub fn path(environment: &[Variable]) -> &OsStr {
    let own = environment.iter().rfind(|(name, _)| name == "PATH");
    own.map_or(OsStr::new(PATH), |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_added_and_the_last_of_a_name_counts() {
        let mut environment = usual();
        let given = [("A", "1"), ("HOME", "/"), ("A", "2")];
        add(&mut environment, &given.map(|(name, value)| (name.into(), value.into())));
        let of = |wanted: &str| {
            let found: Vec<_> = environment.iter().filter(|(name, _)| name == wanted).collect();
            assert_eq!(found.len(), 1, "{wanted}");
            found[0].1.clone()
        };
        assert_eq!((of("A"), of("HOME"), of("PATH")), ("2".into(), "/".into(), PATH.into()));
    }

    #[test]
    fn a_path_of_its_own_is_searched() {
        assert_eq!(path(&[]), PATH);
        assert_eq!(path(&[("PATH".into(), "/x".into())]), "/x");
    }
}
