//! What each instruction does.

use std::{fs, io::Write, os::fd::AsFd as _};

use super::{
    Event, RunStep,
    cache::{self, LayerRecord, Record},
    clock,
    copy::Copying,
    error::{StepError, file},
    scratch::Scratch,
    session::Session,
    setting::{Expander, setting, shown},
    settings,
    source::Source,
    state::State,
    target::Target,
    tree::Fingerprint,
    writer::LayerWriter,
};
use crate::{
    config::History,
    digest::Digest,
    dockerfile::{Command, Copy, Instruction, Located, remote, stages::Origin},
    layer::{Attributes, ChangesOptions, Packed, changes},
    process::USUAL_PATH,
    view::{Node, View},
};

/// All variables of an image together; the kernel gives a program no more (`ARG_MAX`, execve(2)).
const MOST_ENVIRONMENT: usize = 1 << 20;

/// Writes a layer, and returns its diff id.
type WriteLayer<'a> = &'a dyn Fn(&mut dyn Write) -> Result<Digest, StepError>;

impl Session<'_> {
    pub(super) fn step(&mut self, state: &mut State, line: &Located) -> Result<(), StepError> {
        match &line.instruction {
            Instruction::Run(command) => self.run(state, command),
            Instruction::Copy(copy) | Instruction::Add(copy) => self.copy(state, line, copy),
            Instruction::Workdir(path) => self.workdir(state, path),
            Instruction::Arg(arguments) => self.arg(state, arguments),
            Instruction::Env(pairs) => self.env(state, pairs),
            _ => self.setting(state, line),
        }
    }

    fn expander<'s>(&self, state: &'s State) -> Expander<'s> {
        Expander { escape: self.dockerfile.escape, scope: &state.scope }
    }

    fn expand(&self, state: &State, word: &str) -> Result<String, StepError> {
        self.expander(state).one(word)
    }

    /// Takes the step's result from the cache, or makes it; and writes the history.
    fn record(
        &self,
        state: &mut State,
        created_by: String,
        content: &str,
        layer: Option<WriteLayer<'_>>,
    ) -> Result<(), StepError> {
        let key = self.key(state, &created_by, content)?;
        let store = self.builder.store;
        let cached = (!self.request.no_cache).then(|| cache::read(store, &key)).flatten();
        let record = match cached.filter(|record| record.layer.is_some() == layer.is_some()) {
            Some(record) => {
                (self.builder.events)(Event::Cached);
                record
            }
            None => {
                let layer = layer.map(|write| self.layer(write)).transpose()?;
                let record = Record { created: self.seconds(), layer };
                cache::write(store, &key, &record);
                record
            }
        };
        if let Some(layer) = &record.layer {
            state.push(layer)?;
        }
        let created = Some(clock::rfc3339(record.created));
        state.config.created.clone_from(&created);
        let author = state.config.author.clone();
        let empty_layer = record.layer.is_none();
        let history = History { created, created_by, author, comment: String::new(), empty_layer };
        state.config.history.push(history);
        Ok(())
    }

    fn layer(&self, write: WriteLayer<'_>) -> Result<LayerRecord, StepError> {
        let (digest, size, diff_id) = self.builder.store.add_with(write)?;
        (self.builder.events)(Event::Layer { digest: &digest, bytes: size });
        Ok(LayerRecord { digest, size, diff_id })
    }

    /// What the step's result depends on.
    fn key(&self, state: &State, created_by: &str, content: &str) -> Result<Digest, StepError> {
        let mut key = Fingerprint::new();
        let config = serde_json::to_string(&state.config.config);
        let config = config.map_err(|error| StepError::Refused(error.to_string()))?;
        let layers: Vec<String> =
            state.config.rootfs.diff_ids.iter().map(Digest::to_string).collect();
        let epoch = format!("{:?}", self.epoch);
        for part in ["step 1", &layers.join(" "), &config, created_by, content, &epoch] {
            key.field(part.as_bytes());
        }
        Ok(key.finish())
    }

    fn run(&self, state: &mut State, command: &Command) -> Result<(), StepError> {
        let arguments = settings::words(command, &state.config.config);
        let recorded = state.scope.recorded_arguments();
        let recorded: Vec<String> =
            recorded.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let shown = match command {
            Command::Shell(_) => arguments.join(" "),
            Command::Exec(_) => serde_json::to_string(&arguments).unwrap_or_default(),
        };
        let created_by = match recorded.is_empty() {
            true => format!("RUN {shown}"),
            false => format!("RUN |{} {} {shown}", recorded.len(), recorded.join(" ")),
        };
        let content = recorded.join("\0");
        let before = state.clone();
        self.record(
            state,
            created_by,
            &content,
            Some(&|output| self.execute(&before, &arguments, output)),
        )
    }

    fn execute(
        &self,
        state: &State,
        arguments: &[String],
        output: &mut dyn Write,
    ) -> Result<Digest, StepError> {
        let layers = state.lowers(self.builder.store)?;
        let scratch = Scratch::new(self.builder.store)?;
        let execution = &state.config.config;
        let mut environment: Vec<(String, String)> = state.scope.env().to_vec();
        if environment.iter().all(|(name, _)| name != "PATH") {
            environment.insert(0, ("PATH".into(), USUAL_PATH.into()));
        }
        let given = state.scope.run_arguments().into_iter();
        environment.extend(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let directory = if execution.working_dir.is_empty() { "/" } else { &execution.working_dir };
        let step = RunStep {
            layers: &layers,
            kept: scratch.path(),
            arguments,
            environment: &environment,
            directory,
            user: &execution.user,
        };
        let status = self.builder.run.run(&step).map_err(StepError::Run)?;
        if !status.success() {
            return Err(StepError::Failed(status));
        }
        let path = scratch.upper();
        let upper = fs::File::open(&path).map_err(file("open", "the upper directory"))?;
        let clamp = self.epoch.and_then(|seconds| i64::try_from(seconds).ok());
        let packed =
            changes(upper.as_fd(), Packed::new(output), &ChangesOptions { clamp, skip: &[] })?;
        packed.finish().map_err(file("write the layer of", "the command"))
    }

    fn copy(&self, state: &mut State, line: &Located, copy: &Copy) -> Result<(), StepError> {
        let unpacks = matches!(line.instruction, Instruction::Add(_));
        let mut sources = Vec::new();
        for source in &copy.sources {
            let source = self.expand(state, source)?;
            if unpacks && remote::is_remote(&source) {
                let text = "ADD does not download: RUN a program that does, or download it and COPY the file";
                return Err(StepError::Refused(text.into()));
            }
            sources.push(source);
        }
        let given = self.expand(state, &copy.destination)?;
        if given.is_empty() || sources.iter().any(String::is_empty) {
            return Err(StepError::Refused(
                "a name is empty after its variables are expanded".into(),
            ));
        }
        let mut destination = settings::absolute(&state.config.config.working_dir, &given);
        if given.ends_with('/') || given == "." || given.ends_with("/.") {
            destination.push('/');
        }
        let optional = |text: &Option<String>| {
            text.as_deref().map(|text| self.expand(state, text)).transpose()
        };
        let (chown, chmod) = (optional(&copy.chown)?, optional(&copy.chmod)?);
        let root =
            View::of(&state.lowers(self.builder.store)?).map_err(file("open", "the layers"))?;
        let origin = self.origin(line, copy)?;
        let source = match &origin {
            Some((view, place)) => {
                Source { view, place: place.clone(), ignore: None, is_context: false }
            }
            None => self.context()?,
        };
        let copying = Copying {
            sources: &sources,
            destination: &destination,
            chown: chown.as_deref(),
            chmod: chmod.as_deref(),
            unpacks,
        };
        let prepared = copying.prepare(&source, &root)?;
        let fingerprint = prepared.fingerprint()?;
        let created_by = created_by(line, copy, &sources, &given);
        let content = format!("{fingerprint} {destination} {chown:?} {chmod:?}");
        let write = |output: &mut dyn Write| {
            let writer = LayerWriter::new(output, self.epoch);
            let mut target = Target::new(&root, writer, self.new_directory());
            if prepared.write(&mut target)? != fingerprint {
                return Err(StepError::Refused("a file changed while it was copied".into()));
            }
            target.finish().map_err(file("write the layer of", &destination))
        };
        self.record(state, created_by, &content, Some(&write))
    }

    fn context(&self) -> Result<Source<'_>, StepError> {
        let view = self.context.as_ref().ok_or_else(|| {
            StepError::Refused("the build has no context: give it a directory".into())
        })?;
        let place = "the context".to_owned();
        Ok(Source { view, place, ignore: Some(&self.ignore), is_context: true })
    }

    /// The root that `--from` names.
    fn origin(&self, line: &Located, copy: &Copy) -> Result<Option<(View, String)>, StepError> {
        let Some(from) = &copy.from else { return Ok(None) };
        let store = self.builder.store;
        let origin = self.dockerfile.origin(self.stage, line, from).map_err(StepError::Trigger)?;
        let (layers, place) = match origin {
            Origin::Stage(index) => {
                let missing = || StepError::Refused(format!("the stage {from} is not built"));
                let stage = self.done.get(&index).ok_or_else(missing)?;
                (stage.lowers(store)?, format!("the stage {}", self.dockerfile.called(index)))
            }
            Origin::Image(name) => {
                let found = self.builder.images.image(&name);
                let found =
                    found.map_err(|source| StepError::Image { name: name.clone(), source })?;
                (store.unpack(&found)?, format!("the image {name}"))
            }
        };
        Ok(Some((View::of(&layers).map_err(file("open", &place))?, place)))
    }

    fn new_directory(&self) -> Attributes {
        let seconds = i64::try_from(self.seconds()).unwrap_or(i64::MAX);
        Attributes { mode: 0o755, mtime: (seconds, 0), ..Attributes::default() }
    }

    fn workdir(&self, state: &mut State, path: &str) -> Result<(), StepError> {
        let path = self.expand(state, path)?;
        if path.is_empty() {
            return Err(StepError::Refused(
                "the directory is empty after its variables are expanded".into(),
            ));
        }
        let path = settings::absolute(&state.config.config.working_dir, &path);
        let root =
            View::of(&state.lowers(self.builder.store)?).map_err(file("open", "the layers"))?;
        let located = root.locate(path.as_ref()).map_err(file("look at", &path))?;
        let created_by = format!("WORKDIR {path}");
        match located.node {
            Some(Node::Directory(..)) => self.record(state, created_by, "", None)?,
            Some(Node::Other(..)) => {
                return Err(StepError::Refused(format!(
                    "{path:?} is not a directory in the image"
                )));
            }
            None if located.names.is_empty() => self.record(state, created_by, "", None)?,
            None => {
                let write = |output: &mut dyn Write| {
                    let writer = LayerWriter::new(output, self.epoch);
                    let mut target = Target::new(&root, writer, self.new_directory());
                    target.directories(&located.names)?;
                    target.finish().map_err(file("write the layer of", &path))
                };
                self.record(state, created_by, "", Some(&write))?;
            }
        }
        state.config.config.working_dir = path;
        Ok(())
    }

    fn arg(
        &self,
        state: &mut State,
        arguments: &[(String, Option<String>)],
    ) -> Result<(), StepError> {
        let mut shown = vec!["ARG".to_owned()];
        for (name, default) in arguments {
            let default = default.as_deref().map(|text| self.expand(state, text)).transpose()?;
            shown.push(match &default {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            state.scope.declare(name, default);
        }
        self.record(state, shown.join(" "), "", None)
    }

    fn env(&self, state: &mut State, pairs: &[(String, String)]) -> Result<(), StepError> {
        let pairs = self.expander(state).pairs(pairs)?;
        self.record(state, format!("ENV {}", shown(&pairs)), "", None)?;
        for (name, value) in pairs {
            state.scope.set(&name, value);
        }
        let env = state.scope.env().iter().map(|(name, value)| format!("{name}={value}"));
        state.config.config.env = env.collect();
        match state.config.config.env.iter().map(String::len).sum::<usize>() {
            0..=MOST_ENVIRONMENT => Ok(()),
            _ => Err(StepError::Refused(format!(
                "the variables have more than {MOST_ENVIRONMENT} bytes"
            ))),
        }
    }

    /// Instructions that change nothing but the config.
    fn setting(&self, state: &mut State, line: &Located) -> Result<(), StepError> {
        let expander = self.expander(state);
        let setting = setting(line, &expander, &state.config.config, state.has_cmd)?;
        self.record(state, setting.created_by, "", None)?;
        (state.config.config, state.has_cmd) = (setting.execution, setting.has_cmd);
        if let Some(author) = setting.author {
            state.config.author = author;
        }
        Ok(())
    }
}

fn created_by(line: &Located, copy: &Copy, sources: &[String], destination: &str) -> String {
    let mut words = vec![line.instruction.name().to_owned()];
    for (flag, value) in [("from", &copy.from), ("chown", &copy.chown), ("chmod", &copy.chmod)] {
        words.extend(value.as_ref().map(|value| format!("--{flag}={value}")));
    }
    words.extend(sources.iter().cloned());
    words.push(destination.to_owned());
    words.join(" ")
}
