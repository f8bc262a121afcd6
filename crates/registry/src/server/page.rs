//! `/`: what the registry has, for people. One page without a script: repositories, tags, and the
//! layers of each as bars, as wide as they are large. A layer that several tags share has one colour,
//! and is counted once.

use std::{collections::HashMap, fmt::Write as _};

use axum::{
    body::Body,
    http::{HeaderMap, Response, header},
};
use image::digest::Digest;

use super::{
    error::ApiError,
    response::set,
    route::query as value_of,
    shape::{Shape, Target},
    state::Registry,
    storage::Storage,
};

/// A tag that is shown.
struct Tag {
    name: String,
    digest: Digest,
    layers: Vec<Target>,
}

/// The words of the page.
struct Words {
    language: &'static str,
    title: &'static str,
    empty: &'static str,
    tag: &'static str,
    layers: &'static str,
    shared: &'static str,
    total: &'static str,
    other: (&'static str, &'static str),
}

const ENGLISH: Words = Words {
    language: "en",
    title: "Registry",
    empty: "Nothing was pushed yet.",
    tag: "tag",
    layers: "layers",
    shared: "shared by",
    total: "stored, each layer once; an outlined layer is shared by several tags",
    other: ("zh", "中文"),
};

const CHINESE: Words = Words {
    language: "zh",
    title: "镜像仓库",
    empty: "还没有推送任何镜像。",
    tag: "标签",
    layers: "层",
    shared: "共享次数",
    total: "实际存储，每层只计一次；带边框的层由多个标签共享",
    other: ("en", "English"),
};

/// More repositories make the page slow, and nobody reads on.
const MOST_REPOSITORIES: usize = 200;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--dim:#888}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;display:flex;justify-content:space-between}h1 a{font-size:1rem}\
h2{font-size:1.1rem;border-bottom:1px solid var(--line);margin:2rem 0 .5rem}\
.tag{display:grid;grid-template-columns:10rem 1fr 6rem;gap:1rem;align-items:center;margin:.4rem 0}\
.tag code{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}\
.bar{display:flex;height:1.4rem;gap:2px}\
.bar i{display:block;min-width:4px;border-radius:2px}\
.bar i.shared{outline:2px solid currentColor;outline-offset:-2px}\
.size{text-align:right;font-variant-numeric:tabular-nums}.dim{color:var(--dim)}\
@media(max-width:40rem){.tag{grid-template-columns:1fr 6rem}.bar{grid-column:1/3;grid-row:2}}";

pub(super) fn page(
    registry: &Registry,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response<Body>, ApiError> {
    let words = words(headers, query);
    let html = draw(&registry.storage, words)?;
    let mut response = Response::new(Body::from(html));
    set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
    // Nothing is loaded and nothing runs, whatever somebody has pushed.
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    set(&mut response, header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn words(headers: &HeaderMap, query: Option<&str>) -> &'static Words {
    let asked = value_of(query, "lang");
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let first = accepted.and_then(|value| value.split(',').next()).unwrap_or_default();
    let language = asked.unwrap_or_else(|| first.to_owned());
    if language.trim().to_ascii_lowercase().starts_with("zh") { &CHINESE } else { &ENGLISH }
}

fn draw(storage: &Storage, words: &Words) -> Result<String, ApiError> {
    let mut repositories = Vec::new();
    for name in storage.repositories()?.into_iter().take(MOST_REPOSITORIES) {
        let tags = tags(storage, &name)?;
        repositories.push((name, tags));
    }
    let mut counts: HashMap<Digest, (u64, u64)> = HashMap::new();
    for layer in repositories.iter().flat_map(|(_, tags)| tags).flat_map(|tag| &tag.layers) {
        counts.entry(layer.digest.clone()).or_insert((0, layer.size)).0 += 1;
    }
    let stored: u64 = counts.values().map(|(_, size)| size).sum();
    let largest = repositories
        .iter()
        .flat_map(|(_, tags)| tags)
        .map(|tag| tag.layers.iter().map(|layer| layer.size).sum::<u64>())
        .max();
    let largest = largest.unwrap_or(0).max(1);
    let Words { language, title, empty, total, other: (other, other_name), .. } = words;
    let mut html = format!(
        "<!doctype html><html lang=\"{language}\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>isolab · {title}</title>\
         <style>{STYLE}</style><h1>{title}<a href=\"/?lang={other}\">{other_name}</a></h1>"
    );
    if repositories.is_empty() {
        let _ = write!(html, "<p>{empty}</p>");
    } else {
        let _ = write!(html, "<p class=\"dim\">{}: {total}</p>", size(stored));
    }
    for (name, tags) in &repositories {
        let _ = write!(html, "<h2>{}</h2>", escaped(name));
        for tag in tags {
            row(&mut html, tag, &counts, largest, words);
        }
    }
    Ok(html)
}

fn tags(storage: &Storage, name: &str) -> Result<Vec<Tag>, ApiError> {
    let mut all = Vec::new();
    for tag in storage.tags(name)? {
        let Ok(Some(digest)) = storage.tag(name, &tag) else { continue };
        all.push(Tag { name: tag, layers: layers(storage, name, &digest), digest });
    }
    Ok(all)
}

/// The layers of a manifest, or of the first image of an index.
fn layers(storage: &Storage, name: &str, digest: &Digest) -> Vec<Target> {
    let read = |digest: &Digest| {
        let manifest = storage.manifest(name, digest).ok()?;
        Shape::read(&manifest.bytes).ok()
    };
    let Some(shape) = read(digest) else { return Vec::new() };
    match shape.manifests.first() {
        Some(first) => read(&first.digest).map(|shape| shape.layers).unwrap_or_default(),
        None => shape.layers,
    }
}

fn row(
    html: &mut String,
    tag: &Tag,
    counts: &HashMap<Digest, (u64, u64)>,
    largest: u64,
    words: &Words,
) {
    let all: u64 = tag.layers.iter().map(|layer| layer.size).sum();
    let Words { tag: tag_word, layers, shared, .. } = words;
    let name = escaped(&tag.name);
    let _ = write!(
        html,
        "<div class=\"tag\"><code title=\"{tag_word} {name} = {}\">{name}</code><span class=\"bar\" \
         title=\"{} {layers}\">",
        tag.digest,
        tag.layers.len()
    );
    for layer in &tag.layers {
        let count = counts.get(&layer.digest).map_or(1, |(count, _)| *count);
        let (class, remark) = match count {
            0 | 1 => ("", String::new()),
            count => (" class=\"shared\"", format!(", {shared} {count}")),
        };
        let width = layer.size as f64 / largest as f64 * 100.0;
        let _ = write!(
            html,
            "<i{class} style=\"width:{width:.2}%;background:hsl({} 55% 55%)\" title=\"{} {}{remark}\"></i>",
            hue(&layer.digest),
            layer.digest,
            size(layer.size)
        );
    }
    let _ = write!(html, "</span><span class=\"size\">{}</span></div>", size(all));
}

/// The same layer has the same colour everywhere.
fn hue(digest: &Digest) -> u32 {
    u32::from_str_radix(digest.hex().get(..4).unwrap_or("0"), 16).unwrap_or(0) % 360
}

fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} GiB")
}

fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        c => c.into(),
    };
    text.chars().map(escape).collect()
}
