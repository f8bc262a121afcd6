//! Why a command of the runner did not do its work, in both languages, with the way out.

use std::{fmt, io, path::PathBuf};

use crate::catalogue::Language;
use crate::runner::privilege::trust::{Doubt, Why};

/// A step of the runner that failed.
#[derive(Debug)]
pub enum Error {
    /// There is no folder of labs here.
    NoCheckout {
        /// Where the search began.
        from: PathBuf,
    },
    /// There is no such lab.
    NoLab {
        /// What was asked for.
        asked: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// It was not said which lab is meant.
    NotSaid,
    /// A lab's folder is called otherwise than the lab.
    Renamed {
        /// Its folder.
        found: PathBuf,
        /// The name that it should have.
        expected: String,
    },
    /// A file that belongs to a lab is missing or damaged.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// There is no cargo.
    NoCargo {
        /// For whom.
        user: String,
    },
    /// Root would build what somebody else can change.
    Shared(Doubt),
    /// Cargo failed, and not because of the student's program.
    Cargo {
        /// Its words.
        said: String,
    },
    /// Nothing can be built where nothing can be written.
    ReadOnly {
        /// The folder of what is built.
        path: PathBuf,
    },
    /// What does not compile is not the student's.
    LabBroken {
        /// The first error.
        first: String,
    },
    /// The check ended without a verdict.
    CheckDied {
        /// How it ended, and its last words.
        said: String,
    },
    /// The check did not end.
    CheckHung {
        /// How long it had.
        seconds: u64,
    },
    /// A file could not be read or written.
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// These labs are a handout.
    NoSolutions,
    /// There is no place for the progress.
    NoHome,
    /// The user asked to stop.
    Interrupted,
    /// A call of the system failed.
    System {
        /// Which one.
        call: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The nest could not run the check.
    Nest(nest::Error),
    /// What a killed check has left could not be removed.
    Clean(sandbox::Error),
    /// The ledger cannot be read.
    Ledger(sandbox::LedgerError),
    /// What was asked for makes no sense.
    Usage {
        /// Why, in English.
        en: String,
        /// Why, in Chinese.
        zh: String,
    },
}

impl Error {
    /// A failed action on a file; for `map_err`.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// A failed call; for `map_err`.
    pub(crate) fn system<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::System { call, source: error.into() }
    }

    /// The exit code of a command that failed so.
    pub fn code(&self) -> u8 {
        match self {
            Self::NoLab { .. } | Self::NotSaid | Self::Usage { .. } => 2,
            Self::Interrupted => 130,
            _ => 125,
        }
    }

    /// What failed, in this language.
    pub fn message(&self, language: Language) -> String {
        match language {
            Language::En => self.in_english(),
            Language::Zh => self.in_chinese(),
        }
    }

    fn in_english(&self) -> String {
        match self {
            Self::NoCheckout { from } => {
                format!("no labs found in {} or above it", from.display())
            }
            Self::NoLab { asked, known } => {
                format!("unknown lab {asked:?}; the labs here are {}", known.join(" "))
            }
            Self::NotSaid => "no lab has been started yet: give its number or name".to_owned(),
            Self::Renamed { found, expected } => {
                format!("the folder {} should be named {expected}", found.display())
            }
            Self::Damaged { path, cause } => format!("read {}: {cause}", path.display()),
            Self::NoCargo { user } => format!("no cargo found for user {user}"),
            Self::Shared(Doubt { path, why }) => format!(
                "root builds only what root alone can change, and {} {}",
                path.display(),
                match why {
                    Why::Owner(uid) => format!("belongs to user {uid}"),
                    Why::Mode(mode) => format!("can be written by others: its mode is {mode:o}"),
                    Why::Link => "is a symbolic link".to_owned(),
                    Why::Unseen(error) => format!("cannot be looked at: {error}"),
                }
            ),
            Self::Cargo { said } => format!("cargo could not build the lab: {said}"),
            Self::ReadOnly { path } => format!("{} is not writable", path.display()),
            Self::LabBroken { first } => {
                format!("the lab's own code does not compile: {first}")
            }
            Self::CheckDied { said } => format!("the check gave no verdict: {said}"),
            Self::CheckHung { seconds } => {
                format!("the check gave no verdict within {seconds} s and was stopped")
            }
            Self::File { action, path, source } => {
                format!("{action} {}: {source}", path.display())
            }
            Self::NoSolutions => {
                "this is a handout: it has no solutions and no wrong answers".to_owned()
            }
            Self::NoHome => "no home folder to store the progress in".to_owned(),
            Self::Interrupted => "interrupted".to_owned(),
            Self::System { call, source } => format!("{call}: {source}"),
            Self::Nest(error) => error.to_string(),
            Self::Clean(error) => error.to_string(),
            Self::Ledger(error) => error.to_string(),
            Self::Usage { en, .. } => en.clone(),
        }
    }

    fn in_chinese(&self) -> String {
        match self {
            Self::NoCheckout { from } => format!("{} 及其上级目录里没有实验", from.display()),
            Self::NoLab { asked, known } => {
                format!("没有编号或名字为 {asked:?} 的实验；现有：{}", known.join(" "))
            }
            Self::NotSaid => "还没有开始过任何实验，请指明是哪一个".to_owned(),
            Self::Renamed { found, expected } => {
                format!("目录 {} 原来叫 {expected}", found.display())
            }
            Self::Damaged { path, cause } => format!("读不了 {}：{cause}", path.display()),
            Self::NoCargo { user } => format!("用户 {user} 没有可用的 cargo，无法编译"),
            Self::Shared(Doubt { path, why }) => format!(
                "root 只编译仅有 root 能改动的文件，而 {} {}",
                path.display(),
                match why {
                    Why::Owner(uid) => format!("属于用户 {uid}"),
                    Why::Mode(mode) => format!("其他用户可写（权限 {mode:o}）"),
                    Why::Link => "是符号链接".to_owned(),
                    Why::Unseen(error) => format!("无法查看：{error}"),
                }
            ),
            Self::Cargo { said } => format!("cargo 没能编译实验：{said}"),
            Self::ReadOnly { path } => format!("{} 不可写", path.display()),
            Self::LabBroken { first } => format!("实验中不归你写的部分无法编译：{first}"),
            Self::CheckDied { said } => format!("检查程序没有给出结论：{said}"),
            Self::CheckHung { seconds } => {
                format!("检查程序 {seconds} 秒内没有给出结论，已被终止")
            }
            Self::File { action, path, source } => {
                let action = match *action {
                    "read" => "读取",
                    "write" => "写入",
                    "create" => "创建",
                    "copy" => "复制",
                    "remove" => "删除",
                    "lock" => "锁定",
                    "set aside" => "移走",
                    "look at" => "查看",
                    other => other,
                };
                format!("{action} {} 失败：{source}", path.display())
            }
            Self::NoSolutions => "这是发给学生的实验包：里面没有答案，也没有错误答案".to_owned(),
            Self::NoHome => "没有主目录，无处保存进度".to_owned(),
            Self::Interrupted => "已按要求结束".to_owned(),
            Self::System { call, source } => format!("{call} 失败：{source}"),
            Self::Nest(error) => error.to_string(),
            Self::Clean(error) => error.to_string(),
            Self::Ledger(error) => error.to_string(),
            Self::Usage { zh, .. } => zh.clone(),
        }
    }

    /// What to do about it, in this language.
    pub fn fix(&self, language: Language) -> Option<String> {
        let (en, zh) = match self {
            Self::NoCheckout { .. } => (
                "change into the isolab repository, or pass its path: --labs FOLDER",
                "请进入 isolab 仓库目录，或用 --labs 目录 指明",
            ),
            Self::NoLab { .. } => {
                ("`isolab lab list` shows them", "`isolab lab list` 列出全部实验")
            }
            Self::NotSaid => (
                "`isolab lab list` shows them; `isolab lab start 01` starts the first",
                "`isolab lab list` 列出全部实验；`isolab lab start 01` 开始第一个",
            ),
            Self::Renamed { expected, .. } => {
                return Some(match language {
                    Language::En => format!("rename it back to {expected}"),
                    Language::Zh => format!("把目录名改回 {expected}"),
                });
            }
            Self::Damaged { .. } | Self::LabBroken { .. } => (
                "`git status` shows what changed, `git restore FILE` restores it",
                "`git status` 可以看到改动过的文件，`git restore 文件` 可以恢复",
            ),
            Self::NoCargo { .. } => (
                "install Rust from https://rustup.rs as that user, or put cargo on the PATH",
                "以该用户身份按 https://rustup.rs 安装 Rust，或把 cargo 放进 PATH",
            ),
            Self::Shared(_) => (
                "let only root own and write it (`chown -R root FOLDER; chmod -R go-w FOLDER`), or \
                 let the student own the whole checkout: then it is built as that user",
                "让它只归 root 所有（`chown -R root 目录; chmod -R go-w 目录`），或者把整个仓库的\
                 属主改成学生：那样就以该学生的身份编译",
            ),
            Self::Cargo { said } if said.contains("network") || said.contains("download") => (
                "the first build needs the network: run `cargo fetch` in the repository",
                "第一次编译需要联网：在仓库里运行 `cargo fetch`",
            ),
            Self::ReadOnly { .. } => (
                "copy the repository to a folder of your own, or set CARGO_TARGET_DIR to such a folder",
                "把仓库复制到自己的目录，或把 CARGO_TARGET_DIR 指向自己的目录",
            ),
            Self::CheckDied { .. } | Self::CheckHung { .. } => (
                "this is not a verdict on your program: check again; `isolab lab clean` removes \
                 leftovers",
                "这不是对你程序的判定：请再检查一次；`isolab lab clean` 会清掉残留",
            ),
            Self::NoSolutions => (
                "they are in the isolab repository; ask your teacher",
                "它们在 isolab 仓库里；请问老师",
            ),
            Self::NoHome => (
                "set XDG_STATE_HOME to a folder that you own",
                "把 XDG_STATE_HOME 设为自己的一个目录",
            ),
            Self::Nest(error) => return error.fix(),
            Self::Clean(error) => return error.fix().map(str::to_owned),
            _ => return None,
        };
        Some(match language {
            Language::En => en.to_owned(),
            Language::Zh => zh.to_owned(),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.in_english())
    }
}

impl std::error::Error for Error {}
