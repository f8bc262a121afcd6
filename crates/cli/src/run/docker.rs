//! The options of `docker run` that isolab does not take, and why: an answer for hands that know
//! them. The README of this crate has the table of all.

use clap::{Args, ValueEnum};

/// Options that ask for what isolab does in any case.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accepted for compatibility, without effect")]
pub(super) struct WithoutEffect {
    /// isolab reports only errors at start
    #[arg(short = 'q', long)]
    quiet: bool,
    /// isolab has no health checks
    #[arg(long)]
    no_healthcheck: bool,
    /// All ports are reachable from the container's network
    #[arg(long, value_name = "PORT")]
    expose: Vec<String>,
    /// isolab verifies no image signatures
    #[arg(long)]
    disable_content_trust: bool,
    /// isolab never restarts a container
    #[arg(long, value_enum, value_name = "POLICY")]
    restart: Option<No>,
    /// The only supported platform
    #[arg(long, value_enum, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// isolab always forwards signals
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_parser = ["true"])]
    sig_proxy: Option<String>,
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

const NO_HEALTH: &str = "isolab has no health checks; run one with `isolab exec`";
const NO_BRIDGE: &str = "--network veth chooses the addresses";
const NO_REAL_TIME: &str = "distribution kernels are built without real-time group scheduling";

const REFUSED: [(&str, &str); 15] = [
    (
        "--volumes-from --volume-driver",
        "isolab has no named volumes; -v mounts a directory of the host",
    ),
    (
        "--health-cmd --health-interval --health-retries --health-start-interval \
         --health-start-period --health-timeout",
        NO_HEALTH,
    ),
    ("--cpu-rt-period --cpu-rt-runtime", NO_REAL_TIME),
    ("--kernel-memory", "Linux no longer limits it separately; --memory includes it"),
    ("--memory-swappiness", "cgroup version 2 does not have it; --memory-swap limits swap"),
    ("--cpu-count --cpu-percent --io-maxbandwidth --io-maxiops", "it is for Windows only"),
    ("--ip --ip6 --link-local-ip --mac-address --network-alias --net-alias", NO_BRIDGE),
    ("--link", "use --add-host NAME:ADDRESS"),
    (
        "--gpus",
        "use --device for the nodes in /dev; the root file system must contain the libraries",
    ),
    ("--runtime --isolation", "use --in to choose the sandbox"),
    (
        "--log-driver --log-opt",
        "output goes to this command's streams, or with -d to `isolab logs`",
    ),
    ("--use-api-socket", "isolab has no daemon"),
    ("--publish-all -P", "isolab publishes no ports unasked; use -p"),
    (
        "--detach-keys",
        "a run in the foreground ends with its command: use -d, then `isolab attach`",
    ),
    ("--cgroup-parent", "a container's cgroup is always below its launcher's"),
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
