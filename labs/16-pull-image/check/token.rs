//! What every pull begins with.

use lab::check::{Checked, ensure, fail};
use pull_image::{MANIFEST, Order, registry::Request};

/// What every pull begins with: a 401, a token for this repository, and the manifest.
pub fn first_requests(log: &[Request], order: &Order, service: &str, outcome: &str) -> Checked<()> {
    let manifests = log.iter().filter(|request| request.path.contains("/manifests/"));
    for (number, request) in manifests.enumerate() {
        let accept = request.accept.as_deref().unwrap_or_default();
        ensure(!accept.is_empty() || number == 0, || {
            fail("L16-headers-lost").fact("path", &request.path)
        })?;
        ensure(accept.contains(MANIFEST), || {
            let shown = if accept.is_empty() { "no Accept" } else { accept };
            fail("L16-no-accept").fact("accept", shown).fact("path", &request.path)
        })?;
    }
    let tokens: Vec<&Request> =
        log.iter().filter(|request| request.path.starts_with("/token")).collect();
    ensure(!tokens.is_empty(), || fail("L16-no-token").fact("error", outcome))?;
    let scope = format!("scope=repository:{}:pull", order.repository);
    let service = format!("service={service}");
    for (id, wanted) in [("L16-scope", &scope), ("L16-service", &service)] {
        let incomplete = tokens.iter().find(|request| !request.path.contains(wanted));
        ensure(incomplete.is_none(), || {
            let path = incomplete.map_or("", |request| &request.path);
            fail(id).fact("path", path).fact("scope", wanted)
        })?;
    }
    let refused = log.iter().filter(|request| request.status == 401).count();
    ensure(tokens.len() == 1 && refused == 1, || {
        fail("L16-token-again").fact("tokens", tokens.len()).fact("refused", refused)
    })
}
