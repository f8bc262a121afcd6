//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// What `docker run` really does.
pub const SCRIPT: Script = Script {
    title: Words("What docker run really does", "docker run 究竟做了什么"),
    minutes: 10,
    needs: Words(
        "After the lecture on containers. Needs root; without the docker command isolab makes its requests itself.",
        "安排在容器一讲之后。需要 root；没有 docker 命令时，由 isolab 自己发送同样的请求。",
    ),
    keys: &[
        Key('r', Words("run", "run")),
        Key('d', Words("run -d", "run -d")),
        Key('x', Words("exec", "exec")),
        Key('k', Words("kill the daemon", "杀死守护进程")),
        Key('n', Words("next daemon", "新的守护进程")),
        Key('l', Words("logs", "logs")),
        Key('0', Words("time line", "时间线")),
        Key('1', Words("boundary", "隔离")),
        Key('2', Words("budget", "资源")),
        Key('3', Words("inside", "内部")),
        Key('4', Words("power", "权限")),
        Key('5', Words("way out", "往来")),
    ],
    steps: &[
        Step {
            key: Some('r'),
            say: Words(
                "docker runs nothing: it sends five requests to a daemon. The daemon has the container made between `start` and its answer.",
                "docker 自己不运行任何东西：它向守护进程发送五个请求。容器在 start 请求与它的应答之间做成。",
            ),
            ask: Words(
                "Why does it attach and wait before it starts? (Otherwise it could miss the first output, or the end.)",
                "为什么先 attach 和 wait，再 start？（否则可能错过最初的输出，或者错过结束。）",
            ),
        },
        Step {
            key: Some('2'),
            say: Words(
                "The option -m 64m is one number in JSON, and here one file in a cgroup. In between nobody knows what memory is.",
                "选项 -m 64m 在 JSON 里是一个数，在这里是控制组里的一个文件。中间没有谁需要懂内存。",
            ),
            ask: Words(
                "Who enforces the limit: docker, the daemon, or the kernel?",
                "谁来执行这个限制：docker、守护进程，还是内核？",
            ),
        },
        Step {
            key: Some('1'),
            say: Words(
                "One clone3 makes a process with new namespaces. There is no object called container in the kernel.",
                "一次 clone3 就得到一个带有新命名空间的进程。内核里没有叫做“容器”的对象。",
            ),
            ask: Words(
                "Which of the five questions has the most calls, and why? Press [3].",
                "五个问题里哪个调用最多？为什么？按 [3] 看看。",
            ),
        },
        Step {
            key: Some('d'),
            say: Words(
                "The same without a client that stays: no attach. The container writes a line a second, to its log.",
                "同样的过程，但客户端不留下：没有 attach。容器每秒写一行到日志。",
            ),
            ask: Words(
                "Whose child is the container's first process now?",
                "现在容器的第一个进程是谁的子进程？",
            ),
        },
        Step {
            key: Some('x'),
            say: Words(
                "exec makes no container: a new process joins the namespaces of another one, with setns, and gives up the same powers.",
                "exec 不创建容器：新进程用 setns 进入已有的命名空间，并同样放弃权限。",
            ),
            ask: Words(
                "Why does the boundary have no new namespace here? Press [1].",
                "这里为什么没有新的命名空间？按 [1] 看看。",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "kill -9 for the daemon. The container runs on: its parent is a small supervisor, which holds its streams and its log.",
                "对守护进程 kill -9。容器继续运行：它的父进程是一个小的监督进程，持有它的输入输出流和日志。",
            ),
            ask: Words(
                "What can nobody do while there is no daemon?",
                "没有守护进程时，什么事谁也做不了？",
            ),
        },
        Step {
            key: Some('n'),
            say: Words(
                "The next daemon reads its files, finds the supervisor, and takes the container over.",
                "新的守护进程读取自己的文件，找到监督进程，接管容器。",
            ),
            ask: Words(
                "What must it not trust, if the container's number may be another process's by now? (The pid alone.)",
                "进程号可能已属于别的进程，它不能只相信什么？（只看 pid。）",
            ),
        },
        Step {
            key: Some('l'),
            say: Words(
                "The log has no gap: also the lines of the time without a daemon are there.",
                "日志没有缺口：没有守护进程的那段时间里的行也在。",
            ),
            ask: Words(
                "Where would the lines be lost, if the daemon itself held the container's output?",
                "如果容器的输出由守护进程自己持有，这些行会在哪里丢失？",
            ),
        },
    ],
    cases: &[],
};
