//! The disk that a tree needs.

use std::{io, os::unix::fs::MetadataExt};

use footprint::BESIDE;
use lab::check::{Bench, Checked, Student, fail};

use super::outside::Disk;

/// The disk that the tree needs, and what the usual mistakes make of it.
pub fn tree(bench: &mut Bench, student: &Student) -> Checked<()> {
    let path = student.main().path("root").join(student.said("tree")?.trim_start_matches('/'));
    let mut disk = Disk::default();
    disk.add(&path)?;
    let Disk { unique, lengths, twice, divided, folders, seen } = disk;
    let mut beside = Disk::default();
    let around = path.parent().unwrap_or(&path);
    let [folder, file] = BESIDE.map(|name| around.join(name));
    beside.add(&folder)?;
    let (folder, file) = (beside.unique, file.metadata()?.blocks() * 512);
    bench.saw(path.display(), format!("{} files, {unique} bytes of blocks", seen.len()));
    bench.saw("the same, lengths of all names", lengths);
    bench.saw("the same, blocks of all names", twice);
    if unique >= twice || twice >= lengths {
        return Err(io::Error::other("the tree has no hole or no second name").into());
    }
    let said = student.number("disk")?;
    // The folders' own blocks, where they have any, may be counted or not.
    let is = |bytes: u64| {
        let most = bytes + path.metadata().map_or(0, |found| found.blocks() * 512);
        (bytes.saturating_sub(folders)..=most).contains(&said)
    };
    let id = match said {
        _ if is(unique) => return Ok(()),
        // A hole is far larger than all the rest.
        said if said > lengths / 2 => "L19-apparent-size",
        _ if is(twice) => "L19-links-twice",
        _ if is(unique * 8) || is(twice * 8) => "L19-block-size",
        _ if is(divided) => "L19-divided",
        _ if [file, folder, file + folder].into_iter().any(|more| is(unique + more)) => {
            "L19-link-followed"
        }
        _ => "L19-disk",
    };
    let finding = fail(id)
        .fact("linked", file + folder)
        .fact("said", said)
        .fact("seen", unique)
        .fact("lengths", lengths);
    Err(finding.fact("twice", twice))
}
