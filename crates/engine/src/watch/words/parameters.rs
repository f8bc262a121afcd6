//! The parameters of a query, and what they mean.

use host::Language;

use super::{Call, Part, short};

/// A parameter of a query: the last word of the path, its name, and the sentences.
type Parameter = (&'static str, &'static str, &'static str, &'static str);

const PARAMETERS: &[Parameter] = &[
    ("attach", "stream", "as it comes", "实时传送"),
    ("attach", "stdin", "its input is from the client", "输入来自客户端"),
    ("attach", "stdout", "its output goes to the client", "输出送给客户端"),
    ("attach", "stderr", "its errors go to the client", "错误输出送给客户端"),
    ("attach", "logs", "also what it has written before", "也包括以前的输出"),
    ("logs", "stdout", "what it has written", "标准输出"),
    ("logs", "stderr", "its errors too", "也包括错误输出"),
    ("logs", "follow", "and what it will write", "并继续跟随新的输出"),
    ("logs", "timestamps", "each line with its time", "每行带时间"),
    ("logs", "tail", "the last {} lines", "最后 {} 行"),
    ("logs", "since", "since {}", "从 {} 起"),
    ("logs", "until", "until {}", "到 {} 为止"),
    ("wait", "condition", "the answer comes when it is: {}", "到这个状态时才回答：{}"),
    ("resize", "h", "{} rows", "{} 行"),
    ("resize", "w", "{} columns", "{} 列"),
    ("stop", "t", "killed after {} s", "{} 秒后强制结束"),
    ("restart", "t", "killed after {} s", "{} 秒后强制结束"),
    ("stop", "signal", "by the signal {}", "用信号 {}"),
    ("kill", "signal", "the signal {}", "信号 {}"),
    ("json", "all", "those that have ended too", "也包括已结束的"),
    ("json", "size", "with their sizes", "带大小"),
    ("json", "limit", "at most {}", "最多 {} 个"),
    ("*", "filters", "only those with {}", "筛选条件 {}"),
    ("*", "force", "even if it is running or used", "即使正在运行或被使用"),
    ("*", "v", "its unnamed volumes too", "连同它的匿名卷"),
    ("create", "platform", "for the platform {}", "平台 {}"),
    ("build", "t", "named {}", "命名为 {}"),
    ("build", "dockerfile", "the recipe is {}", "构建文件是 {}"),
    ("build", "buildargs", "build arguments {}", "构建参数 {}"),
    ("build", "target", "up to the stage {}", "到阶段 {} 为止"),
    ("build", "nocache", "nothing is taken from the cache", "不使用缓存"),
    ("build", "rm", "containers of steps are removed", "删除中间容器"),
    ("build", "cgroupparent", "in the cgroup {}", "在 cgroup {} 中"),
];

/// What the query says.
pub(super) fn of_query(call: &Call<'_>, language: Language) -> Vec<Part> {
    let last = call.parts.last().map(String::as_str).unwrap_or_default();
    let part = |(name, value): &(String, String)| {
        let is_it = |one: &&Parameter| (one.0 == last || one.0 == "*") && one.1 == name;
        let found = PARAMETERS.iter().find(is_it);
        let words = found.map(|one| language.either(one.2, one.3).replace("{}", short(value)));
        let is_off = matches!(value.as_str(), "0" | "false");
        let words = words.filter(|_| !is_off).unwrap_or_default();
        Part { question: None, field: format!("?{name}"), value: value.clone(), words }
    };
    let is_said = |(name, value): &&(String, String)| !is_usual_parameter(last, name, value);
    call.query.iter().filter(is_said).map(part).collect()
}

/// What the docker command sends though nobody has asked for it, and what the sentence has.
fn is_usual_parameter(last: &str, name: &str, value: &str) -> bool {
    match (last, name) {
        ("create", "name" | "fromImage" | "tag") | ("archive", "path") => true,
        ("tag", "repo" | "tag") | ("search", "term") | ("commit", "container") => true,
        ("logs", "tail") => value == "all",
        ("build", "cpuperiod" | "cpuquota" | "cpushares" | "memory" | "memswap" | "shmsize") => {
            value == "0"
        }
        ("build", "version") => value == "1",
        _ => false,
    }
}
