//! What is to be said beside a verdict: which file was judged, and by which check.

use crate::check::{SOURCES, digest};
use crate::runner::{
    LabContext,
    course::{Lab, skeleton, work},
};

/// What is to be said of the file that is judged: that there are two of which only one is, or that
/// it lies among the tracked ones. Makes the student's own where nothing was written yet.
pub(super) fn judged_file(context: &LabContext, lab: &Lab) -> Option<String> {
    let edited = skeleton::is_edited(&context.course, lab);
    let is_handout = context.course.manifest.has_member(work::MEMBERS);
    if !lab.has_work() && (edited == Some(false) || is_handout) {
        // Where nothing can be written, the skeleton is what there is to be judged.
        let _ = work::begin(&context.course, &context.book, lab);
    }
    let (own, tracked) = (context.as_typed(&lab.work_file()), context.as_typed(&lab.student()));
    let (id, own, tracked) = (&lab.id, own.display(), tracked.display());
    match (edited, lab.has_work(), context.style.either("en", "zh")) {
        (Some(true), true, "en") => Some(format!(
            "Judged: {own}. {tracked} has changes too, and is not judged; `git restore {tracked}` \
             takes them back."
        )),
        (Some(true), true, _) => Some(format!(
            "评判的是 {own}。{tracked} 也有改动，但不参与评判；`git restore {tracked}` 可以撤销这些改动。"
        )),
        (Some(true), false, "en") => Some(format!(
            "Judged: {tracked}, which git tracks. `isolab lab start {id}` copies it to {own}, where \
             an update of the labs does not touch it."
        )),
        (Some(true), false, _) => Some(format!(
            "评判的是 {tracked}，它归 git 管理。`isolab lab start {id}` 会把它复制到 {own}，更新实验时就不会冲突。"
        )),
        _ => None,
    }
}

/// What is to be said of the judge: that it is not the one that the checkout has, or that it is.
pub(super) fn judged_by(context: &LabContext, lab: &Lab) -> Option<String> {
    let (id, owner) = (&lab.id, &lab.owner.name);
    let Some(built_in) = context.built_in(lab) else {
        return lab.owner.is_not_root_here().then(|| match context.style.either("en", "zh") {
            "en" => format!(
                "isolab has no built-in check for lab {id}: this verdict is from the check in the \
                 checkout, which {owner} can change."
            ),
            _ => format!(
                "isolab 自己没有实验 {id} 的检查程序：这个结论出自仓库里的检查程序，而 {owner} 可以改动它。"
            ),
        });
    };
    let sources = SOURCES.map(|path| lab.owner.read(&lab.folder.join(path)).unwrap_or_default());
    let same = digest(sources.each_ref().map(Vec::as_slice)) == built_in.sources;
    (!same).then(|| match context.style.either("en", "zh") {
        "en" => format!(
            "Judged by isolab's built-in check of lab {id}, which was built from a different check.rs \
             or src/lib.rs. `git status` shows whether they were changed here; if they are newer, \
             reinstall isolab. `isolab lab verify {id}` uses the files in this checkout."
        ),
        _ => format!(
            "结论出自 isolab 自带的实验 {id} 检查程序，它对应的 check.rs 或 src/lib.rs 与这份仓库里的不同。\
             `git status` 可以看到是否在这里改动过；如果是仓库更新，请重新安装 isolab。\
             `isolab lab verify {id}` 使用仓库里的检查程序。"
        ),
    })
}
