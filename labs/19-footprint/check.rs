//! Lab 19.

fn main() {}
