//! Lab 01.

fn main() {}
