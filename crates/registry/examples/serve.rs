//! A registry, for tests that kill it: `cargo run -p registry --example serve -- DIRECTORY [ADDRESS]`.
//! Its first line is where it listens.

use std::io::Write as _;

use registry::server::{Options, serve, terminated};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let data = words.next().ok_or("usage: serve DIRECTORY [ADDRESS]")?;
    let listen = words.next().unwrap_or_else(|| "127.0.0.1:0".into()).parse()?;
    let options = Options { listen, ..Options::new(data) };
    let ready = |at| {
        println!("{at}");
        let _ = std::io::stdout().flush();
    };
    serve(options, Box::new(std::io::sink()), ready, terminated())?;
    Ok(())
}
