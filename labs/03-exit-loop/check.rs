//! Lab 03.

fn main() {}
