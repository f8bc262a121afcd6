//! Lists, names and removals, in stores of their own.

use image::store::Store;

use super::{
    filters::Criteria,
    inspect, list,
    list::ListOptions,
    names, prune,
    remove::{ImageUser, RemoveOptions, remove, tag},
    test_images::TestStore,
};
use crate::filters::Filters;

fn listed(store: &Store, filters: &str) -> Vec<Vec<String>> {
    let filters = Filters::parse(filters, Criteria::OF_LIST).unwrap();
    let options = ListOptions { filters, shared_size: true };
    list::list(store, &options).unwrap().into_iter().map(|image| image.repo_tags).collect()
}

fn words(answer: &[bollard_stubs::models::ImageDeleteResponseItem]) -> Vec<String> {
    let word =
        |text: &String| text.split_once('@').map_or(text.clone(), |(name, _)| format!("{name}@"));
    answer
        .iter()
        .map(|item| match (&item.untagged, &item.deleted) {
            (Some(name), None) => format!("- {}", word(name)),
            (None, Some(id)) => format!("x {}", id.get(..10).unwrap_or(id)),
            _ => "?".into(),
        })
        .collect()
}

fn user(image: &str, is_running: bool) -> ImageUser {
    ImageUser { container: "c".repeat(64), image: image.into(), is_running }
}

