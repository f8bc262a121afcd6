//! `.dockerignore`: which files of the context `COPY` and `ADD` do not see.
//!
//! Each line is a pattern, and the last one that matches a path, or a directory above it, counts;
//! one that begins with `!` brings back what an earlier one left out.
//!
//! <https://docs.docker.com/build/concepts/context/#dockerignore-files>

use super::pattern::{Malformed, Pattern};

/// The patterns of a `.dockerignore`.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    brings_back: bool,
}

/// What is wrong with a `.dockerignore`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A pattern cannot be read.
    #[error("line {line}: {problem}")]
    Pattern {
        /// Counted from one.
        line: usize,
        /// What is wrong.
        #[source]
        problem: Malformed,
    },
    /// A line is `!` alone.
    #[error("line {0}: nothing behind !: write the pattern of what is not ignored")]
    Nothing(usize),
    /// Longer than any path.
    #[error("line {line}: a pattern has at most {most} bytes")]
    Long {
        /// Counted from one.
        line: usize,
        /// The limit.
        most: usize,
    },
    /// Larger than any list of patterns.
    #[error("more than {most} bytes or {lines} lines")]
    TooLarge {
        /// The limit.
        most: usize,
        /// The limit.
        lines: usize,
    },
}

const MOST_BYTES: usize = 1 << 20;
/// No path is longer (`PATH_MAX`).
const MOST_PATTERN: usize = 4096;
const MOST_LINES: usize = 10_000;

impl Ignore {
    /// Reads the text of a `.dockerignore`.
    ///
    /// # Errors
    ///
    /// When a pattern is malformed.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(text);
        if text.len() > MOST_BYTES || text.lines().count() > MOST_LINES {
            return Err(Error::TooLarge { most: MOST_BYTES, lines: MOST_LINES });
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            rules.push(Rule::parse(index + 1, line.trim())?);
        }
        Ok(Self { rules })
    }

    /// Whether the file or directory at `path`, relative to the context, is left out.
    #[must_use]
    pub fn ignores(&self, path: &str) -> bool {
        self.verdict(path).0
    }

    /// Whether nothing below the directory at `path` can be seen either, so that nobody needs to
    /// look.
    #[must_use]
    pub fn ignores_all_below(&self, path: &str) -> bool {
        // A later rule with `!` could name a file below.
        self.verdict(path).0 && !self.rules.iter().any(|rule| rule.brings_back)
    }

    fn verdict(&self, path: &str) -> (bool, usize) {
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        let names: Vec<&str> = parents.chain([path]).filter(|name| !name.is_empty()).collect();
        let mut ignored = false;
        for rule in &self.rules {
            if rule.brings_back == ignored && names.iter().any(|name| rule.pattern.matches(name)) {
                ignored = !rule.brings_back;
            }
        }
        (ignored, names.len())
    }
}

impl Rule {
    fn parse(line: usize, text: &str) -> Result<Self, Error> {
        let (brings_back, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, text),
        };
        if text.is_empty() {
            return Err(Error::Nothing(line));
        }
        let clean = clean(text);
        if clean.len() > MOST_PATTERN {
            return Err(Error::Long { line, most: MOST_PATTERN });
        }
        let problem = |problem| Error::Pattern { line, problem };
        // It must be a pattern of Go too.
        Pattern::of_names(&clean).map_err(problem)?;
        let pattern = Pattern::of_ignored(&clean).map_err(problem)?;
        Ok(Self { pattern, brings_back })
    }
}

