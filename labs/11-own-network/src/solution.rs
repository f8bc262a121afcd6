//! Lab 11.

fn main() {}
