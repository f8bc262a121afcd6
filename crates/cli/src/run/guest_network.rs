//! Question 5 of a Linux guest: its link to the host, the rules that lead beyond, and its names.
//!
//! The rules and the files are the same as a container's; the guest's own first process sets up what a
//! container's launcher does.

use container::{
    hosts,
    network::{Link, Published},
};
use microvm::LinuxVm;
use sandbox::{Question::WayOut, Resource, Trace, TraceEntry};

use super::network::NetworkArguments;
use crate::{
    failure::{self, Failure},
    free_link::LinkKeeper,
    linux::LinuxArguments,
    stderr,
};

/// What is planned of it, before there is a guest.
pub(super) struct GuestNetwork {
    link: Option<Link>,
    published: Vec<Published>,
}

/// The link, and the rules beyond the host if they could be had, which are there as long as this is.
pub(super) struct OpenWay {
    keeper: Option<LinkKeeper>,
    // Nobody else plans the same link meanwhile.
    _link: Link,
}

impl GuestNetwork {
    /// Chooses the link's name and network, if there is to be one.
    pub(super) fn plan(
        arguments: &NetworkArguments,
        linux: &LinuxArguments,
    ) -> Result<Self, Failure> {
        let has_link = arguments.is_veth_of_a_guest()?;
        if let (Some(option), true) = (arguments.given_inside(), linux.has_own_init()) {
            let message = format!("{option} means nothing to a guest with --initrd");
            return Err(Failure::usage(message)
                .help("isolab's own first process sets that up: use --root instead"));
        }
        let published = arguments.published().to_vec();
        if !published.is_empty() && !has_link {
            let message = "--publish leads a port of the host's to a guest by a link of its own";
            return Err(Failure::usage(message).help("use --network veth"));
        }
        let link = has_link.then(Link::plan).transpose().map_err(sandbox::Error::from)?;
        Ok(Self { link, published })
    }

    /// Its link.
    pub(super) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// What outlives the launcher: for the ledger, before [`GuestNetwork::open_the_way`].
    pub(super) fn resources(&self) -> Vec<Resource> {
        self.link.iter().map(Link::resource).collect()
    }

    /// The machine with its names.
    pub(super) fn name(
        &self,
        machine: LinuxVm,
        arguments: &NetworkArguments,
    ) -> Result<LinuxVm, Failure> {
        let hostname = arguments.hostname().map_or(machine.hostname, str::to_owned);
        let etc = hosts::of_a_machine(&arguments.names(), &hostname, self.link());
        Ok(LinuxVm { etc: etc.map_err(sandbox::Error::from)?, hostname, ..machine })
    }

    /// Lets the guest reach more than the host, where that can be had. A port that is to lead inside
    /// must. Its steps are recorded if `is_traced`.
    pub(super) fn open_the_way(
        self,
        is_traced: bool,
    ) -> Result<(Option<OpenWay>, Vec<TraceEntry>), Failure> {
        let Some(link) = self.link else { return Ok((None, Vec::new())) };
        let Resource::Table(table) = link.resource() else { return Ok((None, Vec::new())) };
        let mut keeper = Some(LinkKeeper::start(&table)?);
        let mut trace = Trace::new(is_traced);
        let opened = trace.record(WayOut, "nf_tables", || link.open_the_way(&self.published));
        let words = match opened {
            Ok(words) => words,
            Err(error) if !self.published.is_empty() => {
                return Err(sandbox::Error::from(error).into());
            }
            Err(error) => {
                // Half of it may be there.
                keeper.take().map(|mut keeper| keeper.free());
                format!("only the host is reached: {}", failure::chain(&error)).into()
            }
        };
        if let Some(entry) = trace.entries.last_mut() {
            entry.event = words.into();
        }
        Ok((Some(OpenWay { keeper, _link: link }), trace.entries))
    }
}

impl OpenWay {
    /// Closes it; whether nothing is left of it.
    pub(super) fn close(mut self) -> bool {
        let closed = self.keeper.take().is_none_or(|mut keeper| keeper.free());
        if !closed {
            stderr::remark(
                "isolab: the rules of the guest's link stay: `isolab clean` removes them\n",
            );
        }
        closed
    }
}
