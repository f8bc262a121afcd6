//! Lab 18.

fn main() {}
