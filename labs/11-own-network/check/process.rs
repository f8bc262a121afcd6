//! The new process, seen from outside.

use std::fs;

use lab::check::{Bench, Checked, Process, Student, ensure, fail};

/// The exit signal of a process that its parent can wait for: SIGCHLD (signal(7)).
const SIGCHLD: u64 = 17;

/// Looks at the process that `spawn` has created: it alone has a network of its own.
pub fn judge(bench: &mut Bench, student: &Student) -> Checked<Process> {
    let (host, main) = (student.host(), student.main());
    let hosts = host.namespace("net")?;
    let own = main.namespace("net")?;
    bench.saw(main.path("ns/net").display(), format!("{own}; host {hosts}"));
    ensure(own == hosts, || fail("L11-parent-moved").fact("namespace", &own))?;
    let children = main.descendants();
    let [child] = children[..] else {
        return Err(fail("L11-not-run").fact("children", children.len()));
    };
    let own = child.namespace("net")?;
    bench.saw(child.path("ns/net").display(), format!("{own}; host {hosts}"));
    ensure(own != hosts, || fail("L11-shared").fact("pid", child.pid).fact("namespace", &own))?;
    let names = fs::read_dir(host.path("ns"))?.flatten();
    let mut kinds: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    kinds.retain(|kind| kind != "net" && !kind.ends_with("_for_children"));
    kinds.sort_unstable();
    for kind in kinds {
        let is_shared = child.namespace(&kind)? == host.namespace(&kind)?;
        ensure(is_shared, || fail("L11-more-namespaces").fact("kind", &kind))?;
    }
    let signal = child.stat(38)?;
    bench.saw(format!("{}, field 38", child.path("stat").display()), signal);
    ensure(signal == SIGCHLD, || fail("L11-no-signal").fact("signal", signal))?;
    let (returned, wanted) = (student.said("child")?, student.inside(child)?.to_string());
    bench.saw("spawn()", returned);
    ensure(returned == wanted, || {
        fail("L11-other-pid").fact("seen", returned).fact("wanted", &wanted)
    })?;
    Ok(child)
}
