//! How this report computes and judges; the same of all records.

use super::{Sentence, sentence};
use crate::interval::{FEWEST, WIDER};

/// How this report computes; the same of all records.
pub(super) fn computed() -> [Sentence; 3] {
    [
        sentence(
            format!(
                "A value is the median of all samples. Its interval of 95 % is Student's, {WIDER} \
                 times as wide, over the medians of the processes on a logarithmic scale: a process is one observation, \
                 however many rounds or programs it measured. Fewer than {FEWEST} processes have no \
                 interval; neither has a size that was the same each time, nor a derived figure."
            ),
            format!(
                "数值是全部样本的中位数。95 % 区间是对各进程中位数（取对数）求的 Student 区间，再放宽到 {WIDER} 倍：\
                 一个进程无论测了多少轮、多少个程序，都只算一次观测。少于 {FEWEST} 个进程没有区间；\
                 每次都相同的大小和推算出来的数也没有区间。"
            ),
        ),
        sentence(
            "A ratio is that of the medians. Where the same processes measured both sides, their \
             ratios are the observations; else the interval is Welch's.",
            "比值是中位数之比。两边由相同的进程测得时，以各进程内的比值为观测；否则用 Welch 区间。",
        ),
        sentence(
            "A ratio whose interval spans 1, or that is within the noise floor, is printed as ≈: no \
             difference shown. That does not say that there is none.",
            "区间包含 1 或落在噪声下限之内的比值印作 ≈：没有显示出差别。这并不等于没有差别。",
        ),
    ]
}

pub(super) fn judged() -> [Sentence; 2] {
    [
        sentence(
            "A claim of the textbook is judged by the whole interval, and by complete data only. \
             Where a measurement that it speaks of failed, was not made, or has too few processes, \
             this run cannot tell, and names what is missing; unless what is there decides alone.",
            "对教科书的说法，以整个区间并且只用完整的数据来判断。所涉及的测量失败了、没有做或进程太少时，\
             本次运行就无法判断，并写明缺什么；除非已有的数据单独就足以判断。",
        ),
        sentence(
            "What the lesson says of virtual machines is judged by a machine with an operating \
             system, not by a microVM that boots no kernel.",
            "教科书关于虚拟机的说法，用带操作系统的虚拟机来判断，而不是用不启动内核的 microVM。",
        ),
    ]
}
