//! `isolab lab verify --mutate`: which changes of a solution its check does not tell from it.

use serde_json::json;

use crate::runner::{
    Answer, Error, Front, LabContext, Result,
    build::compile::Built,
    course::Lab,
    judging::check_process::Judge,
    mutation::{Survey, Surveyor},
    output::text::{beside, clean},
};

/// Surveys the labs and tells each as it comes; the exit code is 1 if a change passes and no lab
/// says why.
///
/// # Errors
///
/// When a lab's check was not built, and when a survey fails.
pub(super) fn mutate(
    context: &LabContext,
    labs: &[&Lab],
    built: &Built,
    nest: bool,
    front: &mut dyn Front,
) -> Result<Answer> {
    let mut surveys = Vec::new();
    for lab in labs {
        let check = built.programs.get(&lab.bin("-check")).ok_or_else(|| Error::LabBroken {
            first: built
                .errors
                .values()
                .flatten()
                .next()
                .map_or(lab.bin("-check"), |error| error.short.clone()),
        })?;
        let judge = Judge::Checkout(check.clone(), lab.owner.clone());
        let survey = Surveyor { course: &context.course, judge, nest }.survey(lab, front)?;
        front.say(&lines(&survey, lab, context));
        surveys.push(survey);
    }
    let sum = |count: fn(&Survey) -> usize| surveys.iter().map(count).sum::<usize>();
    let unexplained = sum(|survey| survey.unexplained().count());
    let (changes, refused) = (sum(|it| it.changes), sum(|it| it.refused));
    let (caught, survive) = (sum(|it| it.caught), sum(|it| it.survivors.len()));
    let not_judged = sum(|it| it.not_judged);
    let text = match context.style.either("en", "zh") {
        "en" => format!(
            "\n{changes} changes: {refused} do not compile, {caught} caught, {not_judged} not judged \
             here, {survive} pass; {unexplained} of them unexplained\n"
        ),
        _ => format!(
            "\n共 {changes} 处改动：{refused} 处无法编译，{caught} 处被发现，{not_judged} 处此处无法判断，\
             {survive} 处通过，其中 {unexplained} 处没有解释\n"
        ),
    };
    let json = json!({ "labs": surveys, "unexplained": unexplained });
    Ok(Answer { text, json, code: u8::from(unexplained > 0) })
}

fn lines(survey: &Survey, lab: &Lab, context: &LabContext) -> String {
    let style = &context.style;
    let Survey { changes, refused, caught, not_judged, .. } = survey;
    let counts = match style.either("en", "zh") {
        "en" => format!(
            "{changes} changes: {refused} do not compile, {caught} caught, {not_judged} not judged here"
        ),
        _ => format!(
            "{changes} 处改动：{refused} 处无法编译，{caught} 处被发现，{not_judged} 处此处无法判断"
        ),
    };
    let mut said = format!("{}  {counts}", style.bold(&lab.id));
    let file = context.as_typed(&lab.folder.join("src/solution.rs"));
    for survivor in &survey.survivors {
        let place = format!("{}:{}  {}", file.display(), survivor.line, survivor.function);
        let change = clean(&survivor.change);
        said += &match &survivor.why {
            Some(why) => format!(
                "\n{}",
                beside("", &format!("    {place}: {change}: {}", clean(why)), 4, style.width)
                    .trim_end()
            ),
            None => {
                format!("\n  {} {place}\n      {change}", style.red(style.either("PASSES", "通过")))
            }
        };
    }
    for idle in &survey.idle {
        let what = style.either("explained, but does not pass here", "有解释，但在这里并未通过");
        said += &format!("\n    {what}: {}", clean(idle));
    }
    said
}
