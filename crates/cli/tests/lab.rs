//! `isolab lab` as a student meets it.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

use common::{Names, isolab, labs::Labs, output_of, signal, wait_for};

#[test]
fn a_lab_is_listed_with_what_was_done_of_it() {
    let labs = Labs::new();
    let (code, output, errors) = output_of(&mut labs.lab(&["list"]));
    assert_eq!((code, &*errors), (0, ""), "{output}");
    assert!(output.contains("88  A name of its own"), "{output}");
    assert!(output.contains("not begun"), "{output}");
    assert!(output.lines().all(|line| line.len() <= 80), "{output}");
    let (_, output, _) = output_of(labs.lab(&["list"]).env("LANG", "zh_CN.UTF-8"));
    assert!(output.contains("88  自己的名字") && output.contains("未开始"), "{output}");
    let (_, output, _) = output_of(&mut labs.lab(&["list", "--json"]));
    let listed: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(listed["labs"][0]["state"], "not-begun");
}

#[test]
fn a_check_builds_judges_and_is_written_down() {
    let labs = Labs::new();
    let (code, output, errors) = output_of(&mut labs.lab(&["check", "88"]));
    assert_eq!((code, &*errors), (1, ""), "{output}");
    assert!(output.starts_with("Lab 88  A name of its own    "), "{output}");
    assert!(output.lines().next().unwrap().ends_with("    FAIL  not-written"), "{output}");
    assert!(output.contains("Write that step in labs/88-own-name/src/student.rs"), "{output}");
    assert!(output.contains("isolab lab hint 88"), "{output}");

    labs.student_says("no-fork");
    let (code, output, _) = output_of(&mut labs.lab(&["check", "--lang", "zh"]));
    assert_eq!(code, 1);
    assert!(output.starts_with("实验 88  自己的名字    "), "{output}");
    assert!(output.lines().next().unwrap().ends_with("    未通过  L88-no-fork"), "{output}");
    assert!(output.contains("进程 4711 还在父进程"), "{output}");

    labs.student_says("solved");
    let words = ["check", "own-name", "--predict", "exits=1,000"];
    let (code, output, _) = output_of(&mut labs.lab(&words));
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("you guessed 1000 exits, measured 1012 exits"), "{output}");
    let record = &labs.progress()["labs"]["88"];
    assert_eq!((&record["attempts"], &record["failures"]["L88-no-fork"]), (&3.into(), &1.into()));
    assert!(record["passed"].is_string());
    let (_, output, _) = output_of(&mut labs.lab(&["list"]));
    assert!(output.contains("passed 20"), "{output}");
}

#[test]
fn what_does_not_compile_is_shown_as_the_compiler_says_it() {
    let labs = Labs::new();
    labs.student("fn main() {\n    let x: u8 = \"seven\";\n}\n");
    let (code, output, errors) = output_of(&mut labs.lab(&["check", "88"]));
    assert_eq!((code, &*errors), (1, ""));
    assert!(output.starts_with("error[E0308]: mismatched types"), "{output}");
    assert!(output.contains("FAIL  not-compiled"), "{output}");
    let (_, output, _) = output_of(&mut labs.lab(&["check", "88", "--json"]));
    let said: serde_json::Value = serde_json::from_str(&output).unwrap();
    let first = said["errors"][0].as_str().unwrap();
    assert!(first.starts_with("labs/88-own-name/src/student.rs:2: "), "{first}");
}

#[test]
fn a_check_that_cannot_tell_or_dies_fails_nobody() {
    let labs = Labs::new();
    labs.student_says("busy");
    let (code, output, _) = output_of(&mut labs.lab(&["check", "88"]));
    assert_eq!(code, 3, "{output}");
    assert!(output.contains("CANNOT TELL  busy"), "{output}");
    labs.student_says("die");
    let (code, output, errors) = output_of(&mut labs.lab(&["check", "88"]));
    assert_eq!((code, &*output), (125, ""));
    assert!(errors.contains("a fault of the check") && errors.contains("no verdict"), "{errors}");
    assert_eq!(labs.progress()["labs"]["88"]["failures"], serde_json::json!({}));
}

