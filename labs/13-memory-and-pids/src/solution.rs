//! Lab 13.

fn main() {}
