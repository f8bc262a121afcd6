//! Unpacks an image of a store: `cargo run -p image --example unpack -- DIRECTORY NAME`.

use image::{manifest::Platform, store::Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(directory), Some(name)) = (words.next(), words.next()) else {
        return Err("usage: unpack DIRECTORY NAME".into());
    };
    let store = Store::open(directory.as_ref())?;
    let image = store.image(&name.parse()?, &Platform::host())?;
    for layer in store.unpack(&image)? {
        println!("{}", layer.display());
    }
    Ok(())
}
