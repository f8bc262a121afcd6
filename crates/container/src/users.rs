//! Question 4, by name: the user and groups that `--user NAME` means inside.
//!
//! The names come from the container's own `/etc/passwd` and `/etc/group` (passwd(5), group(5)),
//! which are untrusted: they are read by the module `layers`, which follows no link out of the
//! root, and malformed lines are ignored.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::PathBuf};

use crate::{
    Error,
    layers::Layers,
    spec::{power::User, root::Root},
};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The maximum number of groups of a process: NGROUPS_MAX of linux/limits.h.
const MOST_GROUPS: usize = 65_536;

/// The user that `--user` means in a root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The ids.
    pub user: User,
    /// The home directory; `None` for a user without a line in `/etc/passwd`.
    pub home: Option<PathBuf>,
}

/// Looks `words` up in the files of `root`: `USER[:GROUP]`, each a name or a number, as `docker run
/// --user` takes them. An empty user means root. `extra_groups`, names or numbers, are those of
/// `--group-add`.
///
/// A number need not be in the files. A user in the files has the group and the supplementary
/// groups given there; any other has group 0. With a group in `words`, that one and the extra groups
/// are the only supplementary ones.
///
/// # Errors
///
/// An unknown name, an invalid number, or a file that cannot be read.
pub fn find(root: &Root, words: &str, extra_groups: &[String]) -> Result<Found, Error> {
    let (user, group) = match words.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (words, None),
    };
    let layers = Layers::of(root)?;
    let passwd = layers.read(PASSWD)?;
    let user = Id::parse(if user.is_empty() { "0" } else { user })?;
    let account = accounts(&passwd).find(|account| user.is(account.uid, account.name));
    let uid = match (&account, &user) {
        (Some(account), _) => account.uid,
        (None, Id::Number(uid)) => *uid,
        (None, Id::Name(name)) => return Err(unknown("user", name, PASSWD)),
    };
    let is_member = account.is_some() && group.is_none();
    let groups = match is_member || group.is_some() || !extra_groups.is_empty() {
        true => layers.read(GROUP)?,
        false => Vec::new(),
    };
    let gid = match (group, &account) {
        (Some(group), _) => group_id(&groups, group)?,
        (None, Some(account)) => account.gid,
        (None, None) => 0,
    };
    // Its own group too, as in Docker: a program that changes its group must not lose what a file
    // denies to that group.
    let mut additional_gids = vec![gid];
    if let Some(account) = account.as_ref().filter(|_| is_member) {
        additional_gids.extend(memberships(&groups, account.name));
    }
    for group in extra_groups {
        additional_gids.push(group_id(&groups, group)?);
    }
    let home = account.and_then(|account| account.home());
    let user = User { uid, gid, additional_gids: distinct(additional_gids)?, umask: None };
    Ok(Found { user, home })
}

/// A name, or the number itself.
#[derive(Debug, Clone, Copy)]
enum Id<'a> {
    Number(u32),
    Name(&'a str),
}

impl<'a> Id<'a> {
    /// All digits mean a number, even if a user has that name, as in Docker.
    fn parse(word: &'a str) -> Result<Self, Error> {
        if !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(word));
        }
        id(word.as_bytes())
            .map(Self::Number)
            .ok_or_else(|| Error::IdOutOfRange { word: word.to_owned() })
    }

    fn is(&self, number: u32, name: &[u8]) -> bool {
        match self {
            Self::Number(wanted) => *wanted == number,
            Self::Name(wanted) => wanted.as_bytes() == name,
        }
    }
}

/// A line of passwd(5): `name:password:uid:gid:comment:home:shell`.
#[derive(Debug)]
struct Account<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

impl Account<'_> {
    fn home(&self) -> Option<PathBuf> {
        self.home.starts_with(b"/").then(|| OsStr::from_bytes(self.home).into())
    }
}

