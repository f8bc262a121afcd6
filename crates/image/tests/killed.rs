//! Whoever is killed while it builds, tags, removes or collects: every image with a name is whole.
//!
//! The steps are done by this program itself, started again, which says when each has ended. It is
//! killed a moment after one of them, in the middle of the next, and another goes on.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use image::{
    build::{AnyError, Builder, Request, Run, RunStep},
    gc::{self, Scope},
    manifest::{Platform, digest_of},
    reference::Reference,
    store::Store,
};
use proptest::prelude::*;
use tempfile::TempDir;

/// Says to a child where the store is, and what to do.
const FOLDER: &str = "ISOLAB_TEST_FOLDER";
const STEPS: &str = "ISOLAB_TEST_STEPS";

/// What a child says on standard error when a step has ended.
const DONE: &str = "done";

const NAMES: u8 = 4;
const LAYERS: u8 = 3;
/// So many that to write or remove a layer is a time in which one can be killed.
const FILES: usize = 100;
const FILE_BYTES: usize = 600;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Builds an image of these layers and names it.
    Build(u8, Vec<u8>),
    /// Gives the image of one name another one, too.
    Tag(u8, u8),
    Untag(u8),
    Unpack(u8),
    Collect(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let layers = prop::collection::vec(0..LAYERS, 1..4);
    prop_oneof![
        4 => (0..NAMES, layers).prop_map(|(at, layers)| Step::Build(at, layers)),
        1 => (0..NAMES, 0..NAMES).prop_map(|(from, to)| Step::Tag(from, to)),
        2 => (0..NAMES).prop_map(Step::Untag),
        2 => (0..NAMES).prop_map(Step::Unpack),
        3 => (0..8).prop_map(|chance| Step::Collect(chance == 0)),
    ]
}

/// A letter and numbers, for the environment of a child.
fn written(steps: &[Step]) -> String {
    let digits = |numbers: &[u8]| numbers.iter().map(u8::to_string).collect::<String>();
    let words = steps.iter().map(|step| match step {
        Step::Build(at, layers) => format!("b{at}{}", digits(layers)),
        Step::Tag(from, to) => format!("t{from}{to}"),
        Step::Untag(at) => format!("u{at}"),
        Step::Unpack(at) => format!("p{at}"),
        Step::Collect(all) => format!("c{}", u8::from(*all)),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn read(text: &str) -> Vec<Step> {
    let step = |word: &str| {
        let numbers: Vec<u8> = word.bytes().skip(1).map(|digit| digit - b'0').collect();
        match (&word[..1], numbers.as_slice()) {
            ("b", [at, layers @ ..]) => Step::Build(*at, layers.to_vec()),
            ("t", [from, to]) => Step::Tag(*from, *to),
            ("u", [at]) => Step::Untag(*at),
            ("p", [at]) => Step::Unpack(*at),
            ("c", [all]) => Step::Collect(*all != 0),
            _ => panic!("{word}"),
        }
    };
    text.split_whitespace().map(step).collect()
}

fn name(number: u8) -> Reference {
    format!("class/hello:{number}").parse().unwrap()
}

/// What is in each file of the layer with that number, which are in one directory.
fn content(number: u8, file: usize) -> Vec<u8> {
    (file..file + FILE_BYTES).map(|at| (at * at / 7) as u8 ^ number).collect()
}

/// The layer in that directory, which has all of its files.
fn number_of(layer: &Path) -> u8 {
    let names = |folder: &Path| -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    };
    let directory = names(layer).pop().unwrap();
    let number = directory.parse().unwrap();
    let files = names(&layer.join(&directory));
    assert_eq!(files.len(), FILES, "{files:?}");
    for file in files {
        let found = fs::read(layer.join(&directory).join(&file)).unwrap();
        assert_eq!(found, content(number, file.parse().unwrap()));
    }
    number
}

/// Builds without RUN run nothing.
struct NoCommands;

impl Run for NoCommands {
    fn run(&self, _: &RunStep<'_>) -> Result<ExitStatus, AnyError> {
        Err("no command is expected".into())
    }
}

fn build(store: &Store, context: &Path, at: u8, layers: &[u8]) {
    let copies = layers.iter().map(|number| format!("COPY {number} /{number}/\n"));
    let request = Request {
        file: "Dockerfile".into(),
        dockerfile: ["FROM scratch\n".to_owned()]
            .into_iter()
            .chain(copies)
            .collect::<String>()
            .into(),
        context: Some(context.to_owned()),
        source_date_epoch: Some("1".into()),
        ..Request::default()
    };
    let builder = Builder { store, run: &NoCommands, images: store, events: &|_| {} };
    let built = builder.build(&request).unwrap();
    store.tag(&name(at), &built.descriptor).unwrap();
}

fn do_step(folder: &Path, step: &Step) {
    let store = Store::open(&folder.join("images")).unwrap();
    match step {
        Step::Build(at, layers) => build(&store, &folder.join("context"), *at, layers),
        Step::Tag(from, to) => {
            if let Some(at) = store.find(&name(*from)).unwrap() {
                store.tag(&name(*to), &at).unwrap();
            }
        }
        Step::Untag(at) => drop(store.untag(&name(*at)).unwrap()),
        Step::Unpack(at) => {
            if let Ok(image) = store.image(&name(*at), &Platform::host()) {
                store.unpack(&image).unwrap();
            }
        }
        Step::Collect(all) => {
            let scope = if *all { Scope::All } else { Scope::Dangling };
            gc::collect(store, scope).unwrap();
        }
    }
}

/// The layers of each name, as far as these steps alone decide.
type Named = BTreeMap<u8, Vec<u8>>;

fn follow(named: &mut Named, step: &Step) {
    match step {
        Step::Build(at, layers) => drop(named.insert(*at, layers.clone())),
        Step::Tag(from, to) => {
            if let Some(layers) = named.get(from).cloned() {
                named.insert(*to, layers);
            }
        }
        Step::Untag(at) => drop(named.remove(at)),
        Step::Unpack(_) | Step::Collect(false) => {}
        Step::Collect(true) => named.clear(),
    }
}

/// The names in the store, each of an image that is whole: its blobs, and its files once unpacked.
fn whole(store: &Store) -> Named {
    let mut named = Named::new();
    for (reference, _) in store.references().unwrap() {
        let image = store.image(&reference, &Platform::host()).unwrap();
        for layer in image.layers() {
            let digest = digest_of(&layer.descriptor).unwrap();
            store.blob(&digest).unwrap().unwrap().verify(&digest).unwrap();
        }
        let lowers = store.unpack(&image).unwrap();
        let layers = lowers.iter().rev().map(|lower| number_of(lower)).collect();
        named.insert(reference.tag().unwrap().parse().unwrap(), layers);
    }
    named
}

fn start(folder: &Path, steps: &[Step]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "whoever_is_killed_every_named_image_is_whole", "--nocapture"])
        .env(FOLDER, folder)
        .env(STEPS, written(steps))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A directory with what the layers are built from.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for number in 0..LAYERS {
        let layer = folder.path().join("context").join(number.to_string());
        fs::create_dir_all(&layer).unwrap();
        for file in 0..FILES {
            fs::write(layer.join(file.to_string()), content(number, file)).unwrap();
        }
    }
    folder
}