/// As Go's `filepath.Clean`, and relative to the context.
fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            ".." if path.starts_with('/') => {}
            name => names.push(name),
        }
    }
    if names.is_empty() { ".".to_owned() } else { names.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignores(patterns: &str, path: &str) -> bool {
        Ignore::parse(patterns.as_bytes()).unwrap().ignores(path)
    }

    /// The cases of moby's own tests of its patterns.
    #[test]
    fn single_patterns_match_as_in_moby() {
        for (pattern, path, ignored) in [
            ("**", "file", true),
            ("**/", "file", true),
            ("**", "dir/file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("**/dir", "dir", true),
            ("**/dir", "dir/file", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/**", "dir/dir2/dir3/file", true),
            ("**file", "file", true),
            ("**file", "dir/dir/file", true),
            ("**file", "dir/afile", true),
            ("**/file", "dir/file", true),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/file*.txt*", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt2", "dir/dir/file.txt", false),
            ("**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt", "a/file.txt", true),
            ("a/*.txt**", "a/file.txt", true),
            ("a[b-d]e", "ae", false),
            ("a[b-d]e", "ace", true),
            ("a[^b-d]e", "aze", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcZdef", false),
            ("abc?def", "abcZdef", true),
            ("**/foo/bar", "dir/dir2/foo/bar", true),
            ("abc/**", "abc", false),
            ("abc/**", "abc/def/ghi", true),
            ("**/.foo", ".foo", true),
            ("**/.foo", "bar.foo", false),
            ("a(b)c/def", "a(b)c/def", true),
            ("a(b)c/def", "a(b)c/xyz", false),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("dist/*.whl", "dist/proxy.py-2.4.0+g08acad9-py3-none-any.whl", true),
            ("a\\*b", "a*b", true),
            ("a*", "ab/c", true),
        ] {
            assert_eq!(ignores(pattern, path), ignored, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_pattern_that_matches_counts() {
        for (patterns, path, ignored) in [
            ("!fileutils.go\n*.go", "fileutils.go", true),
            ("*.go\n!fileutils.go", "fileutils.go", false),
            ("docs\n!docs/README.md", "docs/README.md", false),
            ("docs\n!docs/README.md", "docs/other", true),
            ("docs/\n!docs/README.md", "docs/README.md", false),
            ("docs/*\n!docs/README.md", "docs/README.md", false),
            ("**\n!util/docker/web", "util/docker/web/foo", false),
            ("**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", true),
            ("**\n!dist/*.whl", "dist/a.whl", false),
        ] {
            assert_eq!(ignores(patterns, path), ignored, "{patterns:?} {path}");
        }
    }

    /// The examples of Docker's documentation.
    #[test]
    fn the_documentation_holds() {
        let text = "# comment\n*/temp*\n*/*/temp*\ntemp?\n";
        for (path, ignored) in [
            ("somedir/temporary.txt", true),
            ("somedir/temp", true),
            ("somedir/subdir/temporary.txt", true),
            ("a/b/c/temporary.txt", false),
            ("tempa", true),
            ("temp", false),
            ("# comment", false),
        ] {
            assert_eq!(ignores(text, path), ignored, "{path}");
        }
        let readme = "*.md\n!README*.md\nREADME-secret.md";
        assert!(!ignores(readme, "README.md"));
        assert!(ignores(readme, "README-secret.md"));
        assert!(ignores(readme, "other.md"));
        let other_order = "*.md\nREADME-secret.md\n!README*.md";
        assert!(!ignores(other_order, "README-secret.md"));
        for same in
            ["/foo/bar", "foo/bar", "foo/bar/", " ./foo//bar ", "foo/x/../bar", "\u{feff}foo/bar"]
        {
            assert!(ignores(same, "foo/bar"), "{same}");
        }
    }

    #[test]
    fn a_malformed_line_is_named() {
        assert_eq!(Ignore::parse(b"a\n\n !").unwrap_err(), Error::Nothing(3));
        let error = Ignore::parse(b"a\nb[").unwrap_err();
        assert_eq!(error, Error::Pattern { line: 2, problem: Malformed("b[".into()) });
        assert!(Ignore::parse("a\n".repeat(MOST_LINES + 1).as_bytes()).is_err());
        assert!(Ignore::parse(b"\xff\xfe\n*").unwrap().ignores("a"));
    }
}
