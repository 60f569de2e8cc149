//! The server's start: settings, assembly, listener.

fn main() {}
