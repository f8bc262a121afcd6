//! What to do, to say and to ask.

use crate::script::{Key, Script, Step, Words};

/// What a container is: tables of its own.
pub const SCRIPT: Script = Script {
    title: Words("What is a container?", "容器是什么？"),
    minutes: 12,
    needs: Words(
        "After the lecture on virtualization by the operating system, before labs 08 to 10. Root \
         shows it best: an ordinary user's containers all have a user namespace, as [u] makes it.",
        "接在操作系统层虚拟化那一讲之后、实验 08 到 10 之前。最好用 root 演示：普通用户的容器都带\
         用户命名空间，就像 [u] 造出来的那样。",
    ),
    keys: &[
        Key('s', Words("start", "启动")),
        Key('u', Words("user ns", "带用户命名空间")),
        Key('e', Words("enter", "进入")),
        Key('w', Words("who?", "我是谁")),
        Key('k', Words("kill", "杀死")),
    ],
    steps: &[
        Step {
            key: None,
            say: Words(
                "The kernel keeps tables: of mounts, of users, of processes. The host's processes \
                 all use the same ones; `ls -l /proc/self/ns` shows these very numbers.",
                "内核里有几张表：挂载点、用户、进程……宿主机上的进程共用同一套；\
                 `ls -l /proc/self/ns` 看到的就是这些号码。",
            ),
            ask: Words(
                "Which tables would you give a program of its own, if it must not see yours?",
                "要让一个程序看不到你的东西，你会单独给它哪几张表？",
            ),
        },
        Step {
            key: Some('s'),
            say: Words(
                "A container. There is no such object in the kernel: it is a process, with a number \
                 here and another one inside, and six of its tables are new.",
                "一个容器。内核里并没有“容器”这种东西：它是一个进程，在外面有一个号，在里面另有一个号，\
                 有六张表是新的。",
            ),
            ask: Words(
                "Its user is not new. Who is root in there, and who is that out here?",
                "用户那张表不是新的。里面的 root 是谁？在外面又是谁？",
            ),
        },
        Step {
            key: Some('u'),
            say: Words(
                "A second one, with a user table too: root inside, and outside an ordinary number \
                 that has no power over the host.",
                "再来一个，连用户表也是新的：在里面是 root，在外面只是个普通的号，管不了宿主机。",
            ),
            ask: Words(
                "Both are called number 1 by themselves. Which number does your `kill` take?",
                "两个容器都说自己是 1 号。你在 shell 里 `kill`，该用哪个号？",
            ),
        },
        Step {
            key: Some('e'),
            say: Words(
                "Entering: one more process of ours joins the same tables, by setns(2). That is the \
                 heart of `docker exec`.",
                "进入：我们又派一个进程，用 setns(2) 换上同一套表。`docker exec` 的核心就是这一步。",
            ),
            ask: Words(
                "It is number 2 in there, although its parent is outside. What does it find as its \
                 parent's number?",
                "它在里面是 2 号，父进程却在外面。它看到的父进程号是几？",
            ),
        },
        Step {
            key: Some('w'),
            say: Words(
                "One process, six questions: on the right what the shell has read in its own /proc, \
                 on the left what the host reads.",
                "一个进程，六个问题：右边是 shell 自己在它的 /proc 里读到的，左边是宿主机读到的。",
            ),
            ask: Words("Who is right?", "谁说得对？"),
        },
        Step {
            key: Some('w'),
            say: Words(
                "Back to the tables. One row is the same for all: nobody has asked for clocks of its \
                 own.",
                "回到那些表。有一行大家都一样：没有人要过自己的时钟。",
            ),
            ask: Words(
                "The kernel itself is shared as well. What follows from that for your secrets?",
                "内核本身也是共用的。对你的秘密来说，这意味着什么？",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "Number 1 is killed. The kernel ends all others in its pid namespace, and frees the \
                 tables that nobody uses any more.",
                "杀掉 1 号。内核随即结束它那个 PID 命名空间里的所有进程，没人再用的表也一并收回。",
            ),
            ask: Words(
                "Why must they all end with number 1?",
                "为什么 1 号一死，其他进程都得结束？",
            ),
        },
        Step {
            key: Some('k'),
            say: Words(
                "And the first one. The host's numbers are what they were.",
                "再杀掉第一个。宿主机的号码和开始时一样。",
            ),
            ask: Words(
                "What would you have to keep open to keep a namespace without a process?",
                "一个进程也没有，还想留住命名空间，得拿住什么？",
            ),
        },
    ],
};