#[test]
fn troubles_are_named_with_the_way_out() {
    let labs = Labs::new();
    let refusal = |words: &[&str], code: i32, expected: &str, fix: &str| {
        let (found, _, errors) = output_of(&mut labs.lab(words));
        assert_eq!(found, code, "{errors}");
        assert!(errors.contains(expected) && errors.contains(fix), "{errors}");
    };
    refusal(&["check"], 2, "no lab has been started", "isolab lab list");
    refusal(&["check", "13"], 2, "unknown lab \"13\"; the labs here are 88", "isolab lab list");
    refusal(&["check", "88", "--labs", "/tmp"], 125, "no labs found in /tmp", "--labs FOLDER");
    refusal(&["check", "88", "--predict", "entries=3"], 2, "NAME is one of: exits", "");
    let (code, _, errors) = output_of(
        labs.lab(&["check", "88"])
            .env("PATH", "/nowhere")
            .env("HOME", "/nowhere")
            .env_remove("CARGO"),
    );
    assert_eq!(code, 125);
    assert!(errors.contains("no cargo found") && errors.contains("rustup.rs"), "{errors}");
    fs::rename(labs.path("labs/88-own-name"), labs.path("labs/88-my-name")).unwrap();
    refusal(&["check", "88"], 125, "88-my-name should be named 88-own-name", "rename it back");
}

#[test]
fn a_damaged_progress_is_set_aside_and_said() {
    let labs = Labs::new();
    let folder = labs.state().join("isolab");
    fs::create_dir_all(&folder).unwrap();
    for text in ["{\"version\":7}", "damaged"] {
        fs::write(folder.join("labs.json"), text).unwrap();
        let (code, _, errors) = output_of(&mut labs.lab(&["list"]));
        assert_eq!((code, errors.lines().count()), (0, 1), "{errors}");
        assert!(errors.contains("a new one was started"), "{errors}");
    }
    assert_eq!(common::labs::files(&folder).len(), 3, "two backups and the lock");
}

#[test]
fn a_lab_is_begun_hinted_at_and_explained() {
    let labs = Labs::new();
    let (code, output, _) = output_of(&mut labs.lab(&["start", "88"]));
    assert_eq!(code, 0);
    for part in ["A name of its own", "45 minutes", "work/88-own-name/student.rs", "lab check 88"] {
        assert!(output.contains(part), "{output}");
    }
    labs.student_says("no-fork");
    output_of(&mut labs.lab(&["check"]));
    for (step, expected) in ["first", "second", "third", "third"].into_iter().enumerate() {
        let (code, output, _) = output_of(&mut labs.lab(&["hint"]));
        assert_eq!((code, output.matches(" hint\n").count()), (0, (step + 1).min(3)), "{output}");
        assert!(output.contains(&format!("{expected} hint")), "{output}");
    }
    let (code, output, _) = output_of(&mut labs.lab(&["why"]));
    assert_eq!(code, 0);
    assert!(output.contains("/proc/4711/ns/pid") && output.contains("pid:[1]"), "{output}");
    assert!(output.contains("man 7 pid_namespaces"), "{output}");
    labs.student_says("solved");
    output_of(&mut labs.lab(&["check"]));
    let (_, output, _) = output_of(&mut labs.lab(&["hint"]));
    assert!(output.contains("3/3"), "all of them after a pass: {output}");
}

#[test]
fn the_solution_is_shown_after_a_pass_or_is_written_down() {
    let labs = Labs::new();
    let (code, output, _) = output_of(&mut labs.lab(&["solution", "88"]));
    assert_eq!(code, 1);
    assert!(output.contains("--reveal") && !output.contains("fn main"), "{output}");
    let (code, output, _) = output_of(&mut labs.lab(&["solution", "88", "--reveal"]));
    assert_eq!(code, 0);
    assert!(output.contains("fn main"), "{output}");
    let (_, output, _) = output_of(&mut labs.lab(&["list"]));
    assert!(output.contains("solution revealed"), "{output}");
}

