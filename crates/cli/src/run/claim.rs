//! The name of a run, and where it is written down.

use std::{fs::File, io::Write as _, os::unix::net::UnixListener, sync::Arc};

use sandbox::{Claim, Ledger, LedgerEntry, LedgerError, Resource, Socket, TraceEntry, Workload};

use super::{Arguments, detach::Supervised, guest_network::OpenWay, image::RunImage};
use crate::{failure::Failure, names};

/// The name of a run, and its entry in the ledger where the sandbox does not write its own.
pub(super) struct Named {
    pub(super) name: String,
    // Dropped in this order: nobody listens at a name that is free again.
    pub(super) socket: Option<Socket>,
    pub(super) way: Option<OpenWay>,
    /// How that was opened, for whoever wants to know.
    pub(super) way_entries: Vec<TraceEntry>,
    pub(super) own: Option<Claim>,
}

impl Named {
    pub(super) fn new(name: String) -> Self {
        Self { name, socket: None, way: None, way_entries: Vec::new(), own: None }
    }

    pub(super) fn of(claim: Claim) -> Self {
        let name = claim.entry().name.clone();
        Self { own: Some(claim), ..Self::new(name) }
    }

    /// Where others can ask.
    pub(super) fn listen(&mut self) -> Result<Option<Arc<UnixListener>>, Failure> {
        let Some(claim) = &self.own else { return Ok(None) };
        let (socket, listener) = Ledger::open()?.listen(claim)?;
        self.socket = Some(socket);
        Ok(Some(Arc::new(listener)))
    }
}

impl Arguments {
    /// Writes the run down, under a name of its own choice if none was given.
    pub(super) fn claim(
        &self,
        workload: &Workload,
        supervised: Option<&Supervised>,
        resources: &[Resource],
        image: Option<&RunImage>,
    ) -> Result<Named, Failure> {
        let ledger = Ledger::open()?;
        let metadata = self.metadata.metadata(image.map(RunImage::execution))?;
        let entry = |name| LedgerEntry {
            detached: supervised.map(|supervised| supervised.record.clone()),
            metadata: metadata.clone(),
            resources: resources.to_vec(),
            ..LedgerEntry::new(name, self.kind.name(), workload.words())
        };
        if let Some(name) = &self.name {
            return Ok(Named::of(ledger.claim(entry(name.clone()))?));
        }
        loop {
            let name = names::make_up();
            match ledger.claim(entry(name.clone())) {
                Err(LedgerError::NameInUse { .. }) => {}
                claimed => return Ok(Named::of(claimed?)),
            }
        }
    }

    /// Writes `name` down where a script asked for it.
    pub(super) fn write_cidfile(&self, name: &str) -> Result<(), Failure> {
        let Some(path) = &self.cidfile else { return Ok(()) };
        let written = File::create_new(path).and_then(|mut file| file.write_all(name.as_bytes()));
        written
            .map_err(Failure::at(format!("write the name into {path:?}")))
            .map_err(|failure| failure.help("it must not exist: it may name another container"))
    }
}
