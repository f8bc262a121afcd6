//! What must be true of lab 15, look after look.

#[path = "check/compare.rs"]
mod compare;
#[path = "check/outside.rs"]
mod outside;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::check::{
    Bench, Checked, Finding, Setup, Student, fail,
    kernel::{Node, tree},
};
use unpack_image::{Attack, Scenario, Simple, TestImage};

use compare::{compare, difference};
use outside::nothing_outside;

fn main() -> ExitCode {
    lab::check::main("15", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let scenario = Scenario::random(|end| bench.random(end));
    let mut student = bench.start(Setup::ordinary())?;
    student.meet("ready")?;
    let work = PathBuf::from(student.said("work")?);

    // Images that are about one thing each.
    for simple in Simple::ALL {
        let (image, expected) = simple.image(&bench.token());
        let unpacked = unpack(&mut student, &work, &image)?;
        nothing_outside(
            student.main(),
            &work.join(&image.name),
            &image,
            &unpacked.found,
            |_| "L15-link-followed",
        )?;
        if let Some(refusal) = unpacked.refusal {
            return Err(refused(&refusal, Some(simple)));
        }
        if let Some(finding) = difference(&expected, &unpacked.found) {
            return Err(match simple {
                Simple::DirectoryForLink => finding.named("L15-link-kept"),
                Simple::Permissions => finding.named("L15-special-mode"),
                Simple::Order => finding.named("L15-order"),
                Simple::HardLink => finding.named("L15-link-target"),
                Simple::DotSlash => finding.named("L15-dot-slash"),
                _ => finding.finding,
            });
        }
        bench.saw(format!("an image: {}", about(simple)), "unpacked as its layers say");
    }

    // An image with three layers and all of that.
    let image = &scenario.image;
    let unpacked = unpack(&mut student, &work, image)?;
    let place = work.join(&image.name);
    nothing_outside(student.main(), &place, image, &unpacked.found, |path| {
        if path.ends_with(&scenario.dangling) { "L15-dangling" } else { "L15-link-followed" }
    })?;
    if let Some(refusal) = &unpacked.refusal {
        return Err(refused(refusal, None));
    }
    compare(&scenario, &unpacked.found)?;
    let count = unpacked.found.len();
    bench.saw(
        place.join("root").display(),
        format!("{count} files and directories, as the layers say, from the base up"),
    );

    // Images that lie, and images that want out.
    for attack in Attack::ALL {
        let image = attack.image(&work, &bench.token());
        let Unpacked { refusal, found } = unpack(&mut student, &work, &image)?;
        let place = work.join(&image.name);
        let id = id_of(attack);
        nothing_outside(student.main(), &place, &image, &found, |_| id)?;
        let Some(refusal) = refusal else {
            let stripped = || found.keys().any(|path| path.ends_with("tmp"));
            let id = match attack {
                Attack::Absolute if stripped() => "L15-absolute-stripped",
                _ if is_harmful(attack) => "L15-skipped",
                _ => id,
            };
            return Err(fail(id).fact("attack", words_of(attack)));
        };
        bench.saw(format!("an image: {}", words_of(attack)), format!("refused, {refusal}"));
    }
    student.go()?;
    student.finish()
}

/// What became of an image.
struct Unpacked {
    /// Why it was refused, if it was.
    refusal: Option<String>,
    /// What is in its root.
    found: BTreeMap<PathBuf, Node>,
}

/// Gives the program an image.
fn unpack(student: &mut Student, work: &Path, image: &TestImage) -> Checked<Unpacked> {
    student.go_with(&image.line()?)?;
    student.meet("unpacked")?;
    let outcome = student.said("outcome")?;
    let refusal = (outcome != "unpacked").then(|| outcome.to_owned());
    // A root that is gone has nothing in it.
    let found = tree(student.main(), &work.join(&image.name).join("root")).unwrap_or_default();
    Ok(Unpacked { refusal, found })
}

/// Whether an image writes outside unless what it wants is refused or left out.
fn is_harmful(attack: Attack) -> bool {
    use Attack::{DotDotResolved, LinkInside, Longer, Platform, Size, Tampered, WhiteoutEmpty};
    ![Tampered, Size, Longer, Platform, DotDotResolved, LinkInside, WhiteoutEmpty].contains(&attack)
}

fn id_of(attack: Attack) -> &'static str {
    match attack {
        Attack::Tampered => "L15-not-verified",
        Attack::Size => "L15-size",
        Attack::Longer => "L15-longer",
        Attack::Platform => "L15-other-platform",
        Attack::DotDot => "L15-dotdot",
        Attack::DotDotInside => "L15-dotdot-inside",
        Attack::DotDotResolved => "L15-dotdot-resolved",
        Attack::Absolute => "L15-absolute",
        Attack::Symlink => "L15-through-link",
        Attack::LinkInside => "L15-link-inside",
        Attack::HardLink => "L15-hard-link-out",
        Attack::HardLinkAbsolute => "L15-hard-link-absolute",
        Attack::HardLinkThroughLink => "L15-hard-link-through-link",
        Attack::Whiteout => "L15-whiteout-out",
        Attack::WhiteoutEmpty => "L15-whiteout-empty",
        Attack::WhiteoutDotDot => "L15-whiteout-dotdot",
        Attack::WhiteoutThroughLink => "L15-whiteout-through-link",
        Attack::OpaqueThroughLink => "L15-opaque-out",
    }
}

