//! What the kernel says of mounts: who else sees them, what is mounted where, and what is the top.

use std::{fs, io, os::unix::fs::MetadataExt};

use lab::check::{Bench, Checked, Process, Student, ensure, fail, kernel::Mount};

/// The lines of a mountinfo.
pub fn lines(mounts: &[Mount]) -> Vec<String> {
    mounts.iter().map(|mount| mount.line.clone()).collect()
}

/// What is mounted for `process` that was not there before.
pub fn new_mount(process: Process, before: &[String]) -> io::Result<Option<Mount>> {
    Ok(process.mounts()?.into_iter().find(|mount| !before.contains(&mount.line)))
}

/// The number of a mount (proc_pid_mountinfo(5), field 1).
pub fn id(mount: &Mount) -> u64 {
    field(mount, 0)
}

/// That of the mount which it is mounted in (field 2).
fn parent(mount: &Mount) -> u64 {
    field(mount, 1)
}

fn field(mount: &Mount, index: usize) -> u64 {
    mount.line.split(' ').nth(index).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Looks who else sees what is mounted from now on: nobody, for each mount.
pub fn judge_private(
    bench: &mut Bench,
    host: Process,
    child: Process,
    before: &[String],
) -> Checked<()> {
    let mounts = child.mounts()?;
    let are = |word: &str| -> Vec<&Mount> {
        mounts.iter().filter(|mount| mount.propagation.contains(word)).collect()
    };
    let counts =
        ["shared", "master", "unbindable"].map(|word| format!("{} {word}", are(word).len()));
    let says = format!("{} mounts: {}", mounts.len(), counts.join(", "));
    bench.saw(child.path("mountinfo").display(), &says);
    if let Some(mount) = new_mount(host, before)? {
        return Err(fail("L09-mounted-early").fact("mount", mount.point));
    }
    let shared = are("shared");
    if let Some(first) = shared.first() {
        let is_root = |mount: &&&Mount| mount.point == "/";
        let id = match shared.iter().find(is_root) {
            None => "L09-not-recursive",
            Some(_) if shared.len() == 1 => "L09-root-shared",
            Some(_) => "L09-leak",
        };
        let facts = fail(id).fact("mount", &first.point).fact("all", mounts.len());
        return Err(facts.fact("count", shared.len()));
    }
    for (word, id) in [("master", "L09-slave"), ("unbindable", "L09-unbindable")] {
        let found = are(word);
        ensure(found.is_empty(), || {
            fail(id).fact("line", &found[0].line).fact("count", found.len())
        })?;
    }
    Ok(())
}

/// The directory that is to be a root, and the mounts before it is.
pub struct Tree {
    /// Where it is on the host.
    pub path: String,
    child: Process,
    /// The directory itself: its device and inode.
    directory: (u64, u64),
    mounts: Vec<Mount>,
}

impl Tree {
    /// After `bind_self`.
    pub fn of(student: &Student, child: Process) -> Checked<Self> {
        let path = student.said("root")?.to_owned();
        // The program's first process has not mounted anything on it.
        let directory = place(student.main(), &path)?;
        Ok(Self { child, directory, mounts: child.mounts()?, path })
    }

    /// Looks whether the directory is a mount of itself.
    pub fn judge_mount(&self, bench: &mut Bench) -> Checked<()> {
        let mount = self.mount();
        let says = mount.map_or("nothing is mounted on the directory", |mount| &mount.line);
        bench.saw(self.child.path("mountinfo").display(), says);
        let Some(mount) = mount else {
            return Err(fail("L09-no-mount-point").fact("root", &self.path));
        };
        ensure(place(self.child, &self.path)? == self.directory, || {
            fail("L09-other-source").fact("root", &self.path).fact("line", &mount.line)
        })
    }

    /// Looks whether there is a `proc` in it.
    pub fn judge_proc(&self, bench: &mut Bench) -> Checked<()> {
        let point = format!("{}/proc", self.path);
        let mounts = self.child.mounts()?;
        let found = mounts.iter().rfind(|mount| mount.point == point);
        let elsewhere =
            mounts.iter().find(|mount| mount.kind == "proc" && self.point_of(id(mount)).is_empty());
        let says = found.or(elsewhere).map_or("nothing new", |mount| &mount.line);
        bench.saw(self.child.path("mountinfo").display(), says);
        let Some(mount) = found else {
            return Err(match elsewhere {
                Some(other) => {
                    fail("L09-proc-elsewhere").fact("point", &other.point).fact("wanted", point)
                }
                None => fail("L09-no-proc").fact("wanted", point),
            });
        };
        let other = || fail("L09-not-a-proc").fact("point", &point).fact("kind", &mount.kind);
        ensure(mount.kind == "proc", other)
    }

    /// Looks whether no program, device or change of user works in that `proc`.
    pub fn judge_proc_flags(&self) -> Checked<()> {
        let point = format!("{}/proc", self.path);
        let mounts = self.child.mounts()?;
        let flags = mounts.iter().rfind(|mount| mount.point == point).map_or("", |it| &it.flags);
        let is_missing = |flag: &&str| !flags.split(',').any(|own| own == *flag);
        let missing: Vec<&str> =
            ["nosuid", "nodev", "noexec"].into_iter().filter(is_missing).collect();
        ensure(missing.is_empty(), || {
            fail("L09-proc-flags").fact("flags", flags).fact("missing", missing.join(", "))
        })
    }

    /// Whether the mount is at the top of the namespace's mounts; another one there is wrong.
    pub fn judge_root(&self, bench: &mut Bench) -> Checked<bool> {
        let own = self.mount().map_or(0, id);
        let before = self.mounts.iter().find(|mount| mount.point == "/").map_or(0, parent);
        let mounts = self.child.mounts()?;
        bench.saw(self.child.path("mountinfo").display(), lines(&mounts).join("\n"));
        // What hangs where the old root did: pivot_root(2) exchanges just that.
        let top = mounts.iter().find(|mount| mount.point == "/" && parent(mount) == before);
        match top {
            Some(top) if id(top) == own => Ok(true),
            Some(top) if self.point_of(id(top)) != "/" => {
                Err(fail("L09-other-root").fact("root", &self.path).fact("line", &top.line))
            }
            _ => Ok(false),
        }
    }

    /// Where the mount of that number was before.
    fn point_of(&self, number: u64) -> &str {
        self.mounts.iter().find(|mount| id(mount) == number).map_or("", |mount| &mount.point)
    }

    /// The mount on the directory, if there is one; the last is on top.
    fn mount(&self) -> Option<&Mount> {
        self.mounts.iter().rfind(|mount| mount.point == self.path)
    }
}

/// Looks at what is mounted in the end: the new root, and its /proc.
pub fn judge_last(bench: &mut Bench, child: Process) -> Checked<()> {
    let mounts = child.mounts()?;
    bench.saw(child.path("mountinfo").display(), lines(&mounts).join("\n"));
    let at = |point: &str| mounts.iter().filter(|mount| mount.point == point).count();
    for point in ["/", "/proc"] {
        ensure(at(point) > 0, || fail("L09-mount-gone").fact("point", point))?;
    }
    ensure(mounts.len() == 2, || fail("L09-old-root").fact("mounts", mounts.len()))
}

/// A directory of the process, by device and inode.
fn place(process: Process, path: &str) -> io::Result<(u64, u64)> {
    let found = fs::metadata(process.path(&format!("root{path}")))?;
    Ok((found.dev(), found.ino()))
}
