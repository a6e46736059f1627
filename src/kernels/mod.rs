//! Pure functions over slices: no I/O, no dataflow, no topology. They cannot fail.

pub mod aggregate;
pub mod prefetch;
pub mod propagate;
pub mod radix;
pub mod seeded;
pub mod two_hop;
