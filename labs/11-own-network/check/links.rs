//! Which links there are on both sides, and whether two of them are a pair.

use std::io;

use lab::check::{Bench, Checked, Process, Student, ensure, fail};

/// `IFF_UP` (netdevice(7)).
const UP: u32 = 1;
/// What a message about a link can change of its flags besides: debug, notrailers, noarp,
/// promiscuous, allmulti, multicast, dynamic. The others are the kernel's.
const SETTABLE: u32 = 0x4 | 0x20 | 0x80 | 0x100 | 0x200 | 0x1000 | 0x8000;

/// The names of the pair, and of the links that were there before it.
pub struct Links<'a> {
    pub host: Process,
    pub child: Process,
    pub outer: &'a str,
    pub inner: &'a str,
    before: [Vec<String>; 2],
}

impl<'a> Links<'a> {
    pub fn before_the_pair(
        student: &Student,
        child: Process,
        (outer, inner): (&'a str, &'a str),
    ) -> Checked<Self> {
        let host = student.host();
        let before = [student.links(host)?, student.links(child)?];
        Ok(Self { host, child, outer, inner, before })
    }

    /// The links that are new, on the host's side and on the child's.
    fn new_links(&self, bench: &mut Bench, student: &Student) -> Checked<[Vec<String>; 2]> {
        let mut new = [student.links(self.host)?, student.links(self.child)?];
        for (side, (whose, links)) in ["host", "child"].into_iter().zip(&mut new).enumerate() {
            bench.saw(format!("/proc/net/dev, {whose}"), words(links));
            links.retain(|link| !self.before[side].contains(link));
        }
        Ok(new)
    }

    /// One end is here, the other there, each is the other's, and both are down.
    pub fn judge_pair(&self, bench: &mut Bench, student: &Student) -> Checked<()> {
        let [here, there] = self.new_links(bench, student)?;
        let has = |links: &[String], name: &str| links.iter().any(|link| link == name);
        let outer = (has(&here, self.outer), has(&there, self.outer));
        let inner = (has(&here, self.inner), has(&there, self.inner));
        let misplaced = match (outer, inner) {
            ((true, _), (_, true)) => None,
            ((_, true), (_, true)) => Some("L11-both-moved"),
            ((true, _), (true, _)) => Some("L11-not-moved"),
            ((_, true), (true, _)) => Some("L11-swapped"),
            _ if here.is_empty() && there.is_empty() => Some("L11-nothing-created"),
            _ => Some("L11-other-names"),
        };
        if let Some(id) = misplaced {
            let finding = fail(id).fact("outer", self.outer).fact("inner", self.inner);
            return Err(finding.fact("here", words(&here)).fact("there", words(&there)));
        }
        let ends = (student.link(self.host, self.outer)?, student.link(self.child, self.inner)?);
        let (Some(own), Some(other)) = ends else {
            return Err(io::Error::other("a link of the pair is gone").into());
        };
        for (whose, link, end) in [("host", self.outer, own), ("child", self.inner, other)] {
            let says =
                format!("index {}, its peer's {}; flags {:#x}", end.index, end.other, end.flags);
            bench.saw(format!("RTM_GETLINK, {whose}, {link}"), says);
        }
        let pair = own.index == other.other && other.index == own.other;
        ensure(pair, || fail("L11-no-pair").fact("outer", self.outer).fact("inner", self.inner))?;
        self.judge_number(bench, student)?;
        for (link, end) in [(self.outer, own), (self.inner, other)] {
            ensure(end.flags & UP == 0, || {
                fail("L11-up-early").fact("link", link).fact("error", "-")
            })?;
        }
        Ok(())
    }

    /// There is no other new link.
    pub fn judge_number(&self, bench: &mut Bench, student: &Student) -> Checked<()> {
        let [here, there] = self.new_links(bench, student)?;
        let more = here.iter().filter(|link| *link != self.outer);
        let more: Vec<String> =
            more.chain(there.iter().filter(|link| *link != self.inner)).cloned().collect();
        ensure(more.is_empty(), || {
            let finding = fail("L11-more-links").fact("links", words(&more));
            finding.fact("outer", self.outer).fact("inner", self.inner)
        })
    }
}

/// A link as it should be, and what is said of it if it is not.
pub struct LinkState<'a> {
    pub process: Process,
    pub link: &'a str,
}

impl LinkState<'_> {
    /// It is up; `id` says that it is not.
    pub fn is_up(&self, bench: &mut Bench, student: &Student, id: &str) -> Checked<()> {
        let flags = self.flags(student)?;
        bench.saw(format!("RTM_GETLINK, {}, flags", self.link), format!("{flags:#x}"));
        ensure(flags & UP != 0, || fail(id).fact("link", self.link))
    }

    /// Nothing else of it has changed since its flags were `before`.
    pub fn is_otherwise(&self, student: &Student, before: u32) -> Checked<()> {
        let flags = self.flags(student)?;
        ensure(flags & SETTABLE == before & SETTABLE, || {
            let finding = fail("L11-other-flags").fact("link", self.link);
            finding.fact("before", format!("{before:#x}")).fact("now", format!("{flags:#x}"))
        })
    }

    /// Its flags; 0 if there is no such link.
    pub fn flags(&self, student: &Student) -> Checked<u32> {
        Ok(student.link(self.process, self.link)?.map_or(0, |link| link.flags))
    }
}

/// A list for people to read.
pub fn words(list: &[String]) -> String {
    if list.is_empty() { "-".to_owned() } else { list.join(" ") }
}
