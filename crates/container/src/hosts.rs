//! Names: the host name of a container, and its name servers. Programs find them in three files of
//! `/etc` (hostname(5), hosts(5), resolv.conf(5)).
//!
//! A container has files of its own, and those in its root are not changed: over the host's root,
//! they are written to the temporary layer before it is mounted; otherwise they are files of the
//! container's own `/dev`, mounted over those in `/etc` and then unlinked.
//!
//! A name server on the host's loopback link (systemd-resolved has 127.0.0.53) cannot be reached
//! from another network namespace. Then its upstream servers are used, if it lists them in a file.

use std::{
    fs::File,
    io::Read as _,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use nix::{errno::Errno, unistd::gethostname};
use sandbox::Question::Inside;

use crate::{
    Error,
    links::LinkAddresses,
    lookup::{self, Links},
    mount_calls,
    network::Link,
    plan::{Slot, SyscallPlan},
    spec::{
        self, Spec,
        namespaces::{Namespace, Namespaces},
        root::Root,
    },
};

pub use crate::spec::names::{HostAddress, NameService, is_host_name};

/// Where a name server on the host's loopback link lists its upstream servers: systemd-resolved,
/// NetworkManager, and dnsmasq as started by resolvconf.
const UPSTREAM: [&str; 3] = [
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
];
const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// The files and their contents.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Names below `/etc`.
    all: Vec<(&'static str, String)>,
    /// Whether missing files are made, empty, as mount points.
    are_made: bool,
    are_read_only: bool,
}

/// No files: those of the root stay.
pub(crate) static NO_FILES: Files =
    Files { all: Vec::new(), are_made: false, are_read_only: false };

impl Files {
    /// The files of a container with these namespaces and that link to the host.
    pub(crate) fn of(
        spec: &Spec,
        namespaces: &Namespaces,
        link: Option<LinkAddresses>,
    ) -> Result<Self, Error> {
        let inside = &spec.inside;
        let names = match &spec.way_out.names {
            Some(names) if namespaces.mount.is_new() && inside.root != Root::Empty => names,
            _ => return Ok(Self::default()),
        };
        let has_hosts_network = namespaces.net == Namespace::Shared;
        let own_name = match &spec.boundary.hostname {
            Some(name) if namespaces.uts.is_new() => name.clone(),
            _ => gethostname().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let mut all = Vec::new();
        let host =
            if has_hosts_network { Some(Ipv4Addr::LOCALHOST) } else { link.and_then(|it| it.host) };
        let start = match has_hosts_network {
            true => read(HOSTS).unwrap_or_else(|| LOCALHOST.into()),
            false => LOCALHOST.into(),
        };
        let own = link.map_or(DEBIANS_OWN, |link| link.own);
        all.push(("hosts", hosts(&start, names, host, &own_name, own)?));
        if namespaces.uts.is_new() {
            all.push(("hostname", format!("{own_name}\n")));
        }
        let reaches_servers = namespaces.net != Namespace::New || link.is_some();
        if reaches_servers || names.changes_the_resolver() {
            let found = if has_hosts_network { read(RESOLV_CONF) } else { of_a_namespace() };
            if let Some(text) = resolv_conf(found.as_deref(), names, has_hosts_network) {
                all.push(("resolv.conf", text));
            }
        }
        all.retain(|(name, _)| !is_mounted(inside, &Path::new("/etc").join(name)));
        // A layer of the container's own may have more files; a directory that is used as it is, only
        // if it must.
        let has_a_layer = matches!(inside.root, Root::Overlay { .. });
        let are_made = reaches_servers || has_a_layer;
        Ok(Self { all, are_made, are_read_only: inside.read_only })
    }

    /// Whether this is one of them.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.all
            .iter()
            .any(|(name, _)| path.parent() == Some(Path::new("/etc")) && path.ends_with(name))
    }

    /// The steps that write them to the upper layer of an overlay over the host's directory
    /// `point`, before it is mounted.
    pub(crate) fn write_into(
        &self,
        plan: &mut SyscallPlan,
        upper: Slot,
        point: &Path,
    ) -> Result<(), Error> {
        let etc = Path::new("etc");
        let folder = match point.to_str() {
            Some("/") => etc,
            Some("/etc") => Path::new(""),
            _ => return Ok(()),
        };
        if self.all.is_empty() {
            return Ok(());
        }
        if folder == etc {
            lookup::make_directory(plan, upper, etc, 0o755)?;
        }
        for (name, content) in &self.all {
            create(plan, upper, &folder.join(name), content)?;
        }
        Ok(())
    }

    /// The steps that mount them in `/etc` of any other root. They are made in the container's own
    /// `/dev` and unlinked there afterwards.
    pub(crate) fn mount(
        &self,
        plan: &mut SyscallPlan,
        root: Slot,
        inside: &spec::Inside,
    ) -> Result<(), Error> {
        let has_dev = |it: &crate::Mount| it.destination == Path::new("/dev") && it.kind == "tmpfs";
        if self.all.is_empty() || !inside.mounts.iter().any(has_dev) {
            return Ok(());
        }
        lookup::open(plan, root, Path::new("/dev"), Links::Refused)?;
        let dev = plan.result();
        let etc = plan.slot();
        let path = Path::new("/etc");
        lookup::open(plan, root, path, Links::WithinRoot)?;
        plan.result_into(etc);
        plan.forgive(MISSING);
        if self.are_made {
            plan.if_failed(MISSING, |plan| {
                lookup::make_directory(plan, root, Path::new("etc"), 0o755)?;
                plan.forgive(NOT_MADE);
                lookup::open(plan, root, path, Links::WithinRoot)?;
                plan.result_into(etc);
                plan.forgive(MISSING);
                Ok::<_, Error>(())
            })?;
        }
        self.all.iter().try_for_each(|(name, content)| {
            self.mount_one(plan, (dev, etc), Path::new(name), content)
        })
    }

    fn mount_one(
        &self,
        plan: &mut SyscallPlan,
        (dev, etc): (Slot, Slot),
        name: &Path,
        content: &str,
    ) -> Result<(), Error> {
        let target = plan.slot();
        // The name may be a dangling symbolic link: it is mounted over, not followed.
        lookup::open_itself(plan, etc, name)?;
        plan.result_into(target);
        plan.forgive(MISSING);
        if self.are_made {
            plan.if_failed(MISSING, |plan| {
                lookup::make_file(plan, etc, name)?;
                plan.result_into(target);
                plan.forgive(NOT_MADE);
                Ok::<_, Error>(())
            })?;
        }
        let path = Path::new("/etc").join(name);
        let file = create(plan, dev, name, content)?;
        let mount = mount_calls::copy(plan, &path, file, false);
        if self.are_read_only {
            let words = format!("mount_setattr {} read-only", path.display());
            mount_calls::set_attributes_of_one(plan, words, mount, libc::MOUNT_ATTR_RDONLY);
        }
        mount_calls::attach(plan, &path, mount, target);
        // It does not exist, or is a directory: the root does not use such files.
        plan.forgive(&[Errno::EBADF, Errno::ENOTDIR, Errno::EINVAL]);
        let operand = plan.text(name)?;
        let words = format!("unlinkat {}", name.display());
        plan.step(Inside, words, libc::SYS_unlinkat, [dev.operand(), operand, 0]);
        Ok(())
    }
}

/// The same files for a virtual machine with that link to the host: names below `/etc`, and
/// contents.
///
/// # Errors
///
/// When a name is invalid, or `host-gateway` is used without a link.
pub fn of_a_machine(
    names: &NameService,
    own_name: &str,
    link: Option<&Link>,
) -> Result<Vec<(&'static str, String)>, Error> {
    let own = link.map_or(DEBIANS_OWN, |link| link.inside);
    let host = link.map(|link| link.host);
    let mut all = vec![
        ("hosts", hosts(LOCALHOST, names, host, own_name, own)?),
        ("hostname", format!("{own_name}\n")),
    ];
    if link.is_some() || names.changes_the_resolver() {
        let text = resolv_conf(of_a_namespace().as_deref(), names, false);
        all.extend(text.map(|text| ("resolv.conf", text)));
    }
    Ok(all)
}

/// A root may lack them: no file, no `/etc`, or something else in its place.
const MISSING: &[Errno] = &[Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP, Errno::EBADF];
/// Nothing can be made in a root that is read-only, or whose owner is not mapped.
const NOT_MADE: &[Errno] = &[
    Errno::EEXIST,
    Errno::ENOENT,
    Errno::ENOTDIR,
    Errno::EBADF,
    Errno::EROFS,
    Errno::EACCES,
    Errno::EPERM,
    Errno::EOVERFLOW,
];

/// The address that Debian gives a host's own name if it has no other (hosts(5)).
const DEBIANS_OWN: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// Adds the steps that make a new file and fill it.
fn create(plan: &mut SyscallPlan, folder: Slot, name: &Path, content: &str) -> Result<Slot, Error> {
    lookup::make_file_to_write(plan, folder, name)?;
    let file = plan.result();
    let text = plan.keep(content);
    let words = format!("write {}", name.display());
    plan.step(Inside, words, libc::SYS_write, [file.operand(), text, content.len()]);
    Ok(file)
}

/// Whether a mount of the caller is at that path.
fn is_mounted(inside: &spec::Inside, path: &Path) -> bool {
    inside.mounts.iter().any(|mount| path.starts_with(&mount.destination))
}

/// The content of `/etc/hosts`. The user's own lines come first: the first line with a name counts
/// (hosts(5)).
fn hosts(
    start: &str,
    names: &NameService,
    host: Option<Ipv4Addr>,
    own_name: &str,
    own: Ipv4Addr,
) -> Result<String, Error> {
    let mut text = String::new();
    for (name, address) in &names.hosts {
        if !is_host_name(name) {
            return Err(Error::HostName { name: name.clone() });
        }
        let address = match address {
            HostAddress::Address(address) => *address,
            HostAddress::Gateway => host.ok_or(Error::NoGateway)?.into(),
        };
        text += &format!("{address}\t{name}\n");
    }
    text += start;
    if !start.ends_with('\n') {
        text.push('\n');
    }
    if !is_host_name(own_name) {
        // The kernel accepts any bytes as a host name; such a name cannot be looked up.
        return Ok(text);
    }
    // The full name first: a lookup of the short name returns it (hostname(1)).
    let short = own_name.split_once('.').map_or("", |(short, _)| short);
    text += format!("{own}\t{own_name} {short}").trim_end();
    text.push('\n');
    Ok(text)
}

/// The host's resolver configuration for another network namespace: the first of its files with a
/// server that can be reached from there.
fn of_a_namespace() -> Option<String> {
    let own = read(RESOLV_CONF);
    if own.as_deref().is_some_and(|text| servers(text).any(can_be_asked)) {
        return own;
    }
    let upstream = UPSTREAM.into_iter().filter_map(read);
    upstream.into_iter().find(|text| servers(text).any(can_be_asked)).or(own)
}

/// A file of the host; `None` if there is none. Symbolic links are followed: they are the host's
/// own.
fn read(path: &str) -> Option<String> {
    const LONGEST: u64 = 1 << 20;
    let mut text = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The servers of a configuration, except those with a zone, which are bound to a link of the host.
fn servers(text: &str) -> impl Iterator<Item = IpAddr> {
    values(text, "nameserver").filter_map(|value| value.parse().ok())
}

/// The words after a keyword, of all lines with it.
fn values<'a>(text: &'a str, keyword: &str) -> impl Iterator<Item = &'a str> {
    let of_line = move |line: &'a str| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == keyword).map(|_| words)
    };
    text.lines().filter_map(of_line).flatten()
}

