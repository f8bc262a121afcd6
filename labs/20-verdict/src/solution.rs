//! Lab 20.

fn main() {}
