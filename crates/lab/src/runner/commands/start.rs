//! `isolab lab start`: what a lab is about, and where to begin.

use std::path::Path;

use serde_json::json;

use crate::runner::{
    Answer, Error, LabContext, Result,
    course::{
        Lab,
        needs::Lack,
        work::{self, Origin},
    },
    output::text::beside,
};

/// Begins the lab.
///
/// # Errors
///
/// When the lab's messages are damaged, and when the progress cannot be written.
pub fn start(context: &LabContext, lab: &Lab) -> Result<Answer> {
    let style = &context.style;
    let about = lab.catalogue()?.lab.ok_or_else(|| Error::Damaged {
        path: lab.folder.join("messages.toml"),
        cause: "it lacks [lab.en] and [lab.zh]".to_owned(),
    })?;
    let about = about.get(style.language);
    let origin = work::begin(&context.course, &context.book, lab)?;
    context.book.change(|progress| drop(progress.begin(&lab.id, &lab.name).begun.clone()))?;

    let file = context.as_typed(&lab.work_file());
    let readme = lab.folder.join(style.either("README.md", "README.zh.md"));
    let check = format!("isolab lab check {}", lab.id);
    let labels = match style.either("en", "zh") {
        "en" => ["goal", "read", "edit", "first", "check"],
        _ => ["目标", "阅读", "编辑", "第一步", "检查"],
    };
    let watched = style.either("or at every save:", "或者每次保存时自动检查：");
    let texts = [
        about.goal.clone(),
        context.as_typed(&readme).display().to_string(),
        edited(context, lab, &file, origin),
        about.first.clone(),
        format!("{check}   {watched} isolab lab watch {}", lab.id),
    ];
    let title = format!("{} {}  {}", style.either("Lab", "实验"), lab.id, about.title);
    let minutes = format!("{} {}", lab.minutes, style.either("minutes", "分钟"));
    let mut text = format!("{}  {}\n\n", style.bold(&title), style.dim(&minutes));
    for (label, said) in labels.iter().zip(&texts) {
        text += &beside(&format!("  {label}"), said, 12, style.width);
    }
    let lacks: Vec<Lack> = lab.needs.iter().filter_map(|need| need.lack()).collect();
    for lack in &lacks {
        let (reason, fix) = (lack.reason.get(style.language), lack.fix.get(style.language));
        let said = match style.either("en", "zh") {
            "en" => format!("{reason}. To fix it: {fix}; or: {check} --nest"),
            _ => format!("{reason}。解决办法：{fix}；或者：{check} --nest"),
        };
        text += "\n";
        text += &beside(&format!("  {}", style.either("lacks", "缺少")), &said, 12, style.width);
    }
    let lacks: Vec<&String> = lacks.iter().map(|lack| lack.reason.get(style.language)).collect();
    let json = json!({
        "lab": lab.id, "name": lab.name, "title": about.title, "goal": about.goal,
        "first": about.first, "file": file, "taken_over": origin == Origin::Tracked, "minutes": lab.minutes, "lacks": lacks,
    });
    Ok(Answer { text, json, code: 0 })
}

/// The student's file, the folder to open, and where its text comes from.
fn edited(context: &LabContext, lab: &Lab, file: &Path, origin: Origin) -> String {
    let folder = context.as_typed(&context.course.editor_folder());
    let (file, folder) = (file.display(), folder.display());
    let tracked = context.as_typed(&lab.student());
    let tracked = tracked.display();
    let mut text = match context.style.either("en", "zh") {
        "en" => format!("{file} (open the folder {folder} in your editor)"),
        _ => format!("{file}（在编辑器里打开目录 {folder}）"),
    };
    if origin == Origin::Tracked {
        text += &match context.style.either("en", "zh") {
            "en" => format!(
                ". What you had written in {tracked} was copied there, and only the copy is judged; \
                 `git restore {tracked}` makes your checkout clean"
            ),
            _ => format!(
                "。你写在 {tracked} 里的内容已复制过去，以后只评判这一份；\
                 `git restore {tracked}` 可以让仓库恢复干净"
            ),
        };
    }
    text
}
