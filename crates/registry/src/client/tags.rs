//! What else is asked of a registry: its tags, to delete something, and whether it knows the user.

use image::reference::Reference;
use ureq::http::{Method, StatusCode, header};

use super::{
    Failure,
    manifests::{self, pull_scope, read_tags},
    message::{Request, Response},
    session::Session,
};

/// No repository that a person looks through has more pages.
const MAX_PAGES: usize = 100;
const MAX_TAGS: usize = 50_000;

/// All tags of a repository.
pub(super) fn list(session: &Session<'_>, reference: &Reference) -> Result<Vec<String>, Failure> {
    let repository = reference.repository();
    let mut all = Vec::new();
    let mut next = Some(session.url(&format!("/v2/{repository}/tags/list?n=1000")));
    for _ in 0..MAX_PAGES {
        let Some(url) = next else { return Ok(all) };
        let request = Request::new(Method::GET, url);
        let response = session.send(request, &pull_scope(repository))?;
        match response.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                let (registry, name) = (session.registry().into(), repository.into());
                return Err(Failure::NotFound { registry, name, tags: Vec::new() });
            }
            _ => return Err(session.rejected(response)),
        }
        next = match next_page(&response) {
            Some(link) => {
                let host = response.url.authority().into();
                let why = "its next page of tags is elsewhere";
                let page = response.url.join(&link).ok();
                let page = page.filter(|page| page.same_origin(&response.url));
                Some(page.ok_or(Failure::Redirect { host, why })?)
            }
            None => None,
        };
        all.extend(read_tags(response)?);
        if all.len() > MAX_TAGS {
            break;
        }
    }
    Err(Failure::protocol(session.registry(), "its list of tags has no end"))
}

/// `Link: </v2/a/tags/list?n=1000&last=x>; rel="next"` (RFC 8288).
fn next_page(response: &Response) -> Option<String> {
    let link = response.header(header::LINK)?;
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then(|| target.to_owned())
}

/// Deletes a tag, or a manifest by its digest.
pub(super) fn delete(session: &Session<'_>, reference: &Reference) -> Result<(), Failure> {
    let (repository, identifier) = (reference.repository(), reference.identifier());
    let url = session.url(&manifests::path(repository, &identifier));
    let scope = format!("repository:{repository}:pull,push,delete");
    let response = session.send(Request::new(Method::DELETE, url), &scope)?;
    match response.status {
        StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
        StatusCode::NOT_FOUND => {
            let (registry, name) =
                (session.registry().into(), format!("{repository} {identifier}"));
            Err(Failure::NotFound { registry, name, tags: Vec::new() })
        }
        _ => Err(session.rejected(response)),
    }
}

/// Whether the registry accepts the client's credentials. One that asks for none accepts all.
pub(super) fn check_login(session: &Session<'_>) -> Result<(), Failure> {
    let request = Request::new(Method::GET, session.url("/v2/"));
    session.expect(request, "", &[StatusCode::OK]).map(|_| ())
}
