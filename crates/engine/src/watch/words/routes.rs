//! What each request asks for, in a sentence.

use host::Language;

use super::{Call, short};

/// The sentence of a request.
pub(super) fn sentence(call: &Call<'_>, language: Language) -> String {
    let parts: Vec<&str> = call.parts.iter().map(|part| short(part)).collect();
    let text = |name: &str| call.query(name).map(short).unwrap_or_default();
    let of_body = |name: &str| call.body(name).map(short).unwrap_or_default();
    let image = || {
        let name = text("fromImage");
        let name = name.strip_prefix("docker.io/library/").unwrap_or(name);
        match text("tag") {
            "" => name.to_owned(),
            digest if digest.contains(':') => format!("{name}@{digest}"),
            tag => format!("{name}:{tag}"),
        }
    };
    let plain = |en: &'static str, zh: &'static str| (en, zh, String::new(), String::new());
    let about = |en, zh, name: String| (en, zh, name, String::new());
    let (en, zh, one, other): (&str, &str, String, String) = match (call.method, parts.as_slice()) {
        (_, ["_ping"]) => plain(
            "is a daemon there, and which version of the API does it speak?",
            "守护进程在吗？它支持哪个版本的 API？",
        ),
        (_, ["version"]) => {
            plain("which versions is the daemon made of?", "守护进程及其组件是什么版本？")
        }
        (_, ["info"]) => {
            plain("what is the daemon's host like?", "守护进程所在的宿主机是什么样的？")
        }
        (_, ["events"]) => plain("tell me what happens, as it happens", "有事发生时随时告诉我"),
        (_, ["auth"]) => about(
            "check the password for the registry {}",
            "检查登录镜像仓库 {} 的密码",
            of_body("serveraddress").into(),
        ),
        (_, ["system", "df"]) => plain("how much disk space is used?", "占用了多少磁盘空间？"),
        (_, ["build"]) => {
            plain("build an image of this archive of files", "用这个文件归档构建镜像")
        }
        (_, ["build", "prune"]) => plain("remove the build cache", "清除构建缓存"),
        (_, ["commit"]) => about(
            "make an image of what the container {} has written",
            "把容器 {} 写入的内容做成镜像",
            text("container").into(),
        ),
        (_, ["session"]) => plain("open a session of BuildKit", "打开 BuildKit 会话"),
        ("POST", ["containers", "create"]) => match text("name") {
            "" => about(
                "make a container of the image {}, without starting it",
                "用镜像 {} 创建容器，但不启动",
                of_body("Image").into(),
            ),
            name => (
                "make the container {other} of the image {}, without starting it",
                "用镜像 {} 创建容器 {other}，但不启动",
                of_body("Image").into(),
                name.into(),
            ),
        },
        ("GET", ["containers", "json"]) => plain("which containers are there?", "有哪些容器？"),
        (_, ["containers" | "images" | "networks" | "volumes", "prune"]) => {
            let (en, zh) = match parts[0] {
                "containers" => ("remove all containers that have ended", "删除所有已结束的容器"),
                "images" => ("remove all unused images", "删除所有不用的镜像"),
                "networks" => ("remove all unused networks", "删除所有不用的网络"),
                _ => ("remove all unused volumes", "删除所有不用的卷"),
            };
            plain(en, zh)
        }
        (method, ["containers", name, rest @ ..]) => {
            let (en, zh) = container(method, rest);
            (en, zh, (*name).into(), text("path").into())
        }
        (_, ["exec", _, "start"]) => plain("start that command", "启动这条命令"),
        (_, ["exec", _, "resize"]) => {
            plain("the client's terminal has this size", "客户端的终端是这个大小")
        }
        (_, ["exec", _, "json"]) => {
            plain("does the command run, or how has it ended?", "命令还在运行吗？退出码是多少？")
        }
        ("GET", ["images", "json"]) => plain("which images are there?", "有哪些镜像？"),
        ("GET", ["images", "search"]) => {
            about("search a registry for {}", "在镜像仓库中搜索 {}", text("term").into())
        }
        ("GET", ["images", "get"]) => plain("give me images as an archive", "把镜像打包给我"),
        ("POST", ["images", "load"]) => {
            plain("take the images of this archive", "导入这个归档里的镜像")
        }
        ("POST", ["images", "create"]) => match text("fromImage") {
            "" => plain("make an image of this archive of files", "用这个文件归档做成镜像"),
            _ => about("pull the image {} from its registry", "从镜像仓库拉取镜像 {}", image()),
        },
        ("DELETE", ["images", name @ ..]) => {
            about("remove the image {}", "删除镜像 {}", name.join("/"))
        }
        (_, ["images", name @ .., last]) => {
            let (en, zh) = match *last {
                "json" => ("what is the image {}?", "镜像 {} 是什么？"),
                "history" => ("how was the image {} made?", "镜像 {} 是怎样做成的？"),
                "tag" => {
                    ("give the image {} another name: {other}", "给镜像 {} 另一个名字：{other}")
                }
                "push" => ("push the image {} to its registry", "把镜像 {} 推送到镜像仓库"),
                "get" => ("give me the image {} as an archive", "把镜像 {} 打包给我"),
                _ => ("something about the image {}", "与镜像 {} 有关的请求"),
            };
            let named = match (text("repo"), text("tag")) {
                (repository, "") => repository.to_owned(),
                (repository, tag) => format!("{repository}:{tag}"),
            };
            (en, zh, name.join("/"), named)
        }
        ("GET", ["networks"]) => plain("which networks are there?", "有哪些网络？"),
        (_, ["networks", "create"]) => {
            about("make the network {}", "创建网络 {}", of_body("Name").into())
        }
        ("DELETE", ["networks", name]) => {
            about("remove the network {}", "删除网络 {}", (*name).into())
        }
        (_, ["networks", name, "connect"]) => (
            "connect the container {other} to the network {}",
            "把容器 {other} 接入网络 {}",
            (*name).into(),
            of_body("Container").into(),
        ),
        (_, ["networks", name, "disconnect"]) => (
            "disconnect the container {other} from the network {}",
            "把容器 {other} 从网络 {} 断开",
            (*name).into(),
            of_body("Container").into(),
        ),
        (_, ["networks", name]) => {
            about("what is the network {}?", "网络 {} 是什么样的？", (*name).into())
        }
        ("GET", ["volumes"]) => plain("which volumes are there?", "有哪些卷？"),
        (_, ["volumes", "create"]) => {
            about("make the volume {}", "创建卷 {}", of_body("Name").into())
        }
        ("DELETE", ["volumes", name]) => about("remove the volume {}", "删除卷 {}", (*name).into()),
        (_, ["volumes", name]) => {
            about("what is the volume {}?", "卷 {} 是什么样的？", (*name).into())
        }
        (_, ["swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs" | "plugins", ..]) => {
            plain("something of swarms and plugins", "与 swarm 或插件有关的请求")
        }
        _ => plain("a request without a name here", "这里没有名称的请求"),
    };
    let sentence = language.either(en, zh).replace("{other}", &other).replace("{}", &one);
    sentence.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A request about one container.
fn container(method: &str, rest: &[&str]) -> (&'static str, &'static str) {
    match (method, rest) {
        ("DELETE", []) => ("remove the container {}", "删除容器 {}"),
        (_, ["json"]) => ("what is the container {}?", "容器 {} 是什么样的？"),
        (_, ["start"]) => ("start the container {}", "启动容器 {}"),
        (_, ["stop"]) => (
            "stop the container {}: a signal first, then by force",
            "停止容器 {}：先发信号，再强制结束",
        ),
        (_, ["restart"]) => ("stop the container {} and start it again", "重启容器 {}"),
        (_, ["kill"]) => ("send a signal to the container {}", "向容器 {} 发送信号"),
        (_, ["pause"]) => ("freeze all processes of the container {}", "冻结容器 {} 的所有进程"),
        (_, ["unpause"]) => ("let the container {} go on", "让容器 {} 继续运行"),
        (_, ["wait"]) => {
            ("tell me its exit code when the container {} ends", "容器 {} 结束时把退出码告诉我")
        }
        (_, ["attach"]) => {
            ("connect me to the streams of the container {}", "把我接到容器 {} 的输入输出流上")
        }
        (_, ["resize"]) => ("the client's terminal has this size", "客户端的终端是这个大小"),
        (_, ["logs"]) => ("what has the container {} written?", "容器 {} 输出了什么？"),
        (_, ["stats"]) => ("how much does the container {} use?", "容器 {} 用了多少资源？"),
        (_, ["top"]) => ("which processes does the container {} have?", "容器 {} 里有哪些进程？"),
        (_, ["changes"]) => {
            ("which files has the container {} changed?", "容器 {} 改动了哪些文件？")
        }
        (_, ["export"]) => ("give me all files of the container {}", "把容器 {} 的所有文件给我"),
        (_, ["rename"]) => ("give the container {} another name", "给容器 {} 改名"),
        (_, ["update"]) => ("change the limits of the container {}", "修改容器 {} 的限制"),
        (_, ["exec"]) => ("prepare a command in the container {}", "在容器 {} 中准备一条命令"),
        ("PUT", ["archive"]) => {
            ("put these files into {other} of the container {}", "把这些文件放进容器 {} 的 {other}")
        }
        ("HEAD", ["archive"]) => {
            ("what is {other} in the container {}?", "容器 {} 里的 {other} 是什么？")
        }
        (_, ["archive"]) => ("give me {other} of the container {}", "把容器 {} 里的 {other} 给我"),
        _ => ("something about the container {}", "与容器 {} 有关的请求"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::RequestRecord;

    #[test]
    fn a_request_is_a_sentence() {
        let words = |method: &str, path: &str, query: &str| {
            let request = RequestRecord {
                method: method.into(),
                path: path.into(),
                query: query.into(),
                ..RequestRecord::default()
            };
            sentence(&Call::of(&request), Language::En)
        };
        let pull = words("POST", "/v1.47/images/create", "fromImage=docker.io%2Flibrary%2Fa&tag=1");
        assert_eq!(pull, "pull the image a:1 from its registry");
        assert_eq!(words("DELETE", "/v1.47/images/h:5/a", ""), "remove the image h:5/a");
        assert_eq!(
            words("GET", "/containers/x/archive", "path=%2Fetc"),
            "give me /etc of the container x"
        );
        assert_eq!(words("GET", "/no/such", ""), "a request without a name here");
    }
}
