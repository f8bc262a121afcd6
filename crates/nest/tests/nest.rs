//! A nest as a caller of the library meets it. What runs inside is this very test program: its test
//! `inside` does what the environment says.

use std::{
    env,
    error::Error as _,
    fs::{self, File},
    io::{Read as _, Write as _, stderr, stdout},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{abort, exit},
    time::Duration,
};

use nest::{Error, Nest, NestOutcome, Result};
use sandbox::{Status, Stdio};

/// The variable that says what to do inside.
const TASK: &str = "NEST_TEST";
/// Where the files of the test of what is brought in are, outside and inside.
const ADDED: &str = "NEST_TEST_ADDED";
/// Large trees among them.
const TREES: [&str; 3] = ["one", "two", "three"];

#[test]
fn inside() {
    let Ok(task) = env::var(TASK) else { return };
    match task.as_str() {
        "speak" => speak(),
        "abort" => abort(),
        "panic" => fs::write("/proc/sysrq-trigger", "c").unwrap(),
        "random" => File::open("/dev/random").unwrap().read_exact(&mut [0; 64]).unwrap(),
        "sleep" => std::thread::sleep(Duration::from_secs(600)),
        "compare" => compare(Path::new(&env::var_os(ADDED).unwrap())),
        other => panic!("{other}"),
    }
}