#[test]
fn a_reset_brings_gits_file_back_and_keeps_the_students() {
    let labs = Labs::new();
    labs.commit();
    labs.student_says("mine");
    output_of(&mut labs.lab(&["check", "88"]));
    let (code, output, errors) = output_of(&mut labs.lab(&["reset", "88", "--json"]));
    assert_eq!(code, 0, "{errors}");
    let said: serde_json::Value = serde_json::from_str(&output).unwrap();
    let backup = fs::read_to_string(said["backup"].as_str().unwrap()).unwrap();
    assert!(backup.contains("mine"), "{backup}");
    let student = fs::read_to_string(labs.path("labs/88-own-name/src/student.rs")).unwrap();
    assert!(student.contains("todo!(\"step 1\")"), "{student}");
}

#[test]
fn a_students_file_lies_beside_the_tracked_ones_and_is_what_is_judged() {
    let labs = Labs::new();
    labs.write(".gitignore", "/target\n/work\n/Cargo.lock\n");
    labs.commit();
    let git = |words: &[&str]| {
        let mut git = std::process::Command::new("git");
        output_of(git.args(words).current_dir(labs.path(""))).1
    };
    output_of(&mut labs.lab(&["start", "88"]));
    labs.student_says("no-fork");
    let (code, output, errors) = output_of(&mut labs.lab(&["check", "88"]));
    assert_eq!(code, 1, "{output}{errors}");
    assert!(output.contains("FAIL  L88-no-fork"), "{output}");
    assert!(output.contains("Fork in work/88-own-name/student.rs"), "{output}");
    assert_eq!(git(&["diff", "--name-only"]), "");
    labs.student("fn main() {\n    let x: u8 = \"seven\";\n}\n");
    let (_, output, _) = output_of(&mut labs.lab(&["check", "88"]));
    assert!(output.contains("--> work/88-own-name/student.rs:2:"), "{output}");
    // It is kept by a second start, and goes where a reset says.
    labs.student_says("solved");
    output_of(&mut labs.lab(&["start", "88"]));
    assert_eq!(output_of(&mut labs.lab(&["check", "88"])).0, 0);
    output_of(&mut labs.lab(&["reset", "88"]));
    let (_, output, _) = output_of(&mut labs.lab(&["check", "88"]));
    assert!(output.contains("not-written"), "{output}");
    // A change of the tracked file is said, and not judged.
    labs.program("src/student.rs", "solved");
    let (code, output, _) = output_of(&mut labs.lab(&["check", "88"]));
    let output = output.replace('\n', " ");
    assert_eq!(code, 1);
    assert!(output.contains("has changes too, and is not judged"), "{output}");
    let (code, output, errors) = output_of(&mut labs.lab(&["verify", "88"]));
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("differs from the committed version"), "{output}");
}

#[test]
fn what_was_written_in_the_tracked_file_is_taken_over() {
    let labs = Labs::new();
    labs.commit();
    labs.student_says("solved");
    let (code, output, errors) = output_of(&mut labs.lab(&["check", "88"]));
    assert_eq!(code, 0, "{errors}");
    let output = output.replace('\n', " ");
    assert!(output.contains("`isolab lab start 88` copies it to work/"), "{output}");
    let (code, output, errors) = output_of(&mut labs.lab(&["start", "88"]));
    assert_eq!(code, 0, "{errors}");
    let output = output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(output.contains("was copied there, and only the copy is judged"), "{output}");
    let own = fs::read_to_string(labs.path("work/88-own-name/student.rs")).unwrap();
    assert!(own.contains("solved"), "{own}");
    assert_eq!(output_of(&mut labs.lab(&["check", "88"])).0, 0);
}

#[test]
fn a_first_check_of_what_nobody_has_edited_names_the_students_own_file() {
    let labs = Labs::new();
    labs.commit();
    let (code, output, errors) = output_of(&mut labs.lab(&["check", "88"]));
    assert_eq!(code, 1, "{errors}");
    assert!(output.contains("Write that step in work/88-own-name/student.rs"), "{output}");
}