/// Lets a child do these steps until it is killed, so long after the step with that number. Returns
/// how many it has done.
fn kill_after(folder: &Path, steps: &[Step], number: usize, pause: Duration) -> usize {
    let mut child = start(folder, steps);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    while said.iter().filter(|line| *line == DONE).count() < number {
        match lines.next() {
            Some(line) => said.push(line),
            None => break,
        }
    }
    thread::sleep(pause);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    said.extend(lines);
    assert!(status.code().is_none_or(|code| code == 0), "{said:#?}");
    said.iter().filter(|line| *line == DONE).count()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    fn kills(
        steps in prop::collection::vec(step(), 10),
        kills in prop::collection::vec((0..4usize, 0..12_000u64), 1..5),
    ) {
        let folder = folder();
        let path = folder.path().join("images");
        let (mut left, mut named) = (&steps[..], Named::new());
        for (after, pause) in kills {
            let done = kill_after(folder.path(), left, after, Duration::from_micros(pause));
            left[..done].iter().for_each(|step| follow(&mut named, step));
            left = &left[done..];
            let mut next = named.clone();
            left.iter().take(1).for_each(|step| follow(&mut next, step));
            let found = whole(&Store::open(&path).unwrap());
            prop_assert!(found == named || found == next, "{found:?}, not {named:?} or {next:?}");
            named = found;
        }
        // The step that was interrupted is done again, and then the rest.
        left.iter().for_each(|step| do_step(folder.path(), step));
        left.iter().for_each(|step| follow(&mut named, step));
        gc::collect(Store::open(&path).unwrap(), Scope::Dangling).unwrap();
        prop_assert_eq!(whole(&Store::open(&path).unwrap()), named);
        // And no kill leaves anything that a collection does not find.
        gc::collect(Store::open(&path).unwrap(), Scope::All).unwrap();
        for folder in ["blobs/sha256", "unpacked", "ingest", "in-use", "cache"] {
            let left = fs::read_dir(path.join(folder)).map_or(0, Iterator::count);
            prop_assert_eq!(left, 0, "{}", folder);
        }
    }
}

#[test]
fn whoever_is_killed_every_named_image_is_whole() {
    let Some(folder) = env::var_os(FOLDER) else { return kills() };
    for step in read(&env::var(STEPS).unwrap()) {
        do_step(folder.as_ref(), &step);
        eprintln!("{DONE}");
    }
}

#[test]
fn a_layer_whose_removal_was_interrupted_is_no_layer() {
    let folder = folder();
    let path = folder.path().join("images");
    let image = [Step::Build(0, vec![0, 1, 2]), Step::Unpack(0)];
    let steps = [&image[..], &[Step::Untag(0), Step::Collect(false)]].concat();
    for pause in 0..30 {
        kill_after(folder.path(), &steps, 3, Duration::from_micros(pause * 200));
        image.iter().for_each(|step| do_step(folder.path(), step));
        let found = whole(&Store::open(&path).unwrap());
        assert_eq!(found, Named::from([(0, vec![0, 1, 2])]));
    }
}

#[test]
fn steps_are_read_as_they_are_written() {
    let steps = [Step::Build(1, vec![0, 2]), Step::Tag(0, 3), Step::Untag(2), Step::Unpack(1)];
    let steps = [&steps[..], &[Step::Collect(true), Step::Collect(false)]].concat();
    assert_eq!(read(&written(&steps)), steps);
}
