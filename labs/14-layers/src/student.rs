//! Lab 14.

fn main() {}
