//! `isolab lab solution` and `isolab lab reset`.

use serde_json::json;

use crate::runner::{
    Answer, Error, LabContext, Result,
    course::{Lab, skeleton},
    progress::{State, clock},
};

/// Shows the solution: after a pass, or if `reveal` says so, which is written down.
///
/// # Errors
///
/// When it cannot be read, and when the progress cannot be written.
pub fn solution(context: &LabContext, lab: &Lab, reveal: bool) -> Result<Answer> {
    let style = &context.style;
    let passed = context.progress()?.of(&lab.id).state() == State::Passed;
    if !passed && !reveal {
        let text = match style.either("en", "zh") {
            "en" => format!(
                "The solution is shown once lab {id} has passed.\n\
                 `isolab lab hint {id}` helps; `isolab lab solution {id} --reveal` shows it \
                 anyway,\nand your progress will say so.\n",
                id = lab.id
            ),
            _ => format!(
                "实验 {id} 通过之后才会显示答案。\n\
                 先试试 `isolab lab hint {id}`；`isolab lab solution {id} --reveal` 可以直接看，\
                 但会记入进度。\n",
                id = lab.id
            ),
        };
        let json = json!({ "lab": lab.id, "solution": null, "revealed": false });
        return Ok(Answer { text, json, code: 1 });
    }
    let path = lab.solution();
    if !context.course.has_solution(lab) {
        return Err(Error::NoSolutions);
    }
    let text = lab.owner.read_text(&path).map_err(Error::file("read", path))?;
    if !passed {
        context.book.change(|progress| {
            progress.begin(&lab.id, &lab.name).revealed.get_or_insert_with(clock::now);
        })?;
    }
    let json = json!({ "lab": lab.id, "solution": text, "revealed": !passed });
    Ok(Answer { text, json, code: 0 })
}

/// Puts the file that is judged back as it was at first, and keeps what was written.
///
/// # Errors
///
/// When one of the files cannot be read or written.
pub fn reset(context: &LabContext, lab: &Lab) -> Result<Answer> {
    let backup = skeleton::put_back(&context.book, &context.course, lab)?;
    let file = context.as_typed(&lab.judged_file());
    let text = match context.style.either("en", "zh") {
        "en" => format!(
            "{} was reset; your version is saved as\n{}\n",
            file.display(),
            backup.display()
        ),
        _ => format!("{} 已恢复原样；你写的保存在\n{}\n", file.display(), backup.display()),
    };
    Ok(Answer { text, json: json!({ "lab": lab.id, "file": file, "backup": backup }), code: 0 })
}