#[test]
fn a_handout_without_solutions_says_so() {
    let labs = Labs::new();
    fs::remove_file(labs.path("labs/88-own-name/src/solution.rs")).unwrap();
    for words in [&["verify"][..], &["solution", "88", "--reveal"]] {
        let (code, output, errors) = output_of(&mut labs.lab(words));
        assert_eq!(code, 125, "{output}");
        assert!(errors.contains("has no solutions") && errors.contains("teacher"), "{errors}");
    }
}

#[test]
fn the_truth_table_holds() {
    let labs = Labs::new();
    let (code, output, errors) = output_of(&mut labs.lab(&["verify", "--load"]));
    assert_eq!(code, 0, "{output}{errors}");
    assert!(
        output.contains("6 right, 0 wrong, 0 not judged here; false fails under load: 0"),
        "{output}"
    );
    let (code, output, _) = output_of(&mut labs.lab(&["verify", "88", "--repeat", "3", "--json"]));
    assert_eq!(code, 0, "{output}");
    let table: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(table["rows"][5]["got"], "3 pass 0 ? 0 fail");
}

#[test]
fn a_truth_table_that_does_not_hold_is_said_row_by_row() {
    let labs = Labs::new();
    // A mutant that the check takes for right, a solution that leaves a process, a check that lacks
    // something, and a mutant that does not compile.
    labs.program("mutants/no_fork.rs", "solved");
    let silent = "//! Caught as: ended-early\nfn main() { silence }\n";
    labs.write("labs/88-own-name/mutants/silent.rs", silent);
    labs.student_says("busy");
    let solution = "fn main() {
        if std::env::args().count() > 1 {
            std::thread::sleep(std::time::Duration::from_secs(15));
        } else {
            std::process::Command::new(\"/proc/self/exe\").arg(\"x\")
                .stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
            println!(\"solved\");
        }
    }";
    labs.write("labs/88-own-name/src/solution.rs", solution);
    let (code, output, _) = output_of(&mut labs.lab(&["verify"]));
    assert_eq!(code, 1);
    assert!(output.contains("1 right, 3 wrong, 1 not judged here"), "{output}");
    for part in ["process is left: ", "not built", "the host was too busy", "silence"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    labs.write("labs/88-own-name/mutants/silent.rs", "fn main() {}");
    let words = ["verify", "--json"];
    let (code, _, _) = output_of(labs.lab(&words).env("ISOLAB_REQUIRE", "container,labs"));
    assert_eq!(code, 1);
}

#[test]
fn a_save_is_checked_and_an_interrupt_ends_the_watching() {
    let labs = Labs::new();
    let mut command = labs.lab(&["watch", "88", "--json"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["id"], "not-written");
    labs.student_says("no-fork");
    assert_eq!(next()["id"], "L88-no-fork");
    labs.student("fn main() { nothing }");
    assert_eq!(next()["id"], "not-compiled");
    labs.student_says("die");
    assert!(next()["error"].as_str().unwrap().contains("no verdict"));
    labs.student_says("solved");
    assert_eq!(next()["verdict"], "pass");
    signal(watching.id(), "INT");
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}

/// The check of this checkout that hangs.
fn hanging_check(labs: &Labs) -> Option<u32> {
    let program = labs.path("target/lab/lab88-check").canonicalize().ok()?;
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == program))
}

#[test]
fn neither_a_kill_nor_an_interrupt_leaves_the_check_behind() {
    let labs = Labs::new();
    labs.student_says("hang");
    for (name, code) in [("KILL", None), ("INT", Some(130)), ("TERM", Some(130))] {
        let mut command = labs.lab(&["check", "88"]);
        let mut running = command.stderr(Stdio::null()).spawn().unwrap();
        wait_for("the check", || hanging_check(&labs).is_some());
        signal(running.id(), name);
        assert_eq!(running.wait().unwrap().code(), code, "{name}");
        wait_for("the check's end", || hanging_check(&labs).is_none());
    }
}

#[test]
fn only_what_checks_have_left_is_cleaned() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().canonicalize().unwrap();
    let (mine, others) = (folder.join("isolab-mine"), folder.join("isolab-others"));
    let names = Names::of("lab-clean");
    let place = sandbox::Ledger::open().unwrap();
    let dead = sandbox::Process { pid: 4_194_305, start_time: 1 };
    for (name, sandbox, path) in [("mine", "lab", &mine), ("others", "container", &others)] {
        fs::create_dir(path).unwrap();
        let mut entry = sandbox::LedgerEntry::new(names.name(name), sandbox, vec![]);
        entry.launcher = dead;
        entry.resources.push(sandbox::Resource::Directory(path.clone()));
        std::mem::forget(place.claim(entry).unwrap());
    }
    let (code, output, errors) = output_of(&mut isolab(&["lab", "clean"]));
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains(&format!("removed directory {}\n", mine.display())), "{output}");
    assert!(!mine.exists() && others.exists());
    let entry = place.find(&names.name("others")).unwrap().unwrap();
    drop(place.adopt(&entry));
}

