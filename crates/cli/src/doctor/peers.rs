//! Programs of others that `isolab compare --peers` measures: which are here, and how to get the
//! rest. None of them is lacking: isolab needs none.

use measure::{
    Error,
    peers::{DEFINITIONS, Definition},
};

use super::Finding;

/// One finding for each peer.
pub(super) fn findings() -> Vec<Finding> {
    DEFINITIONS.iter().map(finding).collect()
}

fn finding(definition: &Definition) -> Finding {
    let about = definition.name;
    match definition.find() {
        Ok(found) => match definition.obstacle() {
            None => Finding::ok(about, format!("{}: takes part in compare", found.version)),
            Some(Error { reason, fix }) => {
                let found = format!("{}: cannot take part: {reason}", found.version);
                let fix = (!fix.is_empty()).then_some(fix);
                Finding { fix, ..Finding::note(about, found) }
            }
        },
        Err(Error { reason, fix }) => {
            let found = format!("{reason}: `isolab compare` could measure it as well");
            Finding { fix: Some(fix), ..Finding::note(about, found) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn no_peer_is_a_lack() {
        let findings = findings();
        assert_eq!(findings.len(), DEFINITIONS.len());
        assert!(findings.iter().all(|finding| finding.state != State::Lacks));
        let absent = |finding: &&Finding| finding.found.contains("not installed");
        assert!(findings.iter().filter(absent).all(|finding| finding.fix.is_some()));
    }
}
