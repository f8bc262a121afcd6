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
                    "The container is running, and nothing was copied for it: upper is empty, so every name \
                     comes from lower.",
                    "容器已经在运行，却没有复制任何东西：upper 是空的，每个名字都来自 lower。",
                )
                .into(),
            LastChange::Created { path } if en => format!(
                "{path} is in no layer, so it is created in upper, the only writable layer."
            ),
            LastChange::Created { path } => {
                format!("{path} 在各层中都不存在，于是在 upper 中创建：只有这一层可写。")
            }
            LastChange::CopiedUp { path, bytes, microseconds } => {
                let (bytes, time) = (grouped(*bytes), milliseconds(*microseconds));
                match language {
                    Language::En => format!(
                        "To write one byte of {path}, the kernel first copied the whole file up, {bytes} \
                         bytes, then wrote to the copy: {time} ms."
                    ),
                    Language::Zh => format!(
                        "为了写 {path} 中的一个字节，内核先把整个文件（{bytes} 字节）复制到 upper（copy-up），\
                         再写这份副本：{time} 毫秒。"
                    ),
                }
            }
            LastChange::Written { path, microseconds } => {
                let time = milliseconds(*microseconds);
                match language {
                    Language::En => format!(
                        "{path} is already in upper: one byte written, nothing copied, {time} ms."
                    ),
                    Language::Zh => {
                        format!("{path} 已经在 upper 中：写一个字节，无需复制，{time} 毫秒。")
                    }
                }
            }
            LastChange::Hidden { path } if en => format!(
                "{path} stays in lower. upper marks it as deleted with a whiteout, a character device with \
                 the number 0:0."
            ),
            LastChange::Hidden { path } => format!(
                "{path} 仍在 lower 中。upper 用一个 whiteout（设备号为 0:0 的字符设备）标记它已删除。"
            ),
            LastChange::Removed { path } if en => format!(
                "{path} was in upper only, so it is really deleted. Nothing below has to be hidden, so \
                 there is no whiteout."
            ),
            LastChange::Removed { path } => format!(
                "{path} 只在 upper 中，所以真正被删除。下层没有需要遮盖的文件，因此没有 whiteout。"
            ),
            LastChange::Replaced { path, mark } if en => format!(
                "{path} was deleted and created again: opaque ({mark}=y). Nothing of lower's {path} is \
                 visible, and no file in it needs a whiteout."
            ),
            LastChange::Replaced { path, mark } => format!(
                "{path} 删除后重新创建，标记为 opaque（不透明，{mark}=y）：lower 的 {path} 全部不可见，\
                 其中的文件不需要各自的 whiteout。"
            ),
            LastChange::Renewed if en => format!(
                "Container {number} was removed with its upper layer; a new one runs on the same lower. \
                 All changes were in upper, so all are undone."
            ),
            LastChange::Renewed => format!(
                "容器 {number} 连同它的 upper 已删除，新容器在同一个 lower 上运行。所有改动都在 upper 中，\
                 所以全部撤销。"
            ),
            LastChange::Started if en => format!(
                "Container {number}: the same lower, and its own upper, which is still empty. It does not \
                 see what the other container did."
            ),
            LastChange::Started => format!(
                "容器 {number}：同一个 lower，自己的 upper 仍是空的。它看不到另一个容器的改动。"
            ),
            LastChange::Turned if en => format!(
                "Container {number} again: its changes are in its own upper and nowhere else."
            ),
            LastChange::Turned => format!("回到容器 {number}：它的改动只在自己的 upper 中。"),
            LastChange::Enough => language
                .either(
                    "Nothing is left for this key to do: [x] starts over.",
                    "这个键没有可做的操作了：按 [x] 重新开始。",
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
            format!("{} {}", size(bytes), language.either("copied up", "已复制"))
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
