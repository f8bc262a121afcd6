//! Lab 09.

fn main() {}
