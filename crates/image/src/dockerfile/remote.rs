//! Sources of `ADD` that are on another machine.

/// Whether Docker would download it: a URL, or a Git repository.
pub(crate) fn is_remote(source: &str) -> bool {
    let lower = source.trim_matches(['"', '\'']).to_ascii_lowercase();
    let prefixes = ["http://", "https://", "ftp://", "git://", "ssh://", "git@", "github.com/"];
    prefixes.iter().any(|prefix| lower.starts_with(prefix))
}
