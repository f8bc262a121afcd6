//! A build from its first line to the image.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
};

use oci_spec::image::{ImageManifest, ImageManifestBuilder, MediaType};

use super::{
    Builder, Built, Event, Request, clock,
    error::{BuildError, StepError},
    state::State,
};
use crate::{
    digest::Digest,
    dockerfile::{
        self, Dockerfile, Instruction, Located,
        ignore::Ignore,
        parse_trigger,
        scope::Global,
        stages::{Base, BuildOrder},
    },
    manifest::{self, OCI_CONFIG, OCI_MANIFEST},
    view::View,
};

/// More triggers than any base image has.
const MOST_TRIGGERS: usize = 1000;

/// Larger than any list of patterns.
const MOST_IGNORE: u64 = 1 << 20;

/// A build that goes on.
pub(super) struct Session<'a> {
    pub(super) builder: &'a Builder<'a>,
    pub(super) request: &'a Request,
    pub(super) dockerfile: Dockerfile,
    pub(super) ignore: Ignore,
    pub(super) context: Option<View>,
    /// `SOURCE_DATE_EPOCH`.
    pub(super) epoch: Option<u64>,
    /// The stages that are built.
    pub(super) done: BTreeMap<usize, State>,
    /// The stage that is being built.
    pub(super) stage: usize,
    order: BuildOrder,
    number: usize,
    total: usize,
    declared: BTreeSet<String>,
}

impl<'a> Session<'a> {
    pub(super) fn new(builder: &'a Builder<'a>, request: &'a Request) -> Result<Self, BuildError> {
        let dockerfile = Dockerfile::parse(&request.file, &request.dockerfile)?;
        let order = dockerfile
            .build_order(request.target.as_deref(), Global::new(request.arguments.clone()))?;
        let epoch =
            request.arguments.get("SOURCE_DATE_EPOCH").or(request.source_date_epoch.as_ref());
        let seconds = epoch.filter(|text| !text.is_empty()).map(|text| {
            text.parse::<u64>()
                .ok()
                .filter(|seconds| *seconds < 1 << 33)
                .ok_or_else(|| BuildError::Epoch(text.clone()))
        });
        let context = request.context.as_ref().map(|path| {
            let failed = |source| BuildError::Context { path: path.clone(), source };
            View::of(std::slice::from_ref(path)).map_err(failed)
        });
        let context = context.transpose()?;
        let ignore = match &context {
            Some(view) => ignore(view, request)?,
            None => Ignore::default(),
        };
        let steps =
            order.stages.iter().map(|(index, _)| 1 + dockerfile.stages[*index].instructions.len());
        let total = steps.sum::<usize>() + usize::from(!request.labels.is_empty());
        Ok(Self {
            builder,
            request,
            dockerfile,
            ignore,
            context,
            epoch: seconds.transpose()?,
            done: BTreeMap::new(),
            stage: 0,
            order,
            number: 0,
            total,
            declared: BTreeSet::new(),
        })
    }

    pub(super) fn build(mut self) -> Result<Built, BuildError> {
        for (index, base) in self.order.stages.clone() {
            self.stage = index;
            let state = self.stage(index, &base)?;
            self.declared.extend(state.scope.declared().cloned());
            self.done.insert(index, state);
        }
        let mut state =
            self.done.remove(&self.stage).unwrap_or_else(|| State::scratch(&self.order.global));
        self.labels(&mut state)?;
        for name in self.order.global.unused(&self.declared) {
            let text = format!("the build argument {name} is declared by no ARG");
            (self.builder.events)(Event::Warning(&text));
        }
        self.store(&state).map_err(|error| BuildError::Store(Box::new(error)))
    }

    fn stage(&mut self, index: usize, base: &Base) -> Result<State, BuildError> {
        let stage = self.dockerfile.stages[index].clone();
        self.announce(&stage.from);
        let file = self.request.file.clone();
        let mut id = None;
        let (mut state, name) = match base {
            Base::Scratch => (State::scratch(&self.order.global), "scratch".to_owned()),
            Base::Stage(earlier) => {
                let below = self.done.get(earlier).map(|state| state.next(&self.order.global));
                let state = below.unwrap_or_else(|| State::scratch(&self.order.global));
                id = Some(id_of(&state));
                (state, self.dockerfile.called(*earlier))
            }
            Base::Image(name) => {
                let found = self.builder.images.image(name);
                let found = found.map_err(|source| StepError::Image { name: name.clone(), source });
                let image = found.map_err(|source| located(&file, &stage.from, source))?;
                id = image.id().ok();
                (State::image(&image, &self.order.global), name.clone())
            }
        };
        (self.builder.events)(Event::Done { id: id.as_ref() });
        self.triggers(&mut state, &stage.from, &name)?;
        for line in &stage.instructions {
            self.announce(line);
            self.step(&mut state, line).map_err(|source| located(&file, line, source))?;
            self.done(&state);
        }
        Ok(state)
    }

