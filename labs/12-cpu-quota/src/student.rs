//! Lab 12.

fn main() {}
