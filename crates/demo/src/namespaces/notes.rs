//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// What a container is: namespaces of its own.
pub const SCRIPT: Script = Script {
    title: Words("What is a container?", "容器是什么？"),
    minutes: 12,
    needs: Words(
        "After the lecture on operating-system-level virtualization, before labs 08 to 10. Best run as root: an ordinary user's containers always have a user namespace, as with [u].",
        "安排在操作系统级虚拟化一讲之后、实验 08 至 10 之前。最好用 root 演示：普通用户的容器总有用户命名空间，与按 [u] 相同。",
    ),
    keys: &[
        Key('s', Words("start", "启动")),
        Key('u', Words("user ns", "带用户命名空间")),
        Key('e', Words("enter", "进入")),
        Key('w', Words("who am I", "我是谁")),
        Key('k', Words("kill", "杀死")),
    ],
    steps: &[
        Step {
            key: None,
            say: Words(
                "A namespace holds one kind of resource as its processes see it: mounts, users, pids. All processes of the host share theirs; `ls -l /proc/self/ns` shows these numbers.",
                "一个命名空间管一类资源，决定其中的进程看到什么：挂载点、用户、进程号……宿主机上的进程共用同一套；`ls -l /proc/self/ns` 显示的就是这些编号。",
            ),
            ask: Words(
                "A program must not see what is yours: which namespaces should it have of its own?",
                "要让一个程序看不到你的东西，应该单独给它哪几个命名空间？",
            ),
        },
        Step {
            key: Some('s'),
            say: Words(
                "A container. The kernel has no such object: it is a process, with one pid out here and another one inside, and six of its namespaces are new.",
                "一个容器。内核里没有“容器”这种对象：它是一个进程，外面有一个进程号，里面另有一个，有六个命名空间是新的。",
            ),
            ask: Words(
                "Its user namespace is not new. Who is root in there, and who is that out here?",
                "它的用户命名空间不是新的。里面的 root 是谁？在外面又是谁？",
            ),
        },
        Step {
            key: Some('u'),
            say: Words(
                "A second one, with a new user namespace as well: root inside, but outside an ordinary user with no privileges on the host.",
                "再启动一个，用户命名空间也是新的：里面是 root，外面只是普通用户，对宿主机没有任何权限。",
            ),
            ask: Words(
                "Both have pid 1 inside. Which pid must you give to `kill` out here?",
                "两个容器里的进程号都是 1。在外面用 `kill`，该写哪个进程号？",
            ),
        },
        Step {
            key: Some('e'),
            say: Words(
                "Enter: another of our processes enters the same namespaces with setns(2). This is the core of `docker exec`.",
                "进入：我们的另一个进程用 setns(2) 进入同一组命名空间。这就是 `docker exec` 的核心。",
            ),
            ask: Words(
                "Its pid is 2 in there, although its parent is outside. Which parent pid does it see? (0.)",
                "它在里面的进程号是 2，父进程却在外面。它看到的父进程号是多少？（0。）",
            ),
        },
        Step {
            key: Some('w'),
            say: Words(
                "One process, six questions: on the right what the shell read in its own /proc, on the left what the host reads.",
                "一个进程，六个问题：右边是 shell 从自己的 /proc 读到的，左边是宿主机读到的。",
            ),
            ask: Words("Which side is right?", "哪一边是对的？"),
        },
        Step {
            key: Some('w'),
            say: Words(
                "Back to the namespaces. One row is the same for all: no container asked for its own clocks.",
                "回到各个命名空间。有一行全都相同：没有哪个容器要求自己的时钟。",
            ),
            ask: Words(
                "The kernel itself is shared too. What does that mean for your secrets?",
                "内核本身也是共用的。这对你的机密数据意味着什么？",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "Pid 1 is killed. The kernel kills all other processes in its pid namespace and frees the namespaces that are no longer used.",
                "杀死 1 号进程。内核随即杀死该 PID 命名空间里的所有进程，并释放不再使用的命名空间。",
            ),
            ask: Words(
                "Why must they all end with pid 1?",
                "为什么 1 号进程一结束，其他进程也必须结束？",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "Now the first one. The host's numbers have not changed.",
                "再杀死第一个。宿主机的编号与开始时相同。",
            ),
            ask: Words(
                "How can a namespace be kept alive without any process? (Keep its file open, or bind mount it.)",
                "没有任何进程时，怎样保留一个命名空间？（一直打开它的文件，或者绑定挂载它。）",
            ),
        },
    ],
    cases: &[],
};
