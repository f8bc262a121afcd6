//! What a student reads first: one screen, in both languages.

use std::path::Path;

use super::tree::write_file;
use crate::runner::{Result, course::Course};

const EN: &str = "# isolab labs

Labs: @LABS@. [中文](README.zh.md)

You need Linux on x86-64, Rust 1.90 or newer (`rustc --version`) and a C linker (`cc --version`;
Debian and Ubuntu: `gcc` and `libc6-dev`). No network: everything else is in this folder.

```console
$ ./isolab lab start @FIRST@    # goal, file, first step
$ ./isolab lab check @FIRST@    # builds, checks, says what to do next
```

Write in the file that `start` names, in `work/`. Open this whole folder in your editor: completion
works with rust-analyzer.

| Command | What it does |
|---|---|
| `./isolab lab list` | all labs, what they need, how far you are |
| `./isolab lab watch @FIRST@` | checks at every save |
| `./isolab lab hint` | one more hint for the last failure |
| `./isolab lab why` | what the kernel said |
| `./isolab lab reset @FIRST@` | the skeleton again; a copy of yours is kept |
| `./isolab lab export --name \"Ada L.\" --out ada.json` | your progress and your answers, for your teacher |

PASS: the kernel's state is as it should be. FAIL: it is not, and the message says what to do. CANNOT
TELL: the machine is too busy or lacks something; that does not count against you. Labs with `root`,
`cg` or `kvm` in the list: `sudo ./isolab lab check NN`.

Read `labs/NN-name/README.md` first. `check.rs` beside it says in code what must be true. Your
program runs in a small host of its own and cannot harm your machine. A newer handout may be
unpacked over this one: `work/` stays as it is.
";

const ZH: &str = "# isolab 实验

实验：@LABS@。[English](README.md)

需要：x86-64 Linux、Rust 1.90 或更新的版本（`rustc --version`）、C 链接器（`cc --version`；
Debian、Ubuntu 上是 `gcc` 和 `libc6-dev`）。不需要网络，其余的都在这个目录里。

```console
$ ./isolab lab start @FIRST@    # 目标、文件、第一步
$ ./isolab lab check @FIRST@    # 编译、检查，告诉你下一步做什么
```

在 `start` 给出的文件里写，它在 `work/` 下面。用编辑器打开整个目录，rust-analyzer 的补全就能用。

| 命令 | 作用 |
|---|---|
| `./isolab lab list` | 全部实验、各自的要求、你的进度 |
| `./isolab lab watch @FIRST@` | 每次保存时检查 |
| `./isolab lab hint` | 针对上一次失败再给一条提示 |
| `./isolab lab why` | 内核怎么说 |
| `./isolab lab reset @FIRST@` | 恢复成骨架，你写的会留一份备份 |
| `./isolab lab export --name \"李四\" --out lisi.json` | 导出进度和答案，交给老师 |

PASS（通过）：内核的状态符合要求。FAIL（未通过）：不符合，消息会说明怎么办。CANNOT TELL（无法判断）：
机器太忙，或者缺少某样东西，不算你错。列表里标有 `root`、`cg`、`kvm` 的实验：`sudo ./isolab lab check NN`。

先读 `labs/NN-name/README.zh.md`。旁边的 `check.rs` 用代码写明了什么必须成立。你的程序跑在它自己的
小“宿主机”里，不会伤到你的机器。新的实验包可以直接解压到这里，`work/` 不会被动到。
";

/// Writes them.
pub(super) fn write(folder: &Path, course: &Course) -> Result<()> {
    let ids: Vec<&str> = course.labs.iter().map(|lab| lab.id.as_str()).collect();
    let first = if ids.contains(&"08") { "08" } else { ids.first().copied().unwrap_or("08") };
    for (name, text) in [("README.md", EN), ("README.zh.md", ZH)] {
        let text = text.replace("@LABS@", &ids.join(" ")).replace("@FIRST@", first);
        write_file(&folder.join(name), &text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_is_a_screen_long() {
        for text in [EN, ZH] {
            assert!(text.lines().count() <= 42, "{}", text.lines().count());
        }
    }
}
