//! The container as a sandbox: named, recorded in the ledger, and killed when it is dropped.

use std::path::Path;

use sandbox::{
    Claim, Detached, Instance, Ledger, LedgerEntry, Limits, Metadata, Outcome, Process, Resource,
    Sandbox, Trace, Workload,
};

use crate::{
    Begin, Error, Namespaces, Network, Prepared, Root, Spec,
    error::{NAME, Result},
    life::State,
    running::RunningContainer,
};

/// Runs workloads in containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// The name by which `isolab exec` and `isolab stop` know it.
    pub name: Option<String>,
    /// Its description. A workload brings its own program, streams, environment and directory.
    pub spec: Spec,
    /// Recorded in the ledger if it runs in the background.
    pub detached: Option<Detached>,
    /// Recorded in the ledger for the caller.
    pub metadata: Metadata,
}

impl Container {
    /// The same container with that name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The same container with these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.spec.budget.limits = limits;
        self
    }

    /// The same container with that root.
    #[must_use]
    pub fn root(mut self, root: Root) -> Self {
        self.spec.inside.root = root;
        self
    }

    /// The same container with these namespaces.
    #[must_use]
    pub fn namespaces(mut self, namespaces: Namespaces) -> Self {
        self.spec.boundary.namespaces = namespaces;
        self
    }

    /// The same container with that network.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.spec.way_out.network = network;
        self
    }

    /// The same container with, or without, a first process that reaps orphans for its command.
    #[must_use]
    pub fn init(mut self, init: bool) -> Self {
        self.spec.way_out.init = init;
        self
    }

    /// Runs a workload whose output is captured ([`Stdio::Capture`](sandbox::Stdio)), to its end, and
    /// hands what it writes to `take` instead of keeping it. Its input is at its end. `take` is also
    /// called with nothing now and then. Returns `None` if it says false: then the container is killed.
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::spawn`] and of waiting.
    pub fn run_passing_on(
        &self,
        workload: &Workload,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Option<Outcome>> {
        self.begin(workload)?.wait_passing_on(take)
    }

    fn begin(&self, workload: &Workload) -> Result<RunningContainer> {
        let mut spec = self.spec.for_workload(workload);
        if let Some(name) = &self.name {
            spec.budget.cgroup = Some(format!("isolab-{name}"));
        }
        if spec.way_out.hooks.need_steps() {
            return Err(sandbox::Error::Unsupported {
                sandbox: NAME,
                what: "run hooks of its start and its end when it is run at once".into(),
                fix: "create it, start it and delete it".into(),
            });
        }
        let prepared = Prepared::new(&spec)?;
        let mut claim = self.claim(&prepared, workload)?;
        let resources = prepared.resources();
        let started = prepared.start(Begin::AtOnce, Trace::new(workload.trace))?;
        if let Some(claim) = &mut claim {
            // A container that has already ended should not be found again.
            let pid = u32::try_from(started.walls.child.pid()).unwrap_or_default();
            let first = Process::of(pid);
            let state = first.map(|first| State::new(first, &resources, &spec));
            let state = state.and_then(|state| serde_json::to_value(state).ok());
            let note = |entry: &mut LedgerEntry| (entry.first, entry.state) = (first, state);
            match claim.update(note) {
                // If the caller may not write a file that large, `exec` cannot enter the container.
                Err(error) if error.is_too_large() => {
                    claim.update(|entry| entry.state = None).map_err(Error::from)?;
                }
                updated => updated.map_err(Error::from)?,
            }
        }
        RunningContainer::new(started, workload.deadline, claim).map_err(Into::into)
    }

    /// Records in the ledger what would outlive the launcher. A container without a name and
    /// without a cgroup leaves only its processes, and those end with the program.
    fn claim(&self, prepared: &Prepared<'_>, workload: &Workload) -> Result<Option<Claim>, Error> {
        let resources = prepared.resources();
        let name = match (&self.name, resources.first()) {
            (Some(name), _) => name.clone(),
            (None, None) => return Ok(None),
            (
                None,
                Some(
                    Resource::Cgroup(path)
                    | Resource::GivenCgroup(path)
                    | Resource::Directory(path),
                ),
            ) => last_name(path),
            (None, Some(Resource::Link(link) | Resource::Table(link))) => link.clone(),
        };
        let entry = LedgerEntry {
            resources,
            detached: self.detached.clone(),
            metadata: self.metadata.clone(),
            ..LedgerEntry::new(name, NAME, workload.words())
        };
        Ok(Some(Ledger::open()?.claim(entry)?))
    }
}

fn last_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Sandbox for Container {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spawn(&self, workload: &Workload) -> Result<Box<dyn Instance>> {
        Ok(Box::new(self.begin(workload)?))
    }
}