/// The well-formed lines.
fn accounts(file: &[u8]) -> impl Iterator<Item = Account<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
        Some(Account { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

/// The lines of group(5), `name:password:gid:members`: name, number, members.
fn groups(file: &[u8]) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name, id(fields.nth(1)?)?, fields.next().unwrap_or_default()))
    })
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.contains(&0))
}

/// An id; all ones is not an id: to setresuid(2) it means "unchanged".
fn id(digits: &[u8]) -> Option<u32> {
    let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    digits.parse().ok().filter(|id| *id != u32::MAX)
}

/// The number of one group.
fn group_id(file: &[u8], word: &str) -> Result<u32, Error> {
    let wanted = Id::parse(word)?;
    match (groups(file).find(|(name, gid, _)| wanted.is(*gid, name)), wanted) {
        (Some((_, gid, _)), _) | (None, Id::Number(gid)) => Ok(gid),
        (None, Id::Name(name)) => Err(unknown("group", name, GROUP)),
    }
}

/// The groups that name this user as a member.
fn memberships(file: &[u8], user: &[u8]) -> Vec<u32> {
    let names = |members: &[u8]| members.split(|byte| *byte == b',').any(|name| name == user);
    groups(file).filter(|(.., members)| names(members)).map(|(_, gid, _)| gid).collect()
}

fn distinct(mut gids: Vec<u32>) -> Result<Vec<u32>, Error> {
    gids.sort_unstable();
    gids.dedup();
    match gids.len() {
        groups if groups > MOST_GROUPS => Err(Error::TooManyGroups { groups }),
        _ => Ok(gids),
    }
}

