//! What the registry is filled with.

use lab::check::Bench;
use pull_image::{
    Descriptor, Digest, MANIFEST, Order,
    registry::{Content, Mishap},
};
use serde_json::json;

/// An image of the registry.
pub struct Image {
    pub order: Order,
    pub blobs: Vec<Descriptor>,
}

/// What the registry is filled with.
pub struct Shelf<'b> {
    pub bench: &'b Bench,
    pub content: Content,
}

impl Shelf<'_> {
    pub fn blob(&mut self, mishap: Mishap) -> Descriptor {
        let words = 300 + self.bench.random(200);
        let text: String = (0..words).map(|_| self.bench.token()).collect();
        self.add("application/vnd.oci.image.layer.v1.tar", text.into_bytes(), mishap)
    }

    fn add(&mut self, media_type: &str, bytes: Vec<u8>, mishap: Mishap) -> Descriptor {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.content.blobs.insert(digest.clone(), (bytes, mishap));
        Descriptor { media_type: media_type.into(), digest, size }
    }

    /// A repository with a token of its own.
    fn repository(&mut self, name: &str) -> String {
        let repository = format!("class/{name}-{}", self.bench.token());
        self.content.tokens.insert(repository.clone(), format!("token-{}", self.bench.token()));
        repository
    }

    fn manifest(&mut self, layers: &[Descriptor]) -> (Vec<u8>, Vec<Descriptor>) {
        let config = format!("{{\"id\":\"{}\"}}", self.bench.token());
        let media_type = "application/vnd.oci.image.config.v1+json";
        let config = self.add(media_type, config.into_bytes(), Mishap::None);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let blobs = [config].into_iter().chain(layers.iter().cloned()).collect();
        (manifest.to_string().into_bytes(), blobs)
    }

    pub fn image(&mut self, name: &str, layers: &[Descriptor]) -> Image {
        let (manifest, blobs) = self.manifest(layers);
        let (repository, reference) = (self.repository(name), format!("1.{}", self.bench.token()));
        self.content.manifests.insert((repository.clone(), reference.clone()), manifest);
        Image { order: Order { repository, reference, left: None }, blobs }
    }

    /// A digest, for which the registry has another manifest.
    pub fn lie(&mut self) -> Order {
        let layer = self.blob(Mishap::None);
        let (manifest, _) = self.manifest(&[layer]);
        let (repository, reference) =
            (self.repository("lie"), Digest::of(self.bench.token().as_bytes()).to_string());
        self.content.manifests.insert((repository.clone(), reference.clone()), manifest);
        Order { repository, reference, left: None }
    }

    /// An image, by its manifest's digest.
    pub fn by_digest(&mut self, layers: &[Descriptor]) -> Image {
        let mut image = self.image("digest", layers);
        let Order { repository, reference, .. } = &mut image.order;
        if let Some(manifest) =
            self.content.manifests.remove(&(repository.clone(), reference.clone()))
        {
            *reference = Digest::of(&manifest).to_string();
            self.content.manifests.insert((repository.clone(), reference.clone()), manifest);
        }
        image
    }

    /// An image whose token is good for the manifest only.
    pub fn expiring(&mut self, layers: &[Descriptor]) -> Image {
        let image = self.image("expiring", layers);
        let token = format!("later-{}", self.bench.token());
        self.content.later.insert(image.order.repository.clone(), token);
        image
    }

    /// An image that is not given out: the registry says 503, and sends the manifest with that.
    pub fn unavailable(&mut self, layers: &[Descriptor]) -> Order {
        let Image { order, .. } = self.image("unavailable", layers);
        self.content.unavailable.insert(order.repository.clone());
        order
    }

    /// A repository for which nobody gets a token that is good.
    pub fn denied(&mut self, layers: &[Descriptor]) -> Order {
        let Image { order, .. } = self.image("denied", layers);
        self.content.tokens.remove(&order.repository);
        order
    }

    /// A tag that is not there.
    pub fn absent(&mut self) -> Order {
        Order { repository: self.repository("absent"), reference: "none".into(), left: None }
    }
}
