//! What an answer means, in a sentence.

use host::Language;
use serde_json::Value;

use super::{Call, short};
use crate::watch::AnswerRecord;

/// The sentence of an answer.
pub(super) fn sentence(
    call: Option<&Call<'_>>,
    answer: &AnswerRecord,
    language: Language,
) -> String {
    let said = answer.body.as_ref().unwrap_or(&Value::Null);
    let text = |name: &str| said[name].as_str().unwrap_or_default();
    if answer.status >= 400 {
        return language.either("no: {}", "不行：{}").replace("{}", text("message"));
    }
    let parts: Vec<&str> = call.iter().flat_map(|it| &it.parts).map(String::as_str).collect();
    let count = |of: &Value| of.as_array().map_or(0, Vec::len).to_string();
    let id = short(text("Id"));
    let (en, zh, value): (&str, &str, String) = match (answer.status, parts.as_slice()) {
        (304, _) => ("it is so already", "已经是这样了", String::new()),
        (201, ["containers", "create"]) => {
            ("its id is {}; no process runs yet", "它的 id 是 {}；还没有进程在运行", id.into())
        }
        (201, ["containers", _, "exec"]) => ("its id is {}", "它的 id 是 {}", id.into()),
        (_, ["containers", _, "start"]) => ("its program runs", "程序已经开始运行", String::new()),
        (_, ["containers", _, "wait"]) => (
            "I hear you; the exit code comes when it has ended",
            "收到；等它结束再给出退出码",
            String::new(),
        ),
        (_, ["_ping"]) => ("yes", "在", String::new()),
        (_, ["containers" | "images", "json"]) => ("{} of them", "共 {} 个", count(said)),
        (_, ["networks"]) => ("{} of them", "共 {} 个", count(said)),
        (_, ["volumes"]) => ("{} of them", "共 {} 个", count(&said["Volumes"])),
        (_, ["containers", _, "json"]) => (
            "its name is {}",
            "名字是 {}",
            format!("{}, {}", text("Name").trim_start_matches('/'), status(said)),
        ),
        (_, ["exec", _, "json"]) => match said["ExitCode"].as_i64() {
            Some(code) => ("it has ended with {}", "已结束，退出码 {}", code.to_string()),
            None => ("it runs", "正在运行", String::new()),
        },
        (_, ["images", "create"] | ["build"] | ["images", .., "push"]) => {
            ("I have begun; progress follows", "已经开始，随后报告进度", String::new())
        }
        (_, ["auth"]) => (text("Status"), text("Status"), String::new()),
        _ => match answer.body_bytes {
            None => ("yes; it comes as it is made", "好，边产生边发送", String::new()),
            Some(0) => ("done", "完成", String::new()),
            Some(_) => ("here it is", "给你", String::new()),
        },
    };
    language.either(en, zh).replace("{}", &value)
}

fn status(said: &Value) -> &str {
    said["State"]["Status"].as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::watch::RequestRecord;

    #[test]
    fn a_refusal_gives_its_reason() {
        let body = Some(json!({ "message": "No such image: x" }));
        let answer = AnswerRecord { status: 404, body, body_bytes: Some(30) };
        assert_eq!(sentence(None, &answer, Language::En), "no: No such image: x");
    }

    #[test]
    fn an_answer_depends_on_what_was_asked() {
        let request = RequestRecord {
            method: "POST".into(),
            path: "/v1.47/containers/create".into(),
            ..RequestRecord::default()
        };
        let body = Some(json!({ "Id": "b".repeat(64) }));
        let answer = AnswerRecord { status: 201, body, body_bytes: Some(80) };
        let words = sentence(Some(&Call::of(&request)), &answer, Language::En);
        assert_eq!(words, "its id is bbbbbbbbbbbb; no process runs yet");
    }
}
