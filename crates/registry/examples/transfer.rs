//! Pulls an image from a registry into a store, or pushes it from there:
//!
//! ```console
//! $ cargo run --release -p registry --example transfer -- pull /tmp/images 127.0.0.1:5000/class/hello:1
//! ```

use std::{env, error::Error, path::Path};

use image::{manifest::Platform, reference::Reference, store::Store};
use registry::{
    client::{Client, ClientOptions, Credentials},
    credentials::DockerConfig,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [action, store, name] = &arguments[..] else {
        return Err("transfer pull|push STORE REFERENCE".into());
    };
    let store = Store::open(Path::new(store))?;
    let name: Reference = name.parse()?;
    let credentials = Credentials::Docker(DockerConfig::of_user()?);
    let client = Client::new(ClientOptions { credentials, ..ClientOptions::default() });
    let descriptor = match &**action {
        "pull" => client.pull(&store, &name, &Platform::host(), &())?,
        "push" => client.push(&store, &name, &())?,
        _ => return Err("transfer pull|push STORE REFERENCE".into()),
    };
    println!("{}", descriptor.digest());
    Ok(())
}
