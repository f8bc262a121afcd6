//! Which namespaces are asked for, and which the new process has.

use std::{collections::BTreeSet, fs, io};

use lab::check::{Bench, Checked, Process, ensure, fail};

/// The three that are asked for: the flag, its name in `/proc/PID/ns`, and the message.
const ASKED: [(&str, &str, &str); 3] = [
    ("CLONE_NEWUTS", "uts", "L08-shared-uts"),
    ("CLONE_NEWPID", "pid", "L08-no-pid-namespace"),
    ("CLONE_NEWIPC", "ipc", "L08-shared-ipc"),
];

/// Looks at what `clone_flags` returns.
pub fn judge(asked: &str) -> Checked<()> {
    let shown = if asked.is_empty() { "0" } else { asked };
    let flags: Vec<&str> = asked.split(" | ").filter(|flag| !flag.is_empty()).collect();
    for (flag, _, id) in ASKED {
        ensure(flags.contains(&flag), || fail(id).fact("flags", shown))?;
    }
    let more: Vec<&str> =
        flags.into_iter().filter(|flag| ASKED.iter().all(|(name, _, _)| name != flag)).collect();
    let other = || fail("L08-more-flags").fact("flags", shown).fact("more", more.join(", "));
    ensure(more.is_empty(), other)
}

/// Looks at which namespaces the new process does not share with the host.
pub fn judge_namespaces(
    bench: &mut Bench,
    host: Process,
    child: Process,
    asked: &str,
) -> Checked<()> {
    let mut own = BTreeSet::new();
    for kind in kinds(host)? {
        let (of_child, of_host) = (child.namespace(&kind)?, host.namespace(&kind)?);
        if of_child != of_host {
            bench.saw(
                child.path(&format!("ns/{kind}")).display(),
                format!("{of_child}; host {of_host}"),
            );
            own.insert(kind);
        }
    }
    bench.saw(format!("{}, NSpid", child.path("status").display()), child.status("NSpid")?);
    let expected: BTreeSet<String> = ASKED.map(|(_, kind, _)| kind.to_owned()).into();
    let list = |kinds: &BTreeSet<String>| kinds.iter().cloned().collect::<Vec<_>>().join(", ");
    ensure(own == expected, || {
        let own = if own.is_empty() { "-".to_owned() } else { list(&own) };
        fail("L08-other-namespaces").fact("own", own).fact("flags", asked)
    })
}

/// The kinds of namespaces that this kernel has, without those that are only for children.
fn kinds(process: Process) -> io::Result<Vec<String>> {
    let listing = fs::read_dir(process.path("ns"))?;
    let names = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| !name.ends_with("_for_children")).collect())
}