/// Whether a server can be reached over a link that has only IPv4.
fn can_be_asked(server: IpAddr) -> bool {
    server.is_ipv4() && !server.is_loopback() && !server.is_unspecified()
}

/// The content of `/etc/resolv.conf`: the host's, unless options say otherwise.
fn resolv_conf(found: Option<&str>, names: &NameService, is_hosts: bool) -> Option<String> {
    if is_hosts && !names.changes_the_resolver() {
        return found.map(str::to_owned);
    }
    let found = found.unwrap_or_default();
    let chosen = |asked: &[String], keyword: &str| match asked {
        [] => values(found, keyword).map(str::to_owned).collect(),
        asked => asked.to_vec(),
    };
    // The last line with search domains counts (resolv.conf(5)).
    let last_search = found
        .lines()
        .rev()
        .find(|line| matches!(line.split_whitespace().next(), Some("search" | "domain")));
    let search: Vec<String> = match names.search.as_slice() {
        [] => {
            last_search.unwrap_or_default().split_whitespace().skip(1).map(str::to_owned).collect()
        }
        asked => asked.iter().filter(|domain| *domain != ".").cloned().collect(),
    };
    let servers: Vec<IpAddr> = match names.servers.as_slice() {
        [] => servers(found).filter(|server| is_hosts || can_be_asked(*server)).collect(),
        asked => asked.to_vec(),
    };
    let mut text = String::new();
    if servers.is_empty() {
        text += "# The host names no server that can be asked from here: see --dns.\n";
    }
    for server in servers {
        text += &format!("nameserver {server}\n");
    }
    for (keyword, words) in [("search", search), ("options", chosen(&names.options, "options"))] {
        if !words.is_empty() {
            text += &format!("{keyword} {}\n", words.join(" "));
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUB: &str = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n";

    fn text(found: &str, names: &NameService) -> String {
        resolv_conf(Some(found), names, false).unwrap()
    }

    #[test]
    fn servers_that_cannot_be_asked_are_left_out() {
        let found = "# x\nnameserver 127.0.0.1\nnameserver\t192.0.2.1 \nnameserver ::1\n\
                     nameserver fe80::1%eth0\n;nameserver 192.0.2.2\nsearch a\nsearch b c\n";
        let text = text(found, &NameService::default());
        assert_eq!(text, "nameserver 192.0.2.1\nsearch b c\n");
        let none = self::text(STUB, &NameService::default());
        assert!(none.starts_with("# ") && none.contains("--dns"), "{none}");
        assert!(none.ends_with("search lan\noptions edns0 trust-ad\n"), "{none}");
    }

    #[test]
    fn what_was_asked_for_takes_the_place_of_the_hosts() {
        let servers = vec!["192.0.2.7".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let search = vec![".".to_owned()];
        let names = NameService { servers, search, ..NameService::default() };
        let expected = "nameserver 192.0.2.7\nnameserver 2001:db8::1\noptions edns0 trust-ad\n";
        assert_eq!(text(STUB, &names), expected);
        let options = vec!["ndots:2".to_owned()];
        let names = NameService { options, search: vec!["x.y".into()], ..NameService::default() };
        assert!(text(STUB, &names).ends_with("search x.y\noptions ndots:2\n"));
    }

    #[test]
    fn the_hosts_network_has_the_hosts_servers() {
        let names = NameService::default();
        assert_eq!(resolv_conf(Some(STUB), &names, true).as_deref(), Some(STUB));
        assert_eq!(resolv_conf(None, &names, true), None);
    }

    #[test]
    fn the_own_name_has_an_address_and_a_short_form() {
        let own = Ipv4Addr::new(10, 0, 0, 2);
        let written = |names: &NameService, host, own_name: &str| {
            hosts(LOCALHOST, names, host, own_name, own).map_err(|error| error.to_string())
        };
        let names = NameService::default();
        assert!(written(&names, None, "box").unwrap().ends_with("loopback\n10.0.0.2\tbox\n"));
        let full = written(&names, None, "box.example.org").unwrap();
        assert!(full.ends_with("\n10.0.0.2\tbox.example.org box\n"), "{full}");
        let hosts = vec![
            ("db".to_owned(), HostAddress::Address("192.0.2.3".parse().unwrap())),
            ("host".to_owned(), HostAddress::Gateway),
        ];
        let names = NameService { hosts, ..NameService::default() };
        let gateway = Some(Ipv4Addr::new(10, 0, 0, 1));
        let text = written(&names, gateway, "box").unwrap();
        assert!(text.starts_with("192.0.2.3\tdb\n10.0.0.1\thost\n127.0.0.1\tlocalhost"), "{text}");
        assert!(written(&names, None, "box").unwrap_err().contains("host-gateway"));
        // A name may not bring a line of its own.
        for name in ["", "a b", "a\n127.0.0.1 x", "-x", "a\0", "a#"] {
            let hosts = vec![(name.to_owned(), HostAddress::Gateway)];
            let names = NameService { hosts, ..NameService::default() };
            assert!(written(&names, gateway, "box").is_err(), "{name:?}");
        }
    }
}
