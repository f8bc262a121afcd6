//! Lab 10.

fn main() {}