#[test]
fn a_class_is_made_of_exports() {
    let labs = Labs::new();
    labs.student_says("solved");
    output_of(&mut labs.lab(&["check", "88", "--predict", "exits=900"]));
    for name in ["Ada", "Lin"] {
        let file = format!("{name}.json");
        let (code, _, errors) =
            output_of(&mut labs.lab(&["export", "--name", name, "--out", &file]));
        assert_eq!(code, 0, "{errors}");
    }
    let words = ["class", "Ada.json", "Lin.json", "--out", "class"];
    let (code, output, _) = output_of(&mut labs.lab(&words));
    assert_eq!((code, &*output), (0, "2 students in class/index.html\n"));
    let table = fs::read_to_string(labs.path("class/class.csv")).unwrap();
    assert!(table.contains("Ada,88,own-name,passed,1,20"), "{table}");
    assert!(table.contains("exits 900,exits 1012"), "{table}");
    labs.write("bad.json", "{");
    let (code, output, _) = output_of(&mut labs.lab(&["class", "bad.json", "--out", "class"]));
    assert_eq!(code, 1);
    assert!(output.contains("refused bad.json: "), "{output}");
}

/// A checkout whose labs link this repository's own crate `lab`.
fn real_labs() -> Labs {
    let labs = Labs::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let text = |path: &str| fs::read_to_string(repository.join(path)).unwrap();
    // The same workspace with other members; its crates are where they are.
    let manifest: String = text("Cargo.toml")
        .lines()
        .skip_while(|line| !line.starts_with("[workspace]"))
        .take_while(|line| *line != "[lints]")
        .filter(|line| !line.starts_with("default-members") && !line.starts_with("exclude"))
        .map(|line| line.replace("\"crates/*\", ", "") + "\n")
        .collect();
    let crates = format!("path = \"{}/crates/", repository.display());
    let manifest = manifest.replace("path = \"crates/", &crates);
    labs.write("Cargo.toml", &(manifest + "\n[profile.lab]\ninherits = \"dev\"\ndebug = false\n"));
    labs.write("Cargo.lock", &text("Cargo.lock"));
    labs.write(".cargo/config.toml", &text(".cargo/config.toml"));
    labs
}

#[test]
fn a_new_lab_has_a_truth_table_that_holds() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !common::can("container", container::available()) {
        return;
    }
    let labs = real_labs();
    let (code, output, errors) =
        output_of(&mut labs.lab(&["new", "fork-bomb", "--title", "A \"bomb\""]));
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("labs/21-fork-bomb"), "{output}");
    let (code, _, errors) = output_of(&mut labs.lab(&["new", "fork-bomb"]));
    assert_eq!(code, 2);
    assert!(errors.contains("already in use"), "{errors}");
    // What is built once serves the next time.
    let target = repository.join("target/new-lab");
    let mut verify = labs.lab(&["verify", "21"]);
    let (code, output, errors) = output_of(verify.env("CARGO_TARGET_DIR", target));
    assert_eq!(code, 0, "{output}{errors}");
    assert!(output.contains("4 right, 0 wrong, 0 not judged here"), "{output}");
}
