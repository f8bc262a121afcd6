//! Small images in a store of a test.

use image::{
    config::{History, ImageConfig},
    layer::{Attributes, LayerWriter},
    one_layer,
    store::Store,
};
use oci_spec::image::Descriptor;
use tempfile::TempDir;

/// A store in a directory that is removed with it.
pub struct TestStore {
    pub directory: TempDir,
}

impl TestStore {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn open(&self) -> Store {
        Store::open(&self.directory.path().join("images")).unwrap()
    }

    /// An image with this name whose only file has this content.
    pub fn image(&self, name: &str, content: &str) -> Descriptor {
        self.image_with(name, content, |_| ())
    }

    pub fn image_with(
        &self,
        name: &str,
        content: &str,
        change: impl FnOnce(&mut ImageConfig),
    ) -> Descriptor {
        let store = self.open();
        let mut config = ImageConfig::scratch();
        config.created = Some("2024-05-01T12:00:00Z".into());
        config.config.cmd = Some(vec!["/bin/true".into()]);
        config.history.push(History { created_by: "COPY file /file".into(), ..History::default() });
        change(&mut config);
        let (descriptor, _) =
            one_layer::keep(&store, config, |out| out.write_all(&archive(&[("file", content)])))
                .unwrap();
        let image = store.image_at(&descriptor, &image::manifest::Platform::host()).unwrap();
        store.unpack(&image).unwrap();
        match name {
            "" => store.keep(&descriptor).unwrap(),
            name => store.tag(&name.parse().unwrap(), &descriptor).unwrap(),
        }
        descriptor
    }
}

/// A tar archive of these files.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = LayerWriter::new(Vec::new());
    for (name, content) in files {
        let attributes = Attributes { mode: 0o644, ..Attributes::default() };
        let length = content.len() as u64;
        writer.file(name.as_bytes(), &attributes, length, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}