/// What is in the image, in the words of no language.
fn about(simple: Simple) -> &'static str {
    match simple {
        Simple::Plain => "d/file, d/program, link -> d/file, twin = d/file",
        Simple::Permissions => "1777, 4755",
        Simple::Order => "file, file",
        Simple::InTheWay => "a, b/file; a/file, b",
        Simple::DirectoryForLink => "lib64 -> lib; lib64/",
        Simple::NothingHidden => "file; .wh.missing, new/.wh..wh..opq",
        Simple::LinksOut => "absolute -> /etc/passwd, above -> ../../usr",
        Simple::HardLink => "d/file, e/twin = d/file",
        Simple::DotSlash => "./, ./d/, ./d/file",
    }
}

/// What is wrong with the image, in the words of no language.
fn words_of(attack: Attack) -> &'static str {
    match attack {
        Attack::Tampered => "sha256",
        Attack::Size => "size + 1",
        Attack::Longer => "size - 1",
        Attack::Platform => "platform",
        Attack::DotDot => "`../escaped`",
        Attack::DotDotInside => "`d/../../escaped`",
        Attack::DotDotResolved => "`d/../in`",
        Attack::Absolute => "`/tmp/../escaped`",
        Attack::Symlink => "`link/escaped`, link -> ..",
        Attack::LinkInside => "`link/file`, link -> d",
        Attack::HardLink => "`twin`, link to ../victim",
        Attack::HardLinkAbsolute => "`twin`, link to /tmp/../victim",
        Attack::HardLinkThroughLink => "`twin`, link to link/victim, link -> ..",
        Attack::Whiteout => "`.wh...`",
        Attack::WhiteoutEmpty => "`.wh.`",
        Attack::WhiteoutDotDot => "`../.wh.victim`",
        Attack::WhiteoutThroughLink => "`link/.wh.victim`, link -> ..",
        Attack::OpaqueThroughLink => "`link/.wh..wh..opq`, link -> ..",
    }
}

/// A good image was refused; `simple` if it is about one thing.
fn refused(refusal: &str, simple: Option<Simple>) -> Finding {
    let (step, error) = refusal.split_once(' ').unwrap_or((refusal, ""));
    let id = match (step, simple) {
        ("read_blob,", _) if error.contains("No such file") => "L15-blob-name",
        ("read_blob,", _) => "L15-blob-refused",
        ("choose_manifest", _) => "L15-no-platform",
        (_, Some(Simple::InTheWay)) => "L15-in-the-way",
        (_, Some(Simple::NothingHidden)) => "L15-nothing-hidden",
        (_, Some(Simple::LinksOut)) => "L15-links-out",
        (_, Some(Simple::HardLink)) => "L15-link-target",
        (_, Some(Simple::DotSlash)) => "L15-dot-slash",
        _ => "L15-image-refused",
    };
    let finding = fail(id).fact("step", step.trim_end_matches(',')).fact("error", error);
    finding.fact("found", "")
}
