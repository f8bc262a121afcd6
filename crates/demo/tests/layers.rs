//! The layers of real containers: what each key leads to, and that nothing is left.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use common::skip;
use demo::{
    Scene, Source as _,
    layers::{Found, LastChange, Layers, LayersDemo, Row},
};
use sandbox::Ledger;

/// Whether there can be containers with overlays here; says why not. `ISOLAB_REQUIRE=container`
/// makes that a failure.
fn ready() -> bool {
    let reason = match container::available() {
        Err(error) => error.to_string(),
        Ok(()) if !container::host().overlay => "this kernel has no overlayfs".into(),
        // Before Linux 5.11 an overlay was for root only.
        Ok(()) if !container::host().root => match LayersDemo::start() {
            Err(error) if sandbox::chain(&error).contains("EPERM") => sandbox::chain(&error),
            _ => return true,
        },
        Ok(()) => return true,
    };
    skip("container", &reason);
    false
}

fn seen(live: &mut LayersDemo) -> Layers {
    match live.scene().unwrap() {
        Some(Scene::Layers(scene)) => {
            assert_eq!(scene.note, None);
            scene
        }
        other => panic!("{other:?}"),
    }
}

fn after(live: &mut LayersDemo, key: char) -> Layers {
    live.key(key);
    seen(live)
}

fn row<'a>(scene: &'a Layers, path: &str) -> &'a Row {
    scene.rows.iter().find(|row| row.path == path).unwrap_or_else(|| panic!("{path}: {scene:?}"))
}

/// A file of the image that no key changes: in every container's root it is the same one.
const UNCHANGED: &str = "name";

/// Its number in the image in `directory`.
fn image_of(directory: &str) -> u64 {
    fs::metadata(Path::new(directory).join("lower").join(UNCHANGED)).unwrap().ino()
}

/// The processes whose root has the files of that image.
fn processes_with(image: u64) -> Vec<String> {
    let inode = |path: &Path| Some(fs::metadata(path.join("root").join(UNCHANGED)).ok()?.ino());
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let with = processes.filter(|path| inode(path) == Some(image));
    with.map(|path| path.display().to_string()).collect()
}

/// Waits until there are none: a killed process takes its time to end.
fn has_no_processes(image: u64) -> bool {
    (0..500).any(|_| {
        let none = processes_with(image).is_empty();
        if !none {
            thread::sleep(Duration::from_millis(10));
        }
        none
    })
}

#[test]
fn each_key_does_to_the_layers_what_it_says() {
    if !ready() {
        return;
    }
    let mut live = LayersDemo::start().unwrap();
    let begun = seen(&mut live);
    assert!(begun.rows.iter().all(|row| row.upper.is_none() && row.lower == row.merged));
    assert_eq!((&begun.last_change, begun.upper_bytes), (&LastChange::Begun, [Some(0), None]));

    let created = after(&mut live, 'c');
    let note = row(&created, "note-1");
    assert!(note.changed && note.lower.is_none() && note.upper.is_some());
    assert_eq!(note.upper, note.merged);

    let copied = after(&mut live, 'w');
    let database = row(&copied, "database");
    let size = 1 << 20;
    assert_eq!(database.upper, Some(Found::CopiedUp(size)));
    assert!(matches!(copied.last_change, LastChange::CopiedUp { bytes, .. } if bytes == size));
    assert!(copied.upper_bytes[0] >= Some(size), "{:?}", copied.upper_bytes);
    let written = after(&mut live, 'w');
    assert!(matches!(written.last_change, LastChange::Written { .. }), "{:?}", written.last_change);
    assert_eq!(written.upper_bytes, copied.upper_bytes);
    let file = |layer: &str| fs::read(Path::new(&begun.directory).join(layer).join("database"));
    assert_eq!((file("lower").unwrap()[0], file("1/upper").unwrap()[0]), (b'.', b'x'));

    let hidden = after(&mut live, 'd');
    let application = row(&hidden, "application");
    assert_eq!((application.upper, application.merged), (Some(Found::Whiteout), None));
    assert_eq!(application.lower, row(&begun, "application").lower);
    assert!(matches!(hidden.last_change, LastChange::Hidden { .. }), "{:?}", hidden.last_change);
    let removed = after(&mut live, 'd');
    assert!(removed.rows.iter().all(|row| row.path != "note-1"));
    assert!(matches!(removed.last_change, LastChange::Removed { .. }), "{:?}", removed.last_change);

    // tmpfs has attributes for users since Linux 6.6; root's it always had.
    if container::host().root {
        let replaced = after(&mut live, 'o');
        assert_eq!(row(&replaced, "lib/").upper, Some(Found::Opaque));
        let (old, new) = (row(&replaced, "lib/libm"), row(&replaced, "lib/libc"));
        assert_eq!((old.upper, old.merged), (None, None));
        assert!(matches!(new.upper, Some(Found::File(_))) && new.upper == new.merged);
    }
}

