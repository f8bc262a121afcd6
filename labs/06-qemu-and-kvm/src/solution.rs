//! Lab 06.

fn main() {}