    /// Executes what the base image has left for whoever builds on it.
    fn triggers(
        &mut self,
        state: &mut State,
        from: &Located,
        base: &str,
    ) -> Result<(), BuildError> {
        let texts = state.config.config.on_build.take().unwrap_or_default();
        if texts.is_empty() {
            return Ok(());
        }
        let failed = |source| located(&self.request.file, from, source);
        if texts.len() > MOST_TRIGGERS {
            let text = format!("the base image has more than {MOST_TRIGGERS} triggers");
            return Err(failed(StepError::Refused(text)));
        }
        (self.builder.events)(Event::Triggers(texts.len()));
        let origin = format!("ONBUILD of {base}");
        let parsed = texts
            .iter()
            .map(|text| parse_trigger(&origin, text))
            .collect::<Result<Vec<_>, dockerfile::Error>>();
        for line in parsed.map_err(|error| failed(StepError::Trigger(error)))? {
            self.step(state, &line).map_err(|source| located(&origin, &line, source))?;
        }
        Ok(())
    }

    fn labels(&mut self, state: &mut State) -> Result<(), BuildError> {
        if self.request.labels.is_empty() {
            return Ok(());
        }
        let quoted = |text: &String| format!("'{}'", text.replace('\'', "'\"'\"'"));
        let pairs: Vec<(String, String)> =
            self.request.labels.iter().map(|(name, value)| (quoted(name), quoted(value))).collect();
        let words: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let position = self.dockerfile.stages[self.stage].from.position;
        let text = format!("LABEL {}", words.join(" "));
        let line = Located { position, text, instruction: Instruction::Label(pairs) };
        self.announce(&line);
        self.step(state, &line).map_err(|source| located("--label", &line, source))?;
        self.done(state);
        Ok(())
    }

    fn done(&self, state: &State) {
        (self.builder.events)(Event::Done { id: Some(&id_of(state)) });
    }

    fn announce(&mut self, line: &Located) {
        self.number += 1;
        (self.builder.events)(Event::Step {
            number: self.number,
            total: self.total,
            stage: &self.dockerfile.called(self.stage),
            text: &line.text,
            position: line.position,
        });
    }

    /// When the present step was made.
    pub(super) fn seconds(&self) -> u64 {
        self.epoch.unwrap_or_else(clock::now)
    }

    fn store(&self, state: &State) -> Result<Built, StepError> {
        let store = self.builder.store;
        let mut config = state.config.clone();
        if config.created.is_none() {
            config.created = Some(clock::rfc3339(self.seconds()));
        }
        let bytes = serde_json::to_vec(&config).map_err(|error| json(&error))?;
        manifest::check_size("image config", bytes.len() as u64)?;
        let id = store.add(&bytes)?;
        let layers = state.layers.iter().map(|layer| manifest::oci_layer(&layer.descriptor));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let manifest: ImageManifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(manifest::descriptor(OCI_CONFIG, &id, bytes.len() as u64))
            .layers(layers)
            .build()
            .map_err(|error| StepError::Refused(error.to_string()))?;
        let bytes = serde_json::to_vec(&manifest).map_err(|error| json(&error))?;
        let digest = store.add(&bytes)?;
        Ok(Built {
            descriptor: manifest::descriptor(OCI_MANIFEST, &digest, bytes.len() as u64),
            id,
        })
    }
}

/// The id of the image that a stage is now.
fn id_of(state: &State) -> Digest {
    Digest::of(&serde_json::to_vec(&state.config).expect("a config is valid JSON"))
}

fn json(error: &serde_json::Error) -> StepError {
    StepError::Refused(error.to_string())
}

fn ignore(context: &View, request: &Request) -> Result<Ignore, BuildError> {
    let base = request.file.rsplit('/').next().unwrap_or_default();
    // A Dockerfile's own list counts before the common one.
    let own = format!("{base}.dockerignore");
    let is_there =
        |name: &str| context.locate(OsStr::new(name)).is_ok_and(|located| located.node.is_some());
    let file = if is_there(&own) { own } else { ".dockerignore".to_owned() };
    let path = request.context.clone().unwrap_or_default();
    let text = context.read_small(&file, MOST_IGNORE);
    let text = text.map_err(|source| BuildError::Context { path: path.join(&file), source })?;
    Ignore::parse(&text).map_err(|source| BuildError::Ignore { file, source })
}

/// An error with the line that it is of.
fn located(file: &str, line: &Located, source: StepError) -> BuildError {
    const MOST: usize = 80;
    let mut text: String = line.text.chars().take(MOST).collect();
    if line.text.chars().nth(MOST).is_some() {
        text.push('…');
    }
    let text = text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    let source = Box::new(source);
    BuildError::Step { file: file.to_owned(), position: line.position, text, source }
}
