//! What a teacher does with a class: hand labs out, collect the answers.

mod common;

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use common::{isolab, labs::Labs, output_of};

/// `isolab lab` with these words in a folder that is not the fixture's own.
fn lab_in(labs: &Labs, folder: &str, words: &[&str]) -> Command {
    let mut command = labs.lab(words);
    command.current_dir(labs.path(folder));
    command
}

#[test]
fn a_handout_has_no_answers_and_can_be_done() {
    let labs = Labs::new();
    let (code, output, errors) = output_of(&mut labs.lab(&["class", "handout", "--out", "out"]));
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("out: 1 labs"), "{output}");
    for path in ["isolab", "README.md", "README.zh.md", "Cargo.lock", "labs/88-own-name/check.rs"] {
        assert!(labs.path("out").join(path).is_file(), "{path}");
    }
    for path in ["labs/88-own-name/src/solution.rs", "labs/88-own-name/mutants", "target"] {
        assert!(!labs.path("out").join(path).exists(), "{path}");
    }
    let manifest = fs::read_to_string(labs.path("out/labs/88-own-name/Cargo.toml")).unwrap();
    assert!(!manifest.contains("solution") && !manifest.contains("no-fork"), "{manifest}");
    // As a student: the first check makes the file, which is written, and passes.
    let (code, output, errors) = output_of(&mut lab_in(&labs, "out", &["check", "88"]));
    assert_eq!(code, 1, "{errors}");
    assert!(output.contains("Write that step in work/88-own-name/student.rs"), "{output}");
    labs.write("out/work/88-own-name/student.rs", "fn main() { println!(\"solved\") }");
    let (code, output, errors) = output_of(&mut lab_in(&labs, "out", &["check", "88"]));
    assert_eq!(code, 0, "{output}{errors}");
    let (code, _, errors) = output_of(&mut lab_in(&labs, "out", &["verify"]));
    assert_eq!(code, 125);
    assert!(errors.contains("no solutions"), "{errors}");
    // Whoever removes the folder of their work gets a new one.
    fs::remove_dir_all(labs.path("out/work")).unwrap();
    let (code, output, errors) = output_of(&mut lab_in(&labs, "out", &["start", "88"]));
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("work/88-own-name/student.rs"), "{output}");
    // What is there is not written over, and what is no archive is refused.
    let (code, _, errors) = output_of(&mut labs.lab(&["class", "handout", "--out", "out"]));
    assert_eq!(code, 2);
    assert!(errors.contains("not empty"), "{errors}");
    let (code, _, errors) = output_of(&mut labs.lab(&["class", "handout", "--out", "out.zip"]));
    assert_eq!(code, 2);
    assert!(errors.contains(".tar.gz"), "{errors}");
}

#[test]
fn a_handout_in_an_archive_is_one_folder() {
    let labs = Labs::new();
    let words = ["class", "handout", "--no-prebuilt", "--out", "out.tar.gz"];
    let (code, _, errors) = output_of(&mut labs.lab(&words));
    assert_eq!(code, 0, "{errors}");
    let mut tar = Command::new("tar");
    let (code, listed, _) = output_of(tar.arg("tzf").arg(labs.path("out.tar.gz")));
    assert_eq!(code, 0);
    assert!(listed.lines().all(|line| line.starts_with("isolab-labs/")), "{listed}");
    assert!(listed.contains("isolab-labs/.cargo/config.toml"), "{listed}");
    assert!(!listed.contains("isolab-labs/kit/"), "{listed}");
}

/// Whether answers can be compiled apart here.
fn can_collect() -> bool {
    common::can("container", container::available())
}