#[test]
fn a_list_has_each_image_once_and_all_its_names() {
    let directory = TestStore::new();
    directory.image("one:1", "one");
    directory.image("two", "two!");
    directory.image("", "nameless");
    let store = directory.open();
    tag(&store, "one:1", "127.0.0.1:5000/other", "x").unwrap();
    let all = list::list(&store, &ListOptions::default()).unwrap();
    assert_eq!(all.len(), 3);
    let one = all.iter().find(|image| image.repo_tags.len() == 2).unwrap();
    assert_eq!(one.repo_tags, ["127.0.0.1:5000/other:x", "one:1"]);
    assert_eq!(one.repo_digests.len(), 2);
    assert!(one.repo_digests[1].starts_with("one@sha256:"));
    assert_eq!((one.size, one.created, one.shared_size), (3, 1_714_564_800, -1));
    for (filters, expected) in [
        (r#"{"dangling":["true"]}"#, &[][..]),
        (r#"{"reference":["one"]}"#, &["one:1"]),
        (r#"{"reference":["tw?:*"]}"#, &["two:latest"]),
        (r#"{"reference":["none"]}"#, &["-"]),
        (r#"{"label":["a"]}"#, &["-"]),
        (r#"{"until":["2020-01-01T00:00:00Z"]}"#, &["-"]),
        (r#"{"before":["one:1"]}"#, &["-"]),
    ] {
        let found = listed(&store, filters);
        match expected {
            ["-"] => assert!(found.is_empty(), "{filters}: {found:?}"),
            tags => assert_eq!(found, [tags], "{filters}"),
        }
    }
    assert_eq!(listed(&store, r#"{"dangling":["false"]}"#).len(), 2);
    let filters = Filters::parse(r#"{"before":["nobody"]}"#, Criteria::OF_LIST).unwrap();
    let options = ListOptions { filters, shared_size: false };
    assert_eq!(list::list(&store, &options).unwrap_err().status(), 404);
    let (bytes, usage) = list::disk_usage(&store, std::slice::from_ref(&one.id)).unwrap();
    assert_eq!(bytes, 15);
    assert_eq!(usage.iter().map(|image| image.containers).sum::<i64>(), 1);
    let found = list::search(&store, "ONE", 25).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name.as_deref(), Some("one"));
}

#[test]
fn an_image_is_found_by_names_and_by_the_beginning_of_its_id() {
    let directory = TestStore::new();
    let descriptor = directory.image("one:1", "one");
    let store = directory.open();
    let id = names::find(&store, "one:1").unwrap().image.id;
    let digest = descriptor.digest().to_string();
    for text in [
        "docker.io/library/one:1",
        &format!("one@{digest}"),
        id.hex(),
        id.short(),
        &id.to_string(),
        &digest,
    ] {
        assert_eq!(names::find(&store, text).unwrap().image.id, id, "{text}");
    }
    for (text, status, words) in [
        ("one", 404, "No such image: one:latest"),
        (&"0".repeat(64), 404, &*format!("No such image: {}", "0".repeat(64))),
        ("One", 400, "invalid reference format"),
        ("", 400, "invalid reference format"),
        ("../../etc/passwd", 400, "invalid reference format"),
        ("sha256:zz", 404, "No such image: sha256:zz"),
    ] {
        let error = names::find(&store, text).unwrap_err();
        assert_eq!(error.status(), status, "{text}: {error}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
    let found = inspect::inspect(&store, "one:1").unwrap();
    assert_eq!(found.id, Some(id.to_string()));
    assert_eq!(found.config.unwrap().cmd.unwrap(), ["/bin/true"]);
    assert_eq!(found.root_fs.unwrap().layers.unwrap().len(), 1);
    let history = inspect::history(&store, "one:1").unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!((&*history[0].created_by, history[0].size), ("COPY file /file", 3));
    assert_eq!(history[0].tags, ["one:1"]);
}

#[test]
fn a_name_is_taken_away_and_the_last_one_removes_the_image() {
    let directory = TestStore::new();
    directory.image("one:1", "one");
    let store = directory.open();
    let id = names::find(&store, "one:1").unwrap().image.id.to_string();
    tag(&store, &id, "one", "2").unwrap();
    tag(&store, "one:1", "two", "").unwrap();
    let gently = RemoveOptions::default();
    let answer = remove(&store, "one:1", gently, &[]).unwrap();
    assert_eq!(words(&answer), ["- one:1"]);
    let error = remove(&store, &id, gently, &[]).unwrap_err();
    let short = &id[7..19];
    assert_eq!(
        error.to_string(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    assert_eq!(error.status(), 409);
    assert_eq!(words(&remove(&store, "two", gently, &[]).unwrap()), ["- two:latest", "- two@"]);
    let answer = remove(&store, "one:2", gently, &[]).unwrap();
    assert_eq!(words(&answer)[..2], ["- one:2", "- one@"]);
    assert_eq!(answer.len(), 4, "{answer:?}");
    assert_eq!(remove(&store, &id, gently, &[]).unwrap_err().status(), 404);
    assert!(prune::reclaim(store).unwrap() > 0);
}

#[test]
fn what_a_container_has_stays() {
    let directory = TestStore::new();
    directory.image("one:1", "one");
    let store = directory.open();
    let id = names::find(&store, "one:1").unwrap().image.id.to_string();
    let (gently, force) = (RemoveOptions::default(), RemoveOptions { force: true });
    let (short, container) = (&id[7..19], "cccccccccccc");
    for (text, options, is_running, expected) in [
        (
            "one:1",
            gently,
            false,
            format!(
                "conflict: unable to remove repository reference \"one:1\" (must force) - container {container} is using its referenced image {short}"
            ),
        ),
        (
            &*id,
            gently,
            false,
            format!(
                "conflict: unable to delete {short} (must be forced) - image is being used by stopped container {container}"
            ),
        ),
        (
            &*id,
            force,
            true,
            format!(
                "conflict: unable to delete {short} (cannot be forced) - image is being used by running container {container}"
            ),
        ),
    ] {
        let error = remove(&store, text, options, &[user(&id, is_running)]).unwrap_err();
        assert_eq!((error.status(), error.to_string()), (409, expected));
    }
    // By force its name goes, and its layers stay.
    let users = [user(&id, true)];
    assert_eq!(words(&remove(&store, "one:1", force, &users).unwrap()), ["- one:1", "- one@"]);
    let all = Filters::parse(r#"{"dangling":["false"]}"#, Criteria::OF_PRUNE).unwrap();
    let pruned = prune::prune(store, &all, &users).unwrap();
    assert_eq!(pruned.images_deleted, Some(Vec::new()));
    let store = directory.open();
    assert!(names::find(&store, &id).unwrap().image.references.is_empty());
    let pruned = prune::prune(store, &Filters::default(), &[]).unwrap();
    assert_eq!(pruned.images_deleted.unwrap().len(), 2);
    assert!(pruned.space_reclaimed.unwrap() > 0);
}

#[test]
fn pruning_takes_nameless_images_alone_unless_all_are_meant() {
    let directory = TestStore::new();
    directory.image("one:1", "one");
    directory.image("", "two");
    let pruned = prune::prune(directory.open(), &Filters::default(), &[]).unwrap();
    assert_eq!(pruned.images_deleted.unwrap().len(), 2);
    let all = Filters::parse(r#"{"dangling":["false"],"label!":["keep"]}"#, Criteria::OF_PRUNE);
    let (all, second) = (all.unwrap(), directory.open());
    // Another one has the store open: what is forgotten is freed later.
    let pruned = prune::prune(directory.open(), &all, &[]).unwrap();
    assert_eq!((pruned.images_deleted.unwrap().len(), pruned.space_reclaimed), (4, Some(0)));
    assert!(list::list(&second, &ListOptions::default()).unwrap().is_empty());
    assert!(prune::reclaim(second).unwrap() > 0);
}
