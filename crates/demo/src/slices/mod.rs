//! The lesson's "one second into ten tenths": who ran when on one processor.
//!
//! Every worker reads the clock all the time and writes down where two readings are far apart:
//! somebody else had the processor then. So no privilege is needed to see it.

mod draw;
mod live;

use serde::{Deserialize, Serialize};

pub use draw::{draw, summary};
pub use live::Live;

use crate::Language;

/// How the processor is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// `SCHED_RR`: each runs 0.1 s, then it is the next one's turn.
    RoundRobin,
    /// `SCHED_OTHER`: whoever had least so far.
    Normal,
    /// One container that may have a tenth.
    Quota,
    /// Three containers with weights of 1, 2 and 4.
    Weights,
}

impl Mode {
    const ALL: [Self; 4] = [Self::RoundRobin, Self::Normal, Self::Quota, Self::Weights];

    fn key(self) -> char {
        match self {
            Self::RoundRobin => 'r',
            Self::Normal => 'n',
            Self::Quota => 'q',
            Self::Weights => 'w',
        }
    }

    fn words(self, language: Language) -> &'static str {
        match self {
            Self::RoundRobin => language.either(
                "SCHED_RR: each runs 0.1 s, then it is the next one's turn",
                "SCHED_RR：每个跑 0.1 秒，然后轮到下一个",
            ),
            Self::Normal => language.either(
                "SCHED_OTHER, as always: whoever had least so far",
                "SCHED_OTHER，平时就是这样：谁用得最少谁先跑",
            ),
            Self::Quota => language.either(
                "a container with a quota of 10 %: 10 ms, then throttled until the next period",
                "配额 10 % 的容器：跑 10 毫秒，然后停到下一个周期",
            ),
            Self::Weights => language
                .either("three containers with weights of 1 : 2 : 4", "三个容器，权重 1 : 2 : 4"),
        }
    }
}

/// One second of a processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slices {
    /// How it is shared.
    pub mode: Mode,
    /// The length of what is shown, in milliseconds.
    pub milliseconds: u32,
    /// The workers.
    pub rows: Vec<Row>,
    /// Why the picture is not the one that was asked for.
    pub note: Option<String>,
}

/// A worker in that second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// When it ran: begin and length, in hundredths of a millisecond from the picture's left edge.
    pub runs: Vec<(u32, u32)>,
    /// Its part of the processor, 0 to 1.
    pub share: f32,
    /// The median of its whole slices, in milliseconds; `None` of none.
    pub slice: Option<f32>,
    /// The longest that it had to wait, in milliseconds.
    pub gap: Option<f32>,
}

/// What to say in class.
pub(crate) fn notes(language: Language) -> &'static str {
    language.either(
        "\
8 minutes, after the lecture on CPU time slicing. Needs two processors; SCHED_RR needs root.

1. Begin with [r]. \"Ten programs, one processor, one second.\" Let them find the textbook's
   picture: ten slices of 0.1 s, in turn. Ask: what would you feel if your shell were one of them?
2. Press [n]. Same share, other slices. Ask: why are 4 ms better for a shell, and worse for whom?
3. Press [q]. One program, alone, and yet it stands still nine tenths of the time. Ask: who stops
   it? (Its cgroup's quota; nr_throttled in cpu.stat counts.)
4. Press [w]. 1 : 2 : 4. Ask: what happens to the shares when the third one ends?
",
        "\
8 分钟，接在 CPU 时间片那一讲之后。需要两个处理器；SCHED_RR 需要 root。

1. 先按 [r]。“十个程序，一个处理器，一秒钟。”让学生自己认出课本上的图：十片，每片 0.1 秒，轮流来。
   问：要是你的 shell 是其中之一，用起来会是什么感觉？
2. 按 [n]。份额一样，片长不一样。问：为什么 4 毫秒对 shell 更好？对谁反而更差？
3. 按 [q]。只有一个程序，却有九成时间停着不动。问：是谁让它停的？（cgroup 的配额；cpu.stat 里的
   nr_throttled 在计数。）
4. 按 [w]。1 : 2 : 4。问：第三个结束以后，份额会怎样变？
",
    )
}
