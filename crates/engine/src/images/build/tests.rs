//! Builds, with commands in real containers where this host can make some.

use std::{fs, io, time::Instant};

use bollard_stubs::models::HostConfig;
use image::{
    config::ImageConfig,
    layer::{Attributes, LayerWriter},
    one_layer,
    store::Store,
};
use serde_json::json;

use super::{BuildRequest, build};
use crate::images::{
    ImageError, Result,
    inspect::inspect,
    names,
    progress::error_line,
    registries::Registries,
    test_images::{TestStore, archive},
    test_registry::TestLines,
};

fn built(store: &Store, request: &BuildRequest, context: &[u8]) -> (Result<String>, TestLines) {
    let mut lines = TestLines::default();
    let registries = Registries::default();
    let result = build(store, &registries, request, context, &mut lines.take());
    // Whatever happened, nothing of it is left.
    let left = fs::read_dir(store.path().join("build")).into_iter().flatten().flatten();
    let left: Vec<_> = left.map(|it| it.file_name()).filter(|name| name != "lock").collect();
    assert!(left.is_empty(), "{left:?}");
    (result.map(|id| id.to_string()), lines)
}

fn request() -> BuildRequest {
    BuildRequest { tags: vec!["made:1".into(), "made:2".into()], ..BuildRequest::default() }
}

fn printed(lines: &TestLines) -> String {
    lines.texts("stream").concat()
}

#[test]
fn a_build_prints_what_dockerd_prints() {
    let directory = TestStore::new();
    directory.image("one:1", "one");
    let store = directory.open();
    let dockerfile = "FROM one:1\nARG A\nENV B=$A\nCOPY new /new\n";
    let context = archive(&[("Dockerfile", dockerfile), ("new", "new")]);
    let request = BuildRequest {
        build_args: r#"{"A":"1","C":null,"D":"2"}"#.into(),
        labels: r#"{"a":"b"}"#.into(),
        ..request()
    };
    let (id, lines) = built(&store, &request, &context);
    let id = id.unwrap();
    let base = names::find(&store, "one:1").unwrap().image.id;
    let text = printed(&lines);
    assert!(
        text.starts_with(&format!("Step 1/5 : FROM one:1\n ---> {}\n", base.short())),
        "{text}"
    );
    assert!(text.contains("Step 4/5 : COPY new /new\n ---> "), "{text}");
    assert!(text.contains("[Warning] the build argument D"), "{text}");
    let short = &id[7..19];
    let end = format!(
        " ---> {short}\n[Warning] the build argument D is declared by no ARG\nSuccessfully built \
         {short}\nSuccessfully tagged made:1\nSuccessfully tagged made:2\n"
    );
    assert!(text.ends_with(&end), "{text}");
    assert!(lines.0.contains(&json!({ "aux": { "ID": id } })));
    let found = inspect(&store, "made:2").unwrap();
    assert_eq!(found.id.as_deref(), Some(&*id));
    let config = found.config.unwrap();
    assert!(config.env.unwrap().contains(&"B=1".into()));
    assert_eq!(config.labels.unwrap()["a"], "b");

    // Again, all of it is known; and a quiet one prints the id alone.
    let (again, lines) = built(&store, &request, &context);
    assert_eq!(again.unwrap(), id);
    assert_eq!(printed(&lines).matches(" ---> Using cache\n").count(), 4);
    let quiet = BuildRequest { quiet: true, ..request };
    assert_eq!(printed(&built(&store, &quiet, &context).1), format!("{id}\n"));
}

