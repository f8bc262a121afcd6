//! A shell in a container, on a terminal of its own: run this from a terminal.

use container::Container;
use sandbox::{Sandbox as _, Stdio, Workload};

fn main() -> sandbox::Result<()> {
    let shell = Workload::command(["/bin/sh"]).stdio(Stdio::Terminal);
    let outcome = Container::default().run(&shell)?;
    println!("the shell ended with {:?}", outcome.status);
    Ok(())
}
