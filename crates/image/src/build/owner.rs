//! `--chown` and `--chmod`: whose the copied files are, and what is allowed with them.
//!
//! <https://docs.docker.com/reference/dockerfile/#copy---chown---chmod>

use super::error::{StepError, file};
use crate::view::View;

/// Larger than any list of users.
const MOST_BYTES: u64 = 1 << 20;

/// An owner, by the names that the image has.
pub(super) fn owner(text: &str, view: &View) -> Result<(u32, u32), StepError> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (uid, own_group) = look_up(user, "/etc/passwd", "user", view)?;
    let gid = match group {
        // As in Docker: without a group, the number of the user.
        None => uid,
        Some("") => own_group.unwrap_or(uid),
        Some(group) => look_up(group, "/etc/group", "group", view)?.0,
    };
    Ok((uid, gid))
}

/// The number of a name, and for users their group's.
fn look_up(
    name: &str,
    path: &str,
    what: &str,
    view: &View,
) -> Result<(u32, Option<u32>), StepError> {
    // Linux has no number above, and -1 means no change (chown(2)).
    if let Ok(number) = name.parse::<u32>()
        && number < u32::MAX
    {
        return Ok((number, None));
    }
    let content = view.read_small(path, MOST_BYTES).map_err(file("read, in the image,", path))?;
    let content = String::from_utf8_lossy(&content);
    let mut rows = content.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let row = rows.find(|row| row.first() == Some(&name) && !name.is_empty());
    let number = |at: usize| row.as_ref()?.get(at)?.parse::<u32>().ok();
    number(2).map(|id| (id, number(3))).ok_or_else(|| {
        StepError::Refused(format!(
            "the {what} {name:?} is not in {path} of the image: use its number, or add it by RUN"
        ))
    })
}

/// Permissions as chmod(1) takes them, for files that have some already.
pub(super) struct Permissions(Vec<Clause>);

enum Clause {
    Octal(u32),
    Symbolic { who: u32, operator: char, what: Vec<char> },
}

impl Permissions {
    pub(super) fn parse(text: &str) -> Result<Self, StepError> {
        let invalid = || {
            StepError::Refused(format!(
                "--chmod={text} is neither octal, as 755, nor symbolic, as u=rwX,go=rX"
            ))
        };
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return Ok(Self(vec![Clause::Octal(mode.ok_or_else(invalid)?)]));
        }
        let mut clauses = Vec::new();
        for clause in text.split(',') {
            let operator = clause.find(['+', '-', '=']).ok_or_else(invalid)?;
            let mut who = 0;
            for letter in clause[..operator].chars() {
                who |= match letter {
                    'u' => 0o4700,
                    'g' => 0o2070,
                    'o' => 0o1007,
                    'a' => 0o7777,
                    _ => return Err(invalid()),
                };
            }
            let what: Vec<char> = clause[operator + 1..].chars().collect();
            let copies = what.iter().any(|letter| "ugo".contains(*letter));
            if !what.iter().all(|letter| "rwxXstugo".contains(*letter)) || copies && what.len() > 1
            {
                return Err(invalid());
            }
            let who = if who == 0 { 0o7777 } else { who };
            let operator = clause[operator..].chars().next().ok_or_else(invalid)?;
            clauses.push(Clause::Symbolic { who, operator, what });
        }
        Ok(Self(clauses))
    }

    pub(super) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        self.0.iter().fold(mode, |mode, clause| match clause {
            Clause::Octal(octal) => *octal,
            Clause::Symbolic { who, operator, what } => {
                let bits =
                    what.iter().fold(0, |bits, letter| bits | bits_of(*letter, mode, is_directory));
                let bits = bits & who;
                match operator {
                    '+' => mode | bits,
                    '-' => mode & !bits,
                    // The bits for set-user-ID and the like of directories stay (chmod(1)).
                    _ => {
                        mode & !(who & 0o777) & !(if is_directory { 0 } else { who & 0o7000 })
                            | bits
                    }
                }
            }
        })
    }
}

fn bits_of(letter: char, mode: u32, is_directory: bool) -> u32 {
    match letter {
        'r' => 0o444,
        'w' => 0o222,
        'x' => 0o111,
        'X' if is_directory || mode & 0o111 != 0 => 0o111,
        's' => 0o6000,
        't' => 0o1000,
        'u' => (mode >> 6 & 7) * 0o111,
        'g' => (mode >> 3 & 7) * 0o111,
        'o' => (mode & 7) * 0o111,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_those_of_chmod() {
        for (text, before, is_directory, after) in [
            ("755", 0o600, false, 0o755),
            ("0644", 0o4755, false, 0o644),
            ("u+x", 0o644, false, 0o744),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("g=u", 0o640, false, 0o660),
            ("o=", 0o777, false, 0o770),
            ("u+s,+t", 0o755, false, 0o5755),
        ] {
            let permissions = Permissions::parse(text).unwrap_or_else(|error| panic!("{error}"));
            let found = permissions.apply(before, is_directory);
            assert_eq!(found, after, "{text} {before:o}: {found:o}");
        }
        for text in ["", "8", "77777", "u", "x+r", "u+q", "u=gr", "-1", "u+r,"] {
            assert!(Permissions::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_those_of_the_image() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/:/bin/sh\nsid:x:1001:1002::/:/bin/sh\n";
        std::fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(root.path().join("etc/group"), "users:x:100:\n").unwrap();
        let view = View::of(&[root.path().to_owned()]).unwrap();
        for (text, ids) in [
            ("5", (5, 5)),
            ("5:6", (5, 6)),
            ("sid", (1001, 1001)),
            ("sid:users", (1001, 100)),
            ("sid:", (1001, 1002)),
        ] {
            assert_eq!(owner(text, &view).unwrap(), ids, "{text}");
        }
        for text in ["nobody", "sid:nobody", "4294967295", "", ":", "-1"] {
            assert!(owner(text, &view).is_err(), "{text}");
        }
        assert!(owner("sid", &View::of(&[]).unwrap()).is_err());
    }
}