#[test]
fn what_cannot_be_built_is_refused_before_the_first_line() {
    let directory = TestStore::new();
    let store = directory.open();
    let whole = archive(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", &"a".repeat(4000))]);
    let of = |change: &dyn Fn(&mut BuildRequest)| {
        let mut request = request();
        change(&mut request);
        request
    };
    let host = |mode: &str| HostConfig { network_mode: Some(mode.into()), ..HostConfig::default() };
    let huge = format!("{{\"A\":\"{}\"}}", "a".repeat(2 << 20));
    let refused: &[(&[u8], BuildRequest, u16, &str)] = &[
        (b"", request(), 400, "Cannot locate specified Dockerfile: Dockerfile"),
        (b"garbage that is longer than six bytes", request(), 400, "invalid build context"),
        (b"\xfd7zXZ\0..", request(), 400, "invalid build context"),
        (&whole[..2500], request(), 400, "invalid build context"),
        (&archive(&[("../../evil", "x")]), request(), 400, "invalid build context"),
        (&archive(&[("Dockerfile", "NONSENSE\n")]), request(), 400, "dockerfile parse error"),
        (&archive(&[("Dockerfile", "")]), request(), 400, "cannot be empty"),
        (&whole, of(&|it| it.dockerfile = "other".into()), 400, "specified Dockerfile: other"),
        (&whole, of(&|it| it.dockerfile = "../../../etc/passwd".into()), 400, "Cannot locate"),
        (&whole, of(&|it| it.tags = vec!["Bad".into()]), 400, "invalid reference format"),
        (&whole, of(&|it| it.build_args = huge.clone()), 400, "invalid build arguments"),
        (&whole, of(&|it| it.build_args = "[1]".into()), 400, "invalid build arguments"),
        (&whole, of(&|it| it.labels = "{\"a\":1}".into()), 400, "invalid labels"),
        (&whole, of(&|it| it.remote = "https://x".into()), 501, "remote context"),
        (&whole, of(&|it| it.platform = "linux/arm64".into()), 400, "linux/arm64"),
        (&whole, of(&|it| it.target = "none".into()), 400, "none"),
        (&whole, of(&|it| it.host = host("container:x")), 400, "container:x"),
    ];
    for (context, request, status, words) in refused {
        let (result, lines) = built(&store, request, context);
        let error = result.unwrap_err();
        assert_eq!(error.status(), *status, "{words}: {error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(lines.0.is_empty(), "{words}: {:?}", lines.0);
    }
    assert!(store.references().unwrap().is_empty());
    assert!(!directory.directory.path().join("evil").exists());
    // The base is nowhere: the step that names it fails.
    let (result, lines) =
        built(&store, &request(), &archive(&[("Dockerfile", "FROM 127.0.0.1:1/a\n")]));
    let error = result.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(printed(&lines).starts_with("Step 1/1 : FROM"));
}

#[test]
fn a_deep_context_takes_no_stack() {
    let directory = TestStore::new();
    let store = directory.open();
    for (depth, words) in [(100, None), (1000, Some("in each other")), (5000, Some("unpack"))] {
        let name = format!("{}f", "a/".repeat(depth));
        let context = archive(&[("Dockerfile", "FROM scratch\nCOPY . /\n"), (&name, "x")]);
        let store = store.clone();
        // As large as those of the daemon's threads.
        let thread = std::thread::Builder::new().stack_size(512 << 10);
        let build = move || built(&store, &request(), &context).0;
        let result = thread.spawn(build).unwrap().join().unwrap();
        match words {
            None => assert!(result.is_ok(), "{result:?}"),
            Some(words) => assert!(result.unwrap_err().to_string().contains(words)),
        }
    }
}

/// The image `box` of this host's busybox; `None` if commands cannot run here.
fn busybox(directory: &TestStore) -> Option<Store> {
    let skip = |why: &str| {
        println!("skipped: {why}");
        None
    };
    if let Err(error) = container::available() {
        return skip(&error.to_string());
    }
    if !nix::unistd::geteuid().is_root() {
        return skip("images keep their owners only for root");
    }
    let Ok(program) = fs::read("/bin/busybox") else { return skip("this host has no busybox") };
    if has_interpreter(&program) {
        return skip("this host's busybox is not static");
    }
    let store = directory.open();
    let attributes = Attributes { mode: 0o755, ..Attributes::default() };
    let (descriptor, _) = one_layer::keep(&store, ImageConfig::scratch(), |out| {
        let mut writer = LayerWriter::new(out);
        let length = program.len() as u64;
        writer.file(b"bin/busybox", &attributes, length, &*program)?;
        for name in ["sh", "cat", "sleep", "seq", "ls", "id"] {
            writer.symbolic_link(format!("bin/{name}").as_bytes(), &attributes, b"busybox")?;
        }
        writer.finish().map(drop)
    })
    .unwrap();
    store.tag(&"box".parse().unwrap(), &descriptor).unwrap();
    Some(store)
}

/// Whether a program needs a dynamic linker: it has a header PT_INTERP (elf(5)).
fn has_interpreter(program: &[u8]) -> bool {
    let number = |at: usize| usize::from(u16::from_le_bytes([program[at], program[at + 1]]));
    let (first, size, count) = (number(0x20), number(0x36), number(0x38));
    (0..count).any(|index| number(first + index * size) == 3)
}

#[test]
fn a_command_runs_in_a_container_and_its_changes_are_a_layer() {
    let directory = TestStore::new();
    let Some(store) = busybox(&directory) else { return };
    let dockerfile = "FROM box\nENV A=1\nWORKDIR /work\nRUN echo \"out $A\"; echo err >&2; \
                      cat; echo made > made; ls -d /etc /dev; id -u\n";
    let (id, lines) = built(&store, &request(), &archive(&[("Dockerfile", dockerfile)]));
    let text = printed(&lines);
    id.unwrap_or_else(|error| panic!("{error}: {text}"));
    for part in [" ---> Running in ", "out 1\n", "err\n", " ---> Removed intermediate container "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let image = names::find(&store, "made:1").unwrap().image.image;
    let layers = store.unpack(&image).unwrap();
    assert_eq!(fs::read_to_string(layers[0].join("work/made")).unwrap(), "made\n");
    // What was mounted on is not the command's.
    let names: Vec<_> =
        fs::read_dir(&layers[0]).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["work"]);
}

#[test]
fn a_command_that_fails_ends_the_build_with_its_code() {
    let directory = TestStore::new();
    let Some(store) = busybox(&directory) else { return };
    let failing = archive(&[("Dockerfile", "FROM box\nRUN echo before; exit 7\nRUN echo after\n")]);
    let (result, lines) = built(&store, &request(), &failing);
    let error = result.unwrap_err();
    let message = "The command '/bin/sh -c echo before; exit 7' returned a non-zero code: 7";
    assert_eq!(
        error_line(&error),
        json!({ "errorDetail": { "code": 7, "message": message }, "error": message })
    );
    assert!(printed(&lines).ends_with("before\n"), "{}", printed(&lines));
    // A quiet build says then what it had not.
    let (result, lines) = built(&store, &BuildRequest { quiet: true, ..request() }, &failing);
    assert!(result.is_err() && printed(&lines).contains("before\n"));
    let missing = archive(&[("Dockerfile", "FROM box\nRUN [\"/none\"]\n")]);
    let error = built(&store, &request(), &missing).0.unwrap_err();
    assert!(error.to_string().contains("/none"), "{error}");
}

#[test]
fn a_client_that_goes_away_stops_a_command() {
    let directory = TestStore::new();
    let Some(store) = busybox(&directory) else { return };
    let context = archive(&[("Dockerfile", "FROM box\nRUN sleep 60\n")]);
    let mut count = 0;
    let mut lines = |line: serde_json::Value| {
        count += usize::from(line["stream"].as_str().is_some_and(|it| it.contains("Running in")));
        // Gone once the command runs.
        if count > 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    };
    let began = Instant::now();
    let result = build(&store, &Registries::default(), &request(), &*context, &mut lines);
    assert_eq!(result.unwrap_err(), ImageError::ClientGone);
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

#[test]
fn a_command_has_the_limits_of_the_request() {
    let directory = TestStore::new();
    let Some(store) = busybox(&directory) else { return };
    let context = archive(&[("Dockerfile", "FROM box\nRUN true\n")]);
    let host = HostConfig { memory: Some(1 << 20), ..HostConfig::default() };
    let error = built(&store, &BuildRequest { host, ..request() }, &context).0.unwrap_err();
    assert_eq!(error.to_string(), "Minimum memory limit allowed is 6MB");
    let host = HostConfig { network_mode: Some("none".into()), ..HostConfig::default() };
    built(&store, &BuildRequest { host, ..request() }, &context).0.unwrap();
}
