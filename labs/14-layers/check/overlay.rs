//! The overlay of a container: its type, its directories, and what it shows.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lab::check::{Bench, Checked, Process, ensure, fail, kernel::Mount};
use layers::{
    Scenario,
    look::{lowers, option, within},
};

/// Looks at the mount on the container's `merged`.
pub fn judge_mount(bench: &mut Bench, main: Process, tree: &Path, container: &str) -> Checked<()> {
    let directory = |name: &str| tree.join(container).join(name);
    let mounts = main.mounts()?;
    let point = directory("merged");
    let mount = mounts.iter().find(|mount| Path::new(&mount.point) == point);
    bench.saw(main.path("mountinfo").display(), mount.map_or("-", |mount| &mount.line));
    let Some(overlay) = mount.filter(|mount| mount.kind == "overlay") else {
        let is_own = |mount: &&Mount| {
            mount.kind == "overlay" && Path::new(&mount.point).starts_with(tree.join(container))
        };
        let finding = match mounts.iter().find(is_own) {
            Some(other) => fail("L14-other-target").fact("point", &other.point),
            None => fail("L14-copied"),
        };
        return Err(finding.fact("target", point.display()));
    };
    let facts = |id: &str| fail(id).fact("options", &overlay.options);
    let upper = option(overlay, "upperdir").ok_or_else(|| facts("L14-no-upper"))?;
    ensure(!Path::new(upper).starts_with(tree.join("layers")), || {
        facts("L14-lower-edited").fact("path", upper)
    })?;
    let wanted = directory("upper");
    ensure(Path::new(upper) == wanted, || {
        facts("L14-other-upper").fact("seen", upper).fact("wanted", wanted.display())
    })?;
    let (work, wanted) = (option(overlay, "workdir").unwrap_or("-"), directory("work"));
    ensure(Path::new(work) == wanted, || {
        facts("L14-other-work").fact("seen", work).fact("wanted", wanted.display())
    })?;
    let is_set = overlay.options.split(',').any(|option| option == "userxattr");
    ensure(is_set, || facts("L14-no-userxattr"))?;
    let is_read_only = overlay.flags.split(',').any(|flag| flag == "ro");
    ensure(!is_read_only, || facts("L14-read-only").fact("flags", &overlay.flags))?;
    let foreign = lowers(overlay).find(|lower| !lower.starts_with(tree.join("layers")));
    match foreign {
        None => Ok(()),
        Some(lower) => Err(facts("L14-not-shared").fact("lower", lower.display())),
    }
}

/// Looks whether each file is seen, and as it is in the uppermost layer that has it.
pub fn judge_content(
    bench: &mut Bench,
    merged: &BTreeMap<PathBuf, String>,
    scenario: &Scenario,
    tree: &Path,
    main: Process,
) -> Checked<()> {
    let paths = scenario.paths();
    let place = within(main, &tree.join("one/merged"));
    bench.saw(place.display(), format!("{} of {} files", merged.len(), paths.len()));
    for path in paths {
        let wanted = scenario.text(path);
        let finding = |id: &str| {
            let layer = tree.join(format!("layers/{}", scenario.layer_of(path)));
            fail(id).fact("path", path.display()).fact("layer", layer.display())
        };
        let shown = merged.get(path).ok_or_else(|| finding("L14-layer-missing"))?;
        ensure(shown == wanted, || {
            finding("L14-order").fact("shown", shown.trim()).fact("wanted", wanted.trim())
        })?;
    }
    Ok(())
}