/// Every byte to standard output, a line to standard error, files to be brought out, 42.
fn speak() -> ! {
    let every: Vec<u8> = (0..=255).collect();
    stdout().write_all(&every).unwrap();
    stdout().flush().unwrap();
    stderr().write_all(b"an error\n").unwrap();
    let out = PathBuf::from(env::var_os("ISOLAB_OUT").unwrap());
    fs::create_dir_all(out.join("a/b")).unwrap();
    fs::write(out.join("a/b/empty"), "").unwrap();
    fs::write(out.join("a/large"), vec![7; 1_000_001]).unwrap();
    fs::write(out.join("script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(out.join("script"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("/etc/passwd", out.join("link")).unwrap();
    exit(42)
}

/// Looks for what was brought in.
fn compare(added: &Path) -> ! {
    assert_eq!(fs::read_to_string(added.join("small")).unwrap(), "small");
    for tree in TREES {
        assert_eq!(fs::metadata(added.join(tree).join("large")).unwrap().len(), 40 << 20);
        assert_eq!(fs::read_to_string(added.join(tree).join("below/text")).unwrap(), tree);
    }
    fs::write(Path::new(&env::var_os("ISOLAB_OUT").unwrap()).join("seen"), "all").unwrap();
    exit(0)
}

/// A nest in which this program does `task`, or `None` where none can be had.
fn nest(task: &str) -> Option<Nest> {
    let this = env::current_exe().unwrap();
    let made = nest::available().and_then(|()| Nest::of(this));
    let mut nest = match made {
        Ok(nest) => nest,
        Err(error) => {
            let required = env::var("ISOLAB_REQUIRE").unwrap_or_default();
            let fix = error.fix().unwrap_or_default();
            assert!(!required.split(',').any(|word| word == "nest"), "{error}: {fix}");
            eprintln!("skipped: {error}: {fix}");
            return None;
        }
    };
    nest.arguments = ["inside", "--exact", "--nocapture"].map(Into::into).to_vec();
    nest.environment = vec![(TASK.into(), task.into())];
    Some(nest)
}

fn run(nest: &Nest) -> Result<NestOutcome> {
    nest.run(Stdio::Capture, None)
}

#[test]
fn output_errors_files_and_the_code_come_out_each_its_way() {
    let Some(mut nest) = nest("speak") else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/out");
    nest.out = Some(out.clone());
    let outcome = run(&nest).unwrap();
    assert_eq!(outcome.status, Status::Exited(42));
    let every: Vec<u8> = (0..=255).collect();
    assert!(outcome.output.ends_with(&every), "{:?}", outcome.output);
    assert_eq!(String::from_utf8_lossy(&outcome.errors), "an error\n");
    assert_eq!(fs::read(out.join("a/b/empty")).unwrap(), b"");
    assert_eq!(fs::read(out.join("a/large")).unwrap(), vec![7; 1_000_001]);
    let mode = fs::metadata(out.join("script")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7700, 0o700, "set-user-ID must not come out");
    assert!(fs::symlink_metadata(out.join("link")).is_err(), "a link came out");
}

#[test]
fn a_signal_that_ends_the_program_is_told() {
    let Some(nest) = nest("abort") else { return };
    assert_eq!(run(&nest).unwrap().status, Status::Signaled(6));
}

#[test]
fn randomness_is_not_waited_for() {
    let Some(mut nest) = nest("random") else { return };
    nest.deadline = Some(Duration::from_secs(60));
    assert_eq!(run(&nest).unwrap().status, Status::Exited(0));
}

#[test]
fn a_kernel_that_panics_is_one_error_with_the_last_lines_of_its_console() {
    let Some(nest) = nest("panic") else { return };
    let error = run(&nest).unwrap_err();
    assert!(matches!(error, Error::Crashed { .. }), "{error}");
    assert!(error.to_string().contains("Kernel panic"), "{error}");
    assert_eq!(error.exit_code(), 125);
}

#[test]
fn a_nest_that_does_not_boot_in_time_is_powered_off() {
    let Some(mut nest) = nest("sleep") else { return };
    nest.start_up = Duration::from_millis(200);
    let error = run(&nest).unwrap_err();
    assert!(matches!(error, Error::NoStart { .. }), "{error}");
    assert!(error.to_string().contains("within 200ms"), "{error}");
    assert!(error.fix().unwrap().contains("--start-up"), "the option that raises the limit");
}

#[test]
fn a_program_is_ended_at_its_deadline() {
    let Some(mut nest) = nest("sleep") else { return };
    nest.deadline = Some(Duration::from_secs(3));
    let error = run(&nest).unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert!(error.fix().unwrap().contains("--deadline"), "the option that raises the limit");
}

#[test]
fn qemu_that_refuses_is_quoted() {
    let Some(mut nest) = nest("sleep") else { return };
    nest.kernel.vmlinux = "/etc/passwd".into();
    let error = run(&nest).unwrap_err();
    assert!(matches!(error, Error::Qemu { .. }), "{error}");
    assert!(error.source().is_none());
}

#[test]
fn files_and_trees_are_inside_where_they_are_outside() {
    let Some(mut nest) = nest("compare") else { return };
    let folder = tempfile::tempdir().unwrap();
    nest.add = vec![folder.path().join("small")];
    fs::write(&nest.add[0], "small").unwrap();
    for name in TREES {
        let tree = folder.path().join(name);
        fs::create_dir_all(tree.join("below")).unwrap();
        fs::write(tree.join("below/text"), name).unwrap();
        // Enough for a disk, of which there are several: they appear in any order.
        File::create(tree.join("large")).unwrap().set_len(40 << 20).unwrap();
        nest.add.push(tree);
    }
    nest.environment.push((ADDED.into(), folder.path().into()));
    nest.out = Some(folder.path().join("out"));
    let outcome = run(&nest).unwrap();
    let errors = String::from_utf8_lossy(&outcome.errors);
    assert_eq!(outcome.status, Status::Exited(0), "{errors}");
    assert_eq!(fs::read_to_string(folder.path().join("out/seen")).unwrap(), "all");
}

#[test]
fn a_real_time_kernel_is_refused_before_it_boots() {
    let Some(mut nest) = nest("sleep") else { return };
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("modules");
    fs::create_dir(&modules).unwrap();
    let module = b"\x7fELF..\0vermagic=6.1.0-rt SMP preempt_rt mod_unload \0";
    for name in ["kvm_amd", "overlay", "veth", "tun", "nvme", "ext4"] {
        fs::write(modules.join(name).with_extension("ko"), module).unwrap();
    }
    nest.kernel.modules = Some(modules);
    let error = run(&nest).unwrap_err();
    assert!(matches!(error, Error::RealTime { .. }), "{error}");
    assert!(error.fix().unwrap().contains("isolab kernel get"));
}

#[test]
fn what_would_be_hidden_or_has_no_room_is_refused() {
    let Some(mut nest) = nest("sleep") else { return };
    nest.add = vec!["/proc/version".into()];
    assert!(matches!(run(&nest), Err(Error::Hidden { .. })));
    nest.add.clear();
    nest.memory_bytes = 1 << 20;
    assert!(matches!(run(&nest), Err(Error::LittleMemory { .. })));
}
