//! The state of a daemon: its containers, its execs, its volumes, and what it is made of.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use image::store::Store;
use sandbox::Ledger;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    container::Container,
    error::{ApiError, Result},
    events::Events,
    exec::instance::Exec,
    id::new_id,
    network::Networks,
    options::Options,
    state::record,
    volumes::Volumes,
    watch::Watch,
};

/// A daemon.
pub struct Engine {
    /// How it is set up.
    pub options: Options,
    /// What happens.
    pub events: Events,
    /// Its volumes.
    pub volumes: Volumes,
    /// Its networks.
    pub networks: Networks,
    /// Those who watch what it does.
    pub watch: Arc<Watch>,
    /// The program that launches containers: this one, even if its file is replaced meanwhile.
    pub(crate) program: File,
    /// Where what outlives processes is recorded.
    pub(crate) ledger: Ledger,
    /// Its id, which stays the same.
    pub id: String,
    /// Where containers go that are to be started again.
    pub(crate) restarts: UnboundedSender<Arc<Container>>,
    containers: Mutex<HashMap<String, Arc<Container>>>,
    execs: Mutex<HashMap<String, Arc<Exec>>>,
}

impl Engine {
    /// The engine of these options, without its containers yet, and what in its directory is left
    /// alone.
    ///
    /// # Errors
    ///
    /// When its directories or the ledger cannot be used.
    pub fn open(
        options: Options,
        restarts: UnboundedSender<Arc<Container>>,
    ) -> io::Result<(Arc<Self>, Vec<String>)> {
        let mut directory = fs::DirBuilder::new();
        directory.recursive(true).mode(0o700);
        for name in ["containers", "volumes", "network"] {
            directory.create(options.data.join(name))?;
        }
        let (networks, remarks) =
            Networks::open(&options.data.join("network")).map_err(io::Error::other)?;
        let engine = Self {
            restarts,
            networks,
            events: Events::default(),
            watch: Arc::default(),
            volumes: Volumes::open(options.data.join("volumes"))?,
            program: File::open("/proc/self/exe")?,
            ledger: Ledger::open().map_err(io::Error::other)?,
            id: own_id(&options.data.join("id"))?,
            containers: Mutex::default(),
            execs: Mutex::default(),
            options,
        };
        Ok((Arc::new(engine), remarks))
    }

    /// The images of this user. It is opened for each use: while a store is open, nobody collects
    /// garbage in it.
    ///
    /// # Errors
    ///
    /// 500, when it cannot be opened.
    pub fn store(&self) -> Result<Store> {
        Store::of_user().map_err(|error| ApiError::of(&error))
    }

    /// The directory of the container with this id.
    pub fn directory(&self, id: &str) -> PathBuf {
        self.options.data.join("containers").join(id)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Container>>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All containers, the newest first.
    pub fn containers(&self) -> Vec<Arc<Container>> {
        let mut all: Vec<_> = self.all().values().cloned().collect();
        all.sort_by_cached_key(|container| std::cmp::Reverse(container.record().created.clone()));
        all
    }

    /// The container that `text` means: its id, its name, or the beginning of an id.
    ///
    /// # Errors
    ///
    /// 404 when there is none, 400 when the beginning is that of several.
    pub fn container(&self, text: &str) -> Result<Arc<Container>> {
        let all = self.all();
        if let Some(found) = all.get(text) {
            return Ok(found.clone());
        }
        let name = text.strip_prefix('/').unwrap_or(text);
        if let Some(found) = all.values().find(|container| container.record().name == name) {
            return Ok(found.clone());
        }
        let is_begun = |id: &String| !text.is_empty() && id.starts_with(text);
        let mut begun = all.iter().filter(|(id, _)| is_begun(id));
        match (begun.next(), begun.next()) {
            (Some((_, found)), None) => Ok(found.clone()),
            (None, _) => Err(ApiError::not_found(format!("No such container: {text}"))),
            (Some(_), Some(_)) => {
                Err(ApiError::invalid(format!("Multiple IDs found with provided prefix: {text}")))
            }
        }
    }

    /// Adds a container, whose name must be free.
    ///
    /// # Errors
    ///
    /// 409 when another one has its name.
    pub(crate) fn add(&self, container: Arc<Container>) -> Result<()> {
        let mut all = self.all();
        let name = container.record().name.clone();
        free_name(&all, &name)?;
        all.insert(container.id.clone(), container);
        Ok(())
    }

    /// Gives a container another name.
    ///
    /// # Errors
    ///
    /// 409 when another one has it.
    pub(crate) fn rename(&self, container: &Container, name: &str) -> Result<String> {
        let all = self.all();
        free_name(&all, name)?;
        Ok(container.update(|record| std::mem::replace(&mut record.name, name.to_owned())))
    }

    /// Whether a container has that name.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.all().values().any(|container| container.record().name == name)
    }

    /// Forgets a container and its execs.
    pub(crate) fn forget(&self, container: &Container) {
        self.all().remove(&container.id);
        self.execs().retain(|_, exec| exec.container.id != container.id);
    }

    fn execs(&self) -> MutexGuard<'_, HashMap<String, Arc<Exec>>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an exec.
    pub(crate) fn add_exec(&self, exec: Arc<Exec>) {
        self.execs().insert(exec.id.clone(), exec);
    }

    /// Forgets an exec.
    pub(crate) fn forget_exec(&self, id: &str) {
        self.execs().remove(id);
    }

    /// The exec with this id.
    ///
    /// # Errors
    ///
    /// 404 when there is none.
    pub fn exec(&self, id: &str) -> Result<Arc<Exec>> {
        let found = self.execs().get(id).cloned();
        found.ok_or_else(|| ApiError::not_found(format!("No such exec instance: {id}")))
    }

    /// The ids of the execs of a container.
    pub fn execs_of(&self, container: &Container) -> Vec<String> {
        let execs = self.execs();
        let own = execs.values().filter(|exec| exec.container.id == container.id);
        own.map(|exec| exec.id.clone()).collect()
    }
}

fn free_name(all: &HashMap<String, Arc<Container>>, name: &str) -> Result<()> {
    match all.values().find(|container| container.record().name == name) {
        None => Ok(()),
        Some(owner) => Err(ApiError::conflict(format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You \
             have to remove (or rename) that container to be able to reuse that name.",
            owner.id
        ))),
    }
}

/// The id in the file `path`, which is made if it is missing.
fn own_id(path: &std::path::Path) -> io::Result<String> {
    let is_id = |text: &String| text.len() == 64;
    if let Some(id) = fs::read_to_string(path).ok().filter(is_id) {
        return Ok(id);
    }
    let id = new_id();
    fs::write(path, &id)?;
    debug_assert_eq!(record::short(&id).len(), 12);
    Ok(id)
}