#[test]
fn answers_are_compiled_apart_judged_and_compared() {
    if !can_collect() {
        return;
    }
    let labs = Labs::new();
    let long = "fn f(n: u32) -> u32 { let mut sum = 0; for bit in 0..32 { if n >> bit & 1 == 1 { sum += \
                bit; } } sum }\nfn main() { println!(\"solved\"); f(7); }\n";
    labs.write("../in/ada/88.rs", long);
    labs.write(
        "../in/lin/88-own-name/student.rs",
        &long.replace("sum", "total").replace("bit", "at"),
    );
    labs.write(
        "../in/Eve <b>_12_assignsubmission_file_88.rs",
        "fn main() { println!(\"no-fork\") }",
    );
    let secret = labs.folder.path().join("secret");
    fs::write(&secret, "top-secret").unwrap();
    let reader = format!("fn main() {{ print!(\"{{}}\", include_str!({:?})) }}", secret.display());
    labs.write("../in/=bob/88.rs", &reader);
    labs.write("../in/=bob/13.rs", "fn main() {}");
    labs.write("../in/ada/notes.txt", "");
    labs.write("../in/ada/student.rs", "fn main() {}");
    symlink(&secret, labs.path("../in/ada/link.rs")).unwrap();
    let (code, output, errors) =
        output_of(&mut labs.lab(&["class", "collect", "../in", "--out", "out"]));
    assert_eq!(code, 1, "{output}{errors}");
    let summary =
        "4 answers: 2 PASS, 2 FAIL, 0 CANNOT TELL, 0 not judged; 4 files refused; 1 pairs alike";
    assert!(output.starts_with(summary), "{output}{errors}");
    for refused in ["=bob/13.rs: its path names no lab", "ada/link.rs: a symbolic link"] {
        assert!(output.contains(refused), "{output}");
    }
    let table = fs::read_to_string(labs.path("out/collect.csv")).unwrap();
    for row in ["ada,88,own-name,PASS,,,", "Eve <b>,88,own-name,FAIL,L88-no-fork", "\"'=bob\",88"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    let index = fs::read_to_string(labs.path("out/index.html")).unwrap();
    assert!(index.contains("Eve &lt;b&gt;") && !index.contains("<b>"), "{index}");
    assert!(index.contains("No such file") && !index.contains("top-secret"), "{index}");
    let similar = fs::read_to_string(labs.path("out/similar.html")).unwrap();
    assert!(similar.contains("ada – lin"), "{similar}");
    // A second run takes over what was judged; only what changed is judged again.
    labs.write("../in/ada/88.rs", "fn main() { println!(\"no-fork\") }");
    let words = ["class", "collect", "../in", "--out", "out", "--json"];
    let (_, output, _) = output_of(&mut labs.lab(&words));
    let said: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&said["passed"], &said["failed"]), (&1.into(), &3.into()), "{output}");
    let lines = fs::read_to_string(labs.path("out/results.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 5, "{lines}");
}

#[test]
fn an_interrupt_leaves_what_was_judged_and_a_second_run_goes_on() {
    if !can_collect() {
        return;
    }
    let labs = Labs::new();
    labs.write("../in/ada/88.rs", "fn main() { println!(\"solved\") }");
    labs.write("../in/lin/88.rs", "fn main() { println!(\"hang\") }");
    let words = ["class", "collect", "../in", "--out", "out"];
    let mut running = labs.lab(&words).stderr(Stdio::null()).spawn().unwrap();
    let judged = || fs::read_to_string(labs.path("out/results.jsonl")).unwrap_or_default();
    common::wait_for("the first verdict", || judged().lines().count() == 1);
    common::signal(running.id(), "INT");
    assert_eq!(running.wait().unwrap().code(), Some(130));
    let table = fs::read_to_string(labs.path("out/collect.csv")).unwrap();
    assert!(table.contains("ada,88,own-name,PASS") && !table.contains("lin"), "{table}");
    labs.write("../in/lin/88.rs", "fn main() { println!(\"no-fork\") }");
    let (code, output, errors) = output_of(&mut labs.lab(&words));
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("2 answers: 1 PASS, 1 FAIL"), "{output}");
    assert_eq!(judged().lines().count(), 2);
}

#[test]
fn an_export_has_the_answers_in_it() {
    if !can_collect() {
        return;
    }
    let labs = Labs::new();
    labs.student_says("solved");
    output_of(&mut labs.lab(&["check", "88"]));
    fs::create_dir(labs.path("in")).unwrap();
    let words = ["export", "--name", "Ada", "--out", "in/ada.json"];
    assert_eq!(output_of(&mut labs.lab(&words)).0, 0);
    labs.write("in/lin.json", "{}");
    let words = ["class", "collect", "in", "--out", "out", "--json"];
    let (_, output, errors) = output_of(&mut labs.lab(&words));
    let said: serde_json::Value =
        serde_json::from_str(&output).unwrap_or_else(|_| panic!("{errors}"));
    assert_eq!(said["answers"][0]["student"], "Ada");
    assert_eq!(said["answers"][0]["verdict"], "pass");
    assert_eq!(said["refused"][0]["file"], "lin.json");
}

#[test]
fn exports_are_a_page_as_before() {
    let (code, _, errors) = output_of(&mut isolab(&["lab", "class"]));
    assert_eq!(code, 2);
    assert!(errors.contains("--out"), "{errors}");
}