#[test]
fn the_keys_change_files_of_a_real_image_and_follow_none_of_its_links() {
    if !ready() {
        return;
    }
    let root = std::env::temp_dir().join(format!("isolab-real-{}", std::process::id()));
    let write = |path: &str, bytes: usize| {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), vec![b'.'; bytes]).unwrap();
    };
    write("outside/large", 4 << 20);
    write("1/srv/large", 3 << 20);
    write("1/srv/small", 10);
    write("1/lib/a", 20);
    write("2/opt/application", 2 << 20);
    write("2/bin/tool", 1 << 20);
    // A link that leads out, where the layer below has a directory, and one to a larger file.
    std::os::unix::fs::symlink(root.join("outside"), root.join("2/srv")).unwrap();
    std::os::unix::fs::symlink(root.join("outside/large"), root.join("2/large")).unwrap();
    let lowers = ["2", "1"].map(|layer| root.join(layer));
    let mut live = LayersDemo::of_image("class/hello:1", &lowers).unwrap();
    let begun = seen(&mut live);
    assert_eq!(begun.image.as_ref().unwrap().layers, 2);
    assert_eq!(
        (row(&begun, "lib/a").layer, row(&begun, "opt/application").layer),
        (Some(1), Some(2))
    );
    assert!(
        begun.rows.iter().all(|row| row.upper.is_none() && row.lower == row.merged),
        "{begun:?}"
    );
    let copied = after(&mut live, 'w');
    assert_eq!(row(&copied, "opt/application").upper, Some(Found::CopiedUp(2 << 20)));
    let hidden = after(&mut live, 'd');
    assert_eq!(row(&hidden, "bin/tool").upper, Some(Found::Whiteout));
    if container::host().root {
        let replaced = after(&mut live, 'o');
        assert_eq!(row(&replaced, "lib/").upper, Some(Found::Opaque));
    }
    let before = |path: &str, bytes: usize| {
        assert!(fs::read(root.join(path)).unwrap() == vec![b'.'; bytes], "{path} was changed");
    };
    before("outside/large", 4 << 20);
    before("2/opt/application", 2 << 20);
    before("2/bin/tool", 1 << 20);
    before("1/lib/a", 20);
    drop(live);
    fs::remove_dir_all(&root).unwrap();
}

#[test]
fn containers_on_one_image_do_not_see_each_other_and_a_new_one_begins_anew() {
    if !ready() {
        return;
    }
    let mut live = LayersDemo::start().unwrap();
    let begun = seen(&mut live);
    let written = after(&mut live, 'w');
    let second = after(&mut live, '2');
    assert_eq!((&second.last_change, second.container), (&LastChange::Started, 2));
    assert_eq!(second.rows, begun.rows);
    assert_eq!(second.upper_bytes, [written.upper_bytes[0], Some(0)]);
    assert_eq!(processes_with(image_of(&begun.directory)).len(), 2);
    assert!(row(&after(&mut live, 'c'), "note-1").changed);

    let first = after(&mut live, '1');
    assert_eq!((&first.last_change, first.container), (&LastChange::Turned, 1));
    assert!(first.rows.iter().all(|row| row.path != "note-1"));
    let renewed = after(&mut live, 'x');
    assert_eq!((&renewed.last_change, renewed.upper_bytes[0]), (&LastChange::Renewed, Some(0)));
    assert!(renewed.rows.iter().all(|row| row.upper.is_none() && row.lower == row.merged));
    assert_eq!(processes_with(image_of(&begun.directory)).len(), 2);
    assert!(after(&mut live, '2').rows.iter().any(|row| row.path == "note-1"));
}

#[test]
fn what_cannot_be_done_is_reported_with_a_fix() {
    if !ready() {
        return;
    }
    let mut live = LayersDemo::start().unwrap();
    for _ in 0..4 {
        live.key('c');
    }
    assert_eq!(seen(&mut live).last_change, LastChange::Enough);
    // A file that is in the way of a key: a directory cannot be deleted as a file.
    let directory = seen(&mut live).directory;
    let process = &processes_with(image_of(&directory))[0];
    fs::remove_file(Path::new(process).join("root/application")).unwrap();
    fs::create_dir(Path::new(process).join("root/application")).unwrap();
    live.key('d');
    let Some(Scene::Layers(scene)) = live.scene().unwrap() else { panic!("it has ended") };
    let note = scene.note.unwrap();
    assert!(note.starts_with("[d] delete application in the container: "), "{note}");
    assert_eq!(after(&mut live, 'x').last_change, LastChange::Renewed);
}

#[test]
fn nothing_is_left_when_it_is_dropped() {
    if !ready() {
        return;
    }
    let mut live = LayersDemo::start().unwrap();
    let directory = after(&mut live, '2').directory;
    live.key('w');
    live.key('o');
    let name = Path::new(&directory).file_name().unwrap().to_str().unwrap();
    let name = name.strip_prefix("isolab-").unwrap();
    let image = image_of(&directory);
    assert!(!processes_with(image).is_empty());
    assert!(Ledger::open().unwrap().find(name).unwrap().is_some());
    drop(live);
    assert!(!Path::new(&directory).exists());
    assert!(Ledger::open().unwrap().find(name).unwrap().is_none());
    assert!(has_no_processes(image), "{:?}", processes_with(image));
}

/// In the child of the next test.
const CHILD: &str = "ISOLAB_TEST_LAYERS";

#[test]
fn what_a_killed_one_leaves_is_known_to_clean() {
    if std::env::var_os(CHILD).is_some() {
        let mut live = LayersDemo::start().unwrap();
        for key in ['w', 'd', '2'] {
            live.key(key);
        }
        eprintln!("directory {}", seen(&mut live).directory);
        loop {
            thread::park();
        }
    }
    if !ready() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "what_a_killed_one_leaves_is_known_to_clean", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let directory = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("directory ")?.to_owned()));
    child.kill().unwrap();
    child.wait().unwrap();
    let directory = directory.expect("the child says it when all is made");
    let image = image_of(&directory);
    assert!(has_no_processes(image), "{:?}", processes_with(image));
    let ledger = Ledger::open().unwrap();
    let pid = child.id();
    container::clean_those(&ledger, |entry| entry.launcher.pid == pid).unwrap();
    assert!(!Path::new(&directory).exists());
}
