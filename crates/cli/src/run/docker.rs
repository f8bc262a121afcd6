//! The options of `docker run` that isolab does not take, and why: an answer for hands that know
//! them. The README of this crate has the table of all.

use clap::{Args, ValueEnum};

/// Options that ask for what isolab does in any case.
#[derive(Debug, Args)]
#[command(next_help_heading = "Taken for scripts, without an effect")]
pub(super) struct WithoutEffect {
    /// No image is pulled
    #[arg(long, value_enum, value_name = "WHEN")]
    pull: Option<Never>,
    /// What little isolab says of a start is what went wrong
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Nobody watches a container's health
    #[arg(long)]
    no_healthcheck: bool,
    /// Every port of a container can be reached from where its network leads
    #[arg(long, value_name = "PORT")]
    expose: Vec<String>,
    /// Nothing is downloaded that could be signed
    #[arg(long)]
    disable_content_trust: bool,
    /// A container is run once
    #[arg(long, value_enum, value_name = "POLICY")]
    restart: Option<No>,
    /// The one that isolab knows
    #[arg(long, value_enum, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Signals are passed on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_parser = ["true"])]
    sig_proxy: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Never {
    Never,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum No {
    No,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Platform {
    #[value(name = "linux/amd64", alias = "linux")]
    LinuxAmd64,
}

/// Why `option` is not taken; none for one that docker does not have either.
pub(super) fn reason(option: &str) -> Option<&'static str> {
    let name = option.split('=').next().unwrap_or(option);
    REFUSED.iter().find(|(names, _)| names.split(' ').any(|known| known == name)).map(|it| it.1)
}

const NO_HEALTH: &str = "nobody watches a container of isolab's; `isolab exec` asks one in it";
const NO_BLOCK_RATE: &str = "the speed of a container's disks is not limited; a Linux guest's is";
const NO_BRIDGE: &str = "--network veth is a pair of links with addresses of its own choice";
const NO_REAL_TIME: &str = "no kernel of a distribution has real-time group scheduling";

const REFUSED: [(&str, &str); 20] = [
    ("--volumes-from --volume-driver", "isolab has no volumes; -v shows a directory of the host's"),
    (
        "--health-cmd --health-interval --health-retries --health-start-interval \
         --health-start-period --health-timeout",
        NO_HEALTH,
    ),
    (
        "--blkio-weight-device --device-read-bps --device-read-iops --device-write-bps \
         --device-write-iops",
        NO_BLOCK_RATE,
    ),
    ("--cpu-rt-period --cpu-rt-runtime", NO_REAL_TIME),
    ("--kernel-memory", "Linux limits it no longer by itself; --memory counts it"),
    ("--memory-swappiness", "cgroup version 2 has it no longer; --memory-swap limits swap"),
    ("--cpu-count --cpu-percent --io-maxbandwidth --io-maxiops", "it is for Windows"),
    ("--ip --ip6 --link-local-ip --mac-address --network-alias --net-alias", NO_BRIDGE),
    ("--link", "--add-host NAME:ADDRESS names another container"),
    ("--gpus", "--device shows the nodes in /dev; the libraries have to be in the root"),
    ("--runtime --isolation", "--in chooses what it runs in"),
    ("--log-driver --log-opt", "the output is this command's own; with -d, `isolab logs` has it"),
    ("--use-api-socket", "no daemon stands behind isolab run"),
    (
        "--label -l --label-file --annotation",
        "isolab keeps no labels; --name tells one from others",
    ),
    ("--attach -a", "its three streams are this command's own"),
    ("--publish-all -P", "isolab reads no image that names ports; -p names one"),
    ("--stop-signal", "`isolab kill -s` sends any signal"),
    ("--stop-timeout", "`isolab stop --grace` says how long"),
    ("--detach-keys", "they are an option of `isolab attach`"),
    ("--cgroup-parent", "a container's cgroup is below that of its launcher"),
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_known_option_has_a_reason_and_others_have_none() {
        assert!(reason("--gpus=all").is_some_and(|why| why.contains("--device")));
        assert!(reason("--health-timeout").is_some());
        assert_eq!(reason("--memory"), None);
        assert_eq!(reason("--frobnicate"), None);
    }

    /// Every option of docker's, with what the table of the README says of it.
    fn table() -> Vec<(Vec<&'static str>, &'static str)> {
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("## The options of `docker run`").unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| `-"));
        rows.map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let names = cells[1].split(", ").map(|name| name.trim_matches('`')).collect();
            (names, cells[2])
        })
        .collect()
    }

    #[test]
    fn the_table_says_what_is_taken() {
        let mut run = crate::Run::command();
        run.build();
        let is_taken = |name: &str| {
            run.get_arguments().any(|argument| match name.strip_prefix("--") {
                Some(long) => {
                    let aliases = argument.get_all_aliases().unwrap_or_default();
                    argument.get_long() == Some(long) || aliases.contains(&long)
                }
                None => argument.get_short() == name.chars().nth(1),
            })
        };
        let table = table();
        assert_eq!(table.len(), 100);
        for (names, here) in &table {
            for name in names {
                match *here {
                    "taken" | "another meaning" => {
                        assert!(is_taken(name), "{name} is not taken");
                        assert_eq!(reason(name), None, "{name} is taken");
                    }
                    "refused" => {
                        assert!(!is_taken(name), "{name} is taken");
                        assert!(reason(name).is_some(), "{name} is refused without a reason");
                    }
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
        let taken = table.iter().filter(|(_, here)| *here != "refused").count();
        assert!(include_str!("../../README.md").contains(&format!("{taken} of 100 are taken")));
    }
}
