//! Images: lists, names, archives.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use bollard_stubs::models::ImageDeleteResponseItem;

use super::{
    always::{complete, completed, written},
    body::BodyReader,
    call::Call,
    progress::{blocking, lines, refused},
    response::{BodyWriter, ChannelBody, empty, json, of_type},
};
use crate::{
    engine::Engine,
    error::{ApiError, Result},
    events::Kind,
    images::{
        ImageError, archive,
        filters::Criteria,
        inspect,
        list::{self, ListOptions},
        prune,
        remove::{self, ImageUser, RemoveOptions},
    },
};

/// How many repositories a search finds at most.
const MAX_FOUND: usize = 100;
/// How many it finds unless the client says.
const USUAL_FOUND: usize = 25;

/// What the containers have of images.
pub(super) fn users(engine: &Engine) -> Vec<ImageUser> {
    let user = |container: &Arc<crate::container::Container>| {
        let record = container.record();
        ImageUser {
            container: record.id.clone(),
            image: record.image.clone(),
            is_running: record.status.phase.is_up(),
        }
    };
    engine.containers().iter().map(user).collect()
}

/// Tells that `action` has happened to an image.
pub(super) fn emit(engine: &Engine, action: &str, id: &str, name: &str) {
    engine.events.emit(Kind::IMAGE, action, id, [("name".to_owned(), name.to_owned())]);
}

pub(super) async fn list(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let mut options = ListOptions {
        filters: call.query.filters(Criteria::OF_LIST)?,
        shared_size: call.query.flag("shared-size"),
    };
    // Clients before API 1.25 had a parameter for one pattern.
    if let Some(pattern) = call.query.text("filter") {
        options.filters.add("reference", pattern);
    }
    let engine = Arc::clone(engine);
    let work = move || list::list(&engine.store()?, &options).map_err(|error| refused(&error));
    let listed = blocking(work).await?;
    let listed = listed.iter().map(|image| {
        let mut image = written(image)?;
        image["VirtualSize"] = image["Size"].clone();
        Ok(image)
    });
    json(&listed.collect::<Result<Vec<_>>>()?)
}

pub(super) async fn inspect(engine: &Arc<Engine>, name: String) -> Result<Response<Body>> {
    let engine = Arc::clone(engine);
    let work = move || inspect::inspect(&engine.store()?, &name).map_err(|error| refused(&error));
    let mut all = completed(&blocking(work).await?, "Image")?;
    // By its old name, for clients before API 1.44.
    all["VirtualSize"] = all["Size"].clone();
    complete(&mut all["Config"], "Config");
    json(&all)
}

pub(super) async fn history(engine: &Arc<Engine>, name: String) -> Result<Response<Body>> {
    let engine = Arc::clone(engine);
    let work = move || inspect::history(&engine.store()?, &name).map_err(|error| refused(&error));
    json(&blocking(work).await?)
}

pub(super) async fn tag(engine: &Arc<Engine>, name: String, call: &Call) -> Result<Response<Body>> {
    let text = |key: &str| call.query.text(key).unwrap_or_default().to_owned();
    let (repo, tag, engine) = (text("repo"), text("tag"), Arc::clone(engine));
    blocking(move || {
        let given = remove::tag(&engine.store()?, &name, &repo, &tag);
        let given = given.map_err(|error| refused(&error))?;
        emit(&engine, "tag", &name, &given.familiar());
        Ok(())
    })
    .await?;
    Ok(empty(StatusCode::CREATED))
}

pub(super) async fn remove(
    engine: &Arc<Engine>,
    name: String,
    call: &Call,
) -> Result<Response<Body>> {
    let (options, engine) = (RemoveOptions { force: call.query.flag("force") }, Arc::clone(engine));
    let work = move || {
        let store = engine.store()?;
        let removed = remove::remove(&store, &name, options, &users(&engine));
        let removed = removed.map_err(|error| refused(&error))?;
        emit_removed(&engine, &removed);
        prune::reclaim(store).map_err(|error| refused(&error))?;
        Ok(removed)
    };
    json(&blocking(work).await?)
}

fn emit_removed(engine: &Engine, removed: &[ImageDeleteResponseItem]) {
    for item in removed {
        let (name, action) = match (&item.untagged, &item.deleted) {
            (Some(name), _) => (name, "untag"),
            (None, Some(id)) => (id, "delete"),
            (None, None) => continue,
        };
        emit(engine, action, name, name);
    }
}

pub(super) async fn prune(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let (filters, engine) = (call.query.filters(Criteria::OF_PRUNE)?, Arc::clone(engine));
    let work = move || {
        let pruned = prune::prune(engine.store()?, &filters, &users(&engine));
        let pruned = pruned.map_err(|error| refused(&error))?;
        emit_removed(&engine, pruned.images_deleted.as_deref().unwrap_or_default());
        Ok(pruned)
    };
    json(&blocking(work).await?)
}

pub(super) async fn search(engine: &Arc<Engine>, call: &Call) -> Result<Response<Body>> {
    let term = call.query.text("term").unwrap_or_default().to_owned();
    let limit = call.query.number::<usize>("limit")?.filter(|limit| *limit > 0);
    let limit = limit.unwrap_or(USUAL_FOUND);
    if limit > MAX_FOUND {
        return Err(ApiError::invalid(format!(
            "limit {limit} is outside the range of [1, {MAX_FOUND}]"
        )));
    }
    let filters = call.query.filters(&["is-automated", "is-official", "stars"])?;
    let (official, automated) = (filters.flag("is-official")?, filters.flag("is-automated")?);
    let stars = filters.values("stars").iter().map(|text| {
        text.parse::<i64>().map_err(|_| ApiError::invalid(format!("invalid filter 'stars={text}'")))
    });
    let least = stars.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0);
    let engine = Arc::clone(engine);
    let work =
        move || list::search(&engine.store()?, &term, limit).map_err(|error| refused(&error));
    let mut found = blocking(work).await?;
    found.retain(|item| {
        let is = |known: Option<bool>, asked: Option<bool>| asked.is_none() || known == asked;
        is(item.is_official, official)
            && is(item.is_automated, automated)
            && item.star_count.unwrap_or(0) >= least
    });
    json(&found)
}

/// `docker save`.
pub(super) async fn get(engine: &Arc<Engine>, names: Vec<String>) -> Result<Response<Body>> {
    let engine = Arc::clone(engine);
    // What is not there is found out before the archive begins.
    let (store, images) = blocking(move || {
        let store = engine.store()?;
        let images = archive::select(&store, &names).map_err(|error| refused(&error))?;
        for name in &names {
            emit(&engine, "save", name, name);
        }
        Ok((store, images))
    })
    .await?;
    let (sender, body) = ChannelBody::pair();
    tokio::task::spawn_blocking(move || {
        // An archive that ends early is what tells the client of a failure here.
        let _ = archive::save(&store, &images, &mut BodyWriter::new(sender));
    });
    Ok(of_type(StatusCode::OK, "application/x-tar", body))
}

/// `docker load`.
pub(super) async fn load(engine: &Arc<Engine>, body: Body) -> Result<Response<Body>> {
    let (engine, reader) = (Arc::clone(engine), BodyReader::new(body));
    lines(move |lines| {
        let store = engine.store().map_err(|error| ImageError::Failed(error.message))?;
        archive::load(&store, reader, lines)
    })
    .await
}
