//! What the kernel did, in a sentence or two.

use super::{Found, LastChange, Layers};
use crate::Language;

impl Layers {
    /// What the last key has led to.
    pub(super) fn words(&self, language: Language) -> String {
        let number = self.container;
        let en = language == Language::En;
        match &self.last_change {
            LastChange::Begun => language
                .either(
                    "The container runs, and nothing was copied for it: upper is empty, so every \
                     name is found in lower and shines through.",
                    "容器已经在跑，却什么也没有复制：upper 是空的，每个名字都在 lower 里找到，直接透上来。",
                )
                .into(),
            LastChange::Created { path } if en => format!(
                "{path} is in no layer, so it is made in upper, the only layer that is written to."
            ),
            LastChange::Created { path } => {
                format!("{path} 哪一层都没有，于是建在 upper 里：只有这一层可写。")
            }
            LastChange::CopiedUp { path, bytes, microseconds } => {
                let (bytes, time) = (grouped(*bytes), milliseconds(*microseconds));
                match language {
                    Language::En => format!(
                        "One byte of {path} was to be written. First the kernel copied the whole \
                         file up, {bytes} bytes; then it wrote to the copy: {time} ms."
                    ),
                    Language::Zh => format!(
                        "要写 {path} 里的一个字节：内核先把整个文件复制上来（copy-up），{bytes} 字节，\
                         再写这份副本，用了 {time} 毫秒。"
                    ),
                }
            }
            LastChange::Written { path, microseconds } => {
                let time = milliseconds(*microseconds);
                match language {
                    Language::En => format!(
                        "{path} is in upper already: one byte written, nothing copied, {time} ms."
                    ),
                    Language::Zh => {
                        format!("{path} 已经在 upper 里：写一个字节，什么也不用复制，{time} 毫秒。")
                    }
                }
            }
            LastChange::Hidden { path } if en => format!(
                "{path} stays in lower. upper has a mark that says \"no such name\": a whiteout, \
                 a character device with the number 0:0."
            ),
            LastChange::Hidden { path } => format!(
                "{path} 没法从 lower 里拿走，于是 upper 里留个记号，表示“没有这个名字”：whiteout，\
                 设备号 0:0 的字符设备。lower 里的字节一个也没少。"
            ),
            LastChange::Removed { path } if en => format!(
                "{path} was in upper only: it is really deleted. Nothing below has to be hidden, \
                 so there is no whiteout."
            ),
            LastChange::Removed { path } => format!(
                "{path} 只在 upper 里，这次是真的删掉了：下面没有东西要遮，所以没有 whiteout。"
            ),
            LastChange::Replaced { path, mark } if en => format!(
                "{path} was deleted and made anew: opaque ({mark}=y). Nothing of lower's {path} \
                 shines through, and no file in it needs a whiteout."
            ),
            LastChange::Replaced { path, mark } => format!(
                "{path} 删掉又新建。新目录是 opaque（不透明）的，{mark}=y：lower 的 {path} 一概\
                 透不上来，里面的文件也不必各放一个 whiteout。"
            ),
            LastChange::Renewed if en => format!(
                "Container {number} and its upper layer are gone; a new one runs on the same \
                 lower. All changes were in upper, so all are undone."
            ),
            LastChange::Renewed => format!(
                "容器 {number} 连同它的 upper 都没了，同一个 lower 上跑起了新的一个。改动全在 upper \
                 里，所以全都不见了。"
            ),
            LastChange::Started if en => format!(
                "Container {number}: the same lower, an upper of its own, still empty. It sees \
                 nothing of what the other one did."
            ),
            LastChange::Started => format!(
                "容器 {number}：同一个 lower，自己的 upper 还是空的。另一个容器做过什么，它一概看不到。"
            ),
            LastChange::Turned if en => format!(
                "Container {number} again: what it did is in its own upper, and nowhere else."
            ),
            LastChange::Turned => format!("又是容器 {number}：它做过的事都在它自己的 upper 里，别处没有。"),
            LastChange::Enough => language
                .either(
                    "That is all there is for this key: [x] begins anew.",
                    "这个键没有更多可做的了：按 [x] 从头再来。",
                )
                .into(),
        }
    }
}

/// What is in a cell, in full or in a few columns.
pub(super) fn words(found: Found, is_upper: bool, short: bool, language: Language) -> String {
    match (found, short) {
        (Found::File(bytes), _) if is_upper => {
            format!("{} {}", size(bytes), language.either("new", "新建"))
        }
        (Found::File(bytes), _) => size(bytes),
        (Found::CopiedUp(bytes), true) => {
            format!("{} {}", size(bytes), language.either("copied", "复制"))
        }
        (Found::CopiedUp(bytes), false) => {
            format!("{} {}", size(bytes), language.either("copied up", "复制上来"))
        }
        (Found::Directory, true) => language.either("dir", "目录").into(),
        (Found::Directory, false) => language.either("directory", "目录").into(),
        (Found::Opaque, true) => language.either("opaque dir", "opaque 目录").into(),
        (Found::Opaque, false) => {
            language.either("opaque directory", "opaque（不透明）目录").into()
        }
        (Found::Whiteout, _) => "whiteout c 0:0".into(),
    }
}

/// A size in few letters.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn milliseconds(microseconds: u64) -> String {
    format!("{:.2}", microseconds as f64 / 1000.0)
}