fn unknown(kind: &'static str, name: &str, file: &'static str) -> Error {
    Error::UnknownName { kind, name: name.to_owned(), file }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\n\
        a bad line\n\nnobody:x:99999999999:1::/:\n+::::::\nself:x:4294967295:1::/self:/bin/sh\n\
        ann:x:1000:100:Ann,,,:/home/ann:/bin/sh\nrel:x:1001:100::home:/bin/sh\n\
        7:x:1007:7::/seven:/bin/sh\nshort:x:5:6\nann:x:0:0::/root:/bin/sh\n";
    const GROUPS: &str = "root:x:0:\nusers:x:100:\naudio:x:29:ann,bob\nvideo:x:44:bob\n\
        bad:x:-3:ann\nworse\ndup:x:29:ann\nwheel:x:10:anna,ann\n";

    fn root() -> (TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        fs::write(folder.path().join("etc/passwd"), USERS).unwrap();
        fs::write(folder.path().join("etc/group"), GROUPS).unwrap();
        let root = Root::Directory(folder.path().to_owned());
        (folder, root)
    }

    fn ids(words: &str, extra: &[&str]) -> Result<(u32, u32, Vec<u32>, Option<String>), Error> {
        let (_folder, root) = root();
        let extra: Vec<String> = extra.iter().map(|group| (*group).to_owned()).collect();
        let Found { user, home } = find(&root, words, &extra)?;
        let home = home.map(|home| home.into_os_string().into_string().unwrap());
        Ok((user.uid, user.gid, user.additional_gids, home))
    }

    #[test]
    fn words_mean_what_they_mean_to_docker() {
        let home = |path: &str| Some(path.to_owned());
        for (words, extra, expected) in [
            ("", &[][..], (0, 0, vec![0], home("/root"))),
            ("root", &[], (0, 0, vec![0], home("/root"))),
            ("ann", &[], (1000, 100, vec![10, 29, 100], home("/home/ann"))),
            ("1000", &[], (1000, 100, vec![10, 29, 100], home("/home/ann"))),
            ("ann:", &[], (1000, 100, vec![10, 29, 100], home("/home/ann"))),
            ("ann:audio", &[], (1000, 29, vec![29], home("/home/ann"))),
            ("ann:5", &["video", "77", "5"], (1000, 5, vec![5, 44, 77], home("/home/ann"))),
            ("ann", &["29"], (1000, 100, vec![10, 29, 100], home("/home/ann"))),
            (":video", &[], (0, 44, vec![44], home("/root"))),
            ("1234", &["video"], (1234, 0, vec![0, 44], None)),
            ("1234:5678", &[], (1234, 5678, vec![5678], None)),
            ("7", &[], (7, 0, vec![0], None)),
            ("rel", &[], (1001, 100, vec![100], None)),
            ("short", &[], (5, 6, vec![6], None)),
        ] {
            assert_eq!(ids(words, extra).unwrap(), expected, "{words:?} {extra:?}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_with_the_file_and_the_way_out() {
        for (words, extra, file, name) in [
            ("eve", &[][..], PASSWD, "eve"),
            ("nobody", &[], PASSWD, "nobody"),
            ("self", &[], PASSWD, "self"),
            ("-1", &[], PASSWD, "-1"),
            ("+5", &[], PASSWD, "+5"),
            ("ann:eves", &[], GROUP, "eves"),
            ("ann:1:2", &[], GROUP, "1:2"),
            ("ann", &["bad"], GROUP, "bad"),
        ] {
            let error = sandbox::Error::from(ids(words, extra).unwrap_err());
            let message = sandbox::chain(&error);
            assert!(message.contains(file) && message.contains(name), "{words:?}: {message}");
            let sandbox::Error::Failed { fix: Some(fix), .. } = error else { panic!("{message}") };
            assert!(fix.contains("as a number") && fix.contains(file), "{fix}");
        }
    }

    #[test]
    fn a_number_is_an_id_or_an_error() {
        for words in ["4294967295", "4294967296", "99999999999999999999", "0:4294967295"] {
            let message = ids(words, &[]).unwrap_err().to_string();
            assert!(message.contains("4294967294"), "{words}: {message}");
        }
        assert_eq!(ids("4294967294:4294967294", &[]).unwrap().0, u32::MAX - 1);
        assert!(ids("0", &["4294967295"]).is_err());
    }

    #[test]
    fn nobody_is_in_more_groups_than_the_kernel_takes() {
        let (folder, root) = root();
        let many = |count| (0..count).map(|gid| format!("g:x:{gid}:ann\n")).collect::<String>();
        fs::write(folder.path().join("etc/group"), many(65_537)).unwrap();
        let error = find(&root, "ann", &[]).unwrap_err();
        assert!(matches!(error, Error::TooManyGroups { groups: 65_537 }), "{error}");
        fs::write(folder.path().join("etc/group"), many(65_536)).unwrap();
        assert_eq!(find(&root, "ann", &[]).unwrap().user.additional_gids.len(), 65_536);
    }

    #[test]
    fn a_root_without_the_files_knows_numbers() {
        let empty = tempfile::tempdir().unwrap();
        for root in [Root::Empty, Root::Directory(empty.path().to_owned())] {
            let user = User { uid: 5, gid: 6, additional_gids: vec![6, 7], umask: None };
            let found = find(&root, "5:6", &["7".into()]).unwrap();
            assert_eq!(found, Found { user, home: None });
            assert!(find(&root, "root", &[]).is_err());
        }
    }

    #[test]
    fn the_hosts_files_are_those_of_the_hosts_root() {
        let found = find(&Root::Host, "root", &[]).unwrap();
        assert_eq!((found.user.uid, found.user.gid), (0, 0));
        assert!(found.home.is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_the_search_panic(
            passwd in "([a-z0-9:,\n]|\\PC){0,200}",
            group in "([a-z0-9:,\n]|\\PC){0,200}",
            words in "[a-z0-9:]{0,6}",
        ) {
            let (folder, root) = root();
            fs::write(folder.path().join("etc/passwd"), passwd).unwrap();
            fs::write(folder.path().join("etc/group"), group).unwrap();
            if let Ok(found) = find(&root, &words, std::slice::from_ref(&words)) {
                proptest::prop_assert!(found.user.uid != u32::MAX && found.user.gid != u32::MAX);
            }
        }
    }
}
